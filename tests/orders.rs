//! Addresses are taken out and brought back by order, and by their own word.

mod support;

use support::daemon::{Daemon, run, serve};
use support::http::{get, send_json};
use support::process::Process;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;
use support::small_disk::SmallDisk;

/// What `rhumb` prints with these arguments to the daemon, or complains of.
fn asked(daemon: &Daemon, arguments: &[&str]) -> Result<String, String> {
    let admin = format!("http://{}", daemon.admin());
    let output = run(&[arguments, &["--admin", &admin]].concat());
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("it prints UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn an_operator_drains_and_disables_and_the_very_next_answer_follows() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    let pool = get(daemon.admin(), "/v1/pools/first").json();
    let address = pool["addresses"][0]["name"].as_str().expect("a name").to_owned();

    let printed = asked(&daemon, &["address", "drain", "first", &address, "--reason", "new kernel"]);
    let printed = printed.expect("it is drained");
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()]);
    assert!(printed.contains(", draining, empty in ") && printed.contains("(new kernel)"), "{printed}");
    daemon.await_line(0, &["INFO", "drained: no answer that named it is still in use", &address]);

    asked(&daemon, &["address", "enable", "first", &address]).expect("it is back");
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);

    asked(&daemon, &["pool", "disable", "first", "--for", "1s"]).expect("it is out");
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()]);
    daemon.await_line(0, &["no longer down: the order has expired", "pool=first"]);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "the order ended by itself");

    let complaint = asked(&daemon, &["address", "drain", "first", "nobody"]).expect_err("there is none");
    assert!(complaint.contains("404 Not Found: there is no address `nobody`"), "{complaint}");
}

#[test]
fn what_the_last_probes_found_is_told_on_request() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    let pool = get(daemon.admin(), "/v1/pools/first").json();
    let address = pool["addresses"][0]["name"].as_str().expect("a name").to_owned();
    let told = asked(&daemon, &["address", "history", "first", &address]).expect("it is told");
    assert!(told.contains("turned down: connection refused after "), "{told}");
    assert!(told.contains(" s ago  passed, after ") && told.contains(", connect "), "{told}");
    assert_eq!(get(daemon.admin(), "/v1/pools/first/addresses/x/history").status, 404);
}

#[test]
fn a_check_that_nobody_ever_passes_is_suspected() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let text = text.replacen("/health\"", "/health\", expect_status = 418", 1);
    let daemon = scene.start(&text);
    daemon.await_line(
        0,
        &["WARN", "is its check right? no probe of it has ever passed: status ", "pool=first"],
    );
    let status = asked(&daemon, &["status"]).expect("a status");
    assert!(status.contains("is its check right?"), "{status}");
}

#[test]
fn an_acknowledged_order_outlives_a_kill() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let mut daemon = scene.start(&text);
    for round in 0..5 {
        let (state, given) = if round % 2 == 0 { ("down", second.ip()) } else { ("auto", first.ip()) };
        let order = format!(r#"{{"state": "{state}", "reason": "round {round}"}}"#);
        assert_eq!(send_json(daemon.admin(), "PATCH", "/v1/pools/first", &order).status, 200);
        drop(daemon);
        daemon = scene.start(&text);
        assert_eq!(daemon.resolve(DOMAIN), [given], "round {round}: the first answer of the next start");
        let told = daemon.lines(&["edits that were made by API lie over the file", "edits=1"]).len();
        assert_eq!(
            told,
            usize::from(state != "auto"),
            "round {round}: the start says what is not in the file"
        );
    }
    drop(daemon);
    let journal = scene.path().join("state/edits.journal");
    let kept = std::fs::read_to_string(&journal).expect("it is there");
    std::fs::write(&journal, kept.replacen("round", "RoUnD", 1)).expect("it can be written");
    let config = scene.configure(&text);
    let output = run(&["serve", "--config", config.to_str().expect("UTF-8")]);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.contains("edits.journal:2: the record is damaged"), "{complaint}");
    assert!(complaint.contains("--ignore-edits starts without them"), "{complaint}");

    let mut command = serve(&config);
    command.arg("--ignore-edits");
    let daemon = scene.attach(Process::start(command));
    daemon.await_line(0, &["the edits that were made by API are put aside", "edits.journal.ignored"]);
    daemon.await_line(0, &["ready"]);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
}

#[test]
fn what_cannot_be_kept_is_refused_and_changes_nothing() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let disk = SmallDisk::at(scene.path().join("state"));
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let ordered = |json: &str| send_json(daemon.admin(), "PATCH", "/v1/pools/first", json);
    disk.fill();
    // Each order takes a hundred octets and more of the page that the journal has.
    let refused = (0..100).map(|_| ordered(r#"{"state": "up"}"#)).find(|reply| reply.status != 200);
    let refused = refused.expect("the disk is full in the end");
    assert_eq!((refused.status, refused.header("content-type")), (507, "application/problem+json"));
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    assert_eq!(ordered(r#"{"state": "down"}"#).status, 507);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "what stood before stands");
    disk.free();
    assert_eq!(ordered(r#"{"state": "down"}"#).status, 200);
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()]);
}

#[test]
fn a_site_leaves_by_its_own_word() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    let report = |json: &str| send_json(daemon.admin(), "POST", "/v1/pools/first/report", json);
    assert_eq!(report(r#"{"outcome": "fail", "reason": "SIGTERM", "for": "1h"}"#).status, 200);
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()], "though its probes still pass");
    let status = asked(&daemon, &["status"]).expect("a status");
    assert!(status.contains("reported away for 59m") && status.contains("(SIGTERM)"), "{status}");
    assert_eq!(report(r#"{"outcome": "pass"}"#).status, 200);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
}

#[test]
fn what_cannot_be_ordered_is_refused_by_the_name_of_its_field() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    for (json, field, detail) in [
        ("{", None, "not JSON: "),
        ("[]", None, "the body is to be a JSON object"),
        ("{}", None, "nothing is to be changed"),
        (r#"{"state": "off"}"#, Some("state"), "`off` is none of auto, drain, up and down"),
        (r#"{"state": 1}"#, Some("state"), "`state` is to be a string, not 1"),
        (r#"{"state": "up", "until": "x"}"#, Some("until"), "unknown key `until`"),
        (r#"{"state": "up", "expires": "soon"}"#, Some("expires"), "`soon` is no span of time"),
        (r#"{"state": "up", "expires": "0s"}"#, Some("expires"), "`expires` is to be longer than nothing"),
    ] {
        let refused = send_json(daemon.admin(), "PATCH", "/v1/pools/first", json);
        assert_eq!(
            (refused.status, refused.header("content-type")),
            (if json.contains("until") { 422 } else { 400 }, "application/problem+json"),
            "{json}"
        );
        let problem = refused.json();
        assert_eq!(problem["field"].as_str(), field, "{json}");
        assert!(problem["detail"].as_str().is_some_and(|told| told.starts_with(detail)), "{problem}");
    }
    let missing = send_json(daemon.admin(), "PATCH", "/v1/pools/nowhere", r#"{"state": "up"}"#);
    assert_eq!(missing.status, 404);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "nothing has changed");
    // What was refused leaves no trace that a later moment could bring up.
    assert!(get(daemon.admin(), "/v1/pools/first").json()["order"].is_null());
}
