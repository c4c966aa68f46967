//! Who may use the admin API: tokens, what they are for, and what is written down of it.

mod support;

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::daemon::{Daemon, rhumb, run};
use support::http::{Response, request_with, sample};
use support::scene::{ONCE, Scene};
use support::site::Site;

/// Whoever has one, what they may, and the line of the file for them.
struct Token {
    token: String,
    line: String,
}

/// A token of `rhumb token new`.
fn token(name: &str, role: &str, pools: Option<&str>) -> Token {
    let mut arguments = vec!["token", "new", "--name", name, "--role", role, "--output", "json"];
    arguments.extend(pools.iter().flat_map(|pools| ["--pools", pools]));
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let text = |member: &str| made[member].as_str().expect("it is text").to_owned();
    Token { token: text("token"), line: text("line") }
}

fn write(scene: &Scene, tokens: &[&Token]) {
    let lines: String = tokens.iter().map(|token| format!("{}\n", token.line)).collect();
    scene.write("tokens", &format!("# who may\n\n{lines}"));
}

/// Two sites, and `tokens` in the file.
fn guarded(scene: &Scene, sites: [&Site; 2], tokens: &[&Token]) -> Daemon {
    write(scene, tokens);
    scene.start(&with_file(scene, &scene.two_sites(sites, [ONCE, ONCE])))
}

fn with_file(scene: &Scene, text: &str) -> String {
    let admin = format!("listen = \"{}\"", scene.admin);
    text.replace(&admin, &format!("{admin}\ntoken_file = \"tokens\""))
}

/// A request with a token and JSON.
fn ask(daemon: &Daemon, token: &str, method: &str, path: &str, body: &str) -> Response {
    let (bearer, length) = (format!("Bearer {token}"), body.len().to_string());
    let headers = [("authorization", &bearer[..]), ("content-length", &length)];
    request_with(daemon.admin(), method, path, &headers, body).expect("it answers")
}

fn get(daemon: &Daemon, token: &Token, path: &str) -> Response {
    ask(daemon, &token.token, "GET", path, "")
}

fn assert_problem(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), "application/problem+json", "{response:?}");
    assert_eq!(response.json()["status"], status);
}

#[test]
fn each_token_is_good_for_what_its_line_says() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let view = token("view", "read", None);
    let all = token("all", "operate", None);
    let some = token("some", "operate", Some("f*,third"));
    let part = token("part", "edit", Some("first"));
    let root = token("root", "edit", None);
    let daemon = guarded(&scene, [&first, &second], &[&view, &all, &some, &part, &root]);

    let order = r#"{"state":"drain","reason":"why"}"#;
    let edit = r#"{"ip":"192.0.2.1"}"#;
    let away = r#"{"outcome":"pass"}"#;
    // Who is let through, in the order of the file. What they bring may still be refused.
    for (method, path, body, let_through) in [
        ("GET", "/v1/status", "", [true; 5]),
        ("GET", "/v1/pools/second", "", [true; 5]),
        ("GET", "/v1/latency", "", [true; 5]),
        ("GET", "/v1/audit", "", [true; 5]),
        ("GET", "/metrics", "", [true; 5]),
        ("PATCH", "/v1/pools/first", order, [false, true, true, true, true]),
        ("PATCH", "/v1/pools/first/addresses/a", order, [false, true, true, true, true]),
        ("PATCH", "/v1/pools/fir%73t/addresses/a", order, [false, true, true, true, true]),
        ("PATCH", "/v1/pools/second/addresses/b", order, [false, true, false, false, true]),
        ("PATCH", "/v1/pools/first/addresses/a", edit, [false, false, false, true, true]),
        ("PATCH", "/v1/pools/first/addresses/a", "[]", [false, false, false, true, true]),
        ("POST", "/v1/pools/first/report", away, [false, true, true, true, true]),
        ("POST", "/v1/pools/second/report", away, [false, true, false, false, true]),
        ("POST", "/v1/pools/first/release", "", [false, true, true, true, true]),
        ("PUT", "/v1/latency", "x", [false, true, false, false, true]),
        ("DELETE", "/v1/latency", "", [false, true, false, false, true]),
        ("PUT", "/v1/pools/first", "{}", [false, false, false, true, true]),
        ("DELETE", "/v1/pools/second", "", [false, false, false, false, true]),
        ("POST", "/v1/of-a-later-version", "", [false, false, false, false, true]),
        ("POST", "/v1/reload", "", [false, false, false, false, true]),
    ] {
        for (holder, is_let_through) in [&view, &all, &some, &part, &root].into_iter().zip(let_through) {
            let response = ask(&daemon, &holder.token, method, path, body);
            let what = format!("{method} {path} {body} by {}: {response:?}", holder.line);
            assert_eq!(response.status != 403, is_let_through, "{what}");
            assert!(![401, 429].contains(&response.status), "{what}");
        }
    }
    let refused = ask(&daemon, &view.token, "PATCH", "/v1/pools/first", order);
    assert_problem(&refused, 403);
    assert_eq!(refused.json()["detail"], "it takes the role `operate`; `view` has `read`");
    let refused = ask(&daemon, &some.token, "PATCH", "/v1/pools/second", order);
    assert_eq!(refused.json()["detail"], "it takes a token for pool `second`; `some` may change `f*,third`");

    let who = |holder: &Token| get(&daemon, holder, "/v1/whoami").json();
    assert_eq!(who(&root), json!({ "name": "root", "role": "edit", "pools": null }));
    assert_eq!(who(&some), json!({ "name": "some", "role": "operate", "pools": ["f*", "third"] }));
    // Whoever keeps it running needs no secret for that.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(support::http::get(daemon.admin(), path).status, 200);
    }
}

