//! System calls that fail while queries flow: the server goes on, counts them, and does not spin.
//!
//! strace injects the errors into the running process, so that what fails is what the kernel would
//! fail, at the calls that the program really makes.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use support::daemon::Daemon;
use support::dns::{addresses, ask_by_tcp, framed, query, socket_to};
use support::eventually;
use support::http::sample;
use support::others::program;
use support::process::Process;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;

const HOST: &str = "ns1.ai.example.com";

/// How long a client waits before it asks again: what a lost datagram costs a test.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Calls in a second that a thread may make while each of them fails: it waits 20 ms or more from
/// the second failure on, and one that spins makes a thousand times as many.
const MAX_FAILING_CALLS: f64 = 200.0;

/// Errors being injected into a process, until dropped.
struct Injection {
    trace: PathBuf,
    _strace: Process,
}

impl Injection {
    /// Has `expressions`, each of the form that strace's `-e inject=` takes, fail from now on.
    ///
    /// # Panics
    ///
    /// If this process may not trace the other.
    fn into(daemon: &Daemon, directory: &Path, expressions: &[&str]) -> Injection {
        let trace = directory.join("trace");
        let mut command = program("strace");
        command.args(["-f", "-ttt", "-p", &daemon.pid().to_string(), "-o"]).arg(&trace);
        let calls: Vec<&str> =
            expressions.iter().filter_map(|expression| expression.split(':').next()).collect();
        command.arg("-e").arg(format!("trace={}", calls.join(",")));
        for expression in expressions {
            command.arg("-e").arg(format!("inject={expression}"));
        }
        let strace = Process::start(command);
        let said = strace.await_line(0, &["ttach"]);
        assert!(
            said.contains("attached"),
            "strace may not trace here, which these tests need: as root, with CAP_SYS_PTRACE in a \
             container, or with kernel.yama.ptrace_scope = 0. It said: {said}"
        );
        Injection { trace, _strace: strace }
    }

    /// When each call failed so far, in seconds.
    fn failed(&self) -> Vec<f64> {
        let trace = std::fs::read_to_string(&self.trace).unwrap_or_default();
        let injected = trace.lines().filter(|line| line.ends_with("(INJECTED)"));
        injected.filter_map(|line| line.split_whitespace().nth(1)?.parse().ok()).collect()
    }

    /// Waits until `count` calls have failed.
    fn await_failures(&self, count: usize) -> Vec<f64> {
        eventually("enough calls to fail", || {
            let failed = self.failed();
            (failed.len() >= count).then_some(failed)
        })
    }
}

fn start() -> (Scene, Daemon) {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    (scene, daemon)
}

fn counted(daemon: &Daemon, metric: &str, event: &str) -> f64 {
    sample(daemon.admin(), &format!("{metric}{{event=\"{event}\"}}"))
}

/// Asks over UDP until there is an answer, as a resolver does.
fn ask_until_answered(daemon: &Daemon) {
    let message = query(HOST, RecordType::A);
    let octets = message.to_vec().expect("it can be encoded");
    let socket = socket_to(daemon.dns());
    socket.set_read_timeout(Some(ASK_AGAIN)).expect("it is not zero");
    let reply = eventually("an answer by UDP", || {
        socket.send(&octets).expect("loopback takes it");
        let mut reply = [0; 1232];
        let length = socket.recv(&mut reply).ok()?;
        Message::from_vec(&reply[..length]).ok()
    });
    assert_eq!((reply.metadata.id, addresses(&reply)), (message.metadata.id, vec![daemon.dns().ip()]));
}

/// Asks over TCP, on a new connection each time, until there is an answer.
fn ask_by_tcp_until_answered(daemon: &Daemon) {
    let message = framed(&query(HOST, RecordType::A));
    eventually("an answer by TCP", || {
        let mut stream = TcpStream::connect(daemon.dns()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("it is not zero");
        stream.write_all(&message).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).ok()?;
        Message::from_vec(&reply).ok()
    });
}

/// After an injection: whole again, and still the same process.
fn assert_well(daemon: &Daemon) {
    let asked = query(HOST, RecordType::A);
    assert_eq!(addresses(&support::dns::ask(daemon.dns(), &asked)), [daemon.dns().ip()]);
    assert_eq!(addresses(&ask_by_tcp(daemon.dns(), &asked)), [daemon.dns().ip()]);
    assert_eq!(counted(daemon, "rhumb_udp_events_total", "panic"), 0.0);
    assert_eq!(daemon.lines(&["panicked"]), Vec::<String>::new());
}

