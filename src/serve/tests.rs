//! Whole servers on loopback, with an answerer that echoes.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::routing::{Client, Transport};

mod affinity;

/// Longer than anything here takes; who waits for it has failed.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Returns each query as its reply, with exceptions by the word after the identifier.
#[derive(Clone, Copy)]
pub(super) struct Echo;

impl Answerer for Echo {
    fn refresh(&mut self) {}

    fn answer(&mut self, _: Client, query: &[u8], reply: &mut [u8]) -> usize {
        match query.get(2..6) {
            Some(b"drop") => 0,
            Some(b"oops") => panic!("asked to"),
            Some(b"long") => {
                reply[..2].copy_from_slice(&query[..2]);
                reply.len()
            }
            _ => {
                let length = query.len().min(reply.len());
                reply[..length].copy_from_slice(&query[..length]);
                length
            }
        }
    }
}

/// A message as long as a DNS header, with an identifier and a word of four letters.
pub(super) fn query(id: u16, word: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(word.as_bytes());
    query.resize(12, 0);
    query
}

/// A message as TCP carries it, behind its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    framed
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn bind(text: &str, workers: usize) -> (Listeners, SocketAddr) {
    let listeners = Listeners::bind(&[address(text)], workers).unwrap();
    let bound = listeners.local_addresses()[0];
    (listeners, bound)
}

fn serve(text: &str, workers: usize) -> (Serving, SocketAddr) {
    let (listeners, bound) = bind(text, workers);
    (listeners.start(TcpLimits::default(), |_| Echo).unwrap(), bound)
}

fn udp_client(local: IpAddr, server: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind((local, 0)).unwrap();
    client.connect(server).unwrap();
    client.set_read_timeout(Some(TOO_LONG)).unwrap();
    client
}

fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut reply = [0; 8192];
    let length = client.recv(&mut reply).expect("a reply in time");
    reply[..length].to_vec()
}

fn total(counters: &[(WorkerId, Arc<UdpCounters>)], read: impl Fn(&UdpCounters) -> u64) -> u64 {
    counters.iter().map(|(_, counters)| read(counters)).sum()
}

async fn exchange(stream: &mut TcpStream, message: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&framed(message)).await?;
    read_message(stream).await
}

async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let read = async {
        let mut message = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    timeout(TOO_LONG, read).await.expect("a message or the end in time")
}

async fn at_end(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = timeout(TOO_LONG, stream.read_to_end(&mut rest)).await.expect("an end in time");
    read.map_or(true, |length| length == 0)
}

/// Echoes, and tells which of the server's addresses was asked.
struct Watched(mpsc::Sender<(Transport, Option<SocketAddr>)>);

impl Answerer for Watched {
    fn refresh(&mut self) {}

    fn answer(&mut self, client: Client, query: &[u8], reply: &mut [u8]) -> usize {
        Echo.answer(client, query, reply)
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn answered(&mut self, exchange: Exchange<'_>) {
        let _ = self.0.send((exchange.client.transport, exchange.local));
    }
}

#[tokio::test]
async fn whoever_watches_is_told_which_address_was_asked() {
    for (listen, asked) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.7"),
        ("[::1]:0", "::1"),
        ("[::]:0", "::1"),
    ] {
        let (listeners, bound) = bind(listen, 2);
        let (tell, told) = mpsc::channel();
        let _serving = listeners.start(TcpLimits::default(), |_| Watched(tell.clone())).unwrap();
        let server = SocketAddr::new(asked.parse().unwrap(), bound.port());
        let client = udp_client(server.ip(), server);
        client.send(&query(1, "echo")).unwrap();
        assert_eq!(receive(&client), query(1, "echo"));
        assert_eq!(told.recv_timeout(TOO_LONG), Ok((Transport::Udp, Some(server))), "{listen}");
        let mut stream = TcpStream::connect(server).await.unwrap();
        assert_eq!(exchange(&mut stream, &query(2, "echo")).await.unwrap(), query(2, "echo"));
        assert_eq!(told.recv_timeout(TOO_LONG), Ok((Transport::Tcp, Some(server))), "{listen}");
    }
}

