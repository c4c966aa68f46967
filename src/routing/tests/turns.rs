//! Rotations go on by name, in another process and with another configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::routing::{Rotation, Turns};

/// Plenty for what is tested here.
const ROOM: usize = 1 << 20;

/// Addresses of each pool: by chance two rotations go on from the same in one case of so many.
const ADDRESSES: u8 = 101;

/// By name, each with a domain that gives its addresses one by one, of both families; and domains with pools of which
/// each has its turn.
fn world(pools: &[&str], domains: &[(&str, &[&str])]) -> RoutingTable {
    let place = |name: &str| pools.iter().position(|pool| *pool == name).expect("it is there");
    let pool_of = |at: u8, pool_name: &&str| {
        let v4 = (0..ADDRESSES).map(|number| IpAddr::V4(Ipv4Addr::new(192, 0, at, number)));
        let v6 = (0..ADDRESSES).map(|number| {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, u16::from(at), u16::from(number)))
        });
        let list: Vec<(IpAddr, u16)> = v4.chain(v6).map(|ip| (ip, 1)).collect();
        let name = pool_name.to_string();
        Arc::new(Pool { name, ..pool(PoolPolicy::RoundRobin, 1, &list) })
    };
    let own = pools.iter().map(|pool| {
        domain(&name(&format!("{pool}.ai.example")), ZoneId(0), vec![PoolId(place(pool) as u32)])
    });
    let in_turn = domains.iter().map(|(domain_name, pools)| {
        let pools: Vec<_> = pools.iter().map(|pool| PoolId(place(pool) as u32)).collect();
        let choice = Some(Choice::even(DomainPolicy::RoundRobin, pools));
        Domain { choice, ..domain(&name(&format!("{domain_name}.ai.example")), ZoneId(0), Vec::new()) }
    });
    table(Plan {
        domains: own.chain(in_turn).collect(),
        zones: vec![zone(&name("ai.example"), [])],
        pools: (0..).zip(pools).map(|(at, pool)| pool_of(at, pool)).collect(),
        ..Plan::default()
    })
}

fn ask_at(table: &RoutingTable, worker: &mut Worker, owner: &str, rtype: Rtype) -> IpAddr {
    let reply = ask(table, worker, &name(&format!("{owner}.ai.example")), rtype);
    reply.answers[0].data.ip_addr().expect("an address")
}

/// The place in its pool of the address that is given next.
fn next(table: &RoutingTable, worker: &mut Worker, owner: &str, rtype: Rtype) -> u8 {
    match ask_at(table, worker, owner, rtype) {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    }
}

/// The pool of the address that is given next, of domains that are not pools' own.
fn next_pool(table: &RoutingTable, worker: &mut Worker, owner: &str) -> usize {
    match ask_at(table, worker, owner, Rtype::A) {
        IpAddr::V4(ip) => usize::from(ip.octets()[2]),
        IpAddr::V6(_) => panic!("an A record has an IPv4 address"),
    }
}

/// A worker that is read by `rotation`.
fn read_by(rotation: &Rotation, table: &RoutingTable, seed: u64) -> Worker {
    let mut worker = Worker::new(seed, Arc::<Counters>::default()).with_rotation(rotation);
    worker.prepare(table);
    worker
}

/// What one worker hands on.
fn handed_on(rotation: &Rotation, table: &RoutingTable) -> Turns {
    let mut told = rotation.read(table, &mut ROOM.clone());
    assert_eq!(told.len(), 1);
    told.pop().expect("there is one")
}

#[test]
fn pools_go_on_by_name_wherever_they_stand() {
    let rotation = Rotation::default();
    let before = world(&["a", "b", "c"], &[]);
    let mut old = read_by(&rotation, &before, 1);
    let kinds = [("a", Rtype::A), ("a", Rtype::AAAA), ("b", Rtype::A), ("c", Rtype::AAAA)];
    let last = kinds.map(|(pool, rtype)| {
        (0..pool.len() * 3).for_each(|_| _ = next(&before, &mut old, pool, rtype));
        next(&before, &mut old, pool, rtype)
    });
    let turns = handed_on(&rotation, &before);
    let after = world(&["new", "c", "a", "other", "b"], &[]);
    let mut worker = worker(&after, 2);
    worker.go_on(&after, &turns, 0);
    for ((pool, rtype), last) in kinds.into_iter().zip(last) {
        for further in 1..=ADDRESSES {
            let given = next(&after, &mut worker, pool, rtype);
            assert_eq!(given, (last + further) % ADDRESSES, "{pool} {rtype}");
        }
    }
    next(&after, &mut worker, "new", Rtype::A);
}

#[test]
fn domains_go_on_among_their_pools_by_name() {
    let pools: Vec<String> = (0..ADDRESSES).map(|number| format!("p{number}")).collect();
    let pools: Vec<&str> = pools.iter().map(String::as_str).collect();
    let backwards: Vec<&str> = pools.iter().rev().copied().collect();
    let rotation = Rotation::default();
    // Two that say the same share a turn.
    let before = world(&pools, &[("one", &pools), ("two", &backwards), ("three", &pools)]);
    let mut old = read_by(&rotation, &before, 1);
    next_pool(&before, &mut old, "one");
    let (one, two) = (next_pool(&before, &mut old, "three"), next_pool(&before, &mut old, "two"));
    let turns = handed_on(&rotation, &before);
    // Another is in their place, and others came before.
    let more: Vec<&str> = pools.iter().copied().chain(["more"]).collect();
    let domains = [("new", &pools[..3]), ("two", &backwards[..]), ("three", &pools[..]), ("one", &pools[..])];
    let after = world(&more, &domains);
    let mut worker = worker(&after, 2);
    worker.go_on(&after, &turns, 0);
    let count = pools.len();
    for further in 1..=count {
        let owner = if further % 2 == 0 { "one" } else { "three" };
        assert_eq!(next_pool(&after, &mut worker, owner), (one + further) % count);
        assert_eq!(next_pool(&after, &mut worker, "two"), (two + count - further % count) % count);
    }
    next_pool(&after, &mut worker, "new");
}

