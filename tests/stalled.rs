//! A daemon that was stopped for a while blames nobody for it.

mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use support::http::sample;
use support::scene::{DOMAIN, Scene};
use support::site::Site;

#[test]
fn a_daemon_that_stood_still_calls_nobody_down() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    // Often enough that each stop meets probes at every stage.
    let check = r#"interval = "100ms", timeout = "100ms", tripwire = false"#;
    let daemon = scene.start(&scene.two_sites([&first, &second], [check, check]));
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    for millis in [150, 300, 700, 1500, 230] {
        daemon.signal(Signal::SIGSTOP);
        // The length of the stop is what is tested; there is nothing to wait for.
        std::thread::sleep(Duration::from_millis(millis));
        daemon.signal(Signal::SIGCONT);
        let before = sample(daemon.admin(), PASSED);
        support::eventually("ten more probes", || {
            (sample(daemon.admin(), PASSED) >= before + 10.0).then_some(())
        });
        assert_eq!(daemon.lines(&["down: "]), [""; 0], "after {millis} ms");
    }
}

const PASSED: &str = r#"rhumb_probes_total{pool="first",check="first",outcome="pass"}"#;
