//! Questions to servers that answer in every way there is.

use std::time::Duration;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, Record, rdata};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::now;
use super::*;
use crate::dns::Rtype;

/// Longer than anything here takes on the slowest machine.
const AMPLE: Duration = Duration::from_secs(60);

/// A server that answers over UDP and TCP, until it is dropped.
struct Server {
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

/// The replies to a question, by the octets of the messages; `true`: over TCP.
type Answer = fn(Message, bool) -> Vec<Vec<u8>>;

impl Server {
    async fn start(bind: &str, answer: Answer) -> Server {
        // Both at the same port: one of a few tries finds one that is free for both.
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind(bind).await.expect("loopback has a free port");
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("is bound")).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().expect("is bound");
        let over_udp = tokio::spawn(async move {
            let mut datagram = [0; 512];
            loop {
                let (length, from) = udp.recv_from(&mut datagram).await.expect("a socket");
                for reply in answer(question(&datagram[..length]), false) {
                    udp.send_to(&reply, from).await.expect("loopback takes it");
                }
            }
        });
        let over_tcp = tokio::spawn(async move {
            loop {
                let (stream, _) = tcp.accept().await.expect("a socket");
                converse(stream, answer).await;
            }
        });
        Server { address, tasks: [over_udp, over_tcp] }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn converse(mut stream: TcpStream, answer: Answer) {
    let mut query = vec![0; usize::from(stream.read_u16().await.expect("a length"))];
    stream.read_exact(&mut query).await.expect("a query");
    for reply in answer(question(&query), true) {
        let length = u16::try_from(reply.len()).expect("it is a message");
        stream.write_all(&[&length.to_be_bytes(), &reply[..]].concat()).await.expect("it is read");
    }
}

/// What is asked; it is as a question should be.
fn question(message: &[u8]) -> Message {
    let message = Message::from_vec(message).expect("it can be read by others");
    assert!(message.metadata.recursion_desired && message.edns.is_some());
    assert_eq!(message.metadata.message_type, MessageType::Query);
    message
}

/// The reply with an address, behind an alias.
fn reply(query: &Message) -> Message {
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    let question = query.queries[0].clone();
    let alias = Name::from_ascii("real.example.").expect("a name");
    reply.add_answer(Record::from_rdata(
        question.name().clone(),
        5,
        RData::CNAME(rdata::CNAME(alias.clone())),
    ));
    reply.add_answer(Record::from_rdata(alias, 5, RData::A(rdata::A::new(192, 0, 2, 1))));
    reply.add_query(question);
    reply
}

fn octets(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a message")
}

fn check() -> DnsCheck {
    DnsCheck {
        name: "www.example".parse().expect("a name"),
        rtype: Rtype::A,
        expect_rcode: Rcode::NoError,
        expect_data: vec![Box::new([192, 0, 2, 1])],
        transport: DnsTransport::Udp,
    }
}

async fn probe(address: SocketAddr, check: &DnsCheck, timeout: Duration) -> Result<(), Failure> {
    let probe = DnsProbe::new(check).expect("it can be asked");
    probe.probe(address, &mut Budget::new(now(), timeout)).await
}

fn right(query: Message, _: bool) -> Vec<Vec<u8>> {
    vec![octets(&reply(&query))]
}

#[tokio::test]
async fn the_right_reply_passes() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::start(bind, right).await;
        for transport in [DnsTransport::Udp, DnsTransport::Tcp] {
            let check = DnsCheck { transport, ..check() };
            assert_eq!(probe(server.address, &check, AMPLE).await, Ok(()), "{transport:?} {bind}");
        }
    }
}

#[tokio::test]
async fn what_is_expected_is_looked_for() {
    let server = Server::start("127.0.0.1:0", right).await;
    let expecting = |data: &[[u8; 4]]| DnsCheck {
        expect_data: data.iter().map(|octets| octets[..].into()).collect(),
        ..check()
    };
    assert_eq!(probe(server.address, &expecting(&[]), AMPLE).await, Ok(()));
    let missing = Err(Failure::MissingData("192.0.2.2".into()));
    let two = expecting(&[[192, 0, 2, 1], [192, 0, 2, 2]]);
    assert_eq!(probe(server.address, &two, AMPLE).await, missing);
    let refusing = DnsCheck { expect_rcode: Rcode::Refused, ..expecting(&[]) };
    assert_eq!(probe(server.address, &refusing, AMPLE).await, Err(Failure::Rcode("NOERROR".into())));
}

#[tokio::test]
async fn codes_are_told_by_name() {
    fn answer(query: Message, _: bool) -> Vec<Vec<u8>> {
        let mut reply = Message::response(query.metadata.id, OpCode::Query);
        // Without the question, as of those who cannot read it.
        reply.metadata.response_code = match query.queries[0].query_type() {
            RecordType::A => ResponseCode::ServFail,
            _ => ResponseCode::NotAuth,
        };
        vec![octets(&reply)]
    }
    let server = Server::start("127.0.0.1:0", answer).await;
    for (rtype, expect_rcode, expected) in [
        (Rtype::A, Rcode::NoError, Err(Failure::Rcode("SERVFAIL".into()))),
        (Rtype::A, Rcode::ServFail, Ok(())),
        (Rtype::TXT, Rcode::NoError, Err(Failure::Rcode("RCODE9".into()))),
    ] {
        let check = DnsCheck { rtype, expect_rcode, expect_data: vec![], ..check() };
        assert_eq!(probe(server.address, &check, AMPLE).await, expected);
    }
}

