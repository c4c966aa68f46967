//! What one controller has believed, another goes on believing.

use super::*;
use crate::control::Recalled;
use crate::plan::{Condition, ConditionRule, Damping, Failback, Isolation, Resolved};

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

const RULES: ServiceRules = ServiceRules {
    min_available: crate::plan::MinAvailable::Addresses(1),
    failback: Failback::Automatic,
    hold_down: Duration::ZERO,
    slow_start: Duration::ZERO,
};

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
fn a_name_keeps_its_addresses_where_no_resolver_is() {
    let found = |last: u8| Found::Addresses(vec![[10, 0, 0, last].into()]);
    let failed = || Found::Failed("timed out".to_owned());
    let mut world = World::of(by_name());
    resolved(&mut world, found(7));
    world.probed(1, 1, "+");
    world.probed(0, 7, "+");
    assert_eq!((world.told("www"), world.controller.is_settled()), (vec![(0, 7)], true));

    let (mut next, recalled) = world.restarted(by_name(), Duration::ZERO);
    assert_eq!((counts(&recalled), next.controller.is_settled()), ([2, 0, 0], true));
    assert_eq!(next.told("www"), [(0, 7)]);
    resolved(&mut next, failed());
    assert_eq!(next.told("www"), [(0, 7)], "nobody knows better");
    resolved(&mut next, found(8));
    next.probed(0, 8, "+");
    assert_eq!(next.told("www"), [(0, 8)]);

    // After a while it is looked up first; if that cannot be, it counts all the same.
    let (mut next, _) = world.restarted(by_name(), 2 * HOUR);
    next.probed(0, 7, "+");
    next.probed(1, 1, "+");
    assert!(!next.controller.is_settled(), "its name is awaited");
    assert_eq!(kinds(&resolved(&mut next, failed())).last(), Some(&"settled"));
    assert_eq!(next.told("www"), [(0, 7)]);
    // As long as a name that is gone.
    let (next, recalled) = world.restarted(by_name(), 24 * HOUR);
    assert_eq!((counts(&recalled), next.controller.watches().count()), ([0, 0, 1], 1));
}

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

#[test]
#[ignore = "a measurement, of 15 s: run it alone, with --nocapture"]
fn a_snapshot_of_ten_thousand_addresses_takes_no_time() {
    let octets: Vec<u8> = (0..250).collect();
    let names: Vec<String> = (0..40).map(|pool| format!("pool-{pool}")).collect();
    let pools: Vec<(&str, &[u8])> = names.iter().map(|name| (&name[..], &octets[..])).collect();
    let world = World::settled(&pools);
    let began = start();
    let snapshot = world.controller.snapshot(world.moment());
    let took = began.elapsed();
    let memory = snapshot.into_memory();
    let written = serde_json::to_string(&memory).expect("it can be JSON");
    let all = began.elapsed();
    println!("a snapshot of 10,000 in {took:?}, {} octets in {all:?}", written.len());
    // Far more than it takes without optimisation, far less than anybody would notice.
    assert!(took < Duration::from_millis(500), "{took:?}");
}
