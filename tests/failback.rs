//! A site that was away comes back as its rules say.

mod support;

use nix::sys::signal::Signal;
use support::daemon::{Daemon, run};
use support::http::get;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;

/// What `rhumb` says with these arguments to the daemon: exit code, output and complaints.
fn asked(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String, String) {
    let admin = format!("http://{}", daemon.admin());
    let output = run(&[arguments, &["--admin", &admin]].concat());
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("it prints UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn with_manual_failback_a_site_is_back_when_it_is_released() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let daemon = scene.start(&text.replace("[pool.first]", "[pool.first]\nfailback = \"manual\""));
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "a start has no history");
    let (code, printed, complaint) = asked(&daemon, &["pool", "release", "first"]);
    assert_eq!((code, &printed[..]), (Some(1), ""));
    assert!(complaint.contains("409 Conflict: pool `first` is in service\n"), "{complaint}");

    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    daemon.await_line(0, &["WARN", "out of service: its address is down", "pool=first"]);
    first.revive();
    daemon.await_line(0, &["WARN", "awaits release: it has recovered", "pool=first"]);
    let pool = get(daemon.admin(), "/v1/pools/first").json();
    assert_eq!((&pool["standing"], &pool["available"]), (&"awaits-release".into(), &1.into()));
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()], "it is well, and stays away");
    let (_, status, _) = asked(&daemon, &["status"]);
    assert!(status.contains("1 of 1 available, awaits release: it has recovered"), "{status}");

    let (code, printed, complaint) = asked(&daemon, &["pool", "release", "first"]);
    assert_eq!((code, &complaint[..]), (Some(0), ""));
    assert!(printed.starts_with("pool first: round-robin, 1 of 1 available\n"), "{printed}");
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "the very next answer");
    daemon.await_line(0, &["INFO", "released by the operator", "pool=first"]);
    daemon.await_line(0, &["INFO", "in service: it serves all its clients", "pool=first"]);
}

#[test]
fn a_hold_ends_by_itself() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let daemon = scene.start(&text.replace("[pool.first]", "[pool.first]\nhold_down = \"2s\""));
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    first.revive();
    daemon.await_line(0, &["INFO", "held: it has recovered, and stays away for 2s", "pool=first"]);
    daemon.await_line(0, &["INFO", "in service", "pool=first"]);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
}

#[test]
fn an_address_that_flips_too_often_is_held_down() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let check = format!(r#"{QUICK}, damping = {{ flips = 1, window = "10m", hold = "1h" }}"#);
    let daemon = scene.start(&scene.two_sites([&first, &second], [&check, QUICK]));
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    first.revive();
    daemon.await_line(0, &["WARN", "damped: it has flipped 2 times", "pool=first", "address=a"]);
    let address = get(daemon.admin(), "/v1/pools/first").json()["addresses"][0].clone();
    assert_eq!((&address["health"], &address["available"]), (&"up".into(), &false.into()));
    assert_eq!(address["damped"]["flips"], 2);
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()]);
    // The operator knows better.
    scene.configure(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(0, &["INFO", "damped no longer", "pool=first", "address=a"]);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
}