#[tokio::test]
async fn what_is_cut_off_is_fetched_over_tcp() {
    fn answer(query: Message, is_tcp: bool) -> Vec<Vec<u8>> {
        let reply = reply(&query);
        vec![octets(&if is_tcp { reply } else { reply.truncate() })]
    }
    let server = Server::start("127.0.0.1:0", answer).await;
    assert_eq!(probe(server.address, &check(), AMPLE).await, Ok(()));
}

#[tokio::test]
async fn a_liar_is_not_believed() {
    let after = Duration::from_millis(200);
    let timed_out = Err(Failure::TimedOut { phase: Phase::Reply, after });
    let malformed = Err(Failure::Malformed);
    let cases: [(&str, Answer, _, _); 6] = [
        ("nothing", |_, _| vec![], timed_out.clone(), Err(Failure::Closed)),
        (
            "another id",
            |query, _| {
                let mut reply = reply(&query);
                reply.metadata.id ^= 0x8000;
                vec![octets(&reply)]
            },
            timed_out,
            malformed.clone(),
        ),
        (
            "another question",
            |query, _| {
                let mut reply = reply(&query);
                let name = Name::from_ascii("ww.example.").expect("a name");
                reply.queries = vec![Query::query(name, RecordType::A)];
                vec![octets(&reply)]
            },
            malformed.clone(),
            malformed.clone(),
        ),
        (
            "no question",
            |query, _| {
                let mut reply = reply(&query);
                reply.queries.clear();
                vec![octets(&reply)]
            },
            malformed.clone(),
            malformed.clone(),
        ),
        ("the question", |query, _| vec![octets(&query)], malformed.clone(), malformed.clone()),
        (
            "half a reply",
            |query, _| {
                let reply = octets(&reply(&query));
                vec![reply[..reply.len() / 2].to_vec()]
            },
            malformed.clone(),
            malformed,
        ),
    ];
    for (what, answer, over_udp, over_tcp) in cases {
        let server = Server::start("127.0.0.1:0", answer).await;
        assert_eq!(probe(server.address, &check(), after).await, over_udp, "{what}");
        let check = DnsCheck { transport: DnsTransport::Tcp, ..check() };
        assert_eq!(probe(server.address, &check, AMPLE).await, over_tcp, "{what} over TCP");
    }
}

#[tokio::test]
async fn what_others_forge_is_passed_over() {
    fn answer(query: Message, _: bool) -> Vec<Vec<u8>> {
        let mut forged = Message::response(query.metadata.id ^ 1, OpCode::Query);
        forged.metadata.response_code = ResponseCode::ServFail;
        vec![octets(&forged), vec![], vec![0xff; 600], octets(&reply(&query))]
    }
    let server = Server::start("127.0.0.1:0", answer).await;
    assert_eq!(probe(server.address, &check(), AMPLE).await, Ok(()));
}

#[tokio::test]
async fn who_does_not_listen_refuses() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = socket.local_addr().expect("is bound");
    drop(socket);
    assert_eq!(probe(address, &check(), AMPLE).await, Err(Failure::Refused));
    let check = DnsCheck { transport: DnsTransport::Tcp, ..check() };
    assert_eq!(probe(address, &check, AMPLE).await, Err(Failure::Refused));
}

#[tokio::test]
async fn data_is_compared_by_what_it_means() {
    fn answer(query: Message, _: bool) -> Vec<Vec<u8>> {
        let mut reply = Message::response(query.metadata.id, OpCode::Query);
        let question = query.queries[0].clone();
        let exchange = Name::from_ascii("MX.WWW.Example.").expect("a name");
        let data = match question.query_type() {
            // Compressed: the name ends in that of the question.
            RecordType::MX => RData::MX(rdata::MX::new(10, exchange)),
            _ => RData::TXT(rdata::TXT::new(vec!["one".into(), "two".into()])),
        };
        reply.add_answer(Record::from_rdata(question.name().clone(), 5, data));
        reply.add_query(question);
        vec![octets(&reply)]
    }
    let server = Server::start("127.0.0.1:0", answer).await;
    for (rtype, data, expected) in [
        (Rtype::MX, &b"\0\x0a\x02mx\x03www\x07example\0"[..], Ok(())),
        (Rtype::MX, b"\0\x0b\x02mx\x03www\x07example\0", Err("11 mx.www.example.")),
        (Rtype::TXT, b"\x03one\x03two", Ok(())),
        (Rtype::TXT, b"\x06onetwo", Err("onetwo")),
    ] {
        let check = DnsCheck { rtype, expect_data: vec![data.into()], ..check() };
        let expected = expected.map_err(|words| Failure::MissingData(words.into()));
        assert_eq!(probe(server.address, &check, AMPLE).await, expected);
    }
}
