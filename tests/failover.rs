//! A site that fails is no longer given to clients, whichever way it fails, and is again when it
//! is back.

mod support;

use nix::sys::signal::Signal;
use support::daemon::{Daemon, serve};
use support::dns::resolve;
use support::http::{get, request, sample};
use support::scene::{DOMAIN, ONCE, QUICK, Scene};
use support::site::Site;
use support::{eventually, now};

/// Two sites, the first of which is preferred, and a daemon that watches them closely.
fn two_sites() -> (Site, Site, Scene, Daemon) {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()], "the preferred site is well");
    (first, second, scene, daemon)
}

/// Breaks the first site by `fault` and repairs it; `reason` is what the log has to say about it.
fn fails_over_and_back(fault: impl Fn(&mut Site), reason: &str) {
    let (mut first, second, _scene, daemon) = two_sites();
    let swaps = || sample(daemon.admin(), "rhumb_outcome_to_swap_seconds_count");
    let turned = |to| {
        let series = format!(r#"rhumb_transitions_total{{pool="first",address="a",to="{to}"}}"#);
        sample(daemon.admin(), &series)
    };
    let (swaps_before, ups_before) = (swaps(), turned("up"));

    let broken = now();
    fault(&mut first);
    daemon.await_answer(DOMAIN, second.ip());
    eprintln!("{reason}: the other site is answered {:?} after the fault", broken.elapsed());
    daemon.await_line(0, &["WARN", "down: ", reason, "2 of 2", "pool=first", "address=a"]);
    assert_eq!((turned("down"), turned("up")), (1.0, ups_before));
    assert_eq!(swaps(), swaps_before + 1.0);
    assert_eq!(sample(daemon.admin(), r#"rhumb_address_available{pool="first",address="a"}"#), 0.0);

    first.revive();
    daemon.await_answer(DOMAIN, first.ip());
    daemon.await_line(0, &["INFO", "up: passed after ", "2 of 2", "pool=first", "address=a"]);
    assert_eq!((turned("down"), turned("up")), (1.0, ups_before + 1.0));
    assert_eq!(swaps(), swaps_before + 2.0);
    assert_eq!(sample(daemon.admin(), r#"rhumb_address_available{pool="first",address="a"}"#), 1.0);

    assert_eq!(daemon.lines(&["down: "]).len(), 1, "one line for one transition");
    assert_eq!(daemon.lines(&["up: passed after ", "2 of 2"]).len(), 1, "one line for one transition");
}

#[test]
fn a_killed_site_is_replaced_and_comes_back() {
    fails_over_and_back(Site::kill, "connection refused");
}

#[test]
fn a_hung_site_is_replaced_and_comes_back() {
    fails_over_and_back(|site| site.hang(), "no response within 500ms");
}

#[test]
fn a_site_that_answers_503_is_replaced_and_comes_back() {
    fails_over_and_back(|site| site.answer(503), "status 503");
}

#[test]
fn fewer_failures_than_fall_change_nothing() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    // A generous timeout, so that a machine that is busy for a moment is no further failure.
    let check = r#"interval = "1s", timeout = "1s", fall = 3, tripwire = false"#;
    let daemon = scene.start(&scene.two_sites([&first, &second], [check, ONCE]));
    let before = first.stumble(503, 2);
    // Two that fail, one that passes and, so that its outcome is known, the start of another.
    first.await_connections(before + 4);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    assert_eq!(daemon.lines(&["down: "]), [""; 0]);
    let pool = get(daemon.admin(), "/v1/pools/first").json();
    assert_eq!(pool["addresses"][0]["health"], "up");
    assert_eq!(pool["addresses"][0]["last_failure"], "status 503");
}

#[test]
fn when_every_site_is_down_clients_get_what_they_would_get_if_all_were_up() {
    let (mut first, mut second, _scene, daemon) = two_sites();
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    second.kill();
    daemon.await_line(0, &["down: ", "pool=second"]);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    second.revive();
    daemon.await_answer(DOMAIN, second.ip());
    first.revive();
    daemon.await_answer(DOMAIN, first.ip());
}

#[test]
fn a_slow_target_delays_no_other() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, ONCE]));
    // Under another check the second is probed anew, and holds on to that probe for ever.
    second.hang();
    let check = r#"interval = "59m", timeout = "59m""#;
    scene.configure(&scene.two_sites([&first, &second], [QUICK, check]));
    daemon.signal(Signal::SIGHUP);
    second.await_connections(2);
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
}

#[test]
fn it_goes_on_when_nobody_reads_its_log_any_more() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let file = scene.configure(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let (reader, writer) = std::io::pipe().expect("pipes are to be had");
    let mut child = serve(&file).stderr(writer).spawn().expect("it was built");
    let ready = || request(scene.admin, "GET", "/readyz", &[]).ok().filter(|ready| ready.status == 200);
    eventually("readiness", ready);
    drop(reader);
    first.kill();
    eventually("the other site", || (resolve(scene.dns, DOMAIN) == [second.ip()]).then_some(()));
    first.revive();
    eventually("the first site", || (resolve(scene.dns, DOMAIN) == [first.ip()]).then_some(()));
    child.kill().expect("it still runs");
    child.wait().expect("nobody else waits for it");
}