#[test]
fn an_edit_is_taken_back_by_those_who_may_make_it() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let view = token("view", "read", None);
    let all = token("all", "operate", None);
    let some = token("some", "operate", Some("first"));
    let part = token("part", "edit", Some("first"));
    let root = token("root", "edit", None);
    let daemon = guarded(&scene, [&first, &second], &[&view, &all, &some, &part, &root]);

    let drain = r#"{"state":"drain"}"#;
    // The first that may takes it back; those before may not.
    for (method, path, body, refused, may) in [
        ("PATCH", "/v1/pools/first/addresses/a", drain, vec![&view], &some),
        ("PATCH", "/v1/pools/second", drain, vec![&view, &some, &part], &all),
        ("PATCH", "/v1/pools/first/addresses/a", r#"{"port":81}"#, vec![&view, &all, &some], &part),
        ("PUT", "/v1/health_checks/new", r#"{"type":"tcp"}"#, vec![&view, &all, &some, &part], &root),
    ] {
        let made = ask(&daemon, &root.token, method, path, body);
        assert!(matches!(made.status, 200 | 201), "{path}: {made:?}");
        let edits = get(&daemon, &view, "/v1/edits").json();
        let edit = format!("/v1/edits/{}", edits["edits"][0]["id"]);
        for holder in refused {
            assert_problem(&ask(&daemon, &holder.token, "DELETE", &edit, ""), 403);
        }
        let gone = ask(&daemon, &may.token, "DELETE", &edit, "");
        assert_eq!(gone.status, 204, "{path} by {}: {gone:?}", may.line);
        assert_eq!(get(&daemon, &view, "/v1/edits").json()["edits"], json!([]));
    }

    // All refusals count, whoever made them, and so many are logged as somebody may read.
    let has_refused = |count: u32| {
        let line = format!("rhumb_admin_refused_total{{reason=\"role\"}} {count}");
        let metrics = get(&daemon, &root, "/metrics").body;
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    };
    has_refused(11);
    assert_eq!(daemon.lines(&["admin request refused"]).len(), 11);
    for _ in 0..40 {
        assert_problem(&ask(&daemon, &view.token, "POST", "/v1/reload", ""), 403);
    }
    has_refused(51);
    assert!(daemon.lines(&["admin request refused", "who=view"]).len() < 30);
}

#[test]
fn without_a_good_token_nothing_is_told() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let root = token("root", "edit", None);
    let daemon = guarded(&scene, [&first, &second], &[&root]);
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/v1/status"),
        ("GET", "/v1/whoami"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1"),
        ("GET", "/nothing"),
        ("POST", "/v1/reload"),
        ("POST", "/v1/status"),
        ("PATCH", "/v1/pools/first"),
    ] {
        let refused = request_with(daemon.admin(), method, path, &[("content-length", "0")], "");
        let refused = refused.expect("it answers");
        assert_problem(&refused, 401);
        assert_eq!(refused.header("www-authenticate"), "Bearer", "{method} {path}");
    }
    let hash = root.line.split(' ').nth(2).expect("a line has a hash");
    let wrong = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer wrong".to_owned(),
        root.token.clone(),
        format!("Basic {}", root.token),
        format!("Bearer {}x", root.token),
        format!("Bearer {hash}"),
    ];
    for authorization in &wrong {
        let headers = [("authorization", &authorization[..])];
        let refused = request_with(daemon.admin(), "GET", "/v1/whoami", &headers, "").expect("it answers");
        assert_problem(&refused, 401);
    }
    for scheme in ["Bearer", "bearer"] {
        let headers = [("authorization", &format!("{scheme} {}", root.token)[..])];
        let answer = request_with(daemon.admin(), "GET", "/v1/whoami", &headers, "").expect("it answers");
        assert_eq!(answer.status, 200);
    }
    // The commands carry it.
    let url = format!("http://{}", daemon.admin());
    let file = scene.write("secret", &format!("{}\n", root.token));
    let status = ["status", "--admin", &url];
    assert_eq!(run(&status).status.code(), Some(1));
    let with_token = ["--token-file", file.to_str().expect("it is text")];
    assert_eq!(run(&[&status[..], &with_token].concat()).status.code(), Some(0));
}

