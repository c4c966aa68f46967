//! Faults after which the answer has to stay, or to settle.

use std::time::Duration;

use crate::Thoroughness;
use crate::cases::{FALL, INTERVAL, SWAP, TIMEOUT, http};
use crate::network::{Network, address};
use crate::rounds::{settle, steady_since, watch};
use crate::support::daemon::serve;
use crate::support::now;
use crate::support::process::Process;
use crate::support::scene::Scene;
use crate::table::Row;
use crate::world::{Plan, Who, World};

/// A site that comes back again and again is up at the end, and no query is lost meanwhile.
pub(crate) fn restarts(name: &'static str, _: &Thoroughness) -> Vec<Row> {
    let mut world = World::start(&Plan { check: &http(), ..Plan::default() });
    settle(&world, address(1), 0);
    for _ in 0..50 {
        world.first().kill();
        world.first().revive();
        // Now and then a probe meets it, now and then none does.
        std::thread::sleep(Duration::from_millis(fastrand::u64(..200)));
    }
    let last = now();
    settle(&world, address(1), 50);
    // As many passes as failures are needed.
    let mut row = Row::new(name, Who::Rhumb, Some(INTERVAL * FALL + TIMEOUT + SWAP));
    let stream = &world.asked[0].stream;
    row.measured.push(stream.wrong_for(last, address(1)));
    row.unanswered = stream.unanswered();
    // Watched on: it is settled for good.
    row.wrong_flips = watch(&world, name, Duration::from_secs(2))[0].wrong_flips;
    vec![row]
}

/// A connection and a request take two ways there and two back: a second, which is less than the timeout.
pub(crate) fn short_delay(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let check = r#"type = "http", path = "/health", interval = "2s", timeout = "2s""#;
    let mut world = World::start(&Plan { check, far: true, ..Plan::default() });
    world.delay(500);
    watch(&world, name, how.watch)
}

/// A SYN that is lost is sent again after a second, and after each of the next two: with a timeout of
/// four seconds about one probe in a hundred fails, and three in a row once in a million.
pub(crate) fn loss(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let check = r#"type = "http", path = "/health", interval = "4s", timeout = "4s", fall = 3"#;
    let mut world = World::start(&Plan { check, ..Plan::default() });
    world.first().host.rule("numgen random mod 100 < 30 drop");
    watch(&world, name, how.watch)
}

/// After as many flips as the rule allows, the site is given to nobody until it keeps still.
pub(crate) fn flapping(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    const FLIPS: usize = 3;
    let check = r#"type = "http", path = "/health", interval = "200ms", timeout = "200ms",
        damping = { flips = 3, window = "10m", hold = "10m" }"#;
    let mut world = World::start(&Plan { check: &check.replace('\n', ""), ..Plan::default() });
    settle(&world, address(1), 0);
    let begin = now();
    let flap = |world: &mut World| {
        world.first().kill();
        std::thread::sleep(Duration::from_secs(1));
        world.first().revive();
        std::thread::sleep(Duration::from_secs(1));
    };
    // Each is one flip down and one up.
    for _ in 0..FLIPS.div_ceil(2) {
        flap(&mut world);
    }
    let allowed = world.asked[0].stream.changes_since(begin);
    assert!((1..=FLIPS).contains(&allowed), "{allowed} flips: {}", world.asked[0].stream.story(begin));
    settle(&world, address(2), 0);
    let damped = now();
    while damped.elapsed() < how.watch {
        flap(&mut world);
    }
    steady_since(&world, name, damped)
}

/// What a name was last known to be stays, long after its TTL of a second.
pub(crate) fn resolver(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    const RESOLVER: u8 = 54;
    let network = Network::new();
    let mut scene = Scene::new();
    scene.dns.set_ip(address(RESOLVER).into());
    scene.admin.set_ip([127, 0, 0, 1].into());
    let ground = scene.ground().replace("ai.example.com", "elb.example.net");
    let record =
        format!("[[zone.record]]\nname = \"alb\"\ntype = \"A\"\nttl = \"1s\"\ndata = [\"{}\"]\n", address(1));
    let file = scene.configure(&(ground + &record));
    let host = network.host(RESOLVER);
    let authority = host.within(|| Process::start(serve(&file)));
    authority.await_line(0, &["ready"]);
    let world = World::start_in(
        network,
        &Plan {
            check: &http(),
            first: Some(r#"resolve = "alb.elb.example.net""#),
            further: &format!("[resolver]\nservers = [\"{}\"]\n", scene.dns),
            ..Plan::default()
        },
    );
    settle(&world, address(1), 0);
    let begin = now();
    drop(authority);
    world.rhumb.await_line(0, &["WARN", "cannot be resolved, what is known stays"]);
    std::thread::sleep(how.watch);
    steady_since(&world, name, begin)
}

/// Who hears nobody is cut off, and calls nobody down; nor when it hears them again.
pub(crate) fn own_link(name: &'static str, how: &Thoroughness) -> Vec<Row> {
    let world = World::start(&Plan { check: &http(), ..Plan::default() });
    settle(&world, address(1), 0);
    let begin = now();
    world.daemon.ip("link set eth0 down");
    std::thread::sleep(how.watch);
    world.daemon.ip("link set eth0 up");
    std::thread::sleep(how.watch / 2);
    steady_since(&world, name, begin)
}
