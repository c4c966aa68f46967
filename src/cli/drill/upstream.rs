//! The name server that is asked, over UDP, and over TCP when an answer is truncated.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::cache::{Answer, Resolution};
use crate::dns::{ClientSubnet, HEADER, MAX_UDP_REPLY, Name, Rtype, query_message};

/// How long a reply may take before the query is sent again: longer than any round trip on earth,
/// and what resolvers assume of a server that they do not know yet.
const PATIENCE: Duration = Duration::from_millis(400);

/// How often a query is sent before the server counts as silent.
const ATTEMPTS: usize = 2;

/// RD (RFC 1035 section 4.1.1), in the third octet of the header.
const RECURSION_DESIRED: u8 = 1;

/// A name server, and what it is asked.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) server: SocketAddr,
    pub(super) name: Name,
    /// For whom, where the server is told (RFC 7871).
    pub(super) subnet: Option<ClientSubnet>,
}

impl Upstream {
    /// Asks for the IPv4 addresses of the name.
    pub(super) async fn resolve(&self) -> Resolution {
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            match timeout(PATIENCE, self.exchange()).await {
                Ok(Ok(message)) => return read(&message),
                Ok(Err(error)) => failure = format!("no answer from the name server: {error}"),
                Err(_) => failure = "no answer from the name server in time".to_owned(),
            }
        }
        Err(failure)
    }

    async fn exchange(&self) -> io::Result<Message> {
        let id = fastrand::u16(..);
        let mut query = query_message(id, &self.name, Rtype::A, self.subnet);
        query[2] |= RECURSION_DESIRED;
        let message = self.over_udp(&query).await?;
        if message.metadata.truncation { self.over_tcp(&query).await } else { Ok(message) }
    }

    /// A socket and so a port of its own for each query, as resolvers do (RFC 5452 section 9.2).
    async fn over_udp(&self, query: &[u8]) -> io::Result<Message> {
        let any = match self.server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(self.server).await?;
        socket.send(query).await?;
        let mut buffer = [0; MAX_UDP_REPLY];
        loop {
            let length = socket.recv(&mut buffer).await?;
            // Whatever else comes to this port is passed over.
            if let Some(message) = reply_to(query, &buffer[..length]) {
                return Ok(message);
            }
        }
    }

    async fn over_tcp(&self, query: &[u8]) -> io::Result<Message> {
        let mut stream = TcpStream::connect(self.server).await?;
        let length = u16::try_from(query.len()).expect("a query with one name is short");
        stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        reply_to(query, &reply).ok_or_else(|| io::Error::other("it makes no sense"))
    }
}

/// Reads `reply`, if it is one to `query`: of its ID and question.
fn reply_to(query: &[u8], reply: &[u8]) -> Option<Message> {
    let message = Message::from_vec(reply).ok()?;
    // Names are sent in lowercase and echoed: the question's octets are the same.
    let question = |message: &[u8]| Message::from_vec(message).ok()?.queries.first().cloned();
    let is_reply = message.metadata.message_type == MessageType::Response
        && query.len() > HEADER
        && reply[..2] == query[..2]
        && message.queries.first().cloned() == question(query);
    is_reply.then_some(message)
}

