//! TTLs that shrink while a flip is near: the table's word for it is how long a pool has been calm.

use super::*;

/// Pools `a` and `b`; `www`, over both, has a TTL of 30 s that shrinks to 1 s.
fn shrinking() -> Plan {
    let mut plan = plan(&[("a", &[1, 2]), ("b", &[1]), ("c", &[1])], CHECK);
    for domain in plan.domains.iter_mut().filter(|domain| domain.pools().len() == 1) {
        (domain.ttl, domain.ttl_min) = (60, 60);
    }
    let www = plan.domains.last_mut().expect("it is the last one");
    (www.ttl, www.ttl_min) = (30, 1);
    remove_last_pool(www);
    plan
}

/// The calm of the first pool at each of its changes, by tenths of a second after `since`.
fn grows(world: &mut World, since: Instant) -> Vec<(u128, u32)> {
    let mut grows = vec![((world.now - since).as_millis() / 100, world.calm(0))];
    while let Some(due) = world.controller.due() {
        let generation = world.generation();
        world.pass(due - world.now);
        assert_eq!(world.generation(), generation + 1, "each step is a table");
        grows.push(((world.now - since).as_millis() / 100, world.calm(0)));
    }
    grows
}

#[test]
fn nothing_is_calmer_than_a_start() {
    let world = World::settled_of(shrinking());
    assert_eq!([0, 1, 2].map(|pool| world.calm(pool)), [u32::MAX; 3]);
    assert_eq!(world.controller.due(), None);
}

#[test]
fn a_first_failure_ends_the_calm_and_it_grows_back() {
    let mut world = World::settled_of(shrinking());
    assert_eq!(kinds(&world.probed(0, 1, "-")), ["published"]);
    assert_eq!((world.calm(0), world.calm(1)), (0, u32::MAX));
    assert_eq!(world.told("a"), [(0, 1), (0, 2)], "it is up all the same");
    assert_eq!(world.controller.due(), None, "what comes next is not known");
    // It was nothing.
    world.probed(0, 1, "+");
    let (dissolved, generation) = (world.now, world.generation());
    assert_eq!(
        grows(&mut world, dissolved),
        [(0, 0), (10, 1), (20, 2), (40, 4), (80, 8), (160, 16), (320, u32::MAX)]
    );
    assert_eq!(world.generation(), generation + 6);
}

#[test]
fn the_ttl_follows_the_calm() {
    let mut world = World::settled_of(shrinking());
    assert_eq!((world.ttl("www"), world.ttl("a")), (30, 60));
    world.probed(0, 1, "-");
    assert_eq!((world.ttl("www"), world.ttl("a")), (1, 60), "only where a TTL shrinks");
    world.probed(0, 1, "+");
    let dissolved = world.now;
    for (after, ttl) in [(0.0, 1), (1.9, 1), (2.0, 2), (4.0, 4), (8.0, 8), (31.9, 16), (32.0, 30)] {
        world.pass_until(dissolved, after);
        assert_eq!(world.ttl("www"), ttl, "{after} s after");
    }
}

#[test]
fn after_a_flip_the_calm_grows_back() {
    let mut world = World::settled_of(shrinking());
    world.probed(0, 1, "--");
    let flipped = world.now;
    world.pass(secs(5));
    assert_eq!(world.calm(0), 4);
    // More of the same is no unrest.
    assert_eq!(world.probed(0, 1, "-"), []);
    // A first pass on the way up is.
    world.pass_until(flipped, 10.0);
    assert_eq!(world.calm(0), 8);
    world.probed(0, 1, "+");
    assert_eq!((world.calm(0), world.told("a")), (0, vec![(0, 2)]));
    world.probed(0, 1, "+");
    assert_eq!((world.calm(0), world.told("a")), (0, vec![(0, 1), (0, 2)]));
    let flipped = world.now;
    assert_eq!(grows(&mut world, flipped).last(), Some(&(320, u32::MAX)));
}

#[test]
fn a_streak_that_lasts_keeps_the_calm_away() {
    let mut plan = shrinking();
    plan.health_checks[0].fall = 100;
    let mut world = World::settled_of(plan);
    assert_eq!(kinds(&world.probed(0, 1, &"-".repeat(90))), ["published"]);
    assert_eq!(world.calm(0), 0);
    // One of two is enough.
    world.probed(0, 2, "-");
    world.probed(0, 1, "+");
    assert_eq!((world.calm(0), world.controller.due()), (0, None));
    world.probed(0, 2, "+");
    world.pass(secs(1));
    assert_eq!(world.calm(0), 1);
}

#[test]
fn where_no_ttl_shrinks_nothing_is_published_for_it() {
    let mut world = World::settled_of(shrinking());
    let generation = world.generation();
    assert_eq!(world.probed(2, 1, "-+-+"), []);
    world.probed(2, 1, "--");
    assert_eq!((world.generation(), world.calm(2), world.controller.due()), (generation + 1, u32::MAX, None));
}

#[test]
fn coming_back_is_no_calm() {
    let mut plan = shrinking();
    rules_of(&mut plan, 0).hold_down = secs(60);
    let mut world = World::settled_of(plan);
    world.probed(0, 1, "--");
    world.probed(0, 2, "--++");
    world.pass(secs(59));
    assert_eq!((world.standing(), world.calm(0)), (Standing::Held, u32::MAX));
    world.pass(secs(1));
    assert_eq!((world.standing(), world.calm(0)), (Standing::Full, 0));
    let back = world.now;
    assert_eq!(grows(&mut world, back).len(), 7);
}

#[test]
fn a_reload_keeps_the_calm_and_its_lack() {
    let mut world = World::settled_of(shrinking());
    world.probed(0, 1, "-+");
    let dissolved = world.now;
    world.pass(secs(5));
    world.replaced(shrinking());
    assert_eq!((world.calm(0), world.controller.due()), (4, Some(dissolved + secs(8))));
    // A longer TTL takes longer to come back.
    let mut longer = shrinking();
    longer.domains.last_mut().expect("it is the last one").ttl = 100;
    world.replaced(longer);
    let steps = grows(&mut world, dissolved);
    assert_eq!(steps[steps.len() - 2..], [(640, 64), (1280, u32::MAX)]);
    // And what has come back stays so.
    let mut longest = shrinking();
    longest.domains.last_mut().expect("it is the last one").ttl = 10_000;
    world.replaced(longest);
    assert_eq!((world.calm(0), world.controller.due()), (u32::MAX, None));
    // Without a shrinking TTL nothing is near.
    world.probed(0, 1, "-");
    assert_eq!(world.calm(0), 0);
    world.replaced(plan(&[("a", &[1, 2]), ("b", &[1]), ("c", &[1])], CHECK));
    assert_eq!(world.calm(0), u32::MAX);
}
