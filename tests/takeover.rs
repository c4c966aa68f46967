//! A new process takes over from the one that runs, and nobody who asks notices.

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use hickory_proto::rr::RecordType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::daemon::{Daemon, rhumb, serve};
use support::dns::{addresses, ask_by_tcp, framed, query, receive_unless_closed};
use support::http::{get, send_json};
use support::load::{Account, Load};
use support::process::Process;
use support::scene::{DOMAIN, ONCE, QUICK, Scene};
use support::site::Site;
use support::takeover::{Speaker, TAKEN, assert_ends_well, relieve, state, successor, take_over};
use support::{PATIENCE, eventually, need_root};

/// Queries over UDP from one upgrade to the next: half a second.
const BETWEEN: usize = 500;

/// Gives the address of the first site a weight. A process that has just been taken over from says to
/// ask again, which finds the new one.
fn weigh(daemon: &Daemon, weight: usize) {
    let (path, body) = ("/v1/pools/first/addresses/a", json!({ "weight": weight }).to_string());
    eventually("the edit to be made", || {
        let edited = send_json(daemon.admin(), "PATCH", path, &body);
        if edited.status == 503 {
            assert_eq!(edited.header("retry-after"), "1");
            return None;
        }
        assert_eq!(edited.status, 200, "{weight}");
        Some(())
    });
}

/// The weight of the first site's address that is in force.
fn weight(daemon: &Daemon) -> Value {
    get(daemon.admin(), "/v1/pools/first").json()["addresses"][0]["weight"].clone()
}

/// Upgrades `times` in a row under load, with an edit before each, and returns what became of the
/// queries. Every other one is asked for by signal.
fn upgrades_under_load(times: usize) -> Account {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let admin_socket = scene.path().join("admin.sock");
    let listen = format!("listen = \"{}\"\n", scene.admin);
    let socket = format!("{listen}socket = {{ path = \"{}\" }}\n", admin_socket.display());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]).replacen(&listen, &socket, 1);
    assert!(text.contains("admin.sock"));
    let mut daemon = scene.start(&text.replace("workers = 1", "workers = 2"));
    let load = Load::start(scene.dns, DOMAIN, first.ip());
    // They go on as long as somebody is connected to them.
    let mut leaving = Vec::new();
    for number in (2..2 + times).step_by(2) {
        weigh(&daemon, number);
        // More workers than sockets, and fewer.
        scene.configure(&text.replace("workers = 1", &format!("workers = {}", 1 + number % 3)));
        daemon.signal(Signal::SIGUSR2);
        let taken = daemon.await_line(0, &[TAKEN]);
        assert_eq!(weight(&daemon), number);
        load.await_answers(BETWEEN);
        weigh(&daemon, number + 1);
        let next = relieve(&scene, &daemon);
        leaving.push(std::mem::replace(&mut daemon, next));
        load.await_answers(BETWEEN);
        assert_eq!(weight(&daemon), number + 1);
        assert!(taken.contains("process="), "{taken}");
    }
    assert_eq!(get(daemon.admin(), "/readyz").status, 200);
    let mut stream = UnixStream::connect(&admin_socket).expect("the file is the last one's");
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers");
    assert!(said.contains("200 OK"), "{said}");
    let account = load.stop();
    let audit = get(daemon.admin(), "/v1/audit?limit=1000").json();
    let numbers: Vec<u64> = audit["records"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|record| record["seq"].as_u64())
        .collect();
    assert!(!numbers.is_empty());
    assert!((1..=numbers.len() as u64).rev().eq(numbers.iter().copied()), "each has its own: {numbers:?}");
    // The child that one has started by signal writes to the same log, which ends with both.
    leaving.into_iter().for_each(assert_ends_well);
    daemon.signal(Signal::SIGTERM);
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        !admin_socket.exists() && !state(&scene).join("takeover.sock").exists(),
        "the last one tidies up"
    );
    account
}

fn assert_nothing_is_lost(account: &Account) {
    let Account { by_udp, by_tcp, told_to_close, ended, faults } = account;
    println!("{by_udp} over UDP, {by_tcp} over TCP; told to close: {told_to_close}; ended: {ended}");
    assert!(faults.is_empty(), "{} of {by_udp} + {by_tcp}:\n{}", faults.len(), faults.join("\n"));
    assert!(*by_udp > 1000 && *by_tcp > 100, "{account:?}");
    assert!(*told_to_close > 0, "those who ask are told: {account:?}");
}

