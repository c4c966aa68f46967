//! A reload is all or nothing, keeps what is known of the addresses that stay, and loses no query.

mod support;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use serde_json::json;
use support::daemon::Daemon;
use support::dns::{addresses, ask, query};
use support::eventually;
use support::http::{get, post, sample};
use support::scene::{DOMAIN, ONCE, QUICK, Scene};
use support::site::Site;

/// A configuration in which `host` has this address.
fn with_host(scene: &Scene, data: &str) -> String {
    format!("{}\n[[zone.record]]\nname = \"host\"\ntype = \"A\"\ndata = \"{data}\"\n", scene.ground())
}

/// Reloads, and returns what was done.
fn reload(daemon: &Daemon) -> serde_json::Value {
    let reply = post(daemon.admin(), "/v1/reload");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_changed_file_changes_answers_and_a_broken_one_nothing() {
    let scene = Scene::new();
    let daemon = scene.start(&with_host(&scene, "192.0.2.1"));
    let host = || daemon.resolve("host.ai.example.com");
    let reloads = |result, trigger| {
        let name = format!(r#"rhumb_reloads_total{{result="{result}",trigger="{trigger}"}}"#);
        sample(daemon.admin(), &name)
    };
    assert_eq!(host(), [ip("192.0.2.1")]);

    scene.configure(&with_host(&scene, "192.0.2.2"));
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration reloaded: 1 zone changed", "trigger=\"signal\""]);
    assert_eq!(host(), [ip("192.0.2.2")]);

    let broken = with_host(&scene, "192.0.2.3") + "[[domain]]\nname = \"nowhere.example.net\"\npools = []\n";
    let file = scene.configure(&broken);
    let line = broken.lines().position(|line| line.contains("nowhere")).expect("it is there") + 1;
    let place = format!("{}:{line}:8: error:", file.display());
    let generation = || sample(daemon.admin(), "rhumb_table_generation");
    let before = generation();
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration refused, nothing has changed"]);
    daemon.await_line(from, &[&place]);
    assert_eq!(host(), [ip("192.0.2.2")]);
    assert_eq!(generation(), before);

    let refused = post(daemon.admin(), "/v1/reload");
    assert_eq!((refused.status, refused.header("content-type")), (422, "application/problem+json"));
    let problem = refused.json();
    assert_eq!(problem["status"], 422);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(&place)), "{problem}");

    scene.configure(&with_host(&scene, "192.0.2.4"));
    let done = reload(&daemon);
    assert_eq!(done["zones"]["changed"], json!(["ai.example.com"]));
    assert_eq!((&done["latencies"], &done["databases"]), (&json!(false), &json!(false)));
    assert_eq!(done["after_restart"], json!([]));
    assert_eq!(host(), [ip("192.0.2.4")]);
    for trigger in ["api", "signal"] {
        assert_eq!((reloads("accepted", trigger), reloads("refused", trigger)), (1.0, 1.0), "{trigger}");
    }

    std::fs::remove_file(&file).expect("it is there");
    let missing = post(daemon.admin(), "/v1/reload");
    assert_eq!(missing.status, 422);
    assert!(missing.body.contains("cannot read the file"), "{missing:?}");
    assert_eq!(host(), [ip("192.0.2.4")]);
}

#[test]
fn what_is_known_of_an_address_outlives_the_reload() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, ONCE]));
    first.kill();
    daemon.await_line(0, &["down: ", "pool=first"]);
    let health = |pool| {
        let pool = get(daemon.admin(), &format!("/v1/pools/{pool}")).json();
        pool["addresses"][0]["health"].as_str().expect("it is text").to_owned()
    };
    assert_eq!([health("first"), health("second")], ["down", "up"]);

    // No probe of the new checks comes to an end: what is known can only be remembered.
    first.hang();
    first.listen();
    second.hang();
    let others = r#"interval = "59m", timeout = "59m", fall = 1, rise = 1"#;
    scene.configure(&scene.two_sites([&first, &second], [others, others]));
    assert_eq!(reload(&daemon)["health_checks"]["changed"], json!(["first", "second"]));
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()], "a dead site stays out");
    assert_eq!([health("first"), health("second")], ["down", "up"]);
    // The new check is carried out all the same.
    second.await_connections(2);
}

#[test]
fn a_stream_of_queries_notices_nothing_of_twenty_reloads() {
    const RELOADS: usize = 20;
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let checks = [ONCE, r#"interval = "59m", timeout = "59m""#];
    let daemon = scene.start(&scene.two_sites([&first, &second], [checks[0]; 2]));
    let (asked, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // Panics if there is no reply.
                let reply = ask(daemon.dns(), &query(DOMAIN, RecordType::A));
                assert_eq!(addresses(&reply), [first.ip()]);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        for number in 1..=RELOADS {
            scene.configure(&scene.two_sites([&first, &second], [checks[number % 2]; 2]));
            reload(&daemon);
            let before = asked.load(Ordering::Relaxed);
            eventually("queries between two reloads", || {
                (asked.load(Ordering::Relaxed) > before + 10 || stream.is_finished()).then_some(())
            });
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(
        sample(daemon.admin(), r#"rhumb_reloads_total{result="accepted",trigger="api"}"#),
        RELOADS as f64
    );
}

#[test]
fn what_only_a_restart_changes_is_said_to_be_so() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    scene.configure(&scene.ground().replace("workers = 1", "workers = 2"));
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["WARN", "changes to server.workers take effect at the next restart"]);
    assert_eq!(reload(&daemon)["after_restart"], json!(["server.workers"]));
}
