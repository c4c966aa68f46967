//! Known attacks on a DNS server, each on a running one. What honest clients are owed, they get.

mod support;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::RecordType;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use support::daemon::Daemon;
use support::dns::{addresses, ask, ask_by_tcp, framed, query, receive_by_tcp};
use support::http::sample;
use support::scene::Scene;
use support::{PATIENCE, StopOnDrop, eventually, now, own_address};

const HOST: &str = "ns1.ai.example.com";

/// The octets of the longest character-string.
const TEXT: usize = 255;

fn wire(message: &Message) -> Vec<u8> {
    message.to_vec().expect("it can be encoded")
}

/// A server whose clients are the sockets of a test.
fn start() -> (Scene, Daemon) {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    (scene, daemon)
}

/// How many datagrams a server has received, and how many it has sent.
fn traffic(daemon: &Daemon) -> [f64; 2] {
    ["received", "sent"]
        .map(|event| sample(daemon.admin(), &format!("rhumb_udp_events_total{{event=\"{event}\"}}")))
}

#[test]
fn two_servers_do_not_talk_to_each_other() {
    let ((_one, first), (_other, second)) = (start(), start());
    // What a forger with the first server's address would send: the reply of the second goes to
    // the first. Here the forger relays, so that every message passes through the test.
    let relay = UdpSocket::bind((IpAddr::from([127, 0, 0, 1]), 0)).expect("a port");
    relay.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut unreadable = wire(&query(HOST, RecordType::A));
    unreadable.push(0);
    let mut not_served = query(HOST, RecordType::A);
    not_served.metadata.op_code = hickory_proto::op::OpCode::Notify;
    let messages = [
        unreadable,
        wire(&not_served),
        wire(&query("www.elsewhere.net", RecordType::A)),
        wire(&query(HOST, RecordType::A)),
    ];
    let mut reply = [0; 1232];
    for message in &messages {
        relay.send_to(message, second.dns()).expect("loopback takes it");
        let (length, _) = relay.recv_from(&mut reply).expect("a reply");
        relay.send_to(&reply[..length], first.dns()).expect("loopback takes it");
    }
    // What is not a query at all, in every length and with every opcode.
    let response = [0x80; 64];
    for length in 0..=response.len() {
        relay.send_to(&response[..length], first.dns()).expect("loopback takes it");
        relay.send_to(&[0; 11][..length.min(11)], first.dns()).expect("loopback takes it");
    }
    // One thread answers in order: the first reply that comes is to the query behind them all.
    let last = query(HOST, RecordType::A);
    relay.send_to(&wire(&last), first.dns()).expect("loopback takes it");
    let (length, from) = relay.recv_from(&mut reply).expect("a reply");
    let answered = Message::from_vec(&reply[..length]).expect("a DNS message");
    assert_eq!((from, answered.metadata.id), (first.dns(), last.metadata.id));
    let unanswered = messages.len() + 2 * (response.len() + 1);
    eventually("the counters", || (traffic(&first)[0] > unanswered as f64).then_some(()));
    assert_eq!(traffic(&first), [unanswered as f64 + 1.0, 1.0]);
    assert_eq!(sample(first.admin(), r#"rhumb_dns_dropped_total{transport="udp"}"#), unanswered as f64);
}

#[test]
fn nothing_is_sent_to_port_0() {
    support::need_root();
    let (_scene, daemon) = start();
    // No socket can be bound to it: the header of UDP is the test's own, without a checksum.
    let forger = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).expect("root may forge");
    let message = wire(&query(HOST, RecordType::A));
    let length = (8 + message.len()) as u16;
    let header = [0, daemon.dns().port(), length, 0].map(u16::to_be_bytes).concat();
    let datagram = [&header[..], &message].concat();
    forger.send_to(&datagram, &daemon.dns().into()).expect("loopback takes it");
    let unanswerable = || sample(daemon.admin(), r#"rhumb_udp_events_total{event="unanswerable"}"#);
    eventually("the datagram to be counted", || (traffic(&daemon)[0] == 1.0).then_some(()));
    // The next one is answered, when the first one is dealt with.
    let answered = ask(daemon.dns(), &query(HOST, RecordType::A));
    assert_eq!(addresses(&answered), [daemon.dns().ip()]);
    eventually("the counters", || (traffic(&daemon) == [2.0, 1.0]).then_some(()));
    assert_eq!(unanswerable(), 1.0);
    assert_eq!(sample(daemon.admin(), r#"rhumb_udp_events_total{event="send_error"}"#), 0.0);
}

#[test]
fn names_of_pointers_are_refused_at_once() {
    let (scene, _daemon) = start();
    let header = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = [0, 1, 0, 1];
    let socket = support::dns::socket_to(scene.dns);
    for (what, name) in [
        ("to itself", &[0xc0, 12][..]),
        ("to a label before it", &[1, b'a', 0xc0, 12]),
        ("forwards", &[0xc0, 14, 0]),
        ("into the header", &[0xc0, 4]),
        ("beyond the end", &[0xff, 0xff]),
        ("without its second half", &[0xc0]),
        ("in a circle of two", &[0xc0, 14, 0xc0, 12]),
    ] {
        socket.send(&[&header[..], name, &question].concat()).expect("loopback takes it");
        let mut reply = [0; 1232];
        let length = socket.recv(&mut reply).expect("a reply");
        assert_eq!((length, reply[3] & 0xf), (12, 1), "a pointer {what} is a FORMERR of a header");
    }
    // The owner of an additional record is passed over, wherever it points.
    let mut message = wire(&query(HOST, RecordType::A));
    message[11] = 1;
    let owner = message.len() as u8;
    message.extend([0xc0, owner, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    socket.send(&message).expect("loopback takes it");
    let mut reply = [0; 1232];
    let length = socket.recv(&mut reply).expect("a reply");
    assert_eq!(addresses(&Message::from_vec(&reply[..length]).expect("a message")), [scene.dns.ip()]);
}

#[test]
fn a_query_full_of_records_costs_no_more_than_its_octets() {
    let (scene, _daemon) = start();
    // As many records as there is room for, each of eleven octets, and more that are announced.
    let mut message = wire(&query(HOST, RecordType::A));
    let records = (4096 - message.len()) / 11;
    for _ in 0..records {
        message.extend([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    let socket = support::dns::socket_to(scene.dns);
    for (announced, code) in [
        (records as u16, ResponseCode::NoError),
        (records as u16 + 1, ResponseCode::FormErr),
        (u16::MAX, ResponseCode::FormErr),
    ] {
        message[10..12].copy_from_slice(&announced.to_be_bytes());
        socket.send(&message).expect("loopback takes it");
        let mut reply = [0; 1232];
        let length = socket.recv(&mut reply).expect("a reply");
        assert!(length <= 100, "{length} octets");
        let reply = Message::from_vec(&reply[..length]).expect("a message");
        assert_eq!(reply.metadata.response_code, code, "{announced} records announced");
    }
}

/// A zone with so many TXT records of [`TEXT`] octets at `large`.
fn large(scene: &Scene, texts: usize) -> String {
    let mut text = scene.ground();
    text.push_str("[[zone.record]]\nname = \"large\"\ntype = \"TXT\"\ndata = [\n");
    for number in 0..texts {
        text.push_str(&format!("\"{number:0TEXT$}\",\n"));
    }
    text.push_str("]\n");
    text
}

#[test]
fn an_rrset_of_nearly_64_kib_is_whole_by_tcp() {
    let scene = Scene::new();
    // Each takes a pointer (2), the fixed part (10), a length octet and the string.
    let most = (usize::from(u16::MAX) - 12 - "5large2ai7example3com0".len() - 4) / (12 + 1 + TEXT);
    let _daemon = scene.start(&large(&scene, most));
    let question = query("large.ai.example.com", RecordType::TXT);
    let by_udp = ask(scene.dns, &question);
    assert!(by_udp.metadata.truncation && by_udp.answers.is_empty());
    let by_tcp = ask_by_tcp(scene.dns, &question);
    assert!(!by_tcp.metadata.truncation);
    assert_eq!(by_tcp.answers.len(), most);
    assert!(wire(&by_tcp).len() > 65_000);
}

#[test]
fn an_rrset_that_fits_no_message_ends_in_an_error_and_not_in_a_part() {
    let scene = Scene::new();
    let _daemon = scene.start(&large(&scene, 300));
    let question = query("large.ai.example.com", RecordType::TXT);
    assert!(ask(scene.dns, &question).metadata.truncation);
    let reply = ask_by_tcp(scene.dns, &question);
    assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::ServFail, 0));
    // And the connection's others are answered.
    assert_eq!(addresses(&ask_by_tcp(scene.dns, &query(HOST, RecordType::A))), [scene.dns.ip()]);
}

#[test]
fn additional_records_that_do_not_fit_are_left_out() {
    let scene = Scene::new();
    // A referral with glue for 13 servers of 10 addresses each: far more than 1,232 octets.
    let mut text = scene.ground();
    let servers: Vec<String> = (0..13).map(|server| format!("\"ns{server}.child\"")).collect();
    text.push_str(&format!(
        "[[zone.record]]\nname = \"child\"\ntype = \"NS\"\ndata = [{}]\n",
        servers.join(", ")
    ));
    for server in 0..13 {
        let glue: Vec<String> = (0..10).map(|host| format!("\"2001:db8::{server}:{host}\"")).collect();
        text.push_str(&format!(
            "[[zone.record]]\nname = \"ns{server}.child\"\ntype = \"AAAA\"\ndata = [{}]\n",
            glue.join(", ")
        ));
    }
    let _daemon = scene.start(&text);
    let question = query("www.child.ai.example.com", RecordType::A);
    let by_udp = ask(scene.dns, &question);
    assert!(wire(&by_udp).len() <= 512);
    // Either it says that it is cut, or all the servers' names are there (RFC 9471 section 3).
    assert!(by_udp.metadata.truncation || by_udp.authorities.len() == 13);
    let by_tcp = ask_by_tcp(scene.dns, &question);
    assert_eq!((by_tcp.authorities.len(), by_tcp.additionals.len()), (13, 130));
    assert!(!by_tcp.metadata.truncation);
}

/// Waits until the server has closed the connection, and returns whether it was within `limit`.
fn closes_within(stream: &mut TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).expect("it is not zero");
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

#[test]
fn a_thousand_idle_half_written_and_never_reading_clients_shut_nobody_out() {
    let scene = Scene::new();
    let mut text = large(&scene, 200);
    text = text.replace("workers = 1", "workers = 1\ntcp_clients = 256");
    let daemon = scene.start(&text);
    let whole = framed(&query("large.ai.example.com", RecordType::TXT));
    // More replies than the kernel buffers between the two.
    let many: Vec<u8> = whole.repeat(400);
    let opened = now();
    let mut hostile: Vec<TcpStream> = Vec::new();
    let ask_honestly = |server: SocketAddr| {
        assert_eq!(addresses(&ask_by_tcp(server, &query(HOST, RecordType::A))), [server.ip()]);
    };
    for number in 0..1000 {
        let mut stream = TcpStream::connect(scene.dns).expect("it listens");
        // An error means that it was told to leave already.
        let _ = match number % 4 {
            0 => Ok(()),
            1 => stream.write_all(&whole[..1]),
            2 => stream.write_all(&whole[..10]),
            _ => {
                stream.set_nonblocking(true).expect("it is a socket");
                let written = stream.write(&many).map(drop);
                stream.set_nonblocking(false).expect("it is a socket");
                written
            }
        };
        hostile.push(stream);
        if number % 10 == 9 {
            ask_honestly(scene.dns);
        }
    }
    for _ in 0..50 {
        ask_honestly(scene.dns);
        assert_eq!(addresses(&ask(scene.dns, &query(HOST, RecordType::A))), [scene.dns.ip()]);
    }
    // One connection, kept and used again and again, is honest as well.
    let mut kept = TcpStream::connect(scene.dns).expect("it listens");
    for _ in 0..20 {
        kept.write_all(&framed(&query(HOST, RecordType::A))).expect("it reads");
        assert_eq!(addresses(&receive_by_tcp(&mut kept)), [scene.dns.ip()]);
    }
    drop(kept);
    assert_eq!(sample(daemon.admin(), r#"rhumb_tcp_events_total{event="refused"}"#), 0.0);
    let all_served = now();
    for stream in &mut hostile {
        let left = Duration::from_secs(15).saturating_sub(all_served.elapsed());
        assert!(closes_within(stream, left.max(Duration::from_millis(1))), "a connection is held for ever");
    }
    eprintln!("all honest served in {:?}, all others gone after {:?}", all_served - opened, opened.elapsed());
    let open = || {
        let count = |event| sample(daemon.admin(), &format!("rhumb_tcp_events_total{{event=\"{event}\"}}"));
        count("accepted") - count("closed")
    };
    eventually("all connections to be closed", || (open() == 0.0).then_some(()));
}

/// A connection from an address of this machine.
fn connect_from(client: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((client, 0)).into()).expect("all of 127.0.0.0/8 is ours");
    socket.connect(&server.into()).expect("it listens");
    socket.into()
}

/// Asks on a connection; why there was no answer.
fn exchange(stream: &mut TcpStream, message: &Message) -> io::Result<Message> {
    stream.write_all(&framed(message))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply)?;
    Message::from_vec(&reply).map_err(io::Error::other)
}

#[test]
fn one_host_with_half_open_connections_shuts_out_no_other() {
    const PLACES: usize = 50;
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground().replace("workers = 1", "workers = 1\ntcp_clients = 50"));
    let (server, attacker, honest) = (scene.dns, own_address(), own_address());
    let (stop, question) = (AtomicBool::new(false), query(HOST, RecordType::A));
    let evicted = || sample(daemon.admin(), r#"rhumb_tcp_events_total{event="evicted"}"#);
    let attack = |begun: &'static [u8]| {
        let mut held = VecDeque::new();
        while !stop.load(Ordering::Relaxed) {
            let mut stream = connect_from(attacker, server);
            // Closed by a reset: ports that wait for what may still come would run out.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
            // An error means that it was told to leave already.
            let _ = stream.write_all(begun);
            held.push_back(stream);
            if held.len() > 4 * PLACES {
                held.pop_front();
            }
        }
    };
    thread::scope(|scope| {
        let _end = StopOnDrop(&stop);
        // One that is there from before, and asks but now and then.
        let mut kept = connect_from(honest, server);
        scope.spawn(|| attack(&[0]));
        scope.spawn(|| attack(&[]));
        for round in 0..20 {
            let mut new = connect_from(honest, server);
            // All places change hands twice between the connection and its query.
            let before = evicted();
            eventually("newcomers", || (evicted() >= before + 2.0 * PLACES as f64).then_some(()));
            for (which, stream) in [("new", &mut new), ("kept", &mut kept)] {
                let answer = exchange(stream, &question);
                let answer = answer.unwrap_or_else(|error| panic!("{which}, round {round}: {error}"));
                assert_eq!(addresses(&answer), [server.ip()]);
            }
        }
    });
    assert_eq!(sample(daemon.admin(), r#"rhumb_tcp_events_total{event="refused"}"#), 0.0);
}

#[test]
fn responses_by_tcp_get_nothing_and_the_queries_between_them_an_answer() {
    let (scene, _daemon) = start();
    let mut response = query(HOST, RecordType::A);
    response.metadata.message_type = MessageType::Response;
    let asked = query(HOST, RecordType::A);
    let mut stream = TcpStream::connect(scene.dns).expect("it listens");
    stream.write_all(&[framed(&response), framed(&asked), framed(&response)].concat()).expect("it reads");
    assert_eq!(receive_by_tcp(&mut stream).metadata.id, asked.metadata.id);
    // A message too short to be one ends the connection, without a word.
    stream.write_all(&[0, 11, 0]).expect("it reads");
    assert_eq!(stream.read(&mut [0; 16]).expect("it closes in good order"), 0);
}