#[test]
fn no_query_is_lost_and_no_edit_when_a_new_process_takes_over() {
    assert_nothing_is_lost(&upgrades_under_load(4));
}

#[test]
#[ignore = "minutes: fifty upgrades"]
fn nothing_is_lost_in_fifty_upgrades() {
    assert_nothing_is_lost(&upgrades_under_load(50));
}

#[test]
fn a_new_process_that_does_not_start_leaves_the_old_one_as_it_was() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let daemon = scene.start(&text);
    let fails = |text: &str, why: &str| {
        scene.configure(text);
        let (status, log) = Process::start(successor(&scene)).await_end();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(why), "{log}");
    };
    fails(&text.replace("workers = 1", "workers = -1"), "workers");
    weigh(&daemon, 2);
    // It has the sockets by then.
    let elsewhere = format!("{}\", \"192.0.2.1:53", scene.dns);
    fails(&text.replace(&scene.dns.to_string(), &elsewhere), "192.0.2.1:53");
    daemon.await_line(0, &["nothing came of a takeover, this process goes on"]);
    weigh(&daemon, 3);
    // And by signal.
    let from = daemon.said();
    daemon.signal(Signal::SIGUSR2);
    daemon.await_line(from, &["the new process has ended, this one goes on", "exit status: 1"]);
    weigh(&daemon, 4);
    assert_eq!((weight(&daemon), daemon.resolve(DOMAIN)), (json!(4), vec![first.ip()]));
    scene.configure(&text);
    assert_eq!(weight(&take_over(&scene, daemon)), 4);
}

#[test]
fn a_takeover_that_fails_leaves_the_admin_socket_as_it_was() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let path = scene.path().join("admin.sock");
    let listen = format!("listen = \"{}\"\n", scene.admin);
    let with_socket = |mode: &str| {
        let socket = format!("socket = {{ path = \"{}\", mode = \"{mode}\" }}\n", path.display());
        let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
        text.replacen(&listen, &format!("{listen}{socket}"), 1)
    };
    let mode = || std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
    let daemon = scene.start(&with_socket("0660"));
    let narrower = with_socket("0600");
    // It has opened the door of the admin API by then.
    let secrets = format!("state_dir = \"{}\"\n", state(&scene).display());
    let missing = format!("{secrets}cookie_secret_file = \"{}/none\"\n", scene.path().display());
    scene.configure(&narrower.replacen(&secrets, &missing, 1));
    let (status, log) = Process::start(successor(&scene)).await_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("error: cookie secret file"), "{log}");
    daemon.await_line(0, &["nothing came of a takeover, this process goes on"]);
    UnixStream::connect(&path).expect("it listens there still");
    assert_eq!(mode(), 0o660);
    scene.configure(&narrower);
    let new = take_over(&scene, daemon);
    UnixStream::connect(&path).expect("it is the new one's");
    assert_eq!(mode(), 0o600);
    new.signal(Signal::SIGTERM);
    let (status, log) = new.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!path.exists());
}

