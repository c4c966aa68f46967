//! Holds, slow starts and what else takes time go on.

use super::*;
use crate::plan::{Condition, ConditionRule};

#[test]
fn who_is_held_is_held_until_the_same_moment() {
    let mut world = World::settled_of(with_rules(SITES, ServiceRules { hold_down: secs(60), ..RULES }));
    world.probed(0, 1, "--++");
    let (mut next, recalled) = world.restarted(world.plan(), secs(10));
    assert_eq!((recalled.pools, moves(&recalled.notices)), (1, vec![]));
    let start = next.now;
    assert_eq!((next.standing(), next.controller.due()), (Standing::Held, Some(start + secs(50))));
    next.probed(0, 1, "+");
    next.probed(1, 1, "+");
    assert_eq!(next.told("www"), [(1, 1)]);
    next.pass_until(start, 50.0);
    assert_eq!(next.told("www"), [(0, 1)]);
    // What was over meanwhile is over, and is told.
    let (next, recalled) = world.restarted(world.plan(), secs(60));
    assert_eq!(moves(&recalled.notices), ["a in service: it serves all its clients"]);
    assert_eq!(next.told("www"), [(0, 1)]);
    // A hold outlives what is believed of addresses, if it is that long.
    let world = {
        let mut world = World::settled_of(with_rules(SITES, ServiceRules { hold_down: 3 * HOUR, ..RULES }));
        world.probed(0, 1, "--++");
        world
    };
    let (next, recalled) = world.restarted(world.plan(), 2 * HOUR);
    assert_eq!((counts(&recalled), next.standing()), ([0, 0, 2], Standing::Held));
}

#[test]
fn who_was_down_has_to_come_back_as_its_rules_say() {
    let mut world = World::settled_of(with_rules(SITES, ServiceRules { hold_down: secs(60), ..RULES }));
    world.probed(0, 1, "--");
    let (mut next, _) = world.restarted(world.plan(), secs(600));
    next.probed(1, 1, "+");
    next.probed(0, 1, "+");
    assert_eq!((next.standing(), next.told("www")), (Standing::Held, vec![(1, 1)]));
    // Long ago: what comes first is no comeback.
    let (mut next, _) = world.restarted(world.plan(), 2 * HOUR);
    next.probed(0, 1, "+");
    assert_eq!(next.told("www"), [(0, 1)]);
}

#[test]
fn who_waits_for_the_operator_waits_over_any_time() {
    let manual = ServiceRules { failback: Failback::Manual, ..RULES };
    let mut world = World::settled_of(with_rules(SITES, manual));
    world.probed(0, 1, "--");
    let down = world.restarted(world.plan(), 1000 * HOUR).0;
    world.probed(0, 1, "++");
    let recovered = world.restarted(world.plan(), 1000 * HOUR).0;
    for mut next in [down, recovered] {
        next.probed(1, 1, "+");
        next.probed(0, 1, "+");
        assert_eq!((next.standing(), next.told("www")), (Standing::AwaitsRelease, vec![(1, 1)]));
        assert_eq!(next.controller.can_release("a"), Ok(()));
        next.released("a");
        assert_eq!(next.told("www"), [(0, 1)]);
        let (next, _) = next.restarted(next.plan(), secs(60));
        assert_eq!(next.told("www"), [(0, 1)], "what was released stays so");
    }
    // The operator has changed the rules meanwhile.
    let rules = ServiceRules { hold_down: secs(60), ..RULES };
    let (next, _) = world.restarted(with_rules(SITES, rules), secs(5));
    assert_eq!((next.standing(), next.controller.due()), (Standing::Held, Some(next.now + secs(60))));
}

#[test]
fn who_flips_too_often_stays_damped() {
    let mut damped = plan(SITES, CHECK);
    damped.health_checks[0].damping = Some(Damping { flips: 2, window: secs(60), hold: secs(30) });
    let mut world = World::settled_of(damped);
    world.probed(0, 1, "--++");
    // A third flip, of which the first two were before.
    let (mut next, recalled) = world.restarted(world.plan(), Duration::ZERO);
    assert_eq!(kinds(&recalled.notices), [""; 0]);
    let notices = next.probed(0, 1, "--");
    assert!(kinds(&notices).contains(&"damped"), "{notices:?}");
    next.probed(0, 1, "++");
    assert_eq!(next.told("www"), [(1, 1)]);
    let (mut next, recalled) = next.restarted(next.plan(), secs(10));
    assert_eq!(kinds(&recalled.notices), [""; 0], "nothing has changed");
    let start = next.now;
    next.probed(1, 1, "+");
    next.probed(0, 1, "+");
    let hold = next.health(0, 0).damped.expect("it is held").flips;
    assert_eq!((hold, next.told("www"), next.controller.due()), (4, vec![(1, 1)], Some(start + secs(20))));
    let notices = next.pass_until(start, 20.0);
    assert_eq!(kinds(&notices), ["published", "undamped", "moved"]);
    assert_eq!(next.told("www"), [(0, 1)]);
}