#[test]
fn every_other_datagram_call_fails_and_queries_are_answered() {
    let (scene, daemon) = start();
    for (injected, event) in [
        ("sendmmsg:error=ENOBUFS:when=1+2", Some("send_error")),
        ("sendmmsg:error=EPERM:when=1+2", Some("send_error")),
        ("sendmmsg:error=EINTR:when=1+2", None),
        ("recvmmsg:error=ENOBUFS:when=1+2", Some("receive_error")),
        ("recvmmsg:error=ENOMEM:when=1+2", Some("receive_error")),
        ("recvmmsg:error=ECONNREFUSED:when=1+2", Some("receive_error")),
        ("recvmmsg:error=EINTR:when=1+2", None),
    ] {
        let errors =
            || ["send_error", "receive_error"].map(|event| counted(&daemon, "rhumb_udp_events_total", event));
        let before: f64 = errors().iter().sum();
        let injection = Injection::into(&daemon, scene.path(), &[injected]);
        for _ in 0..20 {
            ask_until_answered(&daemon);
        }
        let failed = injection.await_failures(5).len();
        let counted = errors().iter().sum::<f64>() - before;
        match event {
            Some(_) => assert!(counted >= failed as f64, "{injected}: {counted} of {failed} counted"),
            None => assert_eq!(counted, 0.0, "{injected}: a signal is no error"),
        }
        drop(injection);
        assert_well(&daemon);
    }
}

#[test]
fn every_other_connection_call_fails_and_queries_are_answered() {
    let (scene, daemon) = start();
    for injected in [
        "accept4:error=ECONNABORTED:when=1+2",
        "accept4:error=EPERM:when=1+2",
        "accept4:error=EINTR:when=1+2",
        "accept4:error=EMFILE:when=1+2",
        "accept4:error=ENFILE:when=1+2",
        "accept4:error=ENOBUFS:when=1+2",
        "recvfrom:error=ECONNRESET:when=1+3",
        "sendto:error=ENOBUFS:when=1+3",
        "setsockopt:error=ENOBUFS:when=1+2",
    ] {
        let errors = || counted(&daemon, "rhumb_tcp_events_total", "accept_error");
        let before = errors();
        let injection = Injection::into(&daemon, scene.path(), &[injected]);
        for _ in 0..10 {
            ask_by_tcp_until_answered(&daemon);
        }
        injection.await_failures(3);
        drop(injection);
        assert_well(&daemon);
        // One process has two listeners: the other is the admin API's.
        assert_eq!(injected.starts_with("accept4"), errors() > before, "{injected}");
    }
}

#[test]
fn calls_that_always_fail_do_not_take_the_core() {
    let (scene, daemon) = start();
    for injected in
        ["recvmmsg:error=ENOMEM", "recvmmsg:error=EBADF", "accept4:error=EMFILE", "accept4:error=ENOMEM"]
    {
        let injection = Injection::into(&daemon, scene.path(), &[injected]);
        // Connections that nobody takes up. The kernel completes them.
        let waiting = injected.starts_with("accept4").then(|| TcpStream::connect(daemon.dns()));
        let failed = injection.await_failures(40);
        let rate = failed.len() as f64 / (failed[failed.len() - 1] - failed[0]);
        assert!(rate < MAX_FAILING_CALLS, "{injected}: {rate:.0} calls a second");
        eprintln!("{injected}: {rate:.0} calls a second");
        drop(injection);
        drop(waiting);
        ask_until_answered(&daemon);
        assert_well(&daemon);
    }
}

#[test]
fn each_reply_is_offered_to_the_kernel_once() {
    let (scene, daemon) = start();
    let injection = Injection::into(&daemon, scene.path(), &["sendmmsg:error=ENOBUFS"]);
    let socket = socket_to(daemon.dns());
    let octets = query(HOST, RecordType::A).to_vec().expect("it can be encoded");
    let refused = counted(&daemon, "rhumb_udp_events_total", "send_error");
    for _ in 0..100 {
        socket.send(&octets).expect("loopback takes it");
    }
    let all_refused =
        || (counted(&daemon, "rhumb_udp_events_total", "send_error") - refused >= 100.0).then_some(());
    eventually("every reply to be refused", all_refused);
    assert_eq!(injection.await_failures(100).len(), 100);
    drop(injection);
    assert_well(&daemon);
}

#[test]
fn probes_that_cannot_be_carried_out_count_against_nobody() {
    for injected in ["socket:error=EMFILE", "socket:error=ENOBUFS", "connect:error=EADDRNOTAVAIL"] {
        let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
        let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
        assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
        let injection = Injection::into(&daemon, scene.path(), &[injected]);
        // Twice as many as would take both sites down.
        let failed = injection.await_failures(8);
        let not_probed = || {
            let series = r#"rhumb_probes_total{pool="first",check="first",outcome="local"}"#;
            (sample(daemon.admin(), series) >= 3.0).then_some(())
        };
        eventually("the probes to be counted", not_probed);
        assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "{injected}, {} times", failed.len());
        drop(injection);
        assert_eq!(daemon.lines(&["down: "]), Vec::<String>::new());
    }
}

#[test]
fn a_stop_is_heard_while_calls_fail() {
    let (scene, daemon) = start();
    let injection =
        Injection::into(&daemon, scene.path(), &["recvmmsg:error=ENOMEM", "accept4:error=EMFILE"]);
    injection.await_failures(3);
    daemon.signal(Signal::SIGTERM);
    let (status, _) = daemon.into_process().await_end();
    assert!(status.success(), "{status}");
}
