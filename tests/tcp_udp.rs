//! What a client sees on the wire, asked by dig where it can and octet by octet where it cannot.

mod support;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::RecordType;
use support::dns::{addresses, ask, ask_by_tcp, query, receive, socket_to};
use support::free_port;
use support::others::dig;
use support::scene::Scene;

/// More than fit into any UDP reply: 60 AAAA records are over 1,680 octets.
const MANY: usize = 60;
const LARGE: &str = "large.ai.example.com";
const HOST: &str = "ns1.ai.example.com";

/// [`Scene::ground`] and a pool of many addresses under [`LARGE`].
fn configuration(scene: &Scene) -> String {
    let addresses: String =
        (1..=MANY).map(|n| format!("{{ name = \"a{n}\", ip = \"2001:db8::{n:x}\" }},\n")).collect();
    format!(
        r#"{}
[pool.large]
policy = "round-robin"
answers = {MANY}
address = [
{addresses}]

[[domain]]
name = "{LARGE}"
pools = ["large"]
"#,
        scene.ground()
    )
}

fn with_edns(mut message: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

/// The reply over UDP, and how many octets it has.
fn ask_measured(server: SocketAddr, message: &Message) -> (Message, usize) {
    let socket = socket_to(server);
    socket.send(&message.to_vec().expect("it can be encoded")).expect("loopback takes it");
    let mut buffer = [0; 65_535];
    let length = socket.recv(&mut buffer).expect("a reply");
    (Message::from_vec(&buffer[..length]).expect("a DNS message"), length)
}

#[test]
fn what_is_too_large_for_udp_is_truncated_and_whole_by_tcp() {
    let scene = Scene::new();
    let _daemon = scene.start(&configuration(&scene));
    let question = || query(LARGE, RecordType::AAAA);
    for (what, message, limit) in [
        ("without EDNS", question(), 512),
        ("payload of 512", with_edns(question(), 512), 512),
        ("a payload below the least there is", with_edns(question(), 100), 512),
        ("payload of 1,000", with_edns(question(), 1000), 1000),
        ("payload of 1,232", with_edns(question(), 1232), 1232),
        ("payload of 4,096", with_edns(question(), 4096), 1232),
    ] {
        let (reply, length) = ask_measured(scene.dns, &message);
        assert!(reply.metadata.truncation, "{what}");
        assert!(length <= limit, "{what}: {length} octets");
        let whole = ask_by_tcp(scene.dns, &message);
        assert!(!whole.metadata.truncation, "{what}");
        assert_eq!(addresses(&whole).len(), MANY, "{what}");
    }

    // dig goes on by itself.
    let large = dig(scene.dns, &[LARGE, "AAAA", "+noall", "+answer", "+comments"]);
    assert!(large.contains("Truncated, retrying in TCP mode"), "{large}");
    let addresses = large.lines().filter(|line| line.starts_with(LARGE)).count();
    assert_eq!(addresses, MANY, "{large}");
    let cut = dig(scene.dns, &[LARGE, "AAAA", "+ignore"]);
    assert!(cut.contains("flags: qr aa tc rd;"), "{cut}");
}

#[test]
fn both_transports_work_over_ipv6() {
    let mut scene = Scene::new();
    let ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
    scene.dns = SocketAddr::new(ip, free_port(ip));
    let _daemon = scene.start(&configuration(&scene));
    let message = query(HOST, RecordType::AAAA);
    assert_eq!(addresses(&ask(scene.dns, &message)), [ip]);
    assert_eq!(addresses(&ask_by_tcp(scene.dns, &message)), [ip]);
    assert!(dig(scene.dns, &[HOST, "AAAA", "-6", "+short"]).starts_with("::1"));
}

#[test]
fn replies_come_from_the_address_that_was_asked() {
    let scene = Scene::new();
    let own = scene.dns.ip();
    for any in [IpAddr::from([0; 4]), IpAddr::from([0; 16])] {
        let port = free_port(any);
        let text = configuration(&scene).replace(
            &format!("listen = [\"{}\"]", scene.dns),
            &format!("listen = [\"{}\"]", SocketAddr::new(any, port)),
        );
        let asked: &[IpAddr] = if any.is_ipv4() {
            &[[127, 0, 0, 2].into(), [127, 0, 0, 3].into()]
        } else {
            &[IpAddr::V6(Ipv6Addr::LOCALHOST)]
        };
        let _daemon = scene.start(&text);
        for &ip in asked {
            let server = SocketAddr::new(ip, port);
            let message = query(HOST, RecordType::A);
            // A socket that is not connected hears every source.
            let any_source = UdpSocket::bind(SocketAddr::new(any, 0)).expect("a port");
            any_source.set_read_timeout(Some(support::PATIENCE)).expect("it is not zero");
            any_source.send_to(&message.to_vec().expect("it can be encoded"), server).expect("loopback");
            let (_, source) = any_source.recv_from(&mut [0; 1232]).expect("a reply");
            assert_eq!(source, server);
            assert_eq!(addresses(&ask_by_tcp(server, &message)), [own]);
        }
    }
}

#[test]
fn a_name_comes_back_in_the_letters_it_was_asked_in() {
    let scene = Scene::new();
    let _daemon = scene.start(&configuration(&scene));
    let name = "nS1.Ai.eXAMPLe.CoM.";
    let reply = ask(scene.dns, &query(name, RecordType::A));
    assert_eq!(reply.queries[0].name().to_ascii(), name);
    assert_eq!(reply.answers[0].name.to_ascii(), name);
    assert_eq!(addresses(&reply), [scene.dns.ip()]);
}

#[test]
fn what_it_does_not_do_it_says() {
    let scene = Scene::new();
    let _daemon = scene.start(&configuration(&scene));

    // A version of EDNS that is not there yet: which one is, and no answer (RFC 6891 section 6.1.3).
    let version = dig(scene.dns, &[HOST, "+edns=1", "+noednsnegotiation"]);
    assert!(version.contains("status: BADVERS") && version.contains("EDNS: version: 0"), "{version}");
    assert!(version.contains("ANSWER: 0"), "{version}");
    assert!(dig(scene.dns, &[HOST, "+opcode=notify"]).contains("status: NOTIMP"));
    assert!(dig(scene.dns, &["www.example.net"]).contains("status: REFUSED"));
    assert!(dig(scene.dns, &[HOST, "-c", "CH"]).contains("status: REFUSED"));
    assert!(dig(scene.dns, &["ai.example.com", "AXFR"]).contains("Transfer failed"));
    let recursive = dig(scene.dns, &[HOST, "+recurse"]);
    assert!(recursive.contains("flags: qr aa rd;"), "recursion is not available: {recursive}");

    // Options of EDNS that are unknown, or known to others, are no reason not to answer.
    for option in ["+nsid", "+cookie", "+ednsopt=65001:cafe", "+dnssec", "+ednsflags=0x7fff"] {
        let reply = dig(scene.dns, &[HOST, option]);
        assert!(reply.contains("status: NOERROR") && reply.contains("ANSWER: 1"), "{option}: {reply}");
        assert!(!reply.contains("MBZ"), "flags without a meaning are zero: {reply}");
    }

    let mut notify = Message::new(7, MessageType::Query, OpCode::Notify);
    notify.queries = query(HOST, RecordType::SOA).queries;
    let reply = ask_by_tcp(scene.dns, &notify);
    assert_eq!(reply.metadata.response_code, ResponseCode::NotImp);
    assert_eq!(reply.metadata.op_code, OpCode::Notify);
}

#[test]
fn what_is_no_query_gets_no_reply() {
    let scene = Scene::new();
    let daemon = scene.start(&configuration(&scene));
    let socket = socket_to(daemon.dns());
    let mut response = query(HOST, RecordType::A);
    response.metadata.message_type = MessageType::Response;
    let whole = query(HOST, RecordType::A).to_vec().expect("it can be encoded");
    let response = response.to_vec().expect("it can be encoded");
    let unanswered = [&response[..], b"", &whole[..1], &whole[..11]];
    for message in unanswered {
        socket.send(message).expect("loopback takes it");
    }
    // One thread answers this socket in order: the first reply is to the query behind them.
    let last = query(HOST, RecordType::A);
    socket.send(&last.to_vec().expect("it can be encoded")).expect("loopback takes it");
    assert_eq!(addresses(&receive(&socket, last.metadata.id)), [scene.dns.ip()]);
    let dropped = support::http::sample(scene.admin, r#"rhumb_dns_dropped_total{transport="udp"}"#);
    assert_eq!(dropped, unanswered.len() as f64);
}