#[test]
fn a_slow_start_goes_on_where_it_was() {
    let rules = ServiceRules { slow_start: secs(20), ..RULES };
    let mut world = World::settled_of(with_rules(SITES, rules));
    world.probed(0, 1, "--++");
    world.pass(secs(5));
    assert_eq!(world.standing(), Standing::Returning(Share::of(5.5 / 20.0)));
    let (mut next, _) = world.restarted(world.plan(), secs(4));
    assert_eq!(next.standing(), Standing::Returning(Share::of(9.5 / 20.0)));
    next.pass(secs(11));
    assert_eq!(next.standing(), Standing::Full);

    // That of an address in a pool which was in service all the time.
    let two: Pools<'_> = &[("a", &[1, 2]), ("b", &[1])];
    let mut world = World::settled_of(with_rules(two, rules));
    world.probed(0, 1, "--++");
    world.pass(secs(10));
    assert_eq!(world.shares(), [134, 255]);
    let (next, _) = world.restarted(world.plan(), secs(5));
    assert_eq!(next.shares(), [198, 255]);
}

#[test]
fn what_a_site_has_said_counts_until_its_end() {
    let mut world = World::settled(SITES);
    world.reported("a", "1", Some(30));
    assert_eq!(world.told("www"), [(1, 1)]);
    let (mut next, _) = world.restarted(world.plan(), secs(10));
    let away = next.health(0, 0).away.expect("it is away");
    assert_eq!((away.seconds, next.told("www")), (20.0, vec![(1, 1)]));
    next.probed(0, 1, "+");
    next.probed(1, 1, "+");
    assert_eq!(next.told("www"), [(1, 1)]);
    assert_eq!(kinds(&next.pass(secs(20))), ["published", "back", "moved"]);
    assert_eq!(next.told("www"), [(0, 1)]);
    let (next, _) = world.restarted(world.plan(), secs(30));
    assert_eq!((next.health(0, 0).away.is_some(), next.told("www")), (false, vec![(0, 1)]));
}

#[test]
fn ttls_stay_as_short_as_it_has_been_calm() {
    let mut calm = plan(SITES, CHECK);
    for domain in &mut calm.domains {
        (domain.ttl, domain.ttl_min) = (60, 1);
    }
    let mut world = World::settled_of(calm);
    world.probed(0, 1, "--++");
    world.pass(secs(5));
    assert_eq!(world.calm(0), 4);
    let (next, _) = world.restarted(world.plan(), secs(4));
    assert_eq!(next.calm(0), 8);
}

#[test]
fn the_place_of_a_condition_is_remembered_too() {
    let mut plan = plan(SITES, CHECK);
    let endpoint = Endpoint::Ip([10, 0, 9, 9].into());
    let rule = ConditionRule::Check { check: CheckId(0), endpoint, port: Some(80) };
    plan.conditions = vec![Condition { name: "database".to_owned(), rule }];
    Arc::make_mut(&mut plan.pools[0]).condition = Some(crate::plan::ConditionId(0));
    let mut world = World::settled_of(plan);
    world.probed(9, 9, "--");
    world.probed(0, 1, "+");
    world.probed(1, 1, "+");
    assert_eq!((world.standing(), world.told("www")), (Standing::Unmet, vec![(1, 1)]));
    let (next, recalled) = world.restarted(world.plan(), Duration::ZERO);
    assert_eq!((counts(&recalled), next.controller.is_settled()), ([3, 0, 0], true));
    assert_eq!((next.standing(), next.told("www")), (Standing::Unmet, vec![(1, 1)]));
}

#[test]
fn whoever_is_ordered_out_stays_out_and_keeps_its_health() {
    let mut world = World::settled(SITES);
    world.probed(1, 1, "+");
    world.probed(0, 1, "+");
    world.ordered("a", Some("1"), AddressState::Drain);
    for orders_come_first in [true, false] {
        let memory = world.controller.memory(world.moment());
        let mut next = World::of(world.plan());
        let moment = Moment { now: next.now, wall: WALL };
        if orders_come_first {
            next.ordered("a", Some("1"), AddressState::Drain);
        }
        next.controller.recall(memory, HOUR, moment);
        if !orders_come_first {
            next.ordered("a", Some("1"), AddressState::Drain);
        }
        assert_eq!((next.told("www"), &next.health(0, 0).health[..]), (vec![(1, 1)], "up"));
        next.ordered("a", Some("1"), AddressState::Auto);
        assert_eq!(next.told("www"), [(0, 1)]);
    }
}