#[test]
fn a_new_process_that_dies_before_it_answers_leaves_the_old_one_as_it_was() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    // Probes end when the test says so.
    let text = scene.two_sites([&first, &second], [ONCE, ONCE]);
    let daemon = scene.start(&text);
    weigh(&daemon, 2);
    // By another check nothing is known.
    scene.configure(&text.replace("/health", "/healthy"));
    first.hang();
    let probed = first.connections();
    let new = Process::start(successor(&scene));
    first.await_connections(probed + 1);
    daemon.await_line(0, &["another process prepares to take over: edits and reloads wait"]);
    // It has the state, and has not answered anything yet.
    let edit = {
        let admin = daemon.admin();
        let path = "/v1/pools/first/addresses/a";
        thread::spawn(move || send_json(admin, "PATCH", path, r#"{"weight": 3}"#).status)
    };
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    assert_eq!(get(daemon.admin(), "/readyz").status, 200);
    // It would be noted in a log that is the other one's.
    let log = {
        let admin = daemon.admin();
        thread::spawn(move || send_json(admin, "PUT", "/v1/log", r#"{"level": "info"}"#).status)
    };
    assert_eq!(get(daemon.admin(), "/v1/audit").json()["records"].as_array().map(Vec::len), Some(1));
    assert!(!log.is_finished() && !edit.is_finished());
    new.signal(Signal::SIGKILL);
    daemon.await_line(0, &["edits and reloads are accepted again"]);
    assert_eq!(edit.join().expect("it is answered"), 200, "it has waited");
    assert_eq!(log.join().expect("it is answered"), 200, "likewise");
    assert_eq!((weight(&daemon), daemon.resolve(DOMAIN)), (json!(3), vec![first.ip()]));
    // What is kept is in the journal.
    daemon.signal(Signal::SIGKILL);
    drop(daemon);
    first.answer(200);
    assert_eq!(weight(&scene.start(&text)), 3);
}

#[test]
fn wherever_a_takeover_breaks_off_the_old_process_goes_on() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let hello = json!({"type": "hello", "protocol": "rhumb-takeover", "version": 1, "pid": 1});
    let steps: [&dyn Fn(&mut Speaker); 8] = [
        &|_| {},
        &|new| new.0.write_all(&[0xff; 64]).expect("it reads"),
        &|new| new.say(json!({"type": "serving"})),
        &|new| {
            new.say(json!({"type": "hello", "protocol": "rhumb-takeover", "version": 7, "pid": 1}));
            assert!(new.hear("refused")["reason"].as_str().expect("a text").contains("rhumb-takeover 7"));
        },
        &|new| {
            new.say(hello.clone());
            let sockets = new.hear("sockets")["sockets"].clone();
            let expected = json!([
                {"for": "dns-udp", "address": scene.dns.to_string()},
                {"for": "dns-tcp", "address": scene.dns.to_string()},
                {"for": "admin-tcp", "address": scene.admin.to_string()},
            ]);
            assert_eq!(sockets, expected);
        },
        &|new| {
            new.say(hello.clone());
            new.hear("sockets");
            new.say(json!({"type": "prepare"}));
            new.hear("released");
            // One at a time.
            let (status, log) = Process::start(successor(&scene)).await_end();
            assert_eq!(status.code(), Some(1), "{log}");
            assert!(log.contains("the running daemon refuses: another process is taking over"), "{log}");
        },
        &|new| {
            new.say(hello.clone());
            new.hear("sockets");
            new.say(json!({"type": "rotation"}));
            new.hear("refused");
        },
        &|new| {
            new.say(hello.clone());
            new.hear("sockets");
            new.say(json!({"type": "prepare"}));
            assert_eq!(new.hear("released")["tells_turns"], true);
            new.say(json!({"type": "rotation"}));
            // Nothing rotates.
            assert_eq!(new.hear("turns")["turns"]["udp"], json!([{"pools": {}, "domains": {}}]));
            new.say(json!({"type": "rotation"}));
            new.hear("refused");
        },
    ];
    for (number, step) in (2..).zip(steps) {
        let mut new = Speaker::connect(&state(&scene));
        step(&mut new);
        drop(new);
        weigh(&daemon, number);
        assert_eq!((weight(&daemon), daemon.resolve(DOMAIN)), (json!(number), vec![first.ip()]));
    }
    assert_eq!(weight(&take_over(&scene, daemon)), 9);
}

#[test]
fn a_process_whose_predecessor_dies_starts_as_after_a_crash() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [ONCE, ONCE]);
    let daemon = scene.start(&text);
    weigh(&daemon, 2);
    // By another check nothing is known.
    scene.configure(&text.replace("/health", "/healthy"));
    first.hang();
    let probed = first.connections();
    let new = scene.attach(Process::start(successor(&scene)));
    first.await_connections(probed + 1);
    daemon.signal(Signal::SIGKILL);
    drop(daemon);
    first.kill();
    new.await_line(0, &["has died instead of leaving"]);
    new.await_line(0, &["ready"]);
    assert_eq!((weight(&new), new.resolve(DOMAIN)), (json!(2), vec![second.ip()]));
    weigh(&new, 3);
}

#[test]
fn a_reload_that_waits_when_another_process_takes_over_is_for_that_one() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [ONCE, ONCE]);
    let daemon = scene.start(&text);
    // By another check nothing is known.
    scene.configure(&text.replace("/health", "/healthy"));
    first.hang();
    let probed = first.connections();
    let new = scene.attach(Process::start(successor(&scene)));
    first.await_connections(probed + 1);
    daemon.await_line(0, &["edits and reloads wait"]);
    scene.configure(&text.replace("/health", "/healthier"));
    daemon.signal(Signal::SIGHUP);
    // Signals are taken in before what is asked afterwards.
    assert_eq!(get(daemon.admin(), "/v1/pools/first").status, 200);
    first.kill();
    new.await_line(0, &["configuration reloaded"]);
    assert_ends_well(daemon);
}

/// A connection over TCP. One whose process was taken over from lasts as long as somebody asks, and hardly longer.
struct Client(TcpStream);

