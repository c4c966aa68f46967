//! Reloads of thousands of domains under a stream of queries: each reply is right for a version in
//! force, and a site that dies meanwhile is out at once.
//!
//! The whole of it: `cargo test --release --test reloads -- --ignored --nocapture`

mod support;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use support::daemon::Daemon;
use support::dns::{addresses, query, receive, socket_to};
use support::http::post;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;
use support::{PATIENCE, eventually, now};

/// How long after its site has died an address may still be given: far more than it takes, even on a
/// machine that is busy with other things, and less than until it is due to be probed.
const OUT_WITHIN: Duration = Duration::from_millis(250);

#[test]
fn fifty_reloads_of_a_thousand_domains_are_noticed_by_nobody() {
    reload(50, 1_000);
}

#[test]
#[ignore = "takes minutes: see docs/operations.md"]
fn a_thousand_reloads_of_ten_thousand_domains_are_noticed_by_nobody() {
    reload(1_000, 10_000);
}

fn reload(times: usize, domains: usize) {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let ground = scene.two_sites([&first, &second], [QUICK; 2]);
    let versions = [0, 1].map(|version| with_domains(&ground, domains, version));
    let daemon = scene.start(&versions[0]);
    daemon.await_answer(DOMAIN, first.ip());

    let (in_force, done) = (InForce::default(), AtomicBool::new(false));
    let (asked, flips) = std::thread::scope(|scope| {
        let streams = [(); 2].map(|()| scope.spawn(|| stream(&daemon, domains, &in_force, &done)));
        let flips = scope.spawn(|| flip(&daemon, &mut first, second.ip(), &done));
        for number in 1..=times {
            if flips.is_finished() || streams.iter().any(|stream| stream.is_finished()) {
                break;
            }
            scene.configure(&versions[number % 2]);
            in_force.change();
            let reply = post(daemon.admin(), "/v1/reload");
            in_force.change();
            assert_eq!(reply.status, 200, "{reply:?}");
            let report = reply.json();
            let changed = report["domains"]["changed"].as_array().map_or(0, Vec::len);
            assert_eq!(changed, domains, "every domain but that of the sites");
        }
        done.store(true, Ordering::Relaxed);
        let asked: usize = streams.into_iter().map(|stream| stream.join().expect("all is right")).sum();
        (asked, flips.join().expect("all is right"))
    });
    assert!(asked > times && flips.len() > 2, "{asked} queries, {} flips", flips.len());
    let worst = flips.iter().max().expect("there are some");
    let mean = flips.iter().sum::<Duration>() / flips.len() as u32;
    println!(
        "{times} reloads of {domains} domains: {asked} queries right, {} deaths answered in {mean:?}, at most {worst:?}",
        flips.len()
    );
    assert!(*worst < OUT_WITHIN, "{flips:?}");
}

/// `ground` with as many domains, each of a pool that has an address by its number and `version`. What
/// stands where changes from one version to the other.
fn with_domains(ground: &str, domains: usize, version: usize) -> String {
    let pools = domains / 10;
    let mut text = ground.to_owned();
    let mut order: Vec<usize> = (0..pools).collect();
    order.rotate_left(version);
    for pool in order {
        let ip = address(pool, version);
        write!(text, "[pool.p{pool}]\naddress = [{{ name = \"a\", ip = \"{ip}\" }}]\n").expect("it fits");
    }
    for number in 0..domains {
        let at = (number + version) % domains;
        write!(
            text,
            "[[domain]]\nname = \"w{at}.ai.example.com\"\npolicy = \"priority\"\npools = [\"p{}\"]\nttl = {}\n",
            at % pools,
            5 + version
        )
        .expect("it fits");
    }
    text
}

fn address(pool: usize, version: usize) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + ((version as u32) << 20) + pool as u32).into()
}

/// Which version is in force: changed once when a reload begins, and once when it has ended.
#[derive(Default)]
struct InForce(AtomicUsize);

impl InForce {
    fn change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it has changed.
    fn changes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether `version` was in force at some time between two numbers of changes.
    fn had(version: usize, (from, to): (usize, usize)) -> bool {
        (from..=to).any(|changes| match changes % 2 {
            0 => changes / 2 % 2 == version,
            _ => true,
        })
    }
}

/// Asks for one domain after the other, until it is done. Returns how many.
fn stream(daemon: &Daemon, domains: usize, in_force: &InForce, done: &AtomicBool) -> usize {
    let socket = socket_to(daemon.dns());
    let mut asked = 0;
    while !done.load(Ordering::Relaxed) {
        let number = fastrand::usize(..domains);
        let from = in_force.changes();
        let found = resolve(&socket, &format!("w{number}.ai.example.com"));
        let between = (from, in_force.changes());
        let is_right = |version: &usize| {
            InForce::had(*version, between) && found == [address(number % (domains / 10), *version)]
        };
        assert!([0, 1].iter().any(is_right), "w{number} is {found:?} between {between:?}");
        asked += 1;
    }
    asked
}

/// Kills `site` and revives it, until it is done. Returns how long it was given each time after its
/// death.
fn flip(daemon: &Daemon, site: &mut Site, other: IpAddr, done: &AtomicBool) -> Vec<Duration> {
    let socket = socket_to(daemon.dns());
    let mut took = Vec::new();
    // A probe that passes, and the connection whose end tells of a death.
    site.await_connections(2);
    while !done.load(Ordering::Relaxed) {
        site.kill();
        let died = now();
        // Without a pause in between, which would be measured.
        while resolve(&socket, DOMAIN) != [other] {
            assert!(now() < died + PATIENCE, "a dead site is still given");
        }
        took.push(now() - died);
        let before = site.connections();
        site.revive();
        // Two of these probes, and the like.
        site.await_connections(before + 3);
        let ip = site.ip();
        eventually("the site to be back", || (resolve(&socket, DOMAIN) == [ip]).then_some(()));
    }
    took
}

/// Panics if there is no reply.
fn resolve(socket: &UdpSocket, name: &str) -> Vec<IpAddr> {
    let message = query(name, RecordType::A);
    socket.send(&message.to_vec().expect("it can be encoded")).expect("loopback takes it");
    addresses(&receive(socket, message.metadata.id))
}