#[tokio::test]
async fn many_datagrams_at_once_all_get_their_reply() {
    for (local, workers) in [("127.0.0.1:0", 1), ("127.0.0.1:0", 2), ("[::1]:0", 1), ("[::1]:0", 2)] {
        let (serving, server) = serve(local, workers);
        let counters = serving.udp_counters().to_vec();
        let client = udp_client(address(local).ip(), server);
        for id in 0..200 {
            client.send(&query(id, "echo")).unwrap();
        }
        let replies: BTreeSet<Vec<u8>> = (0..200).map(|_| receive(&client)).collect();
        assert_eq!(replies, (0..200).map(|id| query(id, "echo")).collect(), "{local}, {workers} workers");
        assert!(serving.shutdown(TOO_LONG).await);
        assert_eq!(total(&counters, |c| c.received.read()), 200);
        assert_eq!(total(&counters, |c| c.sent.read()), 200);
    }
}

#[tokio::test]
async fn all_sockets_of_an_address_take_part() {
    let (serving, server) = serve("127.0.0.1:0", 2);
    let counters = serving.udp_counters().to_vec();
    // The kernel chooses by a hash of addresses and ports: that all go to one of two sockets
    // happens once in 2^127.
    for id in 0..128 {
        let client = udp_client(server.ip(), server);
        client.send(&query(id, "echo")).unwrap();
        assert_eq!(receive(&client), query(id, "echo"));
    }
    assert!(serving.shutdown(TOO_LONG).await);
    assert_eq!(counters.len(), 2);
    for (id, counters) in counters {
        assert!(counters.received.read() > 0, "{id}");
    }
}

#[tokio::test]
async fn a_reply_leaves_from_the_address_that_was_asked() {
    let (_v4, any_v4) = serve("0.0.0.0:0", 1);
    let (_v6, any_v6) = serve("[::]:0", 1);
    for (asked, port) in [("127.0.0.2", any_v4.port()), ("127.0.0.3", any_v4.port()), ("::1", any_v6.port())]
    {
        let asked: IpAddr = asked.parse().unwrap();
        let local = if asked.is_ipv4() { "127.0.0.1" } else { "::1" };
        // A connected socket takes nothing from other addresses.
        let client = udp_client(local.parse().unwrap(), (asked, port).into());
        client.send(&query(7, "echo")).unwrap();
        assert_eq!(receive(&client), query(7, "echo"), "{asked}");
    }
}

#[tokio::test]
async fn what_is_not_to_be_answered_gets_no_datagram() {
    let (serving, server) = serve("127.0.0.1:0", 1);
    let counters = serving.udp_counters().to_vec();
    let client = udp_client(server.ip(), server);
    client.send(&query(1, "drop")).unwrap();
    client.send(&[0; 5000]).unwrap();
    client.send(&query(2, "echo")).unwrap();
    assert_eq!(receive(&client), query(2, "echo"));
    assert!(serving.shutdown(TOO_LONG).await);
    let (_, counters) = &counters[0];
    assert_eq!((counters.dropped.read(), counters.oversized.read(), counters.sent.read()), (1, 1, 1));
}