fn read(message: &Message) -> Resolution {
    match message.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(format!("the name server answers {}", code.to_str())),
    }
    let addresses: Vec<IpAddr> = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        })
        .collect();
    // A chain of CNAMEs holds as long as its shortest link.
    let positive = message.answers.iter().map(|record| record.ttl).min();
    let ttl = match positive {
        Some(ttl) if !addresses.is_empty() => ttl,
        _ => message
            .authorities
            .iter()
            .filter(|record| record.record_type() == RecordType::SOA)
            .filter_map(|record| match &record.data {
                RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                _ => None,
            })
            .min()
            .unwrap_or(0),
    };
    Ok(Answer { addresses, ttl: Duration::from_secs(ttl.into()) })
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{OpCode, Query};
    use hickory_proto::rr::rdata::{A, CNAME, SOA};
    use hickory_proto::rr::{Name, Record};
    use tokio::net::TcpListener;

    use super::*;

    const WWW: &str = "www.example.com.";
    const FIRST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, ttl: u32, address: Ipv4Addr) -> Record {
        Record::from_rdata(name(owner), ttl, RData::A(A(address)))
    }

    fn cname(owner: &str, ttl: u32, target: &str) -> Record {
        Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
    }

    fn soa(ttl: u32, minimum: u32) -> Record {
        let soa = SOA::new(name("ns.example.com."), name("h.example.com."), 1, 2, 3, 4, minimum);
        Record::from_rdata(name("example.com."), ttl, RData::SOA(soa))
    }

    #[test]
    fn an_answer_holds_as_long_as_its_shortest_record() {
        // Code, answers, authorities; addresses and seconds.
        let good = ResponseCode::NoError;
        type Case = (ResponseCode, Vec<Record>, Vec<Record>, &'static [Ipv4Addr], u64);
        let cases: [Case; 7] = [
            (good, vec![a(WWW, 5, SECOND), a(WWW, 5, FIRST)], vec![], &[SECOND, FIRST], 5),
            (good, vec![cname(WWW, 3, "a.example."), a("a.example.", 60, FIRST)], vec![], &[FIRST], 3),
            (good, vec![cname(WWW, 60, "a.example."), a("a.example.", 2, FIRST)], vec![], &[FIRST], 2),
            (good, vec![], vec![soa(3_600, 5)], &[], 5),
            (ResponseCode::NXDomain, vec![], vec![soa(4, 60)], &[], 4),
            (good, vec![cname(WWW, 60, "a.example.")], vec![soa(3_600, 5)], &[], 5),
            (good, vec![], vec![], &[], 0),
        ];
        for (code, answers, authorities, addresses, ttl) in cases {
            let mut message = Message::response(1, OpCode::Query);
            message.metadata.response_code = code;
            message.add_answers(answers);
            message.add_authorities(authorities);
            let addresses = addresses.iter().copied().map(IpAddr::V4).collect();
            let expected = Answer { addresses, ttl: Duration::from_secs(ttl) };
            assert_eq!(read(&message), Ok(expected), "{message}");
        }
        for code in [ResponseCode::ServFail, ResponseCode::Refused] {
            assert!(read(&Message::error_msg(1, OpCode::Query, code)).is_err(), "{code}");
        }
    }

    fn reply(query: &[u8], truncated: bool, answers: Vec<Record>) -> Vec<u8> {
        let query = Message::from_vec(query).unwrap();
        let mut message = Message::response(query.metadata.id, OpCode::Query);
        message.metadata.truncation = truncated;
        message.add_queries(query.queries);
        message.add_answers(answers);
        message.to_vec().unwrap()
    }

    #[tokio::test]
    async fn foreign_replies_are_passed_over_and_truncated_ones_asked_for_again() {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = udp.local_addr().unwrap();
        let tcp = TcpListener::bind(server).await.unwrap();
        let upstream = Upstream { server, name: WWW.parse().unwrap(), subnet: None };
        let serve = async {
            let mut query = [0; 512];
            let (length, client) = udp.recv_from(&mut query).await.unwrap();
            let query = &query[..length];
            let mut of_another_id = reply(query, false, vec![a(WWW, 9, SECOND)]);
            of_another_id[0] ^= 1;
            let mut of_another_question = Message::from_vec(query).unwrap();
            of_another_question.queries = vec![Query::query(name("other.example.com."), RecordType::A)];
            let of_another_question = reply(&of_another_question.to_vec().unwrap(), false, vec![]);
            let truncated = reply(query, true, vec![]);
            for message in
                [b"nonsense".to_vec(), query.to_vec(), of_another_id, of_another_question, truncated]
            {
                udp.send_to(&message, client).await.unwrap();
            }
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let reply = reply(&query, false, vec![a(WWW, 7, FIRST)]);
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        };
        let (resolution, ()) = tokio::join!(upstream.resolve(), serve);
        let expected = Answer { addresses: vec![FIRST.into()], ttl: Duration::from_secs(7) };
        assert_eq!(resolution, Ok(expected));
    }
}
