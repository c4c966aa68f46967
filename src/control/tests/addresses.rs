//! Addresses that return, and such as flip too often.

use super::*;
use crate::plan::Damping;

const SLOWLY: ServiceRules = ServiceRules {
    min_available: crate::plan::MinAvailable::Addresses(1),
    failback: crate::plan::Failback::Automatic,
    hold_down: Duration::ZERO,
    slow_start: secs(10),
};

/// Two flips are borne within ten seconds.
const DAMPING: Damping = Damping { flips: 2, window: secs(10), hold: secs(5) };

fn damped(damping: Option<Damping>) -> Plan {
    let mut plan = plan(&[("a", &[1, 2]), ("b", &[1])], CHECK);
    plan.health_checks[0].damping = damping;
    plan
}

#[test]
fn an_address_that_returns_takes_a_growing_part_of_its_weight() {
    let mut world = World::settled_of(with_rules(&[("a", &[1, 2]), ("b", &[1])], SLOWLY));
    assert_eq!((world.shares(), world.controller.due()), (vec![255, 255], None), "at first at once");
    world.probed(0, 1, "--");
    assert_eq!(world.shares(), [0, 255]);
    let notices = world.probed(0, 1, "++");
    assert_eq!(moves(&notices), [""; 0], "the pool was there all the time");
    let returned = world.now;
    let generation = world.generation();
    for step in 0..10u32 {
        world.pass_until(returned, f64::from(step) + 0.9);
        let part = (f64::from(step) + 0.5) / 10.0;
        assert_eq!(world.shares(), [Share::of(part).parts(), 255], "step {step}");
        assert!((world.health(0, 0).share - part).abs() < 0.001);
        assert_eq!(world.told("a"), [(0, 1), (0, 2)]);
    }
    assert_eq!((world.standing(), world.generation()), (Standing::Full, generation + 9));
    world.pass_until(returned, 10.0);
    assert_eq!((world.shares(), world.controller.due()), (vec![255, 255], None));
    // Gone in between, it begins anew.
    world.probed(0, 1, "--++");
    world.pass(secs(5));
    world.probed(0, 1, "--");
    assert_eq!((world.shares(), world.controller.due()), (vec![0, 255], None));
    world.probed(0, 1, "++");
    assert_eq!(world.shares(), [Share::of(0.05).parts(), 255]);
}

#[test]
fn addresses_that_bring_their_pool_back_share_its_way() {
    let mut world = World::settled_of(with_rules(&[("a", &[1, 2, 3]), ("b", &[1])], SLOWLY));
    for address in 1..=3 {
        world.probed(0, address, "--");
    }
    world.probed(0, 1, "++");
    assert_eq!(world.standing(), Standing::Returning(Share::of(0.05)));
    assert_eq!(world.shares(), [255, 0, 0], "all of the share of its pool");
    world.pass(secs(5));
    world.probed(0, 2, "++");
    assert_eq!(world.shares(), [255, Share::of(0.05).parts(), 0], "it joins another");
}

#[test]
fn nothing_grows_within_a_pool_that_is_out() {
    let pools: Pools<'_> = &[("a", &[1, 2]), ("b", &[1])];
    let both = ServiceRules { min_available: crate::plan::MinAvailable::Addresses(2), ..SLOWLY };
    let mut world = World::settled_of(with_rules(pools, SLOWLY));
    world.probed(0, 1, "--++");
    world.probed(0, 2, "--");
    assert_eq!(world.shares(), [Share::of(0.15).parts(), 0], "it is on its way");
    // By other rules the pool is out, and comes back as a whole.
    world.replaced(with_rules(pools, both));
    assert_eq!((world.standing(), world.shares()), (Standing::BelowMinimum, vec![255, 0]));
    world.probed(0, 2, "++");
    assert_eq!((world.standing(), world.shares()), (Standing::Returning(Share::of(0.05)), vec![255, 255]));
}

#[test]
fn a_reload_keeps_growing_shares() {
    let pools: Pools<'_> = &[("a", &[1, 2]), ("b", &[1])];
    let mut world = World::settled_of(with_rules(pools, SLOWLY));
    world.probed(0, 1, "--++");
    let returned = world.now;
    world.pass(secs(4));
    world.replaced(with_rules(pools, SLOWLY));
    assert_eq!(world.shares(), [Share::of(0.45).parts(), 255]);
    assert_eq!(world.controller.due(), Some(returned + secs(5)));
    world.pass(secs(10));
    // What has arrived does not set out again.
    world.replaced(with_rules(pools, ServiceRules { slow_start: secs(3600), ..SLOWLY }));
    assert_eq!((world.shares(), world.controller.due()), (vec![255, 255], None));
}

