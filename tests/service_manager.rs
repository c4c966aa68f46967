//! What the service manager is told while the daemon starts, runs, reloads and stops.

mod support;

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::daemon::{self, Daemon};
use support::process::Process;
use support::scene::{ONCE, Scene};
use support::site::Site;
use support::{PATIENCE, now};

/// Between two signs of life, at most: what the unit says would make for a long test.
const WATCHDOG: Duration = Duration::from_secs(4);

/// Takes the place of systemd.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// Starts the daemon in `scene` with `text`, as systemd would.
    fn launch(scene: &Scene, text: &str) -> (Manager, Daemon) {
        let path = scene.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a path of our own");
        let mut command = daemon::serve(&scene.configure(text));
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        // Whoever started it may have been replaced since.
        command.env("WATCHDOG_PID", "1");
        (Manager { socket }, scene.attach(Process::start(command)))
    }

    /// The next message, and when it came.
    fn next(&self) -> (Vec<String>, Instant) {
        self.socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("it says something");
        let text = std::str::from_utf8(&message[..length]).expect("assignments are text");
        (text.lines().map(str::to_owned).collect(), now())
    }

    /// The next message that says `word`; all before it must be signs of life.
    fn await_word(&self, word: &str) -> Vec<String> {
        loop {
            let (said, _) = self.next();
            if said.iter().any(|line| line == word) {
                return said;
            }
            let is_alive = said[0] == "WATCHDOG=1" || said.iter().all(|line| line.starts_with("STATUS="));
            assert!(is_alive, "{word} was due, and not {said:?}");
        }
    }

    fn says_nothing(&self) -> bool {
        self.socket.set_nonblocking(true).expect("sockets can be");
        let nothing = self.socket.recv(&mut [0; 1]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).expect("sockets can be");
        nothing
    }
}

#[test]
fn it_is_ready_when_dns_is_answered_and_not_before() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    first.hang();
    let (manager, daemon) = Manager::launch(&scene, &scene.two_sites([&first, &second], [ONCE, ONCE]));
    assert_eq!(manager.next().0, ["STATUS=the first round of lookups and probes"]);
    first.await_connections(1);
    assert!(manager.says_nothing(), "the probe is still under way");
    first.kill();
    let status = "STATUS=1 domain, 1 of 2 pools in service, 1 of 2 addresses up";
    assert_eq!(manager.next().0, ["READY=1", status]);
    daemon.await_line(0, &["ready"]);

    let mut last = now();
    for _ in 0..3 {
        let (said, at) = manager.next();
        assert_eq!(said, ["WATCHDOG=1", status]);
        let passed = at - last;
        assert!(passed < WATCHDOG, "it would have been killed: {passed:?}");
        assert!(passed > WATCHDOG / 10, "more often than anybody needs: {passed:?}");
        last = at;
    }
}

#[test]
fn a_reload_is_told_from_its_beginning_to_its_end_and_so_is_a_stop() {
    let scene = Scene::new();
    let text = scene.ground();
    let (manager, daemon) = Manager::launch(&scene, &text);
    manager.await_word("READY=1");
    for (text, status) in [
        (text.clone(), "STATUS=0 domains, 0 of 0 pools in service"),
        (
            format!("{text}\nnonsense = 1\n"),
            "STATUS=0 domains, 0 of 0 pools in service; the last reload was refused: ",
        ),
        (text, "STATUS=0 domains, 0 of 0 pools in service"),
    ] {
        scene.configure(&text);
        let before = monotonic_microseconds();
        daemon.signal(Signal::SIGHUP);
        let said = manager.await_word("RELOADING=1");
        let at = said.iter().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("it says when");
        assert!(at.parse::<i128>().expect("a number") >= before, "{said:?}");
        // Whatever came of it.
        let said = manager.await_word("READY=1");
        assert!(said[1].starts_with(status), "{said:?}");
        assert_eq!(said[1].contains("rhumb.toml:"), status.ends_with(": "), "{said:?}");
    }
    daemon.signal(Signal::SIGTERM);
    manager.await_word("STOPPING=1");
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(manager.says_nothing(), "it has stopped");
}

#[test]
fn a_service_manager_that_does_not_listen_is_no_reason_to_fail() {
    let scene = Scene::new();
    let address = SocketAddr::from_abstract_name(scene.path().as_os_str().as_encoded_bytes());
    let name = address.expect("it is short").as_abstract_name().map(<[u8]>::to_vec).expect("it has one");
    let mut command = daemon::serve(&scene.configure(&scene.ground()));
    command.env("NOTIFY_SOCKET", format!("@{}", String::from_utf8_lossy(&name)));
    let daemon = scene.attach(Process::start(command));
    daemon.await_line(0, &["ready"]);
    daemon.await_line(0, &["WARN", "the service manager cannot be told"]);
    daemon.signal(Signal::SIGTERM);
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
}

fn monotonic_microseconds() -> i128 {
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(sd_notify::NotifyState::MonotonicUsec(microseconds)) => microseconds,
        other => panic!("there is such a clock: {other:?}"),
    }
}
