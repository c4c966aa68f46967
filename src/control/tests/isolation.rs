//! Silence of one is told from silence of all.

use std::net::SocketAddr;

use super::*;
use crate::plan::Isolation;

/// Five sites of one address each.
const SITES: Pools<'_> = &[("a", &[1]), ("b", &[1]), ("c", &[1]), ("d", &[1]), ("e", &[1])];

fn doubting(canaries: &[&str]) -> World {
    let canaries: Vec<SocketAddr> = canaries.iter().map(|it| it.parse().expect("an address")).collect();
    let mut world =
        World::of(Plan { isolation: Some(Isolation { share: 0.8, canaries }), ..plan(SITES, CHECK) });
    let targets: Vec<TargetId> = world.controller.watches().map(|(target, ..)| target).collect();
    for target in targets {
        world.controller.handle(probed(target, Outcome::Pass, world.now), world.now);
    }
    world
}

/// One round of probes, 100 ms apart; one symbol for each site.
fn round(world: &mut World, symbols: &str) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (site, symbol) in (0..).zip(symbols.chars()) {
        notices.extend(world.pass(Duration::from_millis(100)));
        let target = world.target(site, 1);
        notices.extend(world.controller.handle(probed(target, outcome(symbol), world.now), world.now));
    }
    notices
}

fn canary(world: &mut World, symbol: char) -> Vec<Notice> {
    let is_canary = |(_, watch, _): &(TargetId, Arc<Watch>, Belief)| watch.pool.is_none();
    let (target, ..) = world.controller.watches().find(is_canary).expect("there is a canary");
    world.controller.handle(probed(target, outcome(symbol), world.now), world.now)
}

fn isolated(world: &World) -> Option<(usize, usize)> {
    world.controller.status(world.now).isolated.map(|isolated| (isolated.silent, isolated.of))
}

#[test]
fn one_silent_site_is_out_on_time() {
    let mut world = doubting(&[]);
    assert_eq!(world.told("www"), [(0, 1)]);
    assert_eq!(round(&mut world, ".++++"), []);
    let notices = round(&mut world, ".++++");
    assert_eq!(kinds(&notices)[..2], ["published", "turned"], "{notices:?}");
    assert_eq!(world.told("www"), [(1, 1)]);
}

#[test]
fn who_refuses_is_out_at_once() {
    let mut world = doubting(&[]);
    let mut notices = world.probed(0, 1, "-");
    notices.append(&mut world.probed(0, 1, "."));
    assert!(kinds(&notices).contains(&"turned"), "it was heard of during its fall: {notices:?}");
    assert_eq!(world.told("www"), [(1, 1)]);
}

#[test]
fn when_all_fall_silent_nobody_is_called_down() {
    let mut world = doubting(&[]);
    let mut notices = round(&mut world, ".....");
    notices.append(&mut round(&mut world, "....."));
    notices.append(&mut round(&mut world, "....."));
    let told: Vec<_> = kinds(&notices).into_iter().filter(|kind| *kind != "published").collect();
    assert_eq!(told, ["isolated"]);
    assert_eq!(isolated(&world), Some((5, 5)));
    assert_eq!(world.told("www"), [(0, 1)], "as before");
    assert_eq!(world.health(0, 0).health, "up");

    let notices = round(&mut world, "...+.");
    assert!(!kinds(&notices).contains(&"reconnected"), "one of five is less than it takes");
    let notices = round(&mut world, ".++..");
    assert!(kinds(&notices).contains(&"reconnected"), "{notices:?}");
    assert_eq!((isolated(&world), world.told("www")), (None, vec![(0, 1)]));
    assert_eq!(kinds(&round(&mut world, ".++++")).iter().filter(|kind| **kind == "turned").count(), 0);
    round(&mut world, ".++++");
    assert_eq!(world.told("www"), [(1, 1)], "silent on its own it is down after its fall");
}

#[test]
fn a_doubt_is_decided_in_time_whoever_keeps_quiet() {
    let mut world = doubting(&[]);
    let since = world.now + HALF_SECOND;
    world.probed(0, 1, "..");
    assert_eq!(world.told("www"), [(0, 1)], "of the others nothing was heard since");
    assert_eq!(world.controller.due(), Some(since + Duration::from_millis(600)), "interval and timeout");
    let notices = world.pass(Duration::from_millis(100));
    assert!(kinds(&notices).contains(&"turned"), "{notices:?}");
    assert_eq!(world.told("www"), [(1, 1)]);
}

