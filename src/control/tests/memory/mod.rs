//! What one controller has believed, another goes on believing.

use super::*;
use crate::control::Recalled;
use crate::plan::{Damping, Failback, Resolved};

mod damage;
mod names;
mod pools;
mod rounds;

/// A moment by the wall clock.
const WALL: u64 = 1_790_000_000_000;

/// The default of the configuration.
const HOUR: Duration = Duration::from_secs(3600);

/// What follows from [`CHECK`]: a change is noticed within twice 500 ms and 100 ms.
const BOUND: Duration = Duration::from_millis(1100);

const SITES: Pools<'_> = &[("a", &[1]), ("b", &[1])];

fn millis(span: Duration) -> u64 {
    span.as_millis() as u64
}

impl World {
    fn moment(&self) -> Moment {
        Moment { now: self.now, wall: WALL }
    }

    /// What another process makes of it after `away`, of `plan`, whatever way the memory takes.
    fn restarted(&self, plan: Plan, away: Duration) -> (World, Recalled) {
        self.restarted_at(plan, WALL + millis(away), HOUR)
    }

    fn restarted_at(&self, plan: Plan, wall: u64, remember: Duration) -> (World, Recalled) {
        let written = serde_json::to_string(&self.controller.memory(self.moment())).expect("it can be JSON");
        let memory: Memory = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(memory, self.controller.memory(self.moment()));
        // Of its clock it is only known that it goes on.
        let mut world = World::of(plan);
        world.now += secs(1_000_000);
        let moment = Moment { now: world.now, wall };
        let recalled = world.controller.recall(memory, remember, moment);
        (world, recalled)
    }
}

fn counts(recalled: &Recalled) -> [usize; 3] {
    [recalled.known, recalled.believed, recalled.unknown]
}

const RULES: ServiceRules = ServiceRules {
    min_available: crate::plan::MinAvailable::Addresses(1),
    failback: Failback::Automatic,
    hold_down: Duration::ZERO,
    slow_start: Duration::ZERO,
};

/// The first pool has the addresses of a name.
fn by_name() -> Plan {
    let mut plan = plan(SITES, CHECK);
    let pool = Arc::make_mut(&mut plan.pools[0]);
    pool.addresses = Addresses::Ip(Vec::new());
    let address = Address {
        name: "web".to_owned(),
        target: name("web.example.net"),
        port: Some(80),
        weight: 1,
        rank: 1,
    };
    pool.resolved = vec![Resolved { address, position: 0 }];
    plan
}

fn resolved(world: &mut World, v4: Found) -> Vec<Notice> {
    let lookup = Lookup { v4, v6: Found::Nothing };
    world.controller.handle(Event::Resolved { name: name("web.example.net"), lookup }, world.now)
}

#[test]
fn what_is_fresh_is_known_at_once() {
    let mut world = World::settled(SITES);
    world.probed(0, 1, "--");
    world.probed(1, 1, "+");
    let (mut next, recalled) = world.restarted(plan(SITES, CHECK), HALF_SECOND);
    assert_eq!((counts(&recalled), next.controller.is_settled()), ([2, 0, 0], true));
    assert_eq!(next.told("www"), [(1, 1)], "the very first answer");
    let [before, after] = [&world, &next].map(|world| world.health(0, 0));
    assert_eq!((&after.health, after.streak, after.last_failure), (&before.health, 2, before.last_failure));
    assert_eq!(after.since_seconds, Some(1.0));
    let history = next.controller.history("a", "1", next.now).expect("it is there");
    let turns: Vec<(String, String)> =
        history.transitions.into_iter().map(|turned| (turned.to, turned.reason)).collect();
    let turn = |to: &str, reason: &str| (to.to_owned(), reason.to_owned());
    assert_eq!(
        turns,
        [
            turn("down", "connection refused after 0.0 ms, 2 of 2"),
            turn("up", "passed after 0.0 ms, first probe")
        ]
    );
    // What was missing is missing still.
    next.probed(0, 1, "+");
    assert_eq!(next.told("www"), [(1, 1)]);
    let notices = next.probed(0, 1, "+");
    assert!(kinds(&notices).contains(&"turned"), "{notices:?}");
    assert_eq!(next.told("www"), [(0, 1)]);
    next.probed(0, 1, "-");
    let (mut third, _) = next.restarted(plan(SITES, CHECK), Duration::ZERO);
    assert_eq!(third.told("www"), [(0, 1)]);
    third.probed(0, 1, "-");
    assert_eq!(third.told("www"), [(1, 1)], "one of the two failures was before");
}

#[test]
fn what_is_stale_is_believed_until_its_first_probe() {
    let mut world = World::settled(SITES);
    world.probed(1, 1, "+");
    world.probed(0, 1, "--");
    for (first, second, expected) in [
        ('-', '+', vec![(1, 1)]),
        ('+', '+', vec![(0, 1)]),
        ('+', '-', vec![(0, 1)]),
        ('!', '+', vec![(1, 1)]),
    ] {
        let (mut next, recalled) = world.restarted(plan(SITES, CHECK), secs(60));
        assert_eq!((counts(&recalled), next.controller.is_settled()), ([0, 2, 0], false));
        assert_eq!(next.told("www"), [(1, 1)], "it is believed");
        assert!(next.controller.watches().all(|(_, _, belief)| belief.is_stale && belief.is_awaited()));
        next.probed(0, 1, &first.to_string());
        assert!(!next.controller.is_settled(), "of the other nothing is known");
        let notices = next.probed(1, 1, &second.to_string());
        assert_eq!(kinds(&notices).last(), Some(&"settled"), "{notices:?}");
        assert_eq!(next.told("www"), expected, "{first} {second}");
    }
    // The first word counts alone, and the second one does not.
    let (mut next, _) = world.restarted(plan(SITES, CHECK), secs(60));
    next.probed(0, 1, "+-");
    assert_eq!(next.told("www"), [(0, 1)]);
    next.probed(0, 1, "-");
    assert_eq!(next.told("www"), [(1, 1)]);
}

