//! Verdicts become tables.

use super::*;

#[test]
fn the_first_round_lets_in_who_passes() {
    let mut world = World::new(&[("a", &[1, 2]), ("b", &[1])]);
    assert!(!world.controller.is_settled());
    // Nobody is known to be up, so that all are given.
    assert_eq!(world.told("a"), [(0, 1), (0, 2)]);
    let generation = world.generation();

    assert_eq!(kinds(&world.probed(0, 2, "+")), ["published", "turned"]);
    assert_eq!(world.told("a"), [(0, 2)], "one is known to be up, the other is not");
    assert_eq!(kinds(&world.probed(0, 1, "-")), ["turned"], "it was not given before either");
    assert_eq!(world.told("www"), [(0, 2)]);
    assert!(!world.controller.is_settled());
    assert_eq!(kinds(&world.probed(1, 1, "+")), ["published", "turned", "settled"]);
    assert!(world.controller.is_settled());
    assert_eq!(world.generation(), generation + 2);
    assert_eq!(kinds(&world.probed(1, 1, "+")), [""; 0], "settled is told once");
}

#[test]
fn a_first_probe_that_could_not_be_made_counts_as_up() {
    let mut world = World::new(&[("a", &[1, 2])]);
    assert_eq!(kinds(&world.probed(0, 1, "!")), ["published"]);
    assert_eq!(world.told("a"), [(0, 1)]);
    assert_eq!(world.health(0, 0).health, "unknown");
    assert_eq!(kinds(&world.probed(0, 2, "!")), ["published", "settled"]);
    assert_eq!(world.told("a"), [(0, 1), (0, 2)]);
    // It was up, and stays so.
    assert_eq!(kinds(&world.probed(0, 1, "+")), ["turned"]);
    assert_eq!(kinds(&world.probed(0, 2, "!!!")), [""; 0]);
    assert_eq!(kinds(&world.probed(0, 2, "-")), ["published", "turned"]);
    assert_eq!(world.told("a"), [(0, 1)]);
}

#[test]
fn a_transition_is_in_the_very_next_answer() {
    let mut world = World::settled(&[("a", &[1, 2]), ("b", &[1])]);
    let generation = world.generation();
    assert_eq!(kinds(&world.probed(0, 1, "-")), [""; 0]);
    assert_eq!(world.told("a"), [(0, 1), (0, 2)], "one failure of two");

    let notices = world.probed(0, 1, "-");
    let [Notice::Published { generation: published }, Notice::Turned { watch, transition }] = &notices[..]
    else {
        panic!("{notices:?}");
    };
    assert_eq!((*published, world.generation()), (generation + 1, generation + 1));
    assert_eq!((watch.pool_or_none(), &watch.address[..]), ("a", "1"));
    assert_eq!((transition.from, transition.to, transition.at), (Verdict::Up, Verdict::Down, world.now));
    assert_eq!(transition.to_string(), "connection refused after 0.0 ms, 2 of 2");
    assert_eq!(world.told("a"), [(0, 2)]);

    world.probed(0, 2, "--");
    assert_eq!(world.told("www"), [(1, 1)], "the next pool in order");
    assert_eq!(world.told("a"), [(0, 1), (0, 2)], "all down: as if all were up");
    world.probed(0, 1, "++");
    assert_eq!((world.told("www"), world.told("a")), (vec![(0, 1)], vec![(0, 1)]));
    assert_eq!(world.generation(), generation + 3);
}

#[test]
fn flapping_below_the_thresholds_changes_nothing() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    let generation = world.generation();
    assert_eq!(world.probed(0, 1, &"+-".repeat(100)), []);
    assert_eq!(world.probed(0, 1, "+!-!+-!!!+"), []);
    assert_eq!((world.generation(), world.told("a")), (generation, vec![(0, 1), (0, 2)]));
}

#[test]
fn outcomes_of_what_is_not_watched_any_more_are_ignored() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    let gone = world.target(0, 2);
    world.reloaded(&[("a", &[1])], CHECK);
    for target in [gone, TargetId(u64::MAX)] {
        let event = probed(target, outcome('-'), world.now);
        assert_eq!(world.controller.handle(event, world.now), []);
    }
    // The address comes back: another target, so that a late probe of the old one means nothing.
    world.reloaded(&[("a", &[1, 2])], CHECK);
    assert_ne!(world.target(0, 2), gone);
}

