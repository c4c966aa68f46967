//! The ways to the admin API, and what they bear: TLS, the Unix socket, and clients who mean no good.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::{Group, User};
use rcgen::generate_simple_self_signed;
use serde_json::Value;
use support::daemon::{Daemon, run};
use support::http::{converse, get, post, request_with, sample, send_json};
use support::scene::Scene;
use support::{PATIENCE, eventually, need_root};

/// Puts keys into `[admin]`.
fn admin(scene: &Scene, keys: &str) -> String {
    let listen = format!("listen = \"{}\"", scene.admin);
    scene.ground().replace(&listen, &format!("{listen}\n{keys}"))
}

const TLS: &str = r#"tls = { certificate = "cert.pem", key = "key.pem" }"#;

/// Writes a certificate for the daemon's address, signed by itself, with its key.
fn write_certificate(scene: &Scene) {
    let made = generate_simple_self_signed([scene.admin.ip().to_string()]).expect("the name is good");
    scene.write("cert.pem", &made.cert.pem());
    scene.write("key.pem", &made.signing_key.serialize_pem());
    scene.write("ca.pem", &made.cert.pem());
}

/// The status of `path` over TLS, for who trusts the certificate in `ca`; `None`: they do not.
fn over_tls(daemon: &Daemon, ca: &Path, path: &str) -> Option<u16> {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "60", "--output", "/dev/null", "--write-out", "%{http_code}"])
        .arg("--cacert")
        .arg(ca)
        .arg(format!("https://{}{path}", daemon.admin()))
        .output()
        .expect("curl is installed");
    // 60: the certificate is not trusted.
    assert!([Some(0), Some(60)].contains(&output.status.code()), "{output:?}");
    let status = String::from_utf8_lossy(&output.stdout).parse().expect("it is a number");
    output.status.success().then_some(status)
}

#[test]
fn it_speaks_tls_and_follows_its_certificate() {
    let scene = Scene::new();
    write_certificate(&scene);
    let daemon = scene.start(&admin(&scene, TLS));
    // A handshake that never comes holds up nobody.
    let _stalled = TcpStream::connect(daemon.admin()).expect("it listens");
    let old = scene.write("old.pem", &fs::read_to_string(scene.path().join("ca.pem")).expect("it is there"));
    assert_eq!(over_tls(&daemon, &old, "/healthz"), Some(200));
    assert_eq!(over_tls(&daemon, &old, "/v1/whoami"), Some(200));

    // The commands speak it, and only to whom they trust.
    let url = format!("https://{}", daemon.admin());
    let ca = old.to_str().expect("it is text");
    assert_eq!(run(&["status", "--admin", &url, "--ca", ca]).status.code(), Some(0));
    let distrusted = run(&["status", "--admin", &url]);
    assert_eq!(distrusted.status.code(), Some(1));
    let said = String::from_utf8_lossy(&distrusted.stderr).into_owned();
    assert!(said.contains("certificate"), "{said}");

    // Half of a new pair is none: the old one stays.
    let key = fs::read_to_string(scene.path().join("key.pem")).expect("it is there");
    write_certificate(&scene);
    let new_key = fs::read_to_string(scene.path().join("key.pem")).expect("it is there");
    let new = scene.path().join("ca.pem");
    scene.write("key.pem", &key);
    assert_eq!(post_over_tls(&daemon, &old), 200);
    daemon.await_line(0, &["ERROR", "the admin API shows its old certificate on", "key.pem"]);
    assert_eq!(over_tls(&daemon, &old, "/healthz"), Some(200));
    // The whole of it is shown without a word to the daemon.
    scene.write("key.pem", &new_key);
    eventually("the new certificate", || over_tls(&daemon, &new, "/healthz"));
    assert_eq!(over_tls(&daemon, &old, "/healthz"), None);
    assert_eq!(daemon.lines(&["the admin API shows a new certificate"]).len(), 1);
}

fn post_over_tls(daemon: &Daemon, ca: &Path) -> u16 {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "60", "--write-out", "%{http_code}", "-X", "POST", "--cacert"])
        .arg(ca)
        .arg(format!("https://{}/v1/reload", daemon.admin()))
        .output()
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text[text.len() - 3..].parse().expect("it ends with the status")
}

#[test]
fn a_certificate_that_is_none_does_not_start() {
    let scene = Scene::new();
    let text = admin(&scene, TLS);
    write_certificate(&scene);
    scene.write("key.pem", "hello\n");
    let (status, log) = scene.launch(&text).into_process().await_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("key.pem: no private key can be read from it"), "{log}");
    let file = scene.configure(&text);
    let checked = run(&["check", "--config", file.to_str().expect("it is text")]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&checked.stderr).contains("key.pem: error: no private key"),
        "{checked:?}"
    );
}

/// What `/v1/whoami` says to a user of this host.
fn whoami(socket: &Path, user: Option<&User>) -> Option<Value> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "60", "http://localhost/v1/whoami", "--unix-socket"]).arg(socket);
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let output = command.output().expect("curl is installed");
    // 7: it cannot connect.
    assert!([Some(0), Some(7)].contains(&output.status.code()), "{output:?}");
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("it is JSON"))
}

