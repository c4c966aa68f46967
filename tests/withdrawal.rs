//! `rhumb drill --pool`: a running daemon is told to take a pool out, and it comes back whatever
//! becomes of the drill.

mod support;

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::daemon::{Daemon, rhumb};
use support::http::{get, send_json};
use support::process::Process;
use support::scene::{DOMAIN, ONCE, QUICK, Scene};
use support::site::Site;

/// A drill of `daemon`, which is its own resolver, with states as short as its TTL allows.
fn drill(daemon: &Daemon, pool: &str, more: &[&str]) -> Command {
    let mut command = rhumb();
    command.args(["drill", "--pool", pool, "--admin", &format!("http://{}", daemon.admin())]);
    command.args(["--server", &daemon.dns().to_string(), "--port", "8080", "--path", "/health"]);
    for (option, usual) in [("--name", DOMAIN), ("--interval", "20ms"), ("--state-duration", "1500ms")] {
        if !more.contains(&option) {
            command.args([option, usual]);
        }
    }
    command.args(more);
    command
}

fn order(daemon: &Daemon) -> Value {
    get(daemon.admin(), "/v1/pools/first").json()["order"].clone()
}

/// Waits until `drill` has taken pool first out, and makes sure that the daemon sees it so.
fn await_out(drill: &Process, daemon: &Daemon, second: &Site) {
    drill.await_line(0, &["pool first out"]);
    daemon.await_answer(DOMAIN, second.ip());
    let order = order(daemon);
    assert!(order["reason"].as_str().is_some_and(|reason| reason.starts_with("drill ")), "{order}");
    assert!(order["seconds"].as_f64().is_some_and(|left| left <= 4.5), "it is a lease: {order}");
}

#[test]
fn a_pool_is_taken_out_and_brought_back_without_a_failed_request() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let file = scene.path().join("drill.svg");
    let svg = file.to_str().expect("it is text");
    let output = drill(&daemon, "first", &["--output", "json", "--svg", svg]).output().expect("it was built");
    let complaint = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaint}"));
    assert_eq!(output.status.code(), Some(0), "{} {}", report["aborted"], report["missed"]);
    assert_eq!((&report["passed"], &report["aborted"]), (&true.into(), &Value::Null));
    assert_eq!(report["standing"], "in-service");
    assert_eq!(report["succeeded"], report["requests"]);
    assert!(report["requests"].as_u64() > Some(150), "{}", report["requests"]);

    let seconds = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key}: {}", report[key]));
    assert!(seconds("unanswered") < 0.5, "an order is in the next answer: {}", report["unanswered"]);
    // The client's copy runs out half a TTL after the order.
    assert!((0.1..1.3).contains(&seconds("unused")), "{}", report["unused"]);
    assert!(seconds("answered_again") < 0.5, "{}", report["answered_again"]);
    assert!(seconds("used_again") < 1.5, "{}", report["used_again"]);
    let states: Vec<_> = report["states"].as_array().expect("a list").iter().collect();
    let used = |state: usize, site: &Site| states[state]["used"][site.ip().to_string()].as_u64().unwrap_or(0);
    assert_eq!([used(0, &first) > 20, used(0, &second) > 0], [true, false]);
    assert!(used(1, &second) > 20 && used(2, &first) > 20, "{states:?}");

    assert_eq!(order(&daemon), Value::Null);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    let picture = std::fs::read_to_string(&file).expect("it was drawn");
    for expected in
        ["<svg ", ">steady</text>", ">out</text>", ">restored</text>", ">first a</text>", "</svg>"]
    {
        assert!(picture.contains(expected), "{expected} in {picture}");
    }
}

#[test]
fn the_pool_of_a_drill_that_was_killed_comes_back_by_itself() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let drill = Process::start(drill(&daemon, "first", &[]));
    await_out(&drill, &daemon, &second);
    let said = daemon.said();
    drill.signal(Signal::SIGKILL);
    daemon.await_line(said, &["no longer down: the order has expired", "pool=first"]);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
}