#[test]
fn an_address_that_flips_too_often_is_held_down() {
    let mut world = World::settled_of(damped(Some(DAMPING)));
    assert_eq!(kinds(&world.probed(0, 1, "--++")), ["published", "turned", "published", "turned"]);
    assert_eq!(world.told("a"), [(0, 1), (0, 2)], "two flips are borne");
    let notices = world.probed(0, 1, "--");
    assert_eq!(kinds(&notices), ["published", "turned", "damped"]);
    let flipped = world.now;
    let Some(Notice::Damped { watch, hold }) = notices.last() else { panic!("{notices:?}") };
    assert_eq!((&watch.address[..], hold.flips, hold.until), ("1", 3, flipped + secs(5)));
    assert_eq!(world.told("a"), [(0, 2)]);

    // It turns up, and clients see nothing of it: the hold begins anew.
    assert_eq!(kinds(&world.probed(0, 1, "++")), ["turned"]);
    let flipped = world.now;
    let health = world.health(0, 0);
    assert_eq!((&health.health[..], health.available, health.share), ("up", false, 0.0));
    let status = health.damped.expect("it is held down");
    assert_eq!((status.flips, status.seconds), (4, 5.0));
    assert_eq!(world.controller.due(), Some(flipped + secs(5)));
    world.pass_until(flipped, 4.9);
    assert_eq!(world.told("a"), [(0, 2)]);
    let notices = world.pass_until(flipped, 5.0);
    assert_eq!(kinds(&notices), ["published", "undamped"]);
    assert_eq!(world.told("a"), [(0, 1), (0, 2)]);
    assert!(world.health(0, 0).damped.is_none());
    assert_eq!(world.controller.due(), None);
}

#[test]
fn flips_that_are_far_apart_are_borne() {
    let mut world = World::settled_of(damped(Some(DAMPING)));
    for _ in 0..20 {
        let notices = world.probed(0, 1, "--++");
        assert_eq!(kinds(&notices), ["published", "turned", "published", "turned"]);
        world.pass(secs(10));
    }
    // Of its first verdict, and of what its pool's others do, nothing counts.
    let mut world = World::of(damped(Some(Damping { flips: 1, ..DAMPING })));
    assert!(!kinds(&world.probed(0, 1, "---++")).contains(&"damped"));
    assert!(!kinds(&world.probed(0, 2, "--++")).contains(&"damped"));
}

#[test]
fn a_pool_of_damped_addresses_is_out() {
    let mut world = World::settled_of(damped(Some(Damping { flips: 1, ..DAMPING })));
    world.probed(0, 2, "--");
    let notices = world.probed(0, 1, "--++");
    assert_eq!(moves(&notices), ["a out of service: none of its 2 addresses is up"]);
    assert_eq!((world.health(0, 0).health, world.told("www")), ("up".to_owned(), vec![(1, 1)]));
    let notices = world.pass(secs(5));
    assert_eq!(moves(&notices), ["a in service: it serves all its clients"]);
    assert_eq!(world.told("www"), [(0, 1)]);
}

#[test]
fn a_reload_keeps_holds_unless_nothing_is_held_any_more() {
    let mut world = World::settled_of(damped(Some(DAMPING)));
    world.probed(0, 1, "--++--++");
    let flipped = world.now;
    assert_eq!(world.told("a"), [(0, 2)]);
    world.replaced(damped(Some(DAMPING)));
    assert_eq!((world.told("a"), world.controller.due()), (vec![(0, 2)], Some(flipped + secs(5))));
    // A longer hold is for the next flip.
    world.replaced(damped(Some(Damping { hold: secs(60), ..DAMPING })));
    assert_eq!((world.told("a"), world.controller.due()), (vec![(0, 2)], Some(flipped + secs(5))));
    let notices = world.replaced(damped(None));
    assert!(kinds(&notices).contains(&"undamped"));
    assert_eq!((world.told("a"), world.controller.due()), (vec![(0, 1), (0, 2)], None));
}
