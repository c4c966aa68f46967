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