/// A drill in whose midst `happens`, and what it says in the end.
fn disturbed(second_check: &str, more: &[&str], happens: impl FnOnce(&Daemon, &mut Site)) -> (Value, String) {
    let (first, mut second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, second_check]));
    let drill = Process::start(drill(&daemon, "first", &[&["--state-duration", "2500ms"], more].concat()));
    await_out(&drill, &daemon, &second);
    happens(&daemon, &mut second);
    let (status, text) = drill.await_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("pool first restored"), "{text}");
    (order(&daemon)["state"].clone(), text)
}

/// All at once, so that the test takes a third of the time: they have nothing in common.
#[test]
fn what_goes_wrong_meanwhile_ends_a_drill() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whatever the requests meet: the daemon is the first to know.
            let (order, text) = disturbed(QUICK, &["--abort-below", "0%"], |_, second| second.kill());
            assert!(text.contains("ABORTED: pool second is down: "), "{text}");
            assert_eq!(order, Value::Null);
        });
        scope.spawn(|| {
            // The daemon looks at the other site once, and never learns that it has died.
            let (order, text) = disturbed(ONCE, &["--abort-below", "95%"], |_, second| second.kill());
            assert!(text.contains(" requests of the last 5s succeeded, fewer than 95 %"), "{text}");
            assert!(text.contains("connection refused x"), "{text}");
            assert_eq!(order, Value::Null);
        });
        scope.spawn(|| {
            let (order, text) = disturbed(QUICK, &[], |daemon, _| {
                let drain = send_json(daemon.admin(), "PATCH", "/v1/pools/first", r#"{"state": "drain"}"#);
                assert_eq!(drain.status, 200);
            });
            assert!(text.contains("ABORTED: somebody else has ordered drain"), "{text}");
            assert_eq!(order, "drain", "their order stands");
        });
    });
}

#[test]
fn a_drill_that_is_interrupted_brings_the_pool_back_and_reports() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let drill = Process::start(drill(&daemon, "first", &["--address", "a"]));
    drill.await_line(0, &["address a of pool first out"]);
    daemon.await_answer(DOMAIN, second.ip());
    drill.signal(Signal::SIGTERM);
    let (status, text) = drill.await_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("ABORTED: interrupted"), "{text}");
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
}

#[test]
fn what_cannot_be_taken_out_is_refused_before_anything_changes() {
    let (first, mut second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let refused = |pool: &str, more: &[&str], reason: &str| {
        let output = drill(&daemon, pool, more).output().expect("it was built");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(reason), "{reason:?} in {complaint}");
        assert!(output.stdout.is_empty());
    };
    refused("frist", &[], "there is no pool `frist`\nhint: the pools are first, second");
    refused("first", &["--address", "b"], "there is no address `b` in pool first\nhint: the addresses are a");
    refused("first", &["--name", "www.example.com"], "there is no domain `www.example.com");
    refused("first", &["--state-duration", "1s"], "with a TTL of 1s clients follow within 1s 500ms");
    refused("second", &[], "does not send this client to it");

    let order = |state: &str| {
        let order = format!(r#"{{"state": "{state}", "reason": "new kernel"}}"#);
        assert_eq!(send_json(daemon.admin(), "PATCH", "/v1/pools/first", &order).status, 200);
    };
    order("up");
    refused("first", &[], "pool first is up by order already (new kernel)");
    refused("first", &["--address", "a"], "is up by order already (new kernel)");
    order("auto");
    second.kill();
    daemon.await_line(0, &["WARN", "down: ", "pool=second"]);
    refused("first", &[], "pool first is not taken out: pool second is down: ");
}

#[test]
fn wrong_usage_is_code_2() {
    for arguments in [
        &["--pool", "first"][..],
        &["--address", "a"],
        &["--abort-below", "90%"],
        &["--pool", "first", "--name", DOMAIN, "--abort-below", "101%"],
        &["--pool", "first", "--name", DOMAIN, "--fault", "hang"],
        &["--pool", "first", "--name", DOMAIN, "--stop-command", "true"],
        &["--pool", "first", "--name", DOMAIN, "--connect", "--path", "/"],
        &["--server", "127.0.0.1", "--name", DOMAIN],
    ] {
        let output = rhumb().arg("drill").args(arguments).output().expect("it was built");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
