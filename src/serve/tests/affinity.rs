//! Threads and the cores that they stay on.

use super::*;

/// Replies with the cores that it may run on.
struct Cores;

impl Answerer for Cores {
    fn refresh(&mut self) {}

    fn answer(&mut self, _: Client, _: &[u8], reply: &mut [u8]) -> usize {
        udp::allowed_cores().iter().zip(reply).map(|(core, place)| *place = *core as u8).count()
    }
}

/// By whom queries of `count` clients on `core` are answered, told by the cores that the thread may run on. Loopback delivers on the
/// sender's core.
fn asked_on(core: usize, server: SocketAddr, count: usize) -> BTreeSet<Vec<u8>> {
    let sender = thread::spawn(move || {
        udp::pin_to(core);
        let clients = (0..count).map(|_| udp_client(server.ip(), server));
        clients.map(|client| client.send(&query(1, "core")).map(|_| receive(&client)).unwrap()).collect()
    });
    sender.join().unwrap()
}

/// Whether the kernel heeds `SO_INCOMING_CPU` among sockets that share an address.
fn kernel_prefers_cores() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(2))
}

/// That each of `cores` has a thread of its own, and the clients are divided among all.
fn assert_divided(server: SocketAddr, cores: &[usize]) {
    // The kernel chooses by the client's port: each is left out by a chance of 1 in 10^30.
    let asked = asked_on(cores[0], server, 100 * cores.len());
    assert_eq!(asked, cores.iter().map(|core| vec![*core as u8]).collect());
}

#[tokio::test]
async fn a_thread_for_each_core_stays_on_it() {
    let cores = udp::allowed_cores();
    let (listeners, server) = bind("127.0.0.1:0", cores.len());
    let _serving = listeners.start(TcpLimits::default(), |_| Cores).unwrap();
    assert_divided(server, &cores);
}

#[tokio::test]
async fn with_affinity_a_query_is_for_the_thread_on_the_core_that_received_it() {
    let cores = udp::allowed_cores();
    let (listeners, server) = bind("127.0.0.1:0", cores.len());
    let mut copies = listeners.copies().unwrap();
    let listeners = listeners.with_socket_affinity(true);
    assert!(listeners.has_thread_for_each_core());
    let serving = listeners.start(TcpLimits::default(), |_| Cores).unwrap();
    if kernel_prefers_cores() {
        for &core in &cores {
            assert_eq!(asked_on(core, server, 32), BTreeSet::from([vec![core as u8]]));
        }
    }
    assert!(serving.shutdown(TOO_LONG).await);

    // The next process has the same sockets, and is told otherwise.
    let listeners = Listeners::bind_beside(&[server], cores.len(), &mut copies).unwrap();
    assert!(copies.is_empty());
    let _serving = listeners.start(TcpLimits::default(), |_| Cores).unwrap();
    assert_divided(server, &cores);
}

#[test]
fn there_is_no_affinity_without_a_thread_and_a_socket_for_each_core() {
    let cores = udp::allowed_cores().len();
    let (listeners, server) = bind("127.0.0.1:0", cores);
    assert!(listeners.has_thread_for_each_core());
    assert!(!bind("127.0.0.1:0", cores + 1).0.has_thread_for_each_core());
    let is_left = |(number, bound): &(usize, Bound)| *number > 0 || bound.transport == Transport::Tcp;
    let copies = listeners.copies().unwrap().into_iter().enumerate();
    let mut one_too_few = copies.filter(is_left).map(|(_, bound)| bound).collect();
    drop(listeners);
    let listeners = Listeners::bind_beside(&[server], cores, &mut one_too_few).unwrap();
    // Of a single core there was none left, and one has been bound.
    assert_eq!(listeners.has_thread_for_each_core(), cores == 1);
}