impl Client {
    fn of(scene: &Scene) -> Client {
        Client(TcpStream::connect(scene.dns).expect("it listens"))
    }

    /// The addresses of [`DOMAIN`]; `None`: it was asked too late, and the connection has ended.
    fn ask(&mut self) -> Option<Vec<IpAddr>> {
        self.0.write_all(&framed(&query(DOMAIN, RecordType::A))).ok()?;
        receive_unless_closed(&mut self.0).map(|reply| addresses(&reply))
    }

    /// Asks until that is so, of an answer or besides; `None` likewise.
    fn ask_until(&mut self, what: &str, is_so: impl Fn(Vec<IpAddr>) -> bool) -> Option<()> {
        eventually(what, || match self.ask() {
            Some(answer) => is_so(answer).then_some(Some(())),
            None => Some(None),
        })
    }
}

/// Begins anew if `attempt` has asked too late: a machine that stands still for a second is no fault of the program.
fn in_time(attempt: impl Fn() -> Option<()>) {
    const ATTEMPTS: usize = 5;
    (0..ATTEMPTS).find_map(|_| attempt()).expect("a connection that lasts as long as somebody asks");
}

#[test]
fn a_reload_that_is_asked_of_a_process_that_leaves_is_for_the_new_one() {
    in_time(|| {
        let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
        let old = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
        let mut client = Client::of(&scene);
        let new = scene.attach(Process::start(successor(&scene)));
        client.ask_until("the old process to be relieved", |answer| {
            assert_eq!(answer, [first.ip()]);
            !old.lines(&[TAKEN]).is_empty()
        })?;
        client.ask_until("the new process to reload", |answer| {
            assert_eq!(answer, [first.ip()]);
            old.signal(Signal::SIGHUP);
            !new.lines(&["configuration reloaded", "signal"]).is_empty()
        })?;
        drop(client);
        assert_ends_well(old);
        Some(())
    });
}

#[test]
fn without_a_daemon_it_starts_like_any_other() {
    let scene = Scene::new();
    scene.configure(&scene.ground());
    let daemon = scene.attach(Process::start(successor(&scene)));
    daemon.await_line(0, &["there is no daemon to take over from: a start like any other"]);
    daemon.await_line(0, &["ready"]);
    let path = state(&scene).join("takeover.sock");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // What a crash leaves is no daemon.
    daemon.signal(Signal::SIGKILL);
    drop(daemon);
    assert!(path.exists());
    Process::start(successor(&scene)).await_line(0, &["ready"]);
}

#[test]
fn strangers_are_refused() {
    need_root();
    const NOBODY: u32 = 65_534;
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let program = program_for_all(&scene);
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
    };
    open(scene.path(), 0o755);
    open(&state(&scene), 0o777);
    let refused = || {
        let mut command = Command::new(&program);
        let config = scene.path().join("rhumb.toml");
        command.args(["serve", "--takeover", "--config"]).arg(config).uid(NOBODY).gid(NOBODY);
        let (status, log) = Process::start(command).await_end();
        assert_eq!(status.code(), Some(1), "{log}");
        log
    };
    let log = refused();
    assert!(log.contains("cannot reach the running daemon") && log.contains("Permission denied"), "{log}");
    open(&state(&scene).join("takeover.sock"), 0o666);
    let log = refused();
    assert!(log.contains("user 65534 is neither root nor the daemon's own"), "{log}");
    assert_eq!(daemon.resolve("ns1.ai.example.com"), [scene.dns.ip()]);
}

/// The program where everybody may start it.
fn program_for_all(scene: &Scene) -> PathBuf {
    let program = scene.path().join("rhumb");
    std::fs::copy(env!("CARGO_BIN_EXE_rhumb"), &program).expect("there is room");
    program
}