#[test]
fn by_the_socket_the_system_says_who_asks() {
    need_root();
    let scene = Scene::new();
    fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let nobody = User::from_name("nobody").expect("there are users").expect("there is nobody");
    let group = Group::from_gid(nobody.gid).expect("there are groups").expect("it has one");
    let keys = format!(
        "socket = {{ path = \"admin.sock\", mode = \"0660\", group = \"{}\", role = \"operate\" }}",
        group.name
    );
    let socket = scene.path().join("admin.sock");
    // Left behind by a daemon that was killed.
    drop(UnixListener::bind(&socket).expect("nothing is there"));
    let daemon = scene.start(&admin(&scene, &keys));

    let file = fs::symlink_metadata(&socket).expect("it is there");
    assert!(file.file_type().is_socket());
    assert_eq!((file.mode() & 0o777, file.gid()), (0o660, group.gid.as_raw()));
    let root = whoami(&socket, None).expect("root is let in");
    assert_eq!((&root["name"], &root["role"]), (&"root".into(), &"edit".into()));
    let other = whoami(&socket, Some(&nobody)).expect("its group is let in");
    assert_eq!((&other["name"], &other["role"]), (&"nobody".into(), &"operate".into()));
    let stranger = User { gid: nix::unistd::Gid::from_raw(54_321), ..nobody };
    assert_eq!(whoami(&socket, Some(&stranger)), None);

    // The commands speak it; the log says from where.
    let url = format!("unix:{}", socket.display());
    assert_eq!(run(&["status", "--admin", &url]).status.code(), Some(0));
    let mut stream = UnixStream::connect(&socket).expect("root is let in");
    let csv = [("host", "localhost"), ("content-length", "0"), ("content-type", "text/csv")];
    assert_eq!(converse(&mut stream, "DELETE", "/v1/latency", &csv, "").expect("it answers").status, 204);
    let record = get(daemon.admin(), "/v1/audit").json()["records"][0].clone();
    assert_eq!((&record["who"], &record["from"]), (&"root".into(), &"socket".into()));

    // Another daemon keeps out, and this one takes it along.
    let (status, log) = {
        let other = Scene::new();
        let keys = keys.replace("admin.sock", &socket.display().to_string());
        other.launch(&admin(&other, &keys)).into_process().await_end()
    };
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("admin.sock: another process listens there"), "{log}");
    let process = daemon.into_process();
    process.signal(Signal::SIGTERM);
    assert_eq!(process.await_end().0.code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn what_is_no_socket_is_not_replaced() {
    let scene = Scene::new();
    let file = scene.write("admin.sock", "precious");
    let (status, log) =
        scene.launch(&admin(&scene, "socket = { path = \"admin.sock\" }")).into_process().await_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("admin.sock: there is something else, which is no socket"), "{log}");
    assert_eq!(fs::read_to_string(file).expect("it is there"), "precious");
}

#[test]
fn pages_of_others_neither_change_nor_read() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let here = daemon.admin().to_string();
    let own = format!("http://{here}");
    for (method, path, host, origin, status) in [
        ("POST", "/v1/reload", &here[..], Some("http://evil.example"), 403),
        ("POST", "/v1/reload", &here, Some("null"), 403),
        ("POST", "/v1/reload", &here, Some(&own[..]), 200),
        ("DELETE", "/v1/latency", &here, Some("http://evil.example"), 403),
        ("GET", "/v1/whoami", &here, Some("http://evil.example"), 200),
        ("GET", "/v1/whoami", "evil.example:8053", None, 403),
        ("POST", "/v1/reload", "evil.example", Some("http://evil.example"), 403),
        ("GET", "/v1/whoami", "localhost:8053", None, 200),
        ("GET", "/healthz", "evil.example", None, 200),
    ] {
        let mut headers = vec![("host", host), ("content-length", "0")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let stream = TcpStream::connect(daemon.admin()).expect("it listens");
        let answer = converse(stream, method, path, &headers, "").expect("it answers");
        assert_eq!(answer.status, status, "{method} {path} {host} {origin:?}: {answer:?}");
        let opens = answer.headers.iter().any(|(name, _)| name.starts_with("access-control-"));
        assert!(!opens, "{answer:?}");
    }
    assert_eq!(sample(daemon.admin(), r#"rhumb_admin_refused_total{reason="origin"}"#), 5.0);
}

#[test]
fn requests_have_their_limits() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let admin = daemon.admin();
    // Too long, announced or not.
    let long = " ".repeat(1024 * 1024 + 1);
    let refused = send_json(admin, "PATCH", "/v1/pools/first", &long);
    assert_eq!((refused.status, refused.header("content-type")), (413, "application/problem+json"));
    let chunked = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let headers = [("transfer-encoding", "chunked")];
    let refused = request_with(admin, "PATCH", "/v1/pools/first", &headers, &chunked).expect("it answers");
    assert_eq!(refused.status, 413);
    assert_eq!(send_json(admin, "PATCH", "/v1/pools/first", &long[1..]).status, 400);

    // Who never comes to the point is let go, before and between requests.
    let head = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    let whole = format!("{head}\r\n");
    let streams = ["", head, &whole].map(|said| {
        let mut stream = TcpStream::connect(admin).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        stream.write_all(said.as_bytes()).expect("it is connected");
        (said, stream)
    });
    for (said, mut stream) in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{said:?}: {error}"));
        assert_eq!(answer.contains("200 OK"), said == whole, "{said:?}: {answer:?}");
    }
}

#[test]
fn a_crowd_is_told_and_life_is_still_shown() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let admin = daemon.admin();
    let crowd: Vec<TcpStream> = (0..256).map(|_| TcpStream::connect(admin).expect("it listens")).collect();
    let refused = eventually("a refusal", || {
        let answer = request_with(admin, "GET", "/v1/whoami", &[], "").expect("it answers");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((refused.status, refused.header("content-type")), (503, "application/problem+json"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!((get(admin, "/healthz").status, get(admin, "/readyz").status), (200, 200));
    drop(crowd);
    eventually("room", || (get(admin, "/v1/whoami").status == 200).then_some(()));
    assert_eq!(post(admin, "/v1/reload").status, 200);
    assert!(sample(admin, r#"rhumb_admin_refused_total{reason="busy"}"#) >= 1.0);
}
