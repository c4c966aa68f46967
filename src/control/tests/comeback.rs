//! Pools that were away, and how they come back.

use super::*;
use crate::plan::{Failback, MinAvailable};

const RULES: ServiceRules = ServiceRules {
    min_available: MinAvailable::Addresses(1),
    failback: Failback::Automatic,
    hold_down: Duration::ZERO,
    slow_start: Duration::ZERO,
};
const MANUAL: ServiceRules = ServiceRules { failback: Failback::Manual, ..RULES };

/// Two sites of which the first has `rules`, after a first round in which every probe has passed.
fn two_sites(rules: ServiceRules) -> World {
    World::settled_of(with_rules(&[("a", &[1]), ("b", &[1])], rules))
}

/// The same with a first site of three addresses.
fn three_and_one(rules: ServiceRules) -> World {
    World::settled_of(with_rules(&[("a", &[1, 2, 3]), ("b", &[1])], rules))
}

#[test]
fn without_rules_a_pool_is_back_at_once() {
    let mut world = two_sites(RULES);
    let notices = world.probed(0, 1, "--");
    assert_eq!(kinds(&notices), ["published", "turned", "moved"]);
    assert_eq!(moves(&notices), ["a out of service: its address is down"]);
    assert_eq!(world.told("www"), [(1, 1)]);
    let notices = world.probed(0, 1, "++");
    assert_eq!(moves(&notices), ["a in service: it serves all its clients"]);
    assert_eq!((world.told("www"), world.controller.due()), (vec![(0, 1)], None));
}

#[test]
fn below_its_minimum_a_pool_is_passed_over() {
    for (min_available, words) in
        [(MinAvailable::Addresses(2), "2 addresses"), (MinAvailable::Percent(34), "34 % of the weight")]
    {
        let mut world = three_and_one(ServiceRules { min_available, ..RULES });
        assert_eq!(moves(&world.probed(0, 1, "--")), [""; 0]);
        assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 2), (0, 3)]));
        let notices = world.probed(0, 2, "--");
        let expected = format!("a out of service: 1 of its 3 addresses up, the minimum is {words}");
        assert_eq!(moves(&notices), [expected]);
        assert_eq!((world.standing(), world.told("www")), (Standing::BelowMinimum, vec![(1, 1)]));
        assert_eq!(world.told("a"), [(0, 3)], "where there is nothing else, what it has is given");
        let pool = &world.controller.status(world.now).pools[0];
        assert_eq!((&pool.standing[..], pool.available, pool.share), ("below-minimum", 1, 0.0));
        // The others are down as well: it is better than nothing.
        world.probed(1, 1, "--");
        assert_eq!(world.told("www"), [(0, 3)]);
        world.probed(1, 1, "++");
        world.probed(0, 1, "++");
        assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 1), (0, 3)]));
    }
}

#[test]
fn what_is_not_known_yet_is_not_too_little() {
    let rules = ServiceRules { min_available: MinAvailable::Percent(60), ..MANUAL };
    let mut world = World::of(with_rules(&[("a", &[1, 2, 3]), ("b", &[1])], rules));
    world.probed(1, 1, "+");
    world.probed(0, 1, "-");
    world.probed(0, 2, "+");
    assert_eq!(world.standing(), Standing::Full, "the third decides");
    world.probed(0, 3, "+");
    assert_eq!(world.standing(), Standing::Full);
    // Three more by a reload: they are no failure.
    world.replaced(with_rules(&[("a", &[1, 2, 3, 4, 5, 6]), ("b", &[1])], rules));
    assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 2), (0, 3)]));
    world.probed(0, 4, "-");
    assert_eq!(world.standing(), Standing::Full, "four of six will do");
    world.probed(0, 5, "-");
    assert_eq!((world.standing(), world.told("www")), (Standing::BelowMinimum, vec![(1, 1)]));
}

#[test]
fn with_manual_failback_a_pool_waits_for_its_release() {
    let mut world = two_sites(MANUAL);
    world.probed(0, 1, "--");
    let notices = world.probed(0, 1, "++");
    assert_eq!(moves(&notices), ["a awaits release: it has recovered, and stays away until it is released"]);
    assert_eq!((world.standing(), world.told("www")), (Standing::AwaitsRelease, vec![(1, 1)]));
    world.pass(secs(86_400));
    assert_eq!(world.told("www"), [(1, 1)]);
    world.probed(1, 1, "--");
    assert_eq!(world.told("www"), [(0, 1)], "it is well, and there is nothing else");
    world.probed(1, 1, "++");
    assert_eq!(world.told("www"), [(1, 1)]);

    assert_eq!(world.controller.can_release("a"), Ok(()));
    let notices = world.released("a");
    assert_eq!(kinds(&notices), ["published", "moved"]);
    assert_eq!(moves(&notices), ["a in service: it serves all its clients"]);
    assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 1)]));
}