#[test]
fn a_reload_keeps_what_is_known_of_addresses_that_stay() {
    let mut world = World::settled(&[("a", &[1, 2, 3]), ("b", &[1])]);
    world.probed(0, 1, "--");
    world.probed(0, 2, "-");
    let (since, generation) = (world.health(0, 0).since_seconds, world.generation());
    assert!(since > Some(0.0));
    let kept = world.target(0, 1);

    // The same again.
    let notices = world.reloaded(&[("a", &[1, 2, 3]), ("b", &[1])], CHECK);
    assert_eq!(kinds(&notices), ["published", "rewatch", "settled"]);
    assert_eq!(world.generation(), generation + 1);
    assert_eq!(world.target(0, 1), kept);
    assert_eq!(world.told("a"), [(0, 2), (0, 3)]);

    // Another interval and other thresholds, another order, one gone, one new.
    let notices =
        world.reloaded(&[("a", &[4, 2, 1]), ("b", &[1])], Check { interval: 100, fall: 1, rise: 3 });
    assert_eq!(kinds(&notices), ["published", "rewatch"]);
    assert!(!world.controller.is_settled(), "of one nothing is known");
    assert_ne!(world.target(0, 1), kept, "what is to be done has changed");
    assert_eq!(world.told("a"), [(0, 2)], "the new one waits for its first probe");
    assert_eq!(world.health(0, 2).health, "down");
    assert_eq!(world.health(0, 2).since_seconds, since);
    assert_eq!(world.health(0, 0).health, "unknown");

    // Of its streak of one failure the second address keeps all, and one is enough now.
    assert_eq!(world.health(0, 1).streak, 1);
    assert_eq!(kinds(&world.probed(0, 2, "-")), ["published", "turned"]);
    assert_eq!(kinds(&world.probed(0, 1, "++")), [""; 0], "three are wanted now");
    assert_eq!(kinds(&world.probed(0, 1, "+")), ["published", "turned"]);
    assert_eq!(kinds(&world.probed(0, 4, "+")), ["published", "turned", "settled"]);
    assert_eq!(world.told("a"), [(0, 1), (0, 4)]);

    // What left is forgotten: when it comes back it is new.
    world.reloaded(&[("a", &[4])], CHECK);
    world.reloaded(&[("a", &[4, 1]), ("b", &[1])], CHECK);
    assert_eq!(world.told("a"), [(0, 4)]);
    assert_eq!(world.health(0, 1).health, "unknown");
    assert!(!world.controller.is_settled());
}

#[test]
fn only_the_controller_lets_go_of_tables() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    let reader = world.controller.published().load_full();
    let old = Arc::downgrade(&reader);
    world.probed(0, 1, "--");
    // What the reader lets go of is still there.
    drop(reader);
    assert_eq!(old.strong_count(), 1);
    world.probed(0, 2, "+");
    assert_eq!(old.strong_count(), 0, "the next event has cleared it away");

    let reader = world.controller.published().load_full();
    world.probed(0, 1, "++");
    world.probed(0, 1, "++++");
    assert_eq!(Arc::strong_count(&reader), 2, "kept as long as a reader has it");
}

#[test]
fn tables_of_an_earlier_plan_are_left_to_others_to_free() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    let first = world.controller.published().load_full();
    let old = Arc::downgrade(&first);
    world.reloaded(&[("a", &[1, 2]), ("b", &[1])], CHECK);
    assert!(world.controller.take_remains().is_some(), "the addresses of what was");
    world.probed(0, 1, "--");
    assert!(world.controller.take_remains().is_none(), "a flip leaves nothing, and the table is read");
    drop(first);
    world.probed(0, 2, "+");
    assert_eq!(old.strong_count(), 1, "the controller does not free it");
    drop(world.controller.take_remains());
    assert_eq!(old.strong_count(), 0);
}

#[test]
fn the_status_says_what_is_known() {
    let mut world = World::new(&[("a", &[1, 2, 3])]);
    world.probed(0, 1, "++");
    world.probed(0, 2, "+---");
    world.now += Duration::from_secs(10);
    let status = world.controller.status(world.now);
    assert_eq!(status.generation, world.generation());
    assert_eq!(status.domains.len(), 2);
    let domain = &status.domains[1];
    assert_eq!((&domain.name[..], &domain.policy[..], domain.ttl), ("www.ai.example", "priority", 5));
    assert_eq!(domain.pools, ["a"]);
    let pool = &status.pools[0];
    assert_eq!((&pool.name[..], &pool.policy[..], pool.available), ("a", "round-robin", 1));
    let told: Vec<_> = pool
        .addresses
        .iter()
        .map(|address| {
            let AddressStatus {
                name,
                target,
                weight,
                health,
                available,
                share: _,
                state: _,
                order: _,
                away: _,
                damped: _,
                since_seconds,
                streak,
                last_failure,
                last_probe: _,
            } = address;
            (
                (&name[..], &target[..], *weight),
                (&health[..], *available, *since_seconds, *streak, last_failure.as_deref()),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            // Up since its first of two probes, the second address' four came behind.
            (("1", "10.0.0.1", 1), ("up", true, Some(12.5), 2, None)),
            (("2", "10.0.0.2", 1), ("down", false, Some(10.5), 3, Some("connection refused"))),
            (("3", "10.0.0.3", 1), ("unknown", false, None, 0, None)),
        ]
    );
}

#[test]
fn a_check_that_nobody_has_ever_passed_is_suspected_once() {
    let suspected = |notices: &[Notice]| kinds(notices).iter().filter(|kind| **kind == "suspected").count();
    let mut world = World::new(&[("a", &[1, 2])]);
    assert_eq!(suspected(&world.probed(0, 1, "--")), 0, "the other one may pass");
    assert_eq!(suspected(&world.probed(0, 2, "-")), 0, "once is no sign");
    assert_eq!(suspected(&world.probed(0, 2, "-")), 1);
    let suspicion = |world: &World| world.controller.status(world.now).pools[0].suspicion.clone();
    assert_eq!(suspicion(&world).as_deref(), Some("no probe of it has ever passed: connection refused"));
    assert_eq!(suspected(&world.probed(0, 2, "---")), 0);
    world.probed(0, 1, "+");
    assert_eq!(suspicion(&world), None);
    assert_eq!(suspected(&world.probed(0, 1, "---")), 0, "it has passed: it is the site");

    let mut world = World::new(&[("a", &[1, 2])]);
    assert_eq!(suspected(&world.probed(0, 1, "--")), 0);
    assert_eq!(suspected(&world.probed(0, 2, "..")), 0, "each in its own way");
}
