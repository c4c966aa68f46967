//! What tests of the running program have in common: a place on loopback, the program in it,
//! sites that can be broken, clients of DNS and HTTP, and the servers of others.
//!
//! Nothing here sleeps and hopes. What announces itself (a log line, a connection, the end of a
//! process) is awaited; what does not (an answer that is to change) is asked for again and again
//! until it is as wanted or [`PATIENCE`] is over.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) mod daemon;
pub(crate) mod dns;
pub(crate) mod fake;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod others;
pub(crate) mod process;
pub(crate) mod scene;
pub(crate) mod site;
pub(crate) mod small_disk;
pub(crate) mod stream;
pub(crate) mod takeover;

/// How long anything may take before a test gives up on it: far longer than it takes on a busy
/// machine, and no measure of the program.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two questions for something that does not announce itself.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(5);

#[allow(clippy::disallowed_methods, reason = "tests of the running program live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks until there is an answer, and returns it.
///
/// # Panics
///
/// After [`PATIENCE`], naming `what` did not come.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(ASK_AGAIN);
    }
}

/// Tells threads to stop when a test ends, however it does.
pub(crate) struct StopOnDrop<'s>(pub(crate) &'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An address of 127.0.0.0/8 that no other test has, in this process or another: one of fifteen
/// million by chance. With it come all its ports.
pub(crate) fn own_address() -> Ipv4Addr {
    Ipv4Addr::new(127, fastrand::u8(16..=254), fastrand::u8(..), fastrand::u8(1..=254))
}

/// A port that nobody has on `ip`, neither of UDP nor of TCP: for addresses that tests share. It
/// is below the ports that the kernel hands out, so that no client takes it in the meantime.
pub(crate) fn free_port(ip: IpAddr) -> u16 {
    eventually("a free port", || {
        let port = fastrand::u16(10_000..32_000);
        is_free(SocketAddr::new(ip, port)).then_some(port)
    })
}

/// Port 53 of ::1, of which there is one for all the tests of a machine: they take turns, and
/// whoever has it holds on to this. A test that is killed lets go of it as well.
pub(crate) fn turn_at_ipv6_port_53() -> File {
    let path = std::env::temp_dir().join("rhumb-test-ipv6-port-53.lock");
    let file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.lock().expect("files can be locked here");
    file
}

fn is_free(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

/// Stops a test that this user cannot run: it proves nothing when it is passed over.
pub(crate) fn need_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test takes ports below 1024: run tests/run as root");
}
