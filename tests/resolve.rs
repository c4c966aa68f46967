//! Names in pools: rhumb resolves them, in front of another rhumb that is the authority for them.

mod support;

use std::net::{IpAddr, SocketAddr};

use nix::sys::signal::Signal;
use support::daemon::{self, Daemon};
use support::eventually;
use support::http::{get, sample};
use support::others::dig;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;

/// The name that pools resolve.
const ALB: &str = "alb.elb.example.net";

/// The authority for [`ALB`], which has these addresses for a second.
fn authority(scene: &Scene, addresses: &[IpAddr]) -> String {
    let ground = scene.ground().replace("ai.example.com", "elb.example.net");
    let quoted: Vec<String> = addresses.iter().map(|ip| format!("{:?}", ip.to_string())).collect();
    let data = quoted.join(", ");
    format!("{ground}\n[[zone.record]]\nname = \"alb\"\ntype = \"A\"\nttl = \"1s\"\ndata = [{data}]\n")
}

/// The authority goes over to these addresses.
fn move_to(scene: &Scene, authority_daemon: &Daemon, addresses: &[IpAddr]) {
    scene.configure(&authority(scene, addresses));
    let from = authority_daemon.said();
    authority_daemon.signal(Signal::SIGHUP);
    authority_daemon.await_line(from, &["configuration reloaded"]);
}

/// [`DOMAIN`] and the apex of its zone, with the addresses of [`ALB`] as `resolver` gives them and
/// `further` ones, in front of `other`.
fn front(scene: &Scene, resolver: SocketAddr, further: &str, other: &Site) -> String {
    let domain = |name: &str| {
        format!(
            "[[domain]]\nname = \"{name}\"\npolicy = \"priority\"\npools = [\"first\", \"second\"]\nttl = \"1s\"\n"
        )
    };
    format!(
        r#"{}
[resolver]
servers = ["{resolver}"]

[health_check]
web = {{ type = "http", path = "/health", {QUICK} }}

[pool.first]
health_check = "web"
address = [{further}{{ name = "alb", resolve = "{ALB}", port = 8080 }}]

[pool.second]
health_check = "web"
address = [{{ name = "b", ip = "{}", port = 8080 }}]

{}
{}
"#,
        scene.ground(),
        other.ip(),
        domain(DOMAIN),
        domain("ai.example.com"),
    )
}

/// Waits until `daemon` answers [`DOMAIN`] with exactly these.
fn await_answers(daemon: &Daemon, mut expected: Vec<IpAddr>) {
    expected.sort();
    eventually(&format!("{DOMAIN} to be {expected:?}"), || {
        (daemon.resolve(DOMAIN) == expected).then_some(())
    });
}

#[test]
fn the_addresses_of_a_name_are_followed_and_kept() {
    let (one, mut two, three, other) = (Site::start(), Site::start(), Site::start(), Site::start());
    let (names, scene) = (Scene::new(), Scene::new());
    let authority_daemon = names.start(&authority(&names, &[one.ip()]));
    let daemon = scene.start(&front(&scene, authority_daemon.dns(), "", &other));
    // The very first answer has it, at the apex of the zone as well.
    assert_eq!(daemon.resolve(DOMAIN), [one.ip()]);
    let apex = dig(daemon.dns(), &["+short", "ai.example.com", "A"]);
    assert_eq!(apex.trim(), one.ip().to_string());
    let first = format!(r#"rhumb_address_available{{pool="first",address="alb/{}"}}"#, one.ip());
    assert_eq!(sample(daemon.admin(), &first), 1.0);

    move_to(&names, &authority_daemon, &[two.ip(), three.ip()]);
    await_answers(&daemon, vec![two.ip(), three.ip()]);
    eventually("the metrics to forget what is gone", || {
        (!get(daemon.admin(), "/metrics").body.contains(&first)).then_some(())
    });

    // Each of them has its own health.
    let from = daemon.said();
    two.kill();
    let name = format!("alb/{}", two.ip());
    daemon.await_line(from, &["down: ", "pool=first", &format!("address={name}")]);
    assert_eq!(daemon.resolve(DOMAIN), [three.ip()]);
    let admin = format!("http://{}", daemon.admin());
    let explained = daemon::run(&["explain", DOMAIN, "--client", "192.0.2.1", "--admin", &admin]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains(&name), "{explained}");

    // Nobody can say where it is: it is where it was.
    let from = daemon.said();
    drop(authority_daemon);
    daemon.await_line(from, &["WARN", "cannot be resolved, what is known stays", ALB]);
    assert_eq!(daemon.resolve(DOMAIN), [three.ip()]);
    let pool = get(daemon.admin(), "/v1/pools/first").json();
    let known = &pool["names"][0];
    assert_eq!(
        (known["name"].as_str(), known["addresses"].as_array().map(Vec::len)),
        (Some(ALB), Some(2)),
        "{pool}"
    );
    assert!(known["failure"].is_string() && known["resolved_seconds"].is_f64(), "{pool}");
    let status = daemon::run(&["status", "--admin", &admin]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains(&format!("alb = {ALB}: 2 addresses, learnt ")), "{status}");
    assert!(status.contains("last failure: "), "{status}");
    assert!(
        sample(daemon.admin(), &format!(r#"rhumb_lookups_total{{name="{ALB}",outcome="found"}}"#)) >= 2.0
    );

    // It is heard of again.
    two.revive();
    let from = daemon.said();
    let _authority_daemon = names.start(&authority(&names, &[two.ip()]));
    daemon.await_line(from, &["INFO", "resolved", ALB]);
    await_answers(&daemon, vec![two.ip()]);
}

#[test]
fn names_stand_beside_ips_and_each_address_is_given_once() {
    let (one, two, other) = (Site::start(), Site::start(), Site::start());
    let (names, scene) = (Scene::new(), Scene::new());
    let authority_daemon = names.start(&authority(&names, &[one.ip(), two.ip()]));
    let further = format!(r#"{{ name = "a", ip = "{}", port = 8080 }}, "#, one.ip());
    let daemon = scene.start(&front(&scene, authority_daemon.dns(), &further, &other));
    await_answers(&daemon, vec![one.ip(), two.ip()]);
    let pool = get(daemon.admin(), "/v1/pools/first").json();
    let written: Vec<&str> = pool["addresses"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|address| address["name"].as_str())
        .collect();
    assert_eq!(written, ["a".to_owned(), format!("alb/{}", two.ip())]);

    // A name that is gone leaves what it had.
    let from = daemon.said();
    names.configure(&names.ground().replace("ai.example.com", "elb.example.net"));
    authority_daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["WARN", "cannot be resolved, what is known stays: there is no such name"]);
    await_answers(&daemon, vec![one.ip(), two.ip()]);
}

#[test]
fn a_resolver_that_is_not_there_holds_up_no_start() {
    let (one, other) = (Site::start(), Site::start());
    let (names, scene) = (Scene::new(), Scene::new());
    let daemon = scene.launch(&front(&scene, names.dns, "", &other));
    daemon.await_line(0, &["WARN", "the first round of lookups and probes has not ended"]);
    daemon.await_line(0, &["ready"]);
    assert_eq!(daemon.resolve(DOMAIN), [other.ip()], "the pool has no address that is known");

    let _authority_daemon = names.start(&authority(&names, &[one.ip()]));
    await_answers(&daemon, vec![one.ip()]);
}