#[tokio::test]
async fn a_panic_costs_a_batch_and_not_the_thread() {
    let (serving, server) = serve("127.0.0.1:0", 1);
    let counters = serving.udp_counters().to_vec();
    let client = udp_client(server.ip(), server);
    client.send(&query(1, "oops")).unwrap();
    let panicked = async {
        while counters[0].1.panics.read() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(TOO_LONG, panicked).await.expect("a panic in time");
    client.send(&query(2, "echo")).unwrap();
    assert_eq!(receive(&client), query(2, "echo"));
    assert!(serving.shutdown(TOO_LONG).await);
    assert_eq!(counters[0].1.panics.read(), 1);
}

#[tokio::test]
async fn port_0_gives_udp_and_tcp_the_same_port() {
    let (_serving, server) = serve("127.0.0.1:0", 2);
    assert_ne!(server.port(), 0);
    let client = udp_client(server.ip(), server);
    client.send(&query(1, "echo")).unwrap();
    assert_eq!(receive(&client), query(1, "echo"));
    let mut stream = TcpStream::connect(server).await.unwrap();
    assert_eq!(exchange(&mut stream, &query(2, "echo")).await.unwrap(), query(2, "echo"));
}

#[test]
fn a_port_that_someone_holds_is_an_error_that_says_so() {
    // An address of its own, so that no other test's port is in the way.
    let (_held, taken) = bind("127.0.0.77:0", 1);
    let error = Listeners::bind(&[taken], 2).err().expect("the port is taken");
    assert_eq!((error.address, error.transport), (taken, Transport::Udp));
    assert!(error.to_string().contains("another server holds this port"), "{error}");

    let sharing = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    sharing.set_reuse_port(true).unwrap();
    sharing.bind(&address("127.0.0.78:0").into()).unwrap();
    let taken = sharing.local_addr().unwrap().as_socket().unwrap();
    let error = Listeners::bind(&[taken], 2).err().expect("the port is taken, if only by one who shares");
    assert_eq!(error.transport, Transport::Udp);

    let listener = TcpListener::bind("127.0.0.79:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let error = Listeners::bind(&[taken], 2).err().expect("the TCP port is taken");
    assert_eq!((error.address, error.transport), (taken, Transport::Tcp));

    let (first, address) = bind("127.0.0.80:0", 2);
    drop(first);
    assert!(Listeners::bind(&[address], 2).is_ok(), "a port is free once its holder is gone");
}

#[test]
fn an_address_of_someone_else_is_an_error_that_says_so() {
    let error = Listeners::bind(&[address("192.0.2.1:0")], 1).err().expect("not an address of this machine");
    assert!(error.to_string().contains("no interface of this machine has this address"), "{error}");
}

/// Tells when it is asked, and answers nothing until the gate's sender is gone.
struct Gated {
    asked: mpsc::Sender<()>,
    gate: Arc<Mutex<mpsc::Receiver<Infallible>>>,
}

impl Answerer for Gated {
    fn refresh(&mut self) {}

    fn answer(&mut self, client: Client, query: &[u8], reply: &mut [u8]) -> usize {
        self.asked.send(()).expect("the test listens to the end");
        let open = self.gate.lock().unwrap().recv();
        assert!(open.is_err(), "nothing is ever sent");
        Echo.answer(client, query, reply)
    }
}

#[tokio::test]
async fn shutdown_answers_the_datagrams_that_are_queued() {
    let (listeners, server) = bind("127.0.0.1:0", 1);
    let (asked, first_asked) = mpsc::channel();
    let (closed, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let gated = |_| Gated { asked: asked.clone(), gate: Arc::clone(&gate) };
    let serving = listeners.start(TcpLimits::default(), gated).unwrap();

    let client = udp_client(server.ip(), server);
    client.send(&query(0, "echo")).unwrap();
    first_asked.recv_timeout(TOO_LONG).unwrap();
    for id in 1..150 {
        client.send(&query(id, "echo")).unwrap();
    }
    let shutdown = serving.shutdown(TOO_LONG);
    tokio::pin!(shutdown);
    // The first poll tells everyone to stop.
    assert!(timeout(Duration::ZERO, &mut shutdown).await.is_err(), "queries are yet to be answered");
    drop(closed);
    assert!(shutdown.await);
    let replies: BTreeSet<Vec<u8>> = (0..150).map(|_| receive(&client)).collect();
    assert_eq!(replies.len(), 150);
    assert!(Listeners::bind(&[server], 1).is_ok(), "the sockets are closed");
}

#[tokio::test]
async fn queries_in_one_segment_are_answered_in_order() {
    let (_serving, server) = serve("[::1]:0", 1);
    let mut stream = TcpStream::connect(server).await.unwrap();
    let segment: Vec<u8> = (0..100).flat_map(|id| framed(&query(id, "echo"))).collect();
    stream.write_all(&segment).await.unwrap();
    for id in 0..100 {
        assert_eq!(read_message(&mut stream).await.unwrap(), query(id, "echo"));
    }
}

#[tokio::test]
async fn at_the_cap_the_longest_idle_makes_room() {
    let (listeners, server) = bind("127.0.0.1:0", 1);
    let limits = TcpLimits { max_connections: 2, ..TcpLimits::default() };
    let serving = listeners.start(limits, |_| Echo).unwrap();
    let mut first = TcpStream::connect(server).await.unwrap();
    exchange(&mut first, &query(1, "echo")).await.unwrap();
    let mut second = TcpStream::connect(server).await.unwrap();
    exchange(&mut second, &query(2, "echo")).await.unwrap();
    exchange(&mut first, &query(3, "echo")).await.unwrap();

    let mut third = TcpStream::connect(server).await.unwrap();
    assert_eq!(exchange(&mut third, &query(4, "echo")).await.unwrap(), query(4, "echo"));
    assert!(at_end(&mut second).await);
    assert_eq!(exchange(&mut first, &query(5, "echo")).await.unwrap(), query(5, "echo"));
    assert_eq!(serving.tcp_counters().evicted.read(), 1);
}

#[tokio::test]
async fn idle_and_stuck_clients_do_not_keep_others_from_being_served() {
    let (listeners, server) = bind("127.0.0.1:0", 1);
    let limits = TcpLimits { write_timeout: Duration::from_millis(300), ..TcpLimits::default() };
    let serving = listeners.start(limits, |_| Echo).unwrap();
    let counters = Arc::clone(serving.tcp_counters());

    let mut idle = Vec::new();
    for id in 0..200 {
        let mut stream = TcpStream::connect(server).await.unwrap();
        exchange(&mut stream, &query(id, "echo")).await.unwrap();
        idle.push(stream);
    }
    // Asks for 32 MiB, more than the kernel buffers between the two, and never reads.
    let mut stuck = TcpStream::connect(server).await.unwrap();
    exchange(&mut stuck, &query(0, "echo")).await.unwrap();
    let segment: Vec<u8> = (0..512).flat_map(|id| framed(&query(id, "long"))).collect();
    stuck.write_all(&segment).await.unwrap();

    for id in 0..100 {
        let mut honest = TcpStream::connect(server).await.unwrap();
        assert_eq!(exchange(&mut honest, &query(id, "echo")).await.unwrap(), query(id, "echo"));
    }
    assert!(serving.shutdown(TOO_LONG).await, "the stuck one is closed and holds up nothing");
    assert_eq!(counters.timed_out.read(), 1);
    assert_eq!(counters.accepted.read(), 301);
    assert_eq!(counters.closed.read(), 301);
    assert!(at_end(&mut idle[0]).await);
}

#[tokio::test]
async fn shutdown_lets_a_tcp_query_under_way_finish() {
    let (serving, server) = serve("127.0.0.1:0", 1);
    let mut stream = TcpStream::connect(server).await.unwrap();
    exchange(&mut stream, &query(1, "echo")).await.unwrap();
    let mut silent = TcpStream::connect(server).await.unwrap();
    exchange(&mut silent, &query(2, "echo")).await.unwrap();

    let message = framed(&query(3, "echo"));
    stream.write_all(&message[..5]).await.unwrap();
    let shutdown = tokio::spawn(serving.shutdown(TOO_LONG));
    assert!(at_end(&mut silent).await, "who has nothing under way is let go");
    assert!(TcpStream::connect(server).await.is_err(), "nobody is accepted any more");
    stream.write_all(&message[5..]).await.unwrap();
    assert_eq!(read_message(&mut stream).await.unwrap(), query(3, "echo"));
    assert!(at_end(&mut stream).await);
    assert!(shutdown.await.unwrap());
}

#[tokio::test]
async fn shutdown_cuts_off_who_is_not_done_in_time() {
    let (serving, server) = serve("127.0.0.1:0", 1);
    let mut stream = TcpStream::connect(server).await.unwrap();
    exchange(&mut stream, &query(1, "echo")).await.unwrap();
    stream.write_all(&[0, 12, 0]).await.unwrap();
    assert!(!serving.shutdown(Duration::from_millis(200)).await);
    assert!(at_end(&mut stream).await);
}

/// Asks by as many clients, and sees that each is answered.
fn assert_all_are_answered(server: SocketAddr, clients: u16) {
    let asking: Vec<_> = (0..clients).map(|id| (id, udp_client(server.ip(), server))).collect();
    for (id, client) in &asking {
        client.send(&query(*id, "word")).unwrap();
    }
    for (id, client) in &asking {
        assert_eq!(receive(client), query(*id, "word"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_are_given_are_all_served_by_any_number_of_workers() {
    for (sockets, workers) in [(1, 3), (3, 1), (2, 2)] {
        let (first, at) = bind("127.0.0.1:0", sockets);
        let (stray, elsewhere) = bind("127.0.0.1:0", 1);
        let mut given = first.copies().unwrap();
        assert_eq!(given.len(), sockets + 1);
        given.extend(stray.copies().unwrap());
        let listeners = Listeners::bind_beside(&[at], workers, &mut given).unwrap();
        assert!(given.len() == 2 && given.iter().all(|stray| stray.address == elsewhere));
        assert_eq!(
            (listeners.workers(), listeners.copies().unwrap().len()),
            (sockets.max(workers), sockets + 1)
        );
        let serving = listeners.start(TcpLimits::default(), |_| Echo).unwrap();
        assert_eq!(serving.udp_counters().len(), sockets.max(workers));
        assert_all_are_answered(at, 64);
        assert!(serving.shutdown(TOO_LONG).await);
        // Whoever has them as well has what comes from then on.
        let serving = first.start(TcpLimits::default(), |_| Echo).unwrap();
        assert_all_are_answered(at, 64);
        drop(serving);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_that_share_an_address_are_all_served() {
    let at = address("127.0.0.1:0");
    let listener = |at: SocketAddr| {
        let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&at.into()).unwrap();
        socket.listen(16).unwrap();
        socket
    };
    let first = listener(at);
    let at = first.local_addr().unwrap().as_socket().unwrap();
    let sockets = [first, listener(at), listener(at)];
    let bound = |socket: Socket| Bound { address: at, transport: Transport::Tcp, socket: socket.into() };
    let mut given = sockets.map(bound).into();
    let listeners = Listeners::bind_beside(&[at], 1, &mut given).unwrap();
    assert!(given.is_empty());
    assert_eq!(listeners.copies().unwrap().len(), 1 + 3);
    let serving = listeners.start(TcpLimits::default(), |_| Echo).unwrap();
    // The kernel divides them: that all come to one of three happens once in 10^15 runs.
    let message = framed(&query(1, "word"));
    for _ in 0..32 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(&message).await.unwrap();
        let mut reply = vec![0; message.len()];
        timeout(TOO_LONG, stream.read_exact(&mut reply)).await.expect("it is answered").unwrap();
    }
    assert!(serving.shutdown(TOO_LONG).await);
}

#[test]
fn a_given_socket_keeps_a_larger_buffer_and_gets_one_in_place_of_a_smaller() {
    let own = bind("127.0.0.1:0", 1).0.endpoints.remove(0).udp.remove(0);
    for octets in [8 * 1024, 16 << 20] {
        let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.bind(&address("127.0.0.1:0").into()).unwrap();
        // Only root may have more than others; the rest of it holds for everybody.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, octets);
        let before = socket.recv_buffer_size().unwrap();
        let at = socket.local_addr().unwrap().as_socket().unwrap();
        let mut given = vec![Bound { address: at, transport: Transport::Udp, socket: socket.into() }];
        let listeners = Listeners::bind_beside(&[at], 1, &mut given).unwrap();
        let after = listeners.endpoints[0].udp[0].recv_buffer_size().unwrap();
        assert_eq!(after, before.max(own.recv_buffer_size().unwrap()), "{octets}");
    }
}

#[test]
fn a_given_socket_that_takes_both_versions_of_ip_is_refused() {
    let socket = Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    socket.bind(&address("[::]:0").into()).unwrap();
    let at = socket.local_addr().unwrap().as_socket().unwrap();
    let mut given = vec![Bound { address: at, transport: Transport::Udp, socket: socket.into() }];
    let refused = Listeners::bind_beside(&[at], 1, &mut given).err().unwrap().to_string();
    assert!(refused.contains("(UDP): ") && refused.contains("BindIPv6Only=ipv6-only"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_when_they_pause_or_behind_an_answer_when_they_do_not() {
    let (serving, at) = serve("127.0.0.1:0", 1);
    let mut idle = TcpStream::connect(at).await.unwrap();
    let mut busy = TcpStream::connect(at).await.unwrap();
    let message = framed(&query(1, "word"));
    let mut reply = vec![0; message.len()];
    for stream in [&mut idle, &mut busy] {
        stream.write_all(&message).await.unwrap();
        stream.read_exact(&mut reply).await.unwrap();
    }
    // Longer than an idle connection is kept.
    let leaving = tokio::spawn(serving.hand_over(Duration::from_millis(1500)));
    let mut answers = 0;
    loop {
        // Whoever was told that it ends sees so before the next query.
        match timeout(Duration::from_millis(20), busy.read(&mut reply)).await {
            Ok(ended) => break assert_eq!(ended.unwrap(), 0, "it ends in good order"),
            Err(_) => busy.write_all(&message).await.unwrap(),
        }
        timeout(TOO_LONG, busy.read_exact(&mut reply)).await.expect("it is answered").unwrap();
        answers += 1;
    }
    assert!(answers > 10, "it has gone on: {answers}");
    assert_eq!(timeout(TOO_LONG, idle.read(&mut reply)).await.unwrap().unwrap(), 0);
    assert!(leaving.await.unwrap(), "nobody was cut off");
    assert!(TcpStream::connect(at).await.is_err());
}

/// Answers when it may.
struct Held(Arc<Mutex<()>>);

impl Answerer for Held {
    fn refresh(&mut self) {}

    fn answer(&mut self, client: Client, query: &[u8], reply: &mut [u8]) -> usize {
        drop(self.0.lock());
        Echo.answer(client, query, reply)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_datagram_that_the_kernel_drops_is_counted_once() {
    const WORKERS: usize = 3;
    // Nobody else's, so that TCP can have the same port.
    let socket = UdpSocket::bind("127.53.0.3:0").unwrap();
    let at = socket.local_addr().unwrap();
    let client = udp_client(at.ip(), at);
    let dropped = |socket: &UdpSocket| mmsg::overflowed(socket.as_fd()).unwrap();
    let flood = || (0..20_000).for_each(|_| _ = client.send(&query(1, "drop")).unwrap());
    let other = socket.try_clone().unwrap();
    socket2::SockRef::from(&socket).set_recv_buffer_size(4096).unwrap();
    flood();
    let before = dropped(&other);
    let mut given = vec![Bound { address: at, transport: Transport::Udp, socket: socket.into() }];
    let listeners = Listeners::bind_beside(&[at], WORKERS, &mut given).unwrap();
    let gate = Arc::<Mutex<()>>::default();
    let serving = listeners.start(TcpLimits::default(), |_| Held(Arc::clone(&gate))).unwrap();
    let counters = serving.udp_counters().to_vec();
    // Each is busy with one of these, and the rest finds no room.
    let closed = gate.lock().unwrap();
    flood();
    drop(closed);
    assert!(dropped(&other) > before && before > 0);
    let count = async {
        while total(&counters, |c| c.panics.read()) == 0 {
            client.send(&query(1, "oops")).unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while total(&counters, |c| c.overflowed.read()) < u64::from(dropped(&other) - before) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TOO_LONG, count).await.unwrap();
    assert!(serving.shutdown(TOO_LONG).await);
    assert_eq!(total(&counters, |c| c.overflowed.read()), u64::from(dropped(&other) - before));
}