#[test]
fn a_process_without_privileges_hands_on_what_it_could_not_bind() {
    need_root();
    let mut scene = Scene::new();
    scene.dns.set_port(53);
    let text = scene.ground().replace("workers = 1", "workers = 2\nuser = \"nobody\"");
    std::fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let config = scene.configure(&text);
    let program = program_for_all(&scene);
    let mut command = Command::new(&program);
    command.arg("serve").arg("--config").arg(&config);
    let daemon = scene.attach(Process::start(command));
    daemon.await_line(0, &["ready"]);
    // Upgraded: another file is there, and what runs is of no name any more.
    std::fs::remove_file(&program).expect("it is ours");
    program_for_all(&scene);
    daemon.signal(Signal::SIGUSR2);
    let taken = daemon.await_line(0, &[TAKEN]);
    let process = taken.rsplit_once("process=").expect("it says which").1;
    let process: i32 = process.trim().parse().expect("a number");
    assert_ne!(process, i32::try_from(daemon.pid()).expect("a process id is an int"));
    eventually("the old process to leave", || (!daemon.lines(&["stopped"]).is_empty()).then_some(()));
    assert_eq!(daemon.resolve("ns1.ai.example.com"), [scene.dns.ip()]);
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let uids = status.lines().find(|line| line.starts_with("Uid:")).expect("it has one");
    assert!(uids.contains("65534"), "{uids}");
    kill(Pid::from_raw(process), Signal::SIGTERM).expect("it runs");
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn whoever_is_still_connected_to_the_old_process_gets_right_answers() {
    in_time(|| {
        let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
        let quick = r#"interval = "100ms", timeout = "100ms""#;
        let old = scene.start(&scene.two_sites([&first, &second], [quick, quick]));
        let mut client = Client::of(&scene);
        assert_eq!(client.ask()?, [first.ip()]);
        let new = scene.attach(Process::start(successor(&scene)));
        client.ask_until("the old process to be relieved", |answer| {
            assert_eq!(answer, [first.ip()]);
            !old.lines(&[TAKEN]).is_empty()
        })?;
        first.kill();
        client.ask_until("the old process to notice", |answer| answer == [second.ip()])?;
        new.await_answer(DOMAIN, second.ip());
        drop(client);
        assert_ends_well(old);
        Some(())
    });
}

#[test]
fn the_service_manager_is_told_which_process_is_the_main_one() {
    let scene = Scene::new();
    let path = scene.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("the directory is ours");
    manager.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut command = serve(&scene.configure(&scene.ground()));
    command.env("NOTIFY_SOCKET", &path);
    let daemon = scene.attach(Process::start(command));
    daemon.await_line(0, &["ready"]);
    let new = take_over(&scene, daemon);
    let expected = format!("MAINPID={}", new.pid());
    let mut buffer = [0; 4096];
    eventually("it to be told", || {
        let length = manager.recv(&mut buffer).expect("something is said");
        let said = String::from_utf8_lossy(&buffer[..length]);
        said.lines().any(|line| line == expected).then_some(())
    });
}

/// The program, started by systemd's tool when somebody knocks at one of `addresses`.
fn activated(scene: &Scene, options: &[&str], addresses: &[String]) -> Process {
    let config = scene.configure(&scene.ground().replace("workers = 1", "workers = 2"));
    let mut command = Command::new("systemd-socket-activate");
    command.args(options);
    command.args(addresses.iter().map(|address| format!("--listen={address}")));
    let program = rhumb();
    command.arg(program.get_program()).args(["serve", "--config"]).arg(config);
    let process = Process::start(command);
    for address in addresses {
        process.await_line(0, &["Listening on", address]);
    }
    process
}

#[test]
fn sockets_of_the_service_manager_are_served() {
    let name = "ns1.ai.example.com";
    let scene = Scene::new();
    let daemon = scene.attach(activated(&scene, &["--datagram"], &[scene.dns.to_string()]));
    assert_eq!(daemon.resolve(name), [scene.dns.ip()], "the query that has it started is answered");
    assert_eq!(addresses(&ask_by_tcp(scene.dns, &query(name, RecordType::A))), [scene.dns.ip()]);
    // They are handed on like any other.
    take_over(&scene, daemon);

    let scene = Scene::new();
    let addresses_given = [scene.dns.to_string(), scene.admin.to_string()];
    let daemon = scene.attach(activated(&scene, &[], &addresses_given));
    assert_eq!(addresses(&ask_by_tcp(scene.dns, &query(name, RecordType::A))), [scene.dns.ip()]);
    assert_eq!(get(scene.admin, "/healthz").status, 200);
    assert_eq!(daemon.resolve(name), [scene.dns.ip()]);
}

#[test]
fn a_socket_of_the_service_manager_that_fits_nothing_is_an_error() {
    let scene = Scene::new();
    let mut other = scene.dns;
    other.set_port(5301);
    let process = activated(&scene, &[], &[other.to_string()]);
    let _knock = TcpStream::connect(other).expect("it listens");
    let (status, log) = process.await_end();
    assert_eq!(status.code(), Some(1), "{log}");
    let words = format!("sockets that fit nothing of the configuration: {other} (TCP)");
    assert!(log.contains(&words), "{log}");
}