#[test]
fn the_bounds_are_exact() {
    let mut world = World::settled(&[("a", &[1])]);
    world.probed(0, 1, "--");
    let one: Pools<'_> = &[("a", &[1])];
    let ms = Duration::from_millis(1);
    for (away, remember, expected) in [
        (BOUND, HOUR, [1, 0, 0]),
        (BOUND + ms, HOUR, [0, 1, 0]),
        (HOUR, HOUR, [0, 1, 0]),
        (HOUR + ms, HOUR, [0, 0, 1]),
        (ms, Duration::ZERO, [0, 0, 1]),
        // Whoever remembers for less than a change takes to be noticed knows it for as long.
        (ms, ms, [1, 0, 0]),
        (2 * ms, ms, [0, 0, 1]),
    ] {
        let (next, recalled) = world.restarted_at(plan(one, CHECK), WALL + millis(away), remember);
        assert_eq!(counts(&recalled), expected, "after {away:?}, {remember:?}");
        let health = ["down", "unknown"][expected[2]];
        assert_eq!((&next.health(0, 0).health[..], next.controller.is_settled()), (health, expected[0] == 1));
    }
}

#[test]
fn what_is_too_old_is_unknown() {
    let mut plan = plan(SITES, CHECK);
    plan.health_checks[0].initial = Verdict::Up;
    let mut world = World::settled_of(plan.clone());
    world.probed(0, 1, "--");
    let (mut next, recalled) = world.restarted(plan, HOUR + secs(60));
    assert_eq!((counts(&recalled), next.controller.is_settled()), ([0, 0, 2], false));
    assert_eq!(&next.health(0, 0).health, "up", "as the check says");
    next.probed(0, 1, "-");
    assert_eq!(next.told("www"), [(0, 1)]);
    // While it is remembered, that goes before what the check says.
    let (next, _) = world.restarted(next.plan(), secs(60));
    assert_eq!(&next.health(0, 0).health, "down");
}

impl World {
    fn plan(&self) -> Plan {
        Plan::clone(self.controller.published().load().plan())
    }
}

#[test]
fn another_check_is_believed_and_another_address_is_not_known() {
    let mut world = World::settled(SITES);
    world.probed(0, 1, "--");
    world.probed(1, 1, "+");
    let mut slower = plan(SITES, CHECK);
    slower.health_checks[0].interval = secs(7);
    let mut other = plan(SITES, CHECK);
    other.health_checks[0].kind =
        CheckKind::Tcp(TcpCheck { send: Some(b"?".to_vec()), ..TcpCheck::default() });
    let address = |change: fn(&mut Address<IpAddr>)| {
        let mut plan = plan(SITES, CHECK);
        let Addresses::Ip(list) = &mut Arc::make_mut(&mut plan.pools[0]).addresses else { unreachable!() };
        change(&mut list[0]);
        plan
    };
    for (what, plan, expected) in [
        ("the same", plan(SITES, CHECK), [2, 0, 0]),
        ("how often it is asked", slower, [2, 0, 0]),
        ("what is asked", other, [0, 2, 0]),
        ("its name", address(|address| address.name = "one".to_owned()), [2, 0, 0]),
        ("its weight", address(|address| address.weight = 7), [2, 0, 0]),
        ("where it is", address(|address| address.target = [10, 0, 9, 9].into()), [1, 0, 1]),
        ("its port", address(|address| address.port = Some(81)), [1, 0, 1]),
        ("the pool", self::plan(&[("c", &[1]), ("b", &[1])], CHECK), [1, 0, 1]),
    ] {
        let (_, recalled) = world.restarted(plan, Duration::ZERO);
        assert_eq!(counts(&recalled), expected, "{what}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_known() {
    let mut world = World::settled_of(with_rules(SITES, ServiceRules { hold_down: secs(60), ..RULES }));
    world.probed(0, 1, "--++");
    let held = |world: &World| world.controller.status(world.now).pools[0].held_seconds;
    assert_eq!(held(&world), Some(60.0));
    for back in [1, 1_000, 3_600_000, WALL] {
        let (next, recalled) = world.restarted_at(world.plan(), WALL - back, HOUR);
        assert_eq!((counts(&recalled), next.controller.is_settled()), ([0, 2, 0], false), "{back}");
        // For no longer than when it was written down.
        assert_eq!((held(&next), next.told("www")), (Some(60.0), vec![(1, 1)]), "{back}");
    }
    let (next, recalled) = world.restarted_at(world.plan(), u64::MAX, HOUR);
    assert_eq!((counts(&recalled), held(&next)), ([0, 0, 2], None), "for ever is too long");
}

#[test]
fn who_has_been_probed_knows_better() {
    let mut world = World::settled(SITES);
    world.probed(0, 1, "--");
    let memory = world.controller.memory(world.moment());
    let mut next = World::of(world.plan());
    next.probed(0, 1, "+");
    let moment = Moment { now: next.now, wall: WALL + 60_000 };
    next.controller.recall(memory, HOUR, moment);
    assert_eq!(next.told("www"), [(0, 1)]);
    assert!(!next.controller.is_settled());
}