#[test]
fn only_what_is_kept_away_can_be_released() {
    let mut world = two_sites(MANUAL);
    let refused = |world: &mut World, pool: &str, reason: &str| {
        let words = world.controller.can_release(pool).map_err(|refusal| refusal.to_string());
        assert_eq!(words, Err(reason.to_owned()));
        let generation = world.generation();
        assert_eq!((world.released(pool), world.generation()), (Vec::new(), generation));
    };
    refused(&mut world, "c", "there is no pool `c`");
    refused(&mut world, "a", "pool `a` is in service");
    world.probed(0, 1, "--");
    refused(&mut world, "a", "pool `a` is still out of service: its address is down");
    assert_eq!(world.standing(), Standing::Full, "with nothing to give that decides nothing");
    world.probed(0, 1, "++");
    assert_eq!(world.controller.can_release("a"), Ok(()));
    // Lost once more, and not released by what was said before.
    world.probed(0, 1, "--");
    refused(&mut world, "a", "pool `a` is still out of service: its address is down");
    world.probed(0, 1, "++");
    assert_eq!(world.told("www"), [(1, 1)]);
}

#[test]
fn a_start_has_no_history() {
    for first in ["+", "!"] {
        let rules = ServiceRules { slow_start: secs(60), ..MANUAL };
        let mut world = World::of(with_rules(&[("a", &[1]), ("b", &[1])], rules));
        world.probed(0, 1, first);
        world.probed(1, 1, "+");
        assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 1)]));
        assert_eq!((world.shares(), world.controller.due()), (vec![255], None));
    }
    // What was seen to be down has to wait.
    let mut world = World::of(with_rules(&[("a", &[1]), ("b", &[1])], MANUAL));
    world.probed(0, 1, "-++");
    assert_eq!(world.standing(), Standing::AwaitsRelease);
}

#[test]
fn a_pool_is_held_down_after_its_recovery() {
    let mut world = two_sites(ServiceRules { hold_down: secs(60), ..RULES });
    world.probed(0, 1, "--");
    let notices = world.probed(0, 1, "++");
    assert_eq!(moves(&notices), ["a held: it has recovered, and stays away for 1m"]);
    let recovered = world.now;
    assert_eq!((world.standing(), world.told("www")), (Standing::Held, vec![(1, 1)]));
    assert_eq!(world.controller.due(), Some(recovered + secs(60)));
    world.pass_until(recovered, 59.9);
    let held = world.controller.status(world.now).pools[0].held_seconds.expect("it is held");
    assert!((held - 0.1).abs() < 0.001, "{held}");
    assert_eq!(world.told("www"), [(1, 1)]);
    let notices = world.pass_until(recovered, 60.0);
    assert_eq!(kinds(&notices), ["published", "moved"]);
    assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 1)]));
    assert_eq!(world.controller.due(), None);
}

#[test]
fn failing_while_held_starts_over() {
    let mut world = two_sites(ServiceRules { hold_down: secs(60), ..RULES });
    world.probed(0, 1, "--++");
    world.pass(secs(50));
    world.probed(0, 1, "--");
    assert_eq!(world.controller.due(), None);
    world.probed(0, 1, "++");
    let recovered = world.now;
    world.pass_until(recovered, 59.9);
    assert_eq!((world.standing(), world.told("www")), (Standing::Held, vec![(1, 1)]));
    world.pass_until(recovered, 60.0);
    assert_eq!(world.told("www"), [(0, 1)]);
}

#[test]
fn the_operator_can_cut_a_hold_short() {
    let mut world = two_sites(ServiceRules { hold_down: secs(60), ..RULES });
    world.probed(0, 1, "--++");
    world.pass(secs(5));
    world.released("a");
    assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 1)]));
    assert_eq!(world.controller.due(), None);
}

#[test]
fn a_pool_returns_to_a_growing_share_of_the_clients() {
    let mut world = two_sites(ServiceRules { hold_down: secs(10), slow_start: secs(120), ..RULES });
    world.probed(0, 1, "--++");
    let returned = world.now + secs(10);
    let notices = world.pass_until(returned, 0.0);
    assert_eq!(moves(&notices), ["a returning: its share of the clients grows for 2m"]);
    let generation = world.generation();
    for step in 0..20 {
        // In the middle of the step, so much of the time is over.
        let part = (f64::from(step) + 0.5) / 20.0;
        world.pass_until(returned, 120.0 * part);
        assert_eq!(world.standing(), Standing::Returning(Share::of(part)), "step {step}");
        let pool = &world.controller.status(world.now).pools[0];
        assert_eq!((&pool.standing[..], (pool.share - part).abs() < 0.001), ("returning", true));
        assert_eq!(world.shares(), [255], "an address that is alone shares with nobody");
    }
    world.pass_until(returned, 119.9);
    assert_eq!(
        (world.generation(), world.standing()),
        (generation + 19, Standing::Returning(Share::of(0.975)))
    );
    let notices = world.pass_until(returned, 120.0);
    assert_eq!(moves(&notices), ["a in service: it serves all its clients"]);
    assert_eq!((world.generation(), world.standing()), (generation + 20, Standing::Full));
    assert_eq!(world.controller.due(), None);
}