#[test]
fn a_flood_of_wrong_tokens_locks_out_none_that_is_right() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let root = token("root", "edit", None);
    let daemon = guarded(&scene, [&first, &second], &[&root]);
    let guess = || ask(&daemon, "swordfish-swordfish", "GET", "/v1/whoami", "");
    for _ in 0..10 {
        assert_problem(&guess(), 401);
    }
    let turned_away = guess();
    assert_problem(&turned_away, 429);
    let wait: u64 = turned_away.header("retry-after").parse().expect("it says when");
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(get(&daemon, &root, "/v1/whoami").status, 200);
    assert_problem(&guess(), 429);
    // Who shows none has not guessed.
    assert_problem(&support::http::get(daemon.admin(), "/v1/whoami"), 401);

    let metrics = get(&daemon, &root, "/metrics").body;
    for (reason, count) in [("wrong_token", 10), ("throttled", 2), ("no_token", 1)] {
        let line = format!("rhumb_admin_refused_total{{reason=\"{reason}\"}} {count}");
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert_eq!(daemon.lines(&["a wrong token"]).len(), 10);
    assert!(daemon.lines(&["swordfish"]).is_empty() && daemon.lines(&[&root.token]).is_empty());
}

#[test]
fn tokens_are_read_again_and_a_bad_file_changes_nothing() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let (old, new) = (token("old", "edit", None), token("new", "edit", None));
    let daemon = guarded(&scene, [&first, &second], &[&old]);
    let is_good = |holder: &Token| get(&daemon, holder, "/v1/whoami").status == 200;
    assert!(is_good(&old) && !is_good(&new));

    scene.write("tokens", &format!("{}\nswordfish\nme edit swordfish\n", new.line));
    let refused = ask(&daemon, &old.token, "POST", "/v1/reload", "");
    assert_problem(&refused, 422);
    let detail = refused.json()["detail"].as_str().expect("it says why").to_owned();
    for place in ["tokens:2:1: error: ", "tokens:3:9: error: "] {
        assert!(detail.contains(place), "{detail}");
    }
    assert!(!detail.contains("swordfish") && daemon.lines(&["swordfish"]).is_empty(), "{detail}");
    assert!(is_good(&old) && !is_good(&new));

    write(&scene, &[&new]);
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration reloaded"]);
    assert!(is_good(&new) && !is_good(&old));

    // Whatever else is wrong: who was let in no longer is no longer let in.
    write(&scene, &[&old]);
    scene.configure("mistaken");
    let refused = ask(&daemon, &new.token, "POST", "/v1/reload", "");
    assert_problem(&refused, 422);
    assert!(is_good(&old) && !is_good(&new));
}

