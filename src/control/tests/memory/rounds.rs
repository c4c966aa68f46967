//! The first round of probes by a host that may be cut off.

use super::*;
use crate::plan::Isolation;

/// Five sites that are doubted when all are silent.
fn doubting() -> World {
    let pools: Pools<'_> = &[("a", &[1]), ("b", &[1]), ("c", &[1]), ("d", &[1]), ("e", &[1])];
    let rules = Isolation { share: 0.8, canaries: Vec::new() };
    let world = World::settled_of(Plan { isolation: Some(rules), ..plan(pools, CHECK) });
    world.restarted(world.plan(), secs(60)).0
}

fn round(world: &mut World, symbols: &str) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (site, symbol) in (0..).zip(symbols.chars()) {
        notices.extend(world.pass(Duration::from_millis(10)));
        let target = world.target(site, 1);
        notices.extend(world.controller.handle(probed(target, outcome(symbol), world.now), world.now));
    }
    notices
}

#[test]
fn a_host_that_is_cut_off_goes_on_with_what_it_remembers() {
    let mut world = doubting();
    let notices = round(&mut world, ".....");
    assert!(kinds(&notices).contains(&"isolated"), "{notices:?}");
    assert!(kinds(&notices).contains(&"settled"), "nobody waits for what cannot be known: {notices:?}");
    assert_eq!((world.told("www"), world.controller.is_settled()), (vec![(0, 1)], true));
    let notices = round(&mut world, ".++++");
    assert!(kinds(&notices).contains(&"reconnected"), "{notices:?}");
    round(&mut world, ".++++");
    assert_eq!(world.told("www"), [(1, 1)]);
}

#[test]
fn the_first_answer_waits_for_a_doubt_about_a_first_probe() {
    // The last one of the round is silent: of the others, nothing was heard since.
    let mut world = doubting();
    let notices = round(&mut world, "++++.");
    assert_eq!(kinds(&notices).iter().filter(|kind| **kind == "settled").count(), 0, "{notices:?}");
    assert!(!world.controller.is_settled());
    let notices = world.pass(secs(1));
    let told = kinds(&notices);
    assert!(told.contains(&"turned") && told.last() == Some(&"settled"), "{notices:?}");
    // Or until it is heard.
    let mut world = doubting();
    round(&mut world, "++++.");
    let target = world.target(4, 1);
    let notices = world.controller.handle(probed(target, Outcome::Pass, world.now), world.now);
    assert_eq!(kinds(&notices).last(), Some(&"settled"), "{notices:?}");
    // Since then its word is of today.
    world.controller.handle(probed(target, outcome('-'), world.now), world.now);
    assert_eq!(&world.health(4, 0).health, "up");
}