#[test]
fn failing_while_it_returns_starts_over() {
    let mut world = two_sites(ServiceRules { slow_start: secs(20), ..RULES });
    world.probed(0, 1, "--++");
    world.pass(secs(10));
    assert_eq!(world.standing(), Standing::Returning(Share::of(10.5 / 20.0)));
    world.probed(0, 1, "--");
    assert_eq!((world.told("www"), world.controller.due()), (vec![(1, 1)], None));
    world.probed(0, 1, "++");
    assert_eq!(world.standing(), Standing::Returning(Share::of(0.025)));
}

#[test]
fn a_reload_keeps_what_is_believed_of_pools_that_stay() {
    const A: (&str, &[u8]) = ("a", &[1]);
    const B: (&str, &[u8]) = ("b", &[1]);
    let held_long = ServiceRules { hold_down: secs(60), slow_start: secs(20), ..RULES };
    let mut world = two_sites(held_long);
    world.probed(0, 1, "--++");
    let recovered = world.now;
    world.pass(secs(30));
    // The same again: the hold goes on.
    assert_eq!(moves(&world.replaced(with_rules(&[A, B], held_long))), [""; 0]);
    assert_eq!((world.standing(), world.controller.due()), (Standing::Held, Some(recovered + secs(60))));
    // Half of the way back.
    world.pass_until(recovered, 70.0);
    let share = Standing::Returning(Share::of(10.5 / 20.0));
    assert_eq!(world.standing(), share);
    assert_eq!(moves(&world.replaced(with_rules(&[A, B], held_long))), [""; 0]);
    assert_eq!((world.standing(), world.controller.due()), (share, Some(recovered + secs(71))));
    // Another hold changes nothing for who is past it, another failback neither.
    let changed = ServiceRules { failback: Failback::Manual, hold_down: Duration::ZERO, ..held_long };
    assert_eq!(moves(&world.replaced(with_rules(&[A, B], changed))), [""; 0]);
    assert_eq!(world.standing(), share);
    // No slow start any more: it is back.
    world.replaced(with_rules(&[A, B], MANUAL));
    assert_eq!((world.standing(), world.told("www")), (Standing::Full, vec![(0, 1)]));
    // Lost and recovered, it waits, wherever it stands in the file.
    world.probed(0, 1, "--++");
    let mut elsewhere = with_rules(&[A, B], MANUAL);
    elsewhere.domains[2].ttl += 1;
    world.replaced(elsewhere);
    assert_eq!((world.standing(), world.told("www")), (Standing::AwaitsRelease, vec![(1, 1)]));
    // From now on by itself, after a hold from now on.
    world.pass(secs(3600));
    world.replaced(with_rules(&[A, B], ServiceRules { hold_down: secs(60), ..RULES }));
    assert_eq!((world.standing(), world.controller.due()), (Standing::Held, Some(world.now + secs(60))));
    // A pool that left is forgotten.
    world.replaced(with_rules(&[("c", &[1]), B], MANUAL));
    world.replaced(with_rules(&[A, B], MANUAL));
    world.probed(0, 1, "+");
    assert_eq!((world.standing(), world.controller.due()), (Standing::Full, None));
}

#[test]
fn each_pool_is_due_on_its_own() {
    let mut plan = plan(&[("a", &[1]), ("b", &[1]), ("c", &[1])], CHECK);
    for (pool, hold_down) in [30, 10, 20].into_iter().enumerate() {
        rules_of(&mut plan, pool).hold_down = secs(hold_down);
    }
    let mut world = World::settled_of(plan);
    let started = world.now;
    for pool in 0..3 {
        world.probed(pool, 1, "--++");
    }
    let mut back = Vec::new();
    while let Some(due) = world.controller.due() {
        let notices = world.pass(due - world.now);
        back.extend(moves(&notices).iter().map(|line| (line[..1].to_owned(), (due - started).as_secs())));
    }
    assert_eq!(back, [("b", 14), ("c", 26), ("a", 32)].map(|(pool, at)| (pool.to_owned(), at)));
}