#[test]
fn a_token_file_with_mistakes_does_not_start() {
    let scene = Scene::new();
    let text = with_file(&scene, &scene.ground());
    let cases = [
        ("swordfish\nme edit swordfish\n", &["tokens:1:1: error: ", "tokens:2:9: error: "][..]),
        ("# nobody\n", &["tokens:1:1: error: there is no token in it"]),
    ];
    for (tokens, told) in cases {
        scene.write("tokens", tokens);
        let file = scene.configure(&text);
        let checked = run(&["check", "--config", file.to_str().expect("it is text")]);
        let (status, log) = scene.launch(&text).into_process().await_end();
        assert_eq!((checked.status.code(), status.code()), (Some(1), Some(1)), "{log}");
        for output in [log, String::from_utf8_lossy(&checked.stderr).into_owned()] {
            assert!(told.iter().all(|told| output.contains(told)), "{output}");
            assert!(!output.contains("swordfish"), "{output}");
        }
    }
    fs::remove_file(scene.path().join("tokens")).expect("it is there");
    let (status, log) = scene.launch(&text).into_process().await_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("tokens: No such file or directory"), "{log}");
}

#[test]
fn tokens_are_made_and_hashed() {
    let (one, other) = (token("a", "read", None), token("b", "edit", Some("vn-*,hk-?")));
    assert_ne!(one.token, other.token);
    assert!(one.token.len() >= 43, "256 bits take as much: {}", one.token);
    assert!(other.line.starts_with("b edit sha256:") && other.line.ends_with(" vn-*,hk-?"), "{}", other.line);

    let hash = |token: &str| {
        use std::io::Write;
        use std::process::Stdio;
        let mut command = rhumb();
        command.args(["token", "hash"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it was built");
        let written = write!(child.stdin.take().expect("it is piped"), "{token}");
        written.expect("it reads it");
        child.wait_with_output().expect("it ends")
    };
    let hashed = hash(&format!("{}\n", one.token));
    let hashed = String::from_utf8(hashed.stdout).expect("it is text");
    assert_eq!(one.line, format!("a read {}", hashed.trim_end()));
    for weak in ["", "hunter2", "correct horse battery staple"] {
        let refused = hash(weak);
        assert_eq!(refused.status.code(), Some(1), "{weak}");
        assert!(weak.is_empty() || !String::from_utf8_lossy(&refused.stderr).contains(weak));
    }
    for wrong in [["--name", "a b", "--role", "read"], ["--name", "a", "--role", "admin"]] {
        assert_ne!(run(&[&["token", "new"][..], &wrong].concat()).status.code(), Some(0), "{wrong:?}");
    }
}

#[test]
fn every_change_is_written_down() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let (view, root) = (token("view", "read", None), token("root", "edit", None));
    let daemon = guarded(&scene, [&first, &second], &[&view, &root]);
    let by = |holder: &Token, method: &str, path: &str, body: &str| {
        ask(&daemon, &holder.token, method, path, body).status
    };
    let drain = r#"{"state":"drain","reason":"new kernel"}"#;
    assert_eq!(by(&root, "PATCH", "/v1/pools/first/addresses/a", drain), 200);
    // None of these has changed anything.
    assert_eq!(by(&root, "PATCH", "/v1/pools/first/addresses/a", drain), 200);
    assert_eq!(by(&view, "PATCH", "/v1/pools/first/addresses/a", drain), 403);
    assert_eq!(by(&root, "PATCH", "/v1/pools/first/addresses/z", drain), 404);
    assert_eq!(by(&root, "POST", "/v1/pools/first/release", ""), 409);
    assert_eq!(by(&root, "PATCH", "/v1/pools/second", r#"{"state":"down"}"#), 200);
    assert_eq!(by(&root, "POST", "/v1/pools/second/addresses/b/report", r#"{"outcome":"fail"}"#), 200);
    assert_eq!(by(&root, "DELETE", "/v1/latency", ""), 204);
    assert_eq!(by(&root, "POST", "/v1/reload", ""), 200);
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration reloaded"]);

    let read = |daemon: &Daemon, query: &str| -> Vec<Value> {
        let answer = get(daemon, &view, &format!("/v1/audit{query}")).json();
        answer["records"].as_array().expect("a list").clone()
    };
    let records = support::eventually("the record of the signal", || {
        let records = read(&daemon, "");
        (records.len() == 6).then_some(records)
    });
    let ip = "127.0.0.1".to_owned();
    let nothing = records[0]["after"].clone();
    assert_eq!([&nothing["databases"], &nothing["retired"]], [&json!(false), &json!([])], "its report");
    let expected = [
        (6, "signal", "signal", "reload", "configuration", Value::Null, nothing.clone()),
        (5, "root", &ip, "reload", "configuration", Value::Null, nothing),
        (4, "root", &ip, "latency", "latency", json!({"octets":0}), json!({"octets":0,"measurements":0})),
        (3, "root", &ip, "report", "pools/second/addresses/b", json!({"away":false}), json!({"away":true})),
        (
            2,
            "root",
            &ip,
            "order",
            "pools/second",
            json!({"state":"auto","reason":null}),
            json!({"state":"down","reason":null}),
        ),
        (
            1,
            "root",
            &ip,
            "order",
            "pools/first/addresses/a",
            json!({"state":"auto","reason":null}),
            json!({"state":"drain","reason":"new kernel"}),
        ),
    ];
    for (record, (seq, who, from, action, object, before, after)) in records.iter().zip(expected) {
        let reason = if seq == 1 { "new kernel".into() } else { Value::Null };
        let at = record["at"].clone();
        assert_eq!(
            *record,
            json!({
                "seq": seq, "at": at, "who": who, "from": from, "action": action, "object": object,
                "before": before, "after": after, "reason": reason,
            })
        );
        assert!(at.as_str().is_some_and(|at| at.len() == 24 && at.ends_with('Z')), "{at}");
    }
    assert_eq!(read(&daemon, "?limit=2&before=4"), records[3..5]);
    for (query, field) in [("limit=0", "limit"), ("limit=1001", "limit"), ("colour=red", "query")] {
        let refused = get(&daemon, &view, &format!("/v1/audit?{query}"));
        assert_problem(&refused, 400);
        assert_eq!(refused.json()["field"], field);
    }

    // As lines of JSON, for whatever collects logs, and over a crash.
    let file = scene.path().join("state/audit.log");
    let text = fs::read_to_string(&file).expect("it is there");
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    lines.reverse();
    assert_eq!(lines, records);
    let process = daemon.into_process();
    process.signal(Signal::SIGKILL);
    process.await_end();
    let daemon = guarded(&scene, [&first, &second], &[&view, &root]);
    assert_eq!(ask(&daemon, &root.token, "POST", "/v1/reload", "").status, 200);
    let later = read(&daemon, "");
    assert_eq!((later.len(), &later[0]["seq"]), (7, &7.into()));
    assert_eq!(later[1..], records);
}

#[test]
fn who_goes_away_is_written_down_all_the_same() {
    use std::io::Write;
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let root = token("root", "edit", None);
    let daemon = guarded(&scene, [&first, &second], &[&root]);
    let order = |reason: &str| format!(r#"{{"state":"drain","reason":"{reason}"}}"#);
    for change in 0..50 {
        let body = order(&format!("change-{change}"));
        let mut stream = std::net::TcpStream::connect(daemon.admin()).expect("it listens");
        let (token, length) = (&root.token, body.len());
        write!(
            stream,
            "PATCH /v1/pools/first HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n\r\n{body}",
        )
        .expect("it is connected");
    }
    assert_eq!(ask(&daemon, &root.token, "PATCH", "/v1/pools/second", &order("the-last")).status, 200);
    // Not each may have been read before it was gone; what the log tells of is written down.
    support::eventually("a record of each that was carried out", || {
        let told = daemon.lines(&["ordered by the operator", "pools/first", "change-"]);
        let records = get(&daemon, &root, "/v1/audit").json()["records"].clone();
        let is_written_down = |line: &String| {
            let records = records.as_array().expect("a list").iter();
            records
                .filter_map(|record| record["reason"].as_str())
                .any(|reason| line.ends_with(&format!("{reason}\"")))
        };
        (!told.is_empty() && told.iter().all(is_written_down)).then_some(())
    });
}

#[test]
fn tokens_in_the_clear_on_a_network_are_warned_of() {
    let scene = Scene::new();
    let root = token("root", "edit", None);
    write(&scene, &[&root]);
    let port = support::free_port(scene.admin.ip());
    let text =
        with_file(&scene, &scene.ground()).replace(&scene.admin.to_string(), &format!("0.0.0.0:{port}"));
    let daemon = scene.start(&text);
    daemon.await_line(0, &["WARN", "the admin API has no `tls`"]);
    let here = std::net::SocketAddr::new(scene.admin.ip(), port);
    assert_eq!(sample(here, "nothing"), 0.0);
}