#[test]
fn what_never_rotated_is_not_told_and_what_was_handed_on_is_told_again() {
    let table = world(&["a", "b", "c"], &[("d", &["a", "b"]), ("e", &["b", "c"])]);
    let rotation = Rotation::default();
    let mut old = read_by(&rotation, &table, 1);
    assert_eq!(handed_on(&rotation, &table), Turns::default());
    let last = next(&table, &mut old, "b", Rtype::A);
    next_pool(&table, &mut old, "e");
    let turns = handed_on(&rotation, &table);
    let told = serde_json::to_value(&turns).expect("numbers by name");
    let names = |of: &str| told[of].as_object().expect("by name").keys().cloned().collect::<Vec<_>>();
    // Of b and c, one was asked in the turn of e.
    let pools = names("pools");
    assert!(pools.contains(&"b".to_owned()) && !pools.contains(&"a".to_owned()), "{told}");
    assert_eq!(names("domains"), ["e.ai.example"], "{told}");
    assert_eq!(serde_json::from_value::<Turns>(told).expect("it was told"), turns);
    // From one to the next, and nobody asks there.
    let rotation = Rotation::default();
    read_by(&rotation, &table, 2).go_on(&table, &turns, 0);
    let again = handed_on(&rotation, &table);
    assert_eq!(again, turns);
    let mut third = worker(&table, 3);
    third.go_on(&table, &again, 0);
    let next_of_b = next(&table, &mut third, "b", Rtype::A);
    assert!(next_of_b == (last + 1) % ADDRESSES || next_of_b == (last + 2) % ADDRESSES);
}

#[test]
fn whoever_goes_on_further_is_not_in_step() {
    let table = world(&["a"], &[]);
    let rotation = Rotation::default();
    let mut old = read_by(&rotation, &table, 1);
    let last = next(&table, &mut old, "a", Rtype::A);
    let turns = handed_on(&rotation, &table);
    for further in 0..3 {
        let mut worker = worker(&table, 2);
        worker.go_on(&table, &turns, u32::from(further));
        assert_eq!(next(&table, &mut worker, "a", Rtype::A), (last + 1 + further) % ADDRESSES);
    }
}

#[test]
fn counters_last_when_a_table_has_more_of_them() {
    let rotation = Rotation::default();
    let (few, many) = (world(&["a", "b"], &[]), {
        let names: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
        let names: Vec<&str> = ["a", "b"].into_iter().chain(names.iter().map(String::as_str)).collect();
        world(&names, &[])
    });
    let mut old = read_by(&rotation, &few, 1);
    next(&few, &mut old, "b", Rtype::A);
    // It is behind the table that is published.
    let told = handed_on(&rotation, &many);
    assert_eq!(told, handed_on(&rotation, &few));
    let mut other = worker(&many, 2);
    other.go_on(&many, &told, 0);
    old.prepare(&many);
    assert_eq!(handed_on(&rotation, &many), told);
    assert_eq!(next(&many, &mut old, "b", Rtype::A), next(&many, &mut other, "b", Rtype::A));
    next(&many, &mut old, "p99", Rtype::A);
    assert_ne!(handed_on(&rotation, &many), told);
}

#[test]
fn what_is_told_takes_no_more_room_than_there_is() {
    let names: Vec<String> = (0..40).map(|number| format!("a \"pool\" \u{7} {number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend(["a", "b"]);
    let plan = |names: &[&str]| {
        let pools = names.iter().map(|pool_name| {
            let list: Vec<(IpAddr, u16)> = (0..7).map(|number| ([192, 0, 2, number].into(), 1)).collect();
            Arc::new(Pool { name: pool_name.to_string(), ..pool(PoolPolicy::RoundRobin, 1, &list) })
        });
        let apex = name("ai.example");
        let domains = (0..names.len() as u32)
            .map(|at| domain(&name(&format!("d{at}.ai.example")), ZoneId(0), vec![PoolId(at)]));
        Plan {
            domains: domains.collect(),
            zones: vec![zone(&apex, [])],
            pools: pools.collect(),
            ..Plan::default()
        }
    };
    let table = table(plan(&names));
    let rotation = Rotation::default();
    let mut workers: Vec<Worker> = (0..3).map(|seed| read_by(&rotation, &table, seed)).collect();
    for worker in &mut workers {
        for at in 0..names.len() {
            next(&table, worker, &format!("d{at}"), Rtype::A);
        }
    }
    let told = |room: usize| {
        let told = rotation.read(&table, &mut room.clone());
        let octets = serde_json::to_string(&told).expect("numbers by name").len();
        // The brackets around all of them.
        assert!(octets <= room + 2, "{octets} octets, with room for {room}");
        told
    };
    let whole = told(ROOM);
    assert_eq!(whole.len(), 3);
    let mut counts = Vec::new();
    for room in (0..40_000).step_by(100) {
        let told = told(room);
        assert!(told.len() < 2 || told[..] == whole[..told.len()], "whole ones, but for the only one");
        counts.push(told.len());
    }
    assert!(counts.is_sorted() && counts.contains(&2) && counts.ends_with(&[3]), "{counts:?}");
}
