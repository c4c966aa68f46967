//! The verbs of the command line: what each asks of the admin API, and what it makes of the answer.

mod support;

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use support::daemon::{rhumb, run};
use support::fake::Fake;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

fn printed(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("it prints text")
}

fn complained(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("it prints text")
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Runs the program against `fake`.
fn asking(fake: &Fake, arguments: &[&str]) -> Output {
    run(&[arguments, &["--admin", &fake.url()]].concat())
}

fn address() -> Value {
    json!({
        "name": "alb-1", "target": "192.0.2.1", "weight": 3, "health": "up", "available": true, "share": 1.0,
        "state": "auto", "order": null, "away": null, "damped": null, "since_seconds": 60.0, "streak": 9,
        "last_failure": null, "last_probe": null, "specification": { "ip": "192.0.2.1", "weight": 3 }, "edits": [7],
    })
}

fn pool() -> Value {
    json!({
        "name": "vn", "policy": "weighted", "standing": "in-service", "reason": "it serves all its clients",
        "share": 1.0, "held_seconds": null, "available": 1, "suspicion": null, "order": null,
        "addresses": [address()], "names": [], "specification": { "policy": "weighted", "answers": 2 }, "edits": [7],
    })
}

const EDITED: &[(&str, &str)] = &[("rhumb-edit", "7")];

/// The same, of something with an entity tag.
const TAGGED: &[(&str, &str)] = &[("rhumb-edit", "7"), ("etag", "\"1\"")];

/// A daemon that has pool `vn`, address `alb-1`, domain `a.example`, health check `web`, condition `db` and
/// records `www A`, and takes every edit.
fn daemon(request: &str) -> (u16, &'static [(&'static str, &'static str)], String) {
    let (method, target) = request.split_once(' ').expect("a method and a target");
    let path = target.split('?').next().expect("a path");
    let domain = json!({ "name": "a.example", "policy": "nearest", "ttl": 5, "pools": ["vn"],
        "specification": { "pools": ["vn"] }, "edits": [] });
    let check = json!({ "name": "web", "specification": { "type": "tcp", "port": 80 }, "edits": [] });
    let condition = json!({ "name": "db", "specification": { "any": ["pool:vn"] }, "edits": [7, 8] });
    let records = json!({ "object": "zones/a.example/records/www/A",
        "specification": { "ttl": "1h", "data": ["192.0.2.1", "192.0.2.2"] }, "edits": [] });
    let apex = json!({ "object": "zones/a.example/records/@/TXT", "specification": { "data": "v=spf1 -all" },
        "edits": [] });
    match (method, path) {
        ("DELETE", _) => (204, EDITED, String::new()),
        ("POST", "/v1/transactions") => (200, &[], json!({ "moves": [] }).to_string()),
        ("GET", "/v1/pools") if target.contains("after=") => (200, &[], json!([pool()]).to_string()),
        ("GET", "/v1/pools") => {
            (200, &[("link", "</v1/pools?after=vn>; rel=\"next\"")], json!([pool()]).to_string())
        }
        ("GET", "/v1/health_checks") => (200, &[], json!([check]).to_string()),
        ("GET", "/v1/conditions") => (200, &[], json!([condition]).to_string()),
        ("GET", "/v1/zones") => (200, &[], json!([{ "name": "a.example" }]).to_string()),
        ("GET", "/v1/zones/a.example/records") => (200, &[], json!([apex, records]).to_string()),
        (_, "/v1/health_checks/web") => (200, EDITED, check.to_string()),
        (_, "/v1/conditions/db") => (200, EDITED, condition.to_string()),
        (_, "/v1/zones/a.example/records/www/A") => (200, TAGGED, records.to_string()),
        ("GET", "/v1/domains") => (200, &[], json!([domain]).to_string()),
        (_, "/v1/pools/vn") => (200, EDITED, pool().to_string()),
        (_, "/v1/pools/vn/addresses/alb-1") => (200, EDITED, address().to_string()),
        (_, "/v1/domains/a.example") => (200, EDITED, domain.to_string()),
        ("PUT", _) | ("POST", "/v1/pools/vn/addresses") => (201, EDITED, pool().to_string()),
        _ => {
            (404, &[], json!({ "title": "Not found", "status": 404, "detail": "there is none" }).to_string())
        }
    }
}

#[test]
fn each_verb_asks_for_what_it_says() {
    let fake = Fake::start(daemon);
    let object = |path: &str| format!("/v1/{path}");
    for (arguments, method, path, body) in [
        (
            &["pool", "add", "new", "policy=hash", "answers=1"][..],
            "PUT",
            "pools/new",
            json!({ "policy": "hash", "answers": 1 }),
        ),
        (
            &["pool", "set", "vn", "answers=2", "--unset", "serves", "--reason", "more of it", "--for", "2h"],
            "PATCH",
            "pools/vn?reason=more%20of%20it&expires=2h",
            json!({ "answers": 2, "serves": null }),
        ),
        (&["pool", "remove", "vn", "--reason", "gone"], "DELETE", "pools/vn?reason=gone", Value::Null),
        (
            &[
                "address",
                "add",
                "vn",
                "alb-2",
                "--ip",
                "192.0.2.2",
                "--port",
                "80",
                "--weight",
                "2",
                "rank=1",
            ],
            "POST",
            "pools/vn/addresses",
            json!({ "name": "alb-2", "ip": "192.0.2.2", "port": 80, "weight": 2, "rank": 1 }),
        ),
        (
            &["address", "weight", "vn", "alb-1", "0"],
            "PATCH",
            "pools/vn/addresses/alb-1",
            json!({ "weight": 0 }),
        ),
        (&["address", "remove", "vn", "alb-1"], "DELETE", "pools/vn/addresses/alb-1", Value::Null),
        (
            &["address", "drain", "vn", "alb-1", "--for", "30m"],
            "PATCH",
            "pools/vn/addresses/alb-1",
            json!({ "state": "drain", "reason": null, "expires": "30m" }),
        ),
        (
            &["address", "set", "vn", "alb-1", "port=81", "--unset", "rank", "--reason", "moved"],
            "PATCH",
            "pools/vn/addresses/alb-1?reason=moved",
            json!({ "port": 81, "rank": null }),
        ),
        (
            &["health-check", "add", "new", "type=tcp", "port=80", "--for", "1h"],
            "PUT",
            "health_checks/new?expires=1h",
            json!({ "type": "tcp", "port": 80 }),
        ),
        (
            &["health-check", "set", "web", "interval=1s", "--unset", "fall"],
            "PATCH",
            "health_checks/web",
            json!({ "interval": "1s", "fall": null }),
        ),
        (&["health-check", "remove", "web"], "DELETE", "health_checks/web", Value::Null),
        (
            &["condition", "add", "new", "all=[\"pool:vn\"]"],
            "PUT",
            "conditions/new",
            json!({ "all": ["pool:vn"] }),
        ),
        (
            &["condition", "set", "db", "any=[\"pool:hk\"]"],
            "PATCH",
            "conditions/db",
            json!({ "any": ["pool:hk"] }),
        ),
        (
            &["condition", "remove", "db", "--reason", "gone"],
            "DELETE",
            "conditions/db?reason=gone",
            Value::Null,
        ),
        (
            &["record", "add", "a.example", "mail", "MX", "10 a", "20 b", "--ttl", "300"],
            "PUT",
            "zones/a.example/records/mail/MX",
            json!({ "data": ["10 a", "20 b"], "ttl": 300 }),
        ),
        (
            &["record", "add", "a.example", "www", "A", "192.0.2.3", "--reason", "a third", "--for", "2h"],
            "PATCH",
            "zones/a.example/records/www/A?reason=a%20third&expires=2h",
            json!({ "data": ["192.0.2.1", "192.0.2.2", "192.0.2.3"] }),
        ),
        (
            &["record", "set", "a.example", "www", "A", "192.0.2.9", "--ttl", "5m"],
            "PUT",
            "zones/a.example/records/www/A",
            json!({ "data": ["192.0.2.9"], "ttl": "5m" }),
        ),
        (
            &["record", "remove", "a.example", "www", "A", "192.0.2.1"],
            "PATCH",
            "zones/a.example/records/www/A",
            json!({ "data": ["192.0.2.2"] }),
        ),
        (
            &["record", "remove", "a.example", "www", "A", "192.0.2.1", "192.0.2.2"],
            "DELETE",
            "zones/a.example/records/www/A",
            Value::Null,
        ),
        (
            &["record", "remove", "a.example", "@", "TXT"],
            "DELETE",
            "zones/a.example/records/%40/TXT",
            Value::Null,
        ),
        (&["domain", "set", "a.example", "ttl=5s"], "PATCH", "domains/a.example", json!({ "ttl": "5s" })),
        (
            &["domain", "add", "b.example", "pools=[\"vn\"]"],
            "PUT",
            "domains/b.example",
            json!({ "pools": ["vn"] }),
        ),
        (&["domain", "remove", "a.example"], "DELETE", "domains/a.example", Value::Null),
        (&["edits", "revert", "7"], "DELETE", "edits/7", Value::Null),
    ] {
        let output = asking(&fake, arguments);
        let asked = fake.asked();
        let request = (format!("{method} {}", object(path)), body);
        assert!(asked.contains(&request), "{arguments:?}: {request:?} among {asked:?}");
        let is_shown = code(&output) == 0 || arguments[1] == "add";
        assert!(is_shown, "{arguments:?}: {output:?}");
        let rehearsed = asking(&fake, &[arguments, &["--dry-run"]].concat());
        if arguments[0] == "edits" {
            assert_eq!(code(&rehearsed), 2, "what was tried is taken back as it was");
            continue;
        }
        assert_eq!((code(&rehearsed), complained(&rehearsed)), (0, ""), "{arguments:?}");
        assert!(printed(&rehearsed).contains("nothing was changed"), "{rehearsed:?}");
        let asked = fake.asked();
        // What becomes of records, and whether something can be added, depends on what there is.
        let asked: Vec<_> = asked.iter().filter(|(target, _)| !target.starts_with("GET ")).collect();
        let [(target, transaction)] = asked[..] else { panic!("nothing else is asked: {asked:?}") };
        assert_eq!(target, "POST /v1/transactions?dry_run=true");
        assert_eq!(transaction["edits"].as_array().map(Vec::len), Some(1), "{transaction}");
    }
    fake.preconditions();
    for (arguments, preconditions) in [
        (&["record", "add", "a.example", "www", "A", "192.0.2.3"][..], &["if-match: \"1\""][..]),
        (&["record", "remove", "a.example", "www", "A", "192.0.2.1"], &["if-match: \"1\""]),
        (&["record", "add", "a.example", "new", "A", "192.0.2.3"], &["if-none-match: *"]),
        (&["pool", "add", "new", "policy=hash"], &["if-none-match: *"]),
        (&["record", "set", "a.example", "www", "A", "192.0.2.3"], &[]),
        (&["pool", "set", "vn", "policy=hash"], &[]),
    ] {
        asking(&fake, arguments);
        assert_eq!(
            fake.preconditions(),
            preconditions,
            "what was looked at before is what is changed: {arguments:?}"
        );
    }
    let output = asking(&fake, &["address", "weight", "vn", "alb-1", "3"]);
    let expected = "pool vn: weighted, 1 of 1 available\n  alb-1  192.0.2.1  weight 3  up for 1m, 9 probes alike\n\
        edit 7: `rhumb edits revert 7` takes it back\n";
    assert_eq!(printed(&output), expected);
    let output = asking(&fake, &["pool", "remove", "vn", "--output", "json"]);
    assert_eq!(parsed(&output), json!({ "edit": 7 }));
}

#[test]
fn what_is_there_is_not_added_again() {
    let fake = Fake::start(daemon);
    for arguments in [
        &["pool", "add", "vn", "policy=hash"][..],
        &["address", "add", "vn", "alb-1", "--ip", "192.0.2.9"],
        &["domain", "add", "a.example", "pools=[\"vn\"]"],
        &["health-check", "add", "web", "type=tcp"],
        &["condition", "add", "db", "any=[]"],
    ] {
        for rehearsal in [&[] as &[&str], &["--dry-run"]] {
            let output = asking(&fake, &[arguments, rehearsal].concat());
            assert_eq!(code(&output), 1, "{output:?}");
            assert!(complained(&output).contains("is there already\nhint: `set` changes it"), "{output:?}");
            assert!(fake.asked().iter().all(|(target, _)| target.starts_with("GET ")), "nothing is changed");
        }
    }
    for (verb, data, complaint) in [
        (
            "add",
            "192.0.2.2",
            "error: records www A of zone a.example: `192.0.2.2` is there already\nhint: `set`",
        ),
        (
            "remove",
            "192.0.2.3",
            "error: records www A of zone a.example: there is no `192.0.2.3`\nhint: `rhumb",
        ),
    ] {
        let output = asking(&fake, &["record", verb, "a.example", "www", "A", data]);
        assert_eq!(code(&output), 1);
        assert!(complained(&output).starts_with(complaint), "{output:?}");
        assert!(fake.asked().iter().all(|(target, _)| target.starts_with("GET ")), "nothing is changed");
    }
}

#[test]
fn tables_come_from_files_and_standard_input() {
    let (fake, scene) = (Fake::start(daemon), Scene::new());
    let toml = scene.write("pool.toml", "policy = \"hash\"\nanswers = 1\nlocation.country = \"VN\"\n");
    let file = toml.to_str().expect("it is text");
    asking(&fake, &["pool", "set", "vn", "answers=3", "--file", file]);
    let expected = json!({ "policy": "hash", "answers": 3, "location": { "country": "VN" } });
    assert_eq!(fake.asked()[0].1, expected, "what is typed goes before what is in the file");

    let mut command = rhumb();
    command.args(["domain", "set", "a.example", "--file", "-", "--admin", &fake.url()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was built");
    child.stdin.take().expect("it is piped").write_all(br#"{"ttl": "9s"}"#).expect("it reads");
    assert!(child.wait_with_output().expect("our own child").status.success());
    assert_eq!(fake.asked()[0].1, json!({ "ttl": "9s" }));

    for (arguments, message) in [
        (&["pool", "set", "vn"][..], "error: there is nothing to change"),
        (&["pool", "set", "vn", "--file", "/nonexistent"], "error: cannot read /nonexistent: No such file"),
    ] {
        let output = asking(&fake, arguments);
        assert_eq!(code(&output), 1);
        assert!(
            complained(&output).starts_with(message) && complained(&output).contains("hint: "),
            "{output:?}"
        );
    }
    for arguments in [
        &["pool", "set", "vn", "policy"][..],
        &["pool", "set", "vn", "a=[1"],
        &["address", "weight", "vn", "a", "x"],
    ] {
        assert_eq!(code(&asking(&fake, arguments)), 2, "{arguments:?}");
    }
    assert!(fake.asked().is_empty());
}

#[test]
fn lists_are_whole_and_aligned() {
    let fake = Fake::start(daemon);
    let output = asking(&fake, &["pool", "list"]);
    let expected = "POOL  POLICY    STANDING    AVAILABLE  STATE  WHY\n\
        vn    weighted  in-service  1 of 1     auto\nvn    weighted  in-service  1 of 1     auto\n";
    assert_eq!(printed(&output), expected, "of two parts");
    assert_eq!(
        parsed(&asking(&fake, &["pool", "list", "--output", "json"])).as_array().map(Vec::len),
        Some(2)
    );
    let output = asking(&fake, &["address", "list", "vn"]);
    let expected = "POOL  ADDRESS  TARGET     WEIGHT  HEALTH  STATE  CLIENTS  NOTE\n\
        vn    alb-1    192.0.2.1  3       up      auto   given\n";
    assert_eq!(printed(&output), expected);
    let output = asking(&fake, &["domain", "list"]);
    assert_eq!(printed(&output), "DOMAIN     POLICY   TTL  POOLS\na.example  nearest  5 s  vn\n");
    let output = asking(&fake, &["pool", "show", "vn"]);
    let expected = "pool vn: weighted, 1 of 1 available\n  alb-1  192.0.2.1  weight 3  up for 1m, 9 probes alike\n\
        \npolicy = \"weighted\"\nanswers = 2\nedits: 7\n";
    assert_eq!(printed(&output), expected);

    for (arguments, expected) in [
        (
            &["health-check", "list"][..],
            "NAME  SPECIFICATION            EDITS\nweb   type = \"tcp\", port = 80\n",
        ),
        (&["condition", "list"], "NAME  SPECIFICATION      EDITS\ndb    any = [\"pool:vn\"]  7 8\n"),
        (&["condition", "show", "db"], "condition db:\nany = [\"pool:vn\"]\nedits: 7 8\n"),
        (
            &["record", "list"],
            "ZONE       NAME  TYPE  TTL  DATA\na.example  @     TXT        v=spf1 -all\n\
             a.example  www   A     1h   192.0.2.1\na.example  www   A     1h   192.0.2.2\n",
        ),
        (
            &["record", "show", "a.example", "www", "A"],
            "records www A of zone a.example:\nttl = \"1h\"\ndata = [\"192.0.2.1\", \"192.0.2.2\"]\n",
        ),
    ] {
        assert_eq!(printed(&asking(&fake, arguments)), expected, "{arguments:?}");
        let output = asking(&fake, &[arguments, &["--output", "json"]].concat());
        assert!(parsed(&output)[0].is_object() || parsed(&output)["specification"].is_object(), "{output:?}");
    }

    // Colours are for terminals, or for whoever asks for them.
    let output = asking(&fake, &["pool", "list", "--color", "always"]);
    assert!(printed(&output).contains("\u{1b}[32min-service\u{1b}[0m"), "{output:?}");
}

#[test]
fn settings_come_from_arguments_then_environment_then_files() {
    let (fake, scene) = (Fake::start(daemon), Scene::new());
    let file = scene.path().join("rhumb/client.toml");
    std::fs::create_dir(scene.path().join("rhumb")).expect("a directory");
    let with = |text: &str, environment: Option<&str>, argument: Option<&str>| {
        std::fs::write(&file, text).expect("it can be written");
        let mut command = rhumb();
        command.arg("pool").arg("list").env("XDG_CONFIG_HOME", scene.path());
        command.envs(environment.map(|admin| ("RHUMB_ADMIN", admin)));
        command.args(argument.into_iter().flat_map(|admin| ["--admin", admin]));
        command.output().expect("it was built")
    };
    let nobody = format!("http://{}", scene.admin);
    let (good, bad) = (fake.url(), &nobody[..]);
    let [good_file, bad_file] = [&good[..], bad].map(|admin| format!("admin = \"{admin}\"\n"));
    for (text, environment, argument) in [
        (&good_file, None, None),
        (&bad_file, Some(&good[..]), None),
        (&bad_file, Some(bad), Some(&good[..])),
    ] {
        let output = with(text, environment, argument);
        assert_eq!(code(&output), 0, "{output:?}");
    }
    let output = with("admin = \"http://127.0.0.1\"\ntoken = \"x\"\n", None, None);
    assert_eq!(code(&output), 1);
    let expected = format!("{}:2:1: error: `token` is not known here", file.display());
    assert!(complained(&output).starts_with(&expected), "{}", complained(&output));
}

#[test]
fn a_daemon_is_asked_for_its_events_and_followed_through_a_restart() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let daemon = scene.start(&text);
    let admin = format!("http://{}", daemon.admin());
    let mut command = rhumb();
    command.args(["events", "--follow", "--kind", "turned", "--kind", "moved", "--admin", &admin]);
    let follower = support::process::Process::start(command);
    first.kill();
    follower.await_line(0, &["turned", "first/a (", " down: connection refused"]);
    follower.await_line(0, &["moved", "first down: its address is down"]);
    let output = run(&["events", "--kind", "turned", "--output", "json", "--admin", &admin]);
    assert_eq!(code(&output), 0, "{output:?}");
    let lines: Vec<Value> = printed(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is an event"))
        .collect();
    assert!(lines.iter().all(|event| event["kind"] == "turned"), "{lines:?}");
    assert!(lines.iter().any(|event| event["pool"] == "first" && event["to"] == "down"), "{lines:?}");

    let from = follower.said();
    drop(daemon);
    follower.await_line(from, &["the stream of", "has ended; trying again"]);
    let from = follower.said();
    let _daemon = scene.start(&text);
    follower.await_line(from, &["connected to", "again"]);
    follower.await_line(from, &["lagged", "the daemon was started anew"]);

    let refused = run(&["events", "--kind", "turnd", "--admin", &admin]);
    assert_eq!(code(&refused), 1);
    assert!(complained(&refused).contains("`turnd` is no kind of event"), "{refused:?}");
}

#[test]
fn what_is_refused_says_why_and_what_to_do() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let admin = format!("http://{}", daemon.admin());
    let output = run(&["status", "--output", "json", "--admin", &admin]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(parsed(&output)["pools"].is_array());
    let output = run(&["reload", "--admin", &admin]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(printed(&output).starts_with("reloaded"), "{output:?}");
    scene.configure("broken");
    let output = run(&["reload", "--admin", &admin]);
    assert_eq!(code(&output), 1);
    assert!(
        complained(&output).contains("422") && complained(&output).contains("rhumb.toml:1:"),
        "{output:?}"
    );
    let output = run(&["domain", "show", DOMAIN, "--admin", &admin]);
    assert_eq!(code(&output), 1);
    assert!(complained(&output).contains("hint: `rhumb domain list` names those there are"), "{output:?}");
}

#[test]
fn a_running_daemon_is_edited_and_all_of_it_taken_back() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let daemon = scene.start(&text);
    let admin = format!("http://{}", daemon.admin());
    let asked = |arguments: &[&str]| {
        let output = run(&[arguments, &["--admin", &admin]].concat());
        assert_eq!((code(&output), complained(&output)), (0, ""), "{arguments:?}");
        printed(&output).to_owned()
    };
    let mut following = rhumb();
    following.args([
        "events",
        "--follow",
        "--kind",
        "edited,reverted,reloaded,refused,ordered",
        "--admin",
        &admin,
    ]);
    let follower = support::process::Process::start(following);

    let ip = second.ip().to_string();
    let printed =
        asked(&["address", "add", "first", "b", "--ip", &ip, "--port", "8080", "--reason", "more room"]);
    assert!(printed.contains(&format!("\n  b  {ip}")) && printed.contains("takes it back"), "{printed}");
    follower.await_line(0, &["edited", "pools/first/addresses/b by ", ", edits "]);
    asked(&["address", "weight", "first", "b", "0", "--for", "1h"]);
    assert!(asked(&["address", "show", "first", "b"]).contains("\nip = "), "as the configuration has it");
    asked(&["domain", "set", DOMAIN, "ttl=7s"]);
    assert!(asked(&["domain", "list"]).contains("7 s"));
    asked(&["domain", "add", "new.ai.example.com", "pools=[\"second\"]", "policy=priority"]);
    assert_eq!(daemon.resolve("new.ai.example.com"), [second.ip()]);
    asked(&[
        "pool",
        "add",
        "third",
        "--file",
        scene.write("third.toml", "address = [{ name = \"c\", ip = \"192.0.2.3\" }]").to_str().expect("text"),
    ]);
    asked(&["pool", "drain", "third", "--reason", "not yet"]);
    follower.await_line(0, &["ordered", "third drain: not yet"]);
    assert!(asked(&["pool", "list"]).contains("third"));
    let rehearsed = asked(&["pool", "remove", "third", "--dry-run"]);
    assert_eq!(rehearsed, "no answer would be another; nothing was changed\n", "no domain has it");
    let rehearsed = asked(&["pool", "drain", "first", "--dry-run"]);
    assert!(rehearsed.starts_with(&format!("{DOMAIN} A: ")), "{rehearsed}");
    assert!(rehearsed.contains("first: ") && rehearsed.contains("second: "), "{rehearsed}");
    assert!(rehearsed.ends_with("nothing was changed\n"), "{rehearsed}");
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "it was not meant");

    let status = asked(&["status"]);
    assert!(status.contains("of pools/first/addresses/b: ") && status.contains("(more room)"), "{status}");
    let edits: Value = serde_json::from_str(&asked(&["edits", "list", "--output", "json"])).expect("JSON");
    let ids: Vec<String> =
        edits["edits"].as_array().expect("a list").iter().map(|edit| edit["id"].to_string()).collect();
    assert!(asked(&["edits", "list"]).lines().count() == ids.len() + 1);
    assert!(asked(&["edits", "show", &ids[0]]).contains("pools/first/addresses/b"));
    let file = scene.path().join("rhumb.toml");
    let difference = asked(&["edits", "export", "--diff", file.to_str().expect("text")]);
    assert!(difference.lines().any(|line| line.starts_with('+') && line.contains("7s")), "{difference}");
    assert!(asked(&["edits", "export"]).contains("new.ai.example.com"));

    // The last one first: a later edit may need an earlier one.
    let ids: Vec<&str> = ids.iter().rev().map(|id| &id[..]).collect();
    asked(&[&["edits", "revert"][..], &ids].concat());
    follower.await_line(0, &["reverted", "edits "]);
    assert_eq!(asked(&["edits", "list"]), "there are no edits: everything is as in the file\n");
    assert_eq!(asked(&["edits", "export", "--diff", file.to_str().expect("text")]), "");

    scene.configure(&text.replace("\nttl = \"1s\"", "\nttl = \"2s\""));
    assert_eq!(asked(&["reload"]), format!("reloaded\n  domains changed: {DOMAIN}\n"));
    follower.await_line(0, &["reloaded", &format!("domains changed: {DOMAIN}")]);
    scene.configure("broken");
    assert_eq!(code(&run(&["reload", "--admin", &admin])), 1);
    follower.await_line(0, &["refused", "rhumb.toml:1:"]);
}

#[test]
fn top_prints_a_frame_without_a_terminal() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let admin = format!("http://{}", daemon.admin());
    let output = run(&["top", "--once", "--interval", "100ms", "--admin", &admin]);
    assert_eq!((code(&output), complained(&output)), (0, ""));
    for words in ["rhumb top  http://", "queries/s\n", DOMAIN, "in service", &first.ip().to_string()] {
        assert!(printed(&output).contains(words), "{words} in {}", printed(&output));
    }
    assert!(printed(&output).contains(['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']), "{}", printed(&output));
    let refused = run(&["top", "--admin", &admin]);
    assert_eq!(code(&refused), 1);
    assert_eq!(
        complained(&refused),
        "error: this needs a terminal\nhint: --once prints what there is to see now\n"
    );
}
