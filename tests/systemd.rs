//! The units of deploy/systemd, as systemd's own tools judge them and as the daemon lives with them.

mod support;

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use support::daemon::serve;
use support::dns::{addresses, ask_by_tcp, query};
use support::http::{get, send_json};
use support::process::Process;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;
use tempfile::TempDir;

/// What `systemd-analyze security` may find at most, in tenths: 0 is a service that can do nothing, 96 one
/// without any of it. What is left is that it is on the network, at port 53.
const EXPOSURE: u8 = 15;

/// With these drop-ins it is another: no capability for a port that systemd binds; a group of its own and files that it may give
/// to that.
const OTHER_EXPOSURES: [(&str, u8); 2] = [("socket-activation.conf", 14), ("socket-group.conf", 17)];

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(path)
}

fn text(path: &str) -> String {
    let path = deploy(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A root directory that has the units, and what `drop_ins` says besides.
fn root_with(drop_ins: &[&str]) -> TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let units = root.path().join("usr/lib/systemd/system");
    let beside = units.join("rhumb.service.d");
    fs::create_dir_all(&beside).expect("it is ours");
    fs::write(units.join("rhumb.service"), text("rhumb.service")).expect("it is ours");
    fs::write(units.join("rhumb.socket"), text("socket-activation/rhumb.socket")).expect("it is ours");
    for name in drop_ins {
        fs::write(beside.join(name), text(&format!("drop-ins/{name}"))).expect("it is ours");
    }
    root
}

#[test]
fn the_service_can_do_little_else_than_its_work() {
    let drop_ins = fs::read_dir(deploy("drop-ins")).expect("it is there");
    let names = drop_ins.map(|entry| entry.expect("it is there").file_name().into_string().expect("UTF-8"));
    let each: Vec<String> = names.collect();
    for drop_ins in each.iter().map(|name| vec![&name[..]]).chain([Vec::new()]) {
        let root = root_with(&drop_ins);
        let other = OTHER_EXPOSURES.iter().find(|(name, _)| drop_ins.contains(name));
        let at_most = other.map_or(EXPOSURE, |(_, exposure)| *exposure).to_string();
        let judged = Command::new("systemd-analyze")
            .arg("--root")
            .arg(root.path())
            .args(["--no-pager", "security", "--offline=yes", "--threshold", &at_most, "rhumb.service"])
            .output()
            .expect("tests/run installs systemd");
        let said = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success(), "{drop_ins:?}\n{said}{}", String::from_utf8_lossy(&judged.stderr));
        assert!(said.contains("Overall exposure level for rhumb.service"), "{said}");
    }
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let root = root_with(&[]);
    let units = root.path().join("usr/lib/systemd/system");
    let drop_ins: Vec<_> = fs::read_dir(deploy("drop-ins")).expect("it is there").collect();
    assert!(drop_ins.len() > 3, "{drop_ins:?}");
    for entry in drop_ins {
        let entry = entry.expect("it is there");
        fs::copy(entry.path(), units.join("rhumb.service.d").join(entry.file_name())).expect("it is ours");
    }
    // Not in its place yet.
    let service = text("rhumb.service").replace("/usr/bin/rhumb", env!("CARGO_BIN_EXE_rhumb"));
    fs::write(units.join("rhumb.service"), service).expect("it is ours");
    let judged = Command::new("systemd-analyze")
        .args(["--no-pager", "verify", "--man=no", "--recursive-errors=no"])
        .args(["rhumb.service", "rhumb.socket"].map(|unit| units.join(unit)))
        .output()
        .expect("tests/run installs systemd");
    // This machine's own units may be told of as well.
    let said = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success() && !said.contains("rhumb"), "{said}");
}

