//! What was known before a restart is known after it.

mod support;

use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use serde_json::Value;
use support::daemon::{Daemon, run};
use support::dns::{addresses, ask, query};
use support::eventually;
use support::http::get;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;

/// A check by which a dead site is known at once, by the end of an idle connection, and whose verdicts stay fresh for a
/// minute. A probe that hangs does so for longer than a restart takes.
const SELDOM: &str = r#"interval = "20s", timeout = "20s", fall = 2"#;

/// What is written down; `None`: nothing is.
fn written(scene: &Scene) -> Option<Value> {
    let text = std::fs::read_to_string(scene.path().join("state/health.json")).ok()?;
    Some(
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("it is replaced as a whole: {error}\n{text}")),
    )
}

/// Waits until the verdict on the address of `pool` is written down.
fn await_written(scene: &Scene, pool: &str, verdict: &str) {
    eventually(&format!("{pool} to be written down as {verdict}"), || {
        let written = written(scene)?;
        let addresses = written["memory"]["addresses"].as_array()?.iter();
        let mut of_pool = addresses.filter(|address| address["pool"] == pool);
        of_pool.any(|address| address["verdict"] == verdict).then_some(())
    });
}

fn end(daemon: Daemon, signal: Signal) {
    daemon.signal(signal);
    daemon.into_process().await_end();
}

fn standing(daemon: &Daemon, pool: &str) -> Value {
    get(daemon.admin(), &format!("/v1/pools/{pool}")).json()["standing"].clone()
}

#[test]
fn a_dead_site_stays_dead_over_a_kill_and_nobody_waits_for_it() {
    let (mut first, mut second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [SELDOM, SELDOM]);
    let daemon = scene.start(&text);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    await_written(&scene, "first", "down");
    end(daemon, Signal::SIGKILL);

    // From here on no probe of either ends.
    for site in [&mut first, &mut second] {
        site.kill();
        site.hang();
        site.listen();
    }
    let daemon = scene.start(&text);
    let reply = ask(daemon.dns(), &query(DOMAIN, RecordType::A));
    assert_eq!(addresses(&reply), [second.ip()], "the first reply ever");
    daemon.await_line(0, &["health remembered", "known=2", "believed=0", "unknown=0"]);
    for (pool, health) in [("first", "down"), ("second", "up")] {
        let address = get(daemon.admin(), &format!("/v1/pools/{pool}")).json()["addresses"][0].clone();
        let found = (&address["health"], &address["last_probe"]);
        assert_eq!(found, (&health.into(), &Value::Null), "{pool} is known, and no probe of it has ended");
    }
    // By the one before.
    let history = get(daemon.admin(), "/v1/pools/first/addresses/a/history").json();
    let turns: Vec<&Value> =
        history["transitions"].as_array().expect("a list").iter().map(|it| &it["to"]).collect();
    assert_eq!(turns, ["down", "up"]);
}

#[test]
fn what_another_check_has_found_is_believed_until_the_first_round_has_ended() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [SELDOM, SELDOM]);
    let daemon = scene.start(&text);
    await_written(&scene, "first", "up");
    end(daemon, Signal::SIGTERM);

    first.hang();
    let before = first.connections();
    let daemon = scene.launch(&text.replace("/health", "/other"));
    first.await_connections(before + 1);
    daemon.await_line(0, &["health remembered", "known=0", "believed=2", "unknown=0"]);
    assert_eq!(get(daemon.admin(), "/readyz").status, 503, "the probe is still under way");
    first.kill();
    daemon.await_line(0, &["ready"]);
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()], "one probe has decided");
    daemon.await_line(0, &["down: ", "1 of 1", "pool=first"]);
}

#[test]
fn who_waits_for_its_release_waits_over_a_restart() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    let text = text.replace("[pool.first]", "[pool.first]\nfailback = \"manual\"");
    let daemon = scene.start(&text);
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    first.revive();
    daemon.await_line(0, &["WARN", "awaits release", "pool=first"]);
    end(daemon, Signal::SIGTERM);

    let daemon = scene.start(&text);
    assert_eq!(
        (daemon.resolve(DOMAIN), standing(&daemon, "first")),
        (vec![second.ip()], "awaits-release".into())
    );
    let admin = format!("http://{}", daemon.admin());
    let released = run(&["pool", "release", "first", "--admin", &admin]);
    assert_eq!((released.status.code(), daemon.resolve(DOMAIN)), (Some(0), vec![first.ip()]));
    end(daemon, Signal::SIGTERM);

    let daemon = scene.start(&text);
    assert_eq!((daemon.resolve(DOMAIN), standing(&daemon, "first")), (vec![first.ip()], "in-service".into()));
}

#[test]
fn what_cannot_be_read_is_told_and_keeps_nobody_from_starting() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, QUICK]);
    std::fs::create_dir(scene.path().join("state")).expect("it is not there");
    let damaged = r#"{"rhumb-health":1,"crc32":"00000000","memory":{"taken":1,"addresses":[]}}"#;
    for (content, complaint) in [(damaged, "it is damaged"), ("garbage", "something else")] {
        scene.write("state/health.json", content);
        let daemon = scene.start(&text);
        daemon
            .await_line(0, &["WARN", "nothing is remembered of before the start", complaint, "health.json"]);
        assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
        end(daemon, Signal::SIGTERM);
        await_written(&scene, "first", "up");
    }
    // Who is to remember nothing lets go of what is there.
    first.kill();
    let daemon = scene.start(&format!("{text}\n[health]\nremember = \"0s\"\n"));
    daemon.await_line(0, &["WARN", "down: ", "first probe", "pool=first"]);
    end(daemon, Signal::SIGTERM);
    assert!(written(&scene).is_none());
}