#[test]
fn who_is_heard_again_was_never_down() {
    let mut world = doubting(&[]);
    world.probed(0, 1, "..");
    let notices = world.probed(0, 1, "");
    assert_eq!(notices, []);
    let target = world.target(0, 1);
    world.controller.handle(probed(target, Outcome::Pass, world.now), world.now);
    round(&mut world, "+++++");
    assert_eq!(world.told("www"), [(0, 1)]);
    let health = world.health(0, 0);
    assert_eq!((&health.health[..], health.streak), ("up", 1));
}

#[test]
fn a_canary_knows_better() {
    let mut world = doubting(&["192.0.2.1:53"]);
    round(&mut world, ".....");
    canary(&mut world, '-');
    let notices = round(&mut world, ".....");
    assert!(!kinds(&notices).contains(&"isolated"), "even a refusal has come through the network");
    assert_eq!(kinds(&notices).iter().filter(|kind| **kind == "turned").count(), 5);

    let mut world = doubting(&["192.0.2.1:53"]);
    round(&mut world, ".....");
    canary(&mut world, '.');
    assert!(kinds(&round(&mut world, ".....")).contains(&"isolated"));
    assert!(kinds(&canary(&mut world, '+')).contains(&"reconnected"));
}

#[test]
fn a_reload_begins_the_doubt_anew() {
    let mut world = doubting(&[]);
    round(&mut world, ".....");
    round(&mut world, ".....");
    assert!(isolated(&world).is_some());
    world.replaced(Plan { isolation: None, ..plan(SITES, CHECK) });
    assert_eq!((isolated(&world), world.told("www")), (None, vec![(0, 1)]));
    round(&mut world, ".....");
    let notices = round(&mut world, ".....");
    assert_eq!(kinds(&notices).iter().filter(|kind| **kind == "turned").count(), 5, "nothing doubts it");
}

#[test]
fn a_large_site_does_not_outvote_the_others() {
    let pools: Pools<'_> = &[("a", &[1, 2, 3, 4, 5, 6, 7, 8]), ("b", &[1]), ("c", &[1])];
    let rules = Isolation { share: 0.8, canaries: Vec::new() };
    let mut world = World::of(Plan { isolation: Some(rules), ..plan(pools, CHECK) });
    let all = |world: &mut World, symbol: char| {
        let mut notices = world.pass(HALF_SECOND);
        for (pool, addresses) in (0..).zip(pools) {
            for &address in addresses.1 {
                let symbol = if pool == 0 { symbol } else { '+' };
                let target = world.target(pool, address);
                let event = probed(target, outcome(symbol), world.now);
                notices.extend(world.controller.handle(event, world.now));
            }
        }
        notices
    };
    all(&mut world, '+');
    assert_eq!(world.told("www").len(), 8);
    all(&mut world, '.');
    let notices = all(&mut world, '.');
    assert!(!kinds(&notices).contains(&"isolated"), "{notices:?}");
    assert_eq!(world.told("www"), [(1, 1)], "eight of ten addresses are silent, and they are one site");
}

#[test]
fn what_a_resolver_here_says_is_no_sign_of_the_network() {
    let mut world = doubting(&[]);
    let unresolved = || Outcome::Fail(Failure::Unresolved);
    round(&mut world, "....");
    let target = world.target(4, 1);
    world.controller.handle(probed(target, unresolved(), world.now), world.now);
    let notices = round(&mut world, "....");
    assert!(
        kinds(&notices).contains(&"isolated"),
        "four of five are silent, and nobody is heard: {notices:?}"
    );
}

#[test]
fn a_reload_ends_the_isolation_and_says_so() {
    let mut world = doubting(&[]);
    round(&mut world, ".....");
    round(&mut world, ".....");
    let rules = Isolation { share: 0.8, canaries: Vec::new() };
    let notices = world.replaced(Plan { isolation: Some(rules), ..plan(SITES, CHECK) });
    assert!(kinds(&notices).contains(&"reconnected"), "{notices:?}");
}
