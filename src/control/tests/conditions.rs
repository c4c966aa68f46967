//! Pools that depend on more than their own addresses.

use super::*;
use crate::plan::{Condition, ConditionId, ConditionRule, Member, Quorum};

const DATABASE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));

/// Pool `a`, with two addresses, depends on its database, which is the first condition; `pools`
/// says which others depend on which.
fn dependent(conditions: Vec<(Quorum, Vec<Member>)>, pools: &[(usize, u32)]) -> Plan {
    let mut plan = plan(&[("a", &[1, 2]), ("b", &[1]), ("c", &[1])], CHECK);
    let database =
        ConditionRule::Check { check: CheckId(0), endpoint: Endpoint::Ip(DATABASE), port: Some(5432) };
    let others = conditions.into_iter().map(|(quorum, members)| ConditionRule::Of { quorum, members });
    let rules = std::iter::once(database).chain(others);
    plan.conditions =
        (0..).zip(rules).map(|(at, rule): (u32, _)| Condition { name: format!("c{at}"), rule }).collect();
    for (pool, condition) in pools {
        Arc::make_mut(&mut plan.pools[*pool]).condition = Some(ConditionId(*condition));
    }
    plan
}

fn database(world: &mut World, symbols: &str) -> Vec<Notice> {
    let is_it = |(_, watch, _): &(TargetId, Arc<Watch>, Belief)| watch.endpoint == Endpoint::Ip(DATABASE);
    let (target, watch, _) = world.controller.watches().find(is_it).expect("it is watched");
    assert_eq!((watch.pool.as_deref(), watch.port), (None, Some(5432)));
    let mut notices = Vec::new();
    for symbol in symbols.chars() {
        notices.extend(world.pass(HALF_SECOND));
        notices.extend(world.controller.handle(probed(target, outcome(symbol), world.now), world.now));
    }
    notices
}

#[test]
fn a_pool_goes_with_its_database() {
    let mut world = World::settled_of(dependent(Vec::new(), &[(0, 0)]));
    assert_eq!(world.told("www"), [(0, 1), (0, 2)]);
    let notices = database(&mut world, "--");
    assert_eq!(moves(&notices), ["a out of service: its condition does not hold: `c0` at 10.9.9.9 is down"]);
    assert_eq!((world.told("www"), world.standing()), (vec![(1, 1)], Standing::Unmet));
    assert_eq!(world.controller.status(world.now).pools[0].standing, "unmet");
    assert_eq!(world.told("a"), [(0, 1), (0, 2)], "in need it is better than nothing");
    let notices = database(&mut world, "++");
    assert_eq!(kinds(&notices), ["published", "turned", "moved"]);
    assert_eq!(world.told("www"), [(0, 1), (0, 2)]);
}

#[test]
fn the_first_round_waits_for_what_is_depended_on() {
    let mut world = World::of(dependent(Vec::new(), &[(0, 0)]));
    for (pool, address) in [(0, 1), (0, 2), (1, 1), (2, 1)] {
        assert!(!kinds(&world.probed(pool, address, "+")).contains(&"settled"));
    }
    let notices = database(&mut world, "-");
    assert!(kinds(&notices).contains(&"settled"), "{notices:?}");
    assert_eq!(world.told("www"), [(1, 1)]);
}

#[test]
fn conditions_are_made_of_conditions_pools_and_addresses() {
    let conditions = vec![
        (Quorum::All, vec![Member::Condition(ConditionId(0)), Member::Pool(PoolId(1))]),
        (Quorum::Not, vec![Member::Address(PoolId(0), "2".to_owned())]),
    ];
    // `a` needs the database and `b`; `c` serves only while the second address of `a` does not.
    let mut world = World::settled_of(dependent(conditions, &[(0, 1), (2, 2)]));
    let standing = |world: &World, pool: usize| {
        let pool = world.controller.status(world.now).pools[pool].clone();
        (pool.standing, pool.reason)
    };
    assert_eq!(standing(&world, 0).0, "in-service");
    let unmet = "its condition does not hold: `c2`: address:a/2 is well".to_owned();
    assert_eq!(standing(&world, 2), ("unmet".to_owned(), unmet));

    world.probed(1, 1, "--");
    let reason = "its condition does not hold: `c1`: c0 is well, pool:b is down";
    assert_eq!(standing(&world, 0), ("unmet".to_owned(), reason.to_owned()));
    assert_eq!(standing(&world, 2).0, "unmet", "the address itself is given, if need be");
    world.probed(1, 1, "++");
    world.probed(0, 2, "--");
    assert_eq!((&standing(&world, 0).0[..], &standing(&world, 2).0[..]), ("in-service", "in-service"));
    world.ordered("a", Some("1"), AddressState::Down);
    world.ordered("b", None, AddressState::Down);
    assert_eq!(world.told("www"), [(2, 1)]);
}

#[test]
fn what_depends_on_what_depends_follows_at_once() {
    // b needs a, and c needs b.
    let conditions =
        vec![(Quorum::Any, vec![Member::Pool(PoolId(0))]), (Quorum::Any, vec![Member::Pool(PoolId(1))])];
    let mut world = World::settled_of(dependent(conditions, &[(0, 0), (1, 1), (2, 2)]));
    let standings = |world: &World| -> Vec<String> {
        let pools = world.controller.status(world.now).pools;
        pools.into_iter().map(|pool| pool.standing).collect()
    };
    assert_eq!(standings(&world), ["in-service"; 3]);
    database(&mut world, "--");
    assert_eq!(standings(&world), ["unmet"; 3]);
    database(&mut world, "++");
    assert_eq!(standings(&world), ["in-service"; 3]);

    world.replaced(dependent(Vec::new(), &[(0, 0)]));
    database(&mut world, "--");
    assert_eq!(standings(&world), ["unmet", "in-service", "in-service"], "a reload let go of the others");
    assert!(world.controller.is_settled(), "what is known of the database has stayed");
}
