//! What operators order and sites report.

use super::*;

#[test]
fn an_order_wins_over_what_is_observed_and_what_is_observed_goes_on() {
    let mut world = World::settled(&[("a", &[1, 2]), ("b", &[1])]);
    assert_eq!(world.told("www"), [(0, 1), (0, 2)]);
    assert_eq!(kinds(&world.ordered("a", Some("1"), AddressState::Drain)), ["published"]);
    assert_eq!(world.told("www"), [(0, 2)]);
    let health = world.health(0, 0);
    assert_eq!((&health.health[..], &health.state[..], health.available), ("up", "drain", false));

    world.ordered("a", Some("1"), AddressState::Up);
    assert_eq!(kinds(&world.probed(0, 1, "--")), ["turned"], "nothing to publish");
    assert_eq!(world.told("www"), [(0, 1), (0, 2)]);
    assert_eq!(world.health(0, 0).health, "down");
    world.ordered("a", Some("1"), AddressState::Auto);
    assert_eq!(world.told("www"), [(0, 2)]);
    world.probed(0, 1, "++");
    assert_eq!(world.told("www"), [(0, 1), (0, 2)]);
}

#[test]
fn what_is_taken_out_is_given_in_no_need_unlike_what_fails() {
    let mut world = World::settled(&[("a", &[1, 2]), ("b", &[1])]);
    world.ordered("a", Some("1"), AddressState::Down);
    world.probed(0, 2, "--");
    assert_eq!(world.told("www"), [(1, 1)]);
    world.probed(1, 1, "--");
    assert_eq!(world.told("www"), [(0, 2)], "all down: as if all were up, but for what was ordered");
    world.ordered("a", None, AddressState::Drain);
    assert_eq!(world.told("www"), [(1, 1)], "the pool is out, and the other one all there is");
    assert_eq!(world.told("a"), [], "a domain without anything else has nothing to answer with");
    world.ordered("a", None, AddressState::Auto);
    assert_eq!(world.told("a"), [(0, 2)]);
}

#[test]
fn a_lease_ends_by_itself() {
    let mut world = World::settled(&[("a", &[1]), ("b", &[1])]);
    world.ordered_for("a", None, AddressState::Down, Some(secs(10)));
    assert_eq!(world.told("www"), [(1, 1)]);
    world.pass(secs(8));
    world.ordered_for("a", None, AddressState::Down, Some(secs(10)));
    world.pass(Duration::from_millis(9_999));
    assert_eq!(world.told("www"), [(1, 1)], "it was renewed");
    let notices = world.pass(Duration::from_millis(1));
    assert!(kinds(&notices).contains(&"order-ended"), "{notices:?}");
    assert_eq!(world.told("www"), [(0, 1)]);
}

#[test]
fn a_drained_address_says_when_it_is_empty() {
    let mut world = World::settled(&[("a", &[1, 2])]);
    world.ordered("a", Some("1"), AddressState::Drain);
    let empty_in = |world: &World| world.health(0, 0).order.and_then(|order| order.empty_seconds);
    assert_eq!(empty_in(&world), Some(5.0), "the longest TTL");
    assert_eq!(kinds(&world.pass(Duration::from_millis(4_999))), [] as [&str; 0]);
    assert_eq!(kinds(&world.pass(Duration::from_millis(1))), ["drained"]);
    assert_eq!(empty_in(&world), Some(0.0));
    assert_eq!(world.controller.due(), None);
}

#[test]
fn orders_outlive_a_reload() {
    let pools: Pools<'_> = &[("a", &[1, 2]), ("b", &[1])];
    let mut world = World::settled(pools);
    world.ordered("a", Some("1"), AddressState::Drain);
    world.reloaded(pools, Check { interval: 1000, ..CHECK });
    assert_eq!(world.told("www"), [(0, 2)]);
}

#[test]
fn a_site_that_says_it_leaves_is_out_whatever_its_probes_find() {
    let mut world = World::settled(&[("a", &[1]), ("b", &[1])]);
    world.reported("a", "1", Some(30));
    assert_eq!(world.told("www"), [(1, 1)], "at once");
    world.probed(0, 1, "++++");
    assert_eq!(world.told("www"), [(1, 1)], "it still serves those that it has");
    world.probed(0, 1, "--");
    let notices = world.pass(secs(30));
    assert!(kinds(&notices).contains(&"back"), "{notices:?}");
    assert_eq!(world.told("www"), [(1, 1)], "its probes count again, and it is down");
    world.probed(0, 1, "++");
    assert_eq!(world.told("www"), [(0, 1)]);

    world.reported("a", "1", Some(30));
    world.reported("a", "1", None);
    assert_eq!(world.told("www"), [(0, 1)], "it says itself that it is back");
    world.reported("a", "1", Some(30));
    world.probed(1, 1, "--");
    assert_eq!(world.told("www"), [(0, 1),], "in need it is given all the same");
}

#[test]
fn of_what_is_not_there_nothing_is_said() {
    let mut world = World::settled(&[("a", &[1])]);
    let there =
        |pool, address| world.controller.has_address(pool, address).map_err(|error| error.to_string());
    assert_eq!(there("a", None), Ok(()));
    assert_eq!(there("a", Some("1")), Ok(()));
    assert_eq!(there("x", None), Err("there is no pool `x`".to_owned()));
    assert_eq!(there("a", Some("9")), Err("pool `a` has no address `9`".to_owned()));
    assert_eq!(world.ordered("x", None, AddressState::Down), []);
}