/// A target of each kind of check, most of which fail: what they ask of the system is the same.
fn every_check(scene: &Scene, nobody: IpAddr) -> String {
    let script = scene.write("check", "#!/bin/sh\nset -e\nls / | head -n 1 >/dev/null\necho well\n");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let script = format!(r#"command = ["{}"]"#, script.display());
    [
        ("https", "verify = false"),
        ("tcp", ""),
        ("tls", "verify = false"),
        ("udp", "send = 'ping'\nexpect = 'pong'"),
        ("icmp", ""),
        ("grpc", ""),
        ("dns", "name = \"www.example.com\""),
        ("script", &script),
    ]
    .iter()
    .map(|(kind, more)| {
        let port = if ["icmp", "script"].contains(kind) { "" } else { ", port = 9" };
        format!(
            "[health_check.{kind}]\ntype = \"{kind}\"\n{more}\ninterval = \"200ms\"\ntimeout = \"200ms\"\n\
             [pool.{kind}]\nhealth_check = \"{kind}\"\naddress = [{{ name = \"a\", ip = \"{nobody}\"{port} }}]\n"
        )
    })
    .collect()
}

#[test]
fn the_daemon_makes_no_call_outside_its_filter() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let nobody = support::own_address().into();
    let socket = scene.path().join("admin.sock");
    let text = scene
        .two_sites([&first, &second], [QUICK, QUICK])
        .replace("workers = 1\nwatch = false", "watch = true")
        .replace("[[zone]]", &format!("socket = {{ path = \"{}\" }}\n\n[[zone]]", socket.display()));
    let queries = scene.path().join("queries.json");
    let told = format!("http://{}:8080", second.ip());
    let text = format!(
        "{text}{}\n[query_log]\nfile = {queries:?}\n[traces]\notlp = \"{told}\"\n\
         [notification.hook]\ntype = \"webhook\"\nurl = \"{told}/hook\"\n[pool.named]\nhealth_check = \"tcp\"\n[[pool.named.address]]\nname = \"a\"\n\
         resolve = \"localhost\"\nport = 9\n",
        every_check(&scene, nobody)
    );
    let daemon = serve(&scene.configure(&text));
    let mut command = Command::new("/usr/bin/python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/filtered.py"));
    command.arg(deploy("rhumb.service")).arg(daemon.get_program()).args(daemon.get_args());
    let daemon = scene.attach(Process::start(command));
    daemon.await_line(0, &["ready"]);

    // A script runs under the filter as well.
    daemon.await_line(0, &["up: ", "pool=script"]);
    daemon.await_answer(DOMAIN, first.ip());
    assert_eq!(addresses(&ask_by_tcp(daemon.dns(), &query(DOMAIN, RecordType::A))), [first.ip()]);
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    let order = send_json(daemon.admin(), "PATCH", "/v1/pools/second", r#"{"state": "drain"}"#);
    assert_eq!(order.status, 200, "{order:?}");
    for path in ["/metrics", "/v1/pools", "/v1/audit", "/openapi.json"] {
        assert_eq!(get(daemon.admin(), path).status, 200, "{path}");
    }
    // Whether it arrives takes no other calls.
    let tried = send_json(daemon.admin(), "POST", "/v1/notifications/hook/test", "{}");
    assert_eq!(tried.status, 200, "{tried:?}");
    let by_socket = support::daemon::run(&["status", "--admin", &format!("unix:{}", socket.display())]);
    assert!(by_socket.status.success(), "{}", String::from_utf8_lossy(&by_socket.stderr));
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration reloaded"]);
    let from = daemon.said();
    scene.configure(&text.replace("policy = \"priority\"", "policy = \"round-robin\""));
    daemon.await_line(from, &["configuration reloaded", "trigger=\"file\""]);
    daemon.signal(Signal::SIGTERM);
    let (status, log) = daemon.into_process().await_end();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{log}");
    let logged = fs::read_to_string(queries).expect("it is the daemon's, and so ours");
    assert!(logged.contains(DOMAIN), "{logged}");
}

#[test]
fn a_call_outside_the_filter_is_noticed() {
    let renice = Command::new("/usr/bin/python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/filtered.py"))
        .arg(deploy("rhumb.service"))
        .args(["/usr/bin/nice", "-n", "5", "true"])
        .status()
        .expect("it is Debian's");
    assert_eq!(renice.signal(), Some(Signal::SIGSYS as i32));
}
