//! What nobody has written does no harm.

use super::*;

/// A world in which there is something of everything to remember.
fn eventful() -> World {
    let rules = ServiceRules { hold_down: secs(10), slow_start: secs(120), ..RULES };
    let mut plan = by_name();
    *rules_of(&mut plan, 1) = rules;
    plan.health_checks[0].damping = Some(Damping { flips: 2, window: secs(60), hold: secs(30) });
    for domain in &mut plan.domains {
        (domain.ttl, domain.ttl_min) = (60, 1);
    }
    let mut world = World::of(plan);
    resolved(&mut world, Found::Addresses(vec![[10, 0, 0, 7].into()]));
    world.probed(0, 7, "+--++--");
    world.probed(1, 1, "+--++");
    world.pass(secs(15));
    world.reported("b", "1", Some(30));
    world
}

/// Puts one of `numbers` after the other in the place of each time, and of other numbers as far as they go.
fn disturb(value: &mut serde_json::Value, numbers: &mut impl Iterator<Item = u64>) {
    match value {
        serde_json::Value::Number(number) => *number = numbers.next().expect("there is no end").into(),
        serde_json::Value::Array(list) => list.iter_mut().for_each(|value| disturb(value, numbers)),
        serde_json::Value::Object(map) => {
            let is_limited = |key: &str| ["port", "streak", "needed", "flips", "took"].contains(&key);
            for (key, value) in map {
                match value {
                    serde_json::Value::Number(_) if is_limited(key) => {}
                    value if key == "took" => drop(value.take()),
                    value => disturb(value, numbers),
                }
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No time is too odd: it is damage, and whatever is made of it ends.
    #[test]
    fn no_time_that_is_written_does_harm(
        numbers in proptest::collection::vec(
            prop_oneof![
                Just(0),
                Just(u64::MAX),
                Just(i64::MAX as u64),
                Just(WALL),
                WALL - 100_000..WALL + 100_000,
                any::<u64>(),
            ],
            1..20,
        ),
        wall in prop_oneof![Just(WALL), Just(0), Just(u64::MAX), any::<u64>()],
    ) {
        let world = eventful();
        let mut value = serde_json::to_value(world.controller.memory(world.moment())).expect("it can be JSON");
        disturb(&mut value, &mut numbers.into_iter().cycle());
        let memory: Memory = serde_json::from_value(value).expect("its numbers are as large as they may be");
        let mut next = World::of(world.plan());
        let moment = Moment { now: next.now, wall };
        next.controller.recall(memory, HOUR, moment);
        resolved(&mut next, Found::Addresses(vec![[10, 0, 0, 7].into()]));
        next.probed(0, 7, "++--++");
        next.probed(1, 1, "++--++");
        next.pass(secs(3600));
        next.probed(1, 1, "++");
        next.probed(0, 7, "++");
        next.told("www");
        next.controller.memory(Moment { now: next.now, wall });
    }
}

#[test]
fn there_is_something_of_everything_in_an_eventful_world() {
    let world = eventful();
    let written = serde_json::to_string(&world.controller.memory(world.moment())).expect("it can be JSON");
    for key in ["since", "hold", "flips", "is_damped", "calm", "absences", "answered", "transitions", "took"]
    {
        assert!(written.contains(&format!("\"{key}\"")), "{key}: {written}");
    }
}
