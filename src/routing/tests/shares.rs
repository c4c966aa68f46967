//! Whose pool is chosen, in the long run and over many clients.
//!
//! Counts are compared with what they should be by chi square. The seeds are fixed, so that what
//! passes once passes always; with another seed a sound test would fail once in a thousand times.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::choice::critical;
use super::*;
use crate::plan::WeightedPool;
use crate::routing::{PoolHealth, Share, Standing};

/// Pools of one address each, whose last octet is the pool's number.
fn world(policy: DomainPolicy, weights: &[u32]) -> RoutingTable {
    let apex = name("ai.example");
    let pools = (0..weights.len()).map(|number| {
        let address = Ipv4Addr::new(192, 0, 2, number as u8);
        let pool = pool(PoolPolicy::RoundRobin, 1, &[(address, 1)]);
        Arc::new(Pool { name: format!("pool-{number}"), ..pool })
    });
    let weighted = (0..).zip(weights).map(|(pool, &weight)| WeightedPool { pool: PoolId(pool), weight });
    let choice = Choice { policy, pools: weighted.collect() };
    table(Plan {
        domains: vec![Domain { choice: Some(choice), ..domain(&apex, ZoneId(0), Vec::new()) }],
        zones: vec![zone(&apex, [])],
        pools: pools.collect(),
        ..Plan::default()
    })
}

/// The number of the pool that a client at `client` gets.
fn pool_for(table: &RoutingTable, worker: &mut Worker, client: IpAddr) -> usize {
    let client = Client { address: client, transport: Transport::Udp };
    let mut reply = [0; 512];
    let query = query_message(1, &name("ai.example"), Rtype::A, None);
    let length = answer(table, worker, client, &query, &mut reply);
    let message = Message::from_vec(&reply[..length]).expect("a good reply");
    match message.answers[0].data.ip_addr() {
        Some(IpAddr::V4(ip)) => usize::from(ip.octets()[3]),
        other => panic!("not an IPv4 address: {other:?}"),
    }
}

/// Networks as `hash` tells them apart, of both families.
fn clients(count: u32) -> impl Iterator<Item = IpAddr> {
    (0..count).map(|number| match number % 2 {
        0 => Ipv4Addr::from_bits(10 << 24 | number << 7).into(),
        _ => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number) << 72).into(),
    })
}

/// The pool of each client, by one worker.
fn assignment(table: &RoutingTable, count: u32) -> Vec<usize> {
    let mut worker = worker(table, 1);
    clients(count).map(|client| pool_for(table, &mut worker, client)).collect()
}

fn counts(pools: impl IntoIterator<Item = usize>) -> HashMap<usize, usize> {
    let mut counts = HashMap::new();
    for pool in pools {
        *counts.entry(pool).or_default() += 1;
    }
    counts
}

/// Panics unless `found` is distributed as `weights` say, with a confidence of 99.9 %.
#[track_caller]
fn assert_shares(found: &HashMap<usize, usize>, weights: &[f64]) {
    let total: usize = found.values().sum();
    let whole: f64 = weights.iter().sum();
    let mut chi_square = 0.0;
    for (number, weight) in weights.iter().enumerate() {
        let count = found.get(&number).copied().unwrap_or(0) as f64;
        let mean = weight / whole * total as f64;
        assert!(*weight > 0.0 || count == 0.0, "pool {number} has no weight: {found:?}");
        assert!(*weight == 0.0 || mean >= 5.0, "too few draws for chi square");
        chi_square += if *weight > 0.0 { (count - mean).powi(2) / mean } else { 0.0 };
    }
    assert!(found.keys().all(|number| *number < weights.len()));
    let most = critical(weights.iter().filter(|weight| **weight > 0.0).count() - 1);
    assert!(chi_square < most, "{weights:?}: {chi_square} > {most}: {found:?}");
}

/// What the tests of a policy with weights go through: two canaries, equal and unequal parts, one
/// of nothing, and the coarsest weights that shares come to.
const WEIGHTS: [&[u32]; 6] =
    [&[1, 1], &[5, 95], &[1, 2, 3, 4], &[0, 3, 1], &[500, 9_500], &[1_000_000_000, 3_000_000_000]];

fn as_parts(weights: &[u32]) -> Vec<f64> {
    weights.iter().map(|weight| f64::from(*weight)).collect()
}

#[test]
fn pools_are_drawn_by_weight() {
    for weights in WEIGHTS {
        let table = world(DomainPolicy::Weighted, weights);
        let mut worker = worker(&table, 20_260_103);
        let client = IpAddr::from([192, 0, 2, 1]);
        let found = counts((0..20_000).map(|_| pool_for(&table, &mut worker, client)));
        assert_shares(&found, &as_parts(weights));
    }
}

#[test]
fn clients_are_spread_over_pools_by_weight() {
    for weights in WEIGHTS {
        let table = world(DomainPolicy::Hash, weights);
        assert_shares(&counts(assignment(&table, 20_000)), &as_parts(weights));
    }
}

#[test]
fn every_worker_spreads_clients_alike() {
    let table = world(DomainPolicy::Hash, &[1, 2, 3]);
    let mut workers: Vec<Worker> = (0..8).map(|seed| worker(&table, seed)).collect();
    for client in clients(200) {
        let pools: Vec<usize> = workers.iter_mut().map(|worker| pool_for(&table, worker, client)).collect();
        assert!(pools.iter().all(|pool| *pool == pools[0]), "{client}: {pools:?}");
    }
}

#[test]
fn the_clients_of_a_lost_pool_are_spread_over_the_others_and_come_back() {
    const CLIENTS: u32 = 20_000;
    let weights = [2, 1, 3, 4];
    let table = world(DomainPolicy::Hash, &weights);
    let before = assignment(&table, CLIENTS);
    for lost in 0..weights.len() {
        let without = table.with_up(PoolId(lost as u32), |_| false);
        let after = assignment(&without, CLIENTS);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        let moved: Vec<usize> = moved
            .map(|(before, after)| {
                assert_eq!(*before, lost, "a client of another pool has moved");
                *after
            })
            .collect();
        assert_eq!(moved.len(), before.iter().filter(|pool| **pool == lost).count());
        let mut left = as_parts(&weights);
        left[lost] = 0.0;
        assert_shares(&counts(moved), &left);
        assert_eq!(assignment(&without.with_up(PoolId(lost as u32), |_| true), CLIENTS), before);
    }
}

#[test]
fn a_canary_that_grows_keeps_its_clients() {
    const CLIENTS: u32 = 20_000;
    let mut had: Vec<bool> = vec![false; CLIENTS as usize];
    for percent in [1, 5, 20, 50, 99] {
        let found = assignment(&world(DomainPolicy::Hash, &[percent, 100 - percent]), CLIENTS);
        for (had, pool) in had.iter_mut().zip(&found) {
            assert!(!*had || *pool == 0, "a client has left the canary at {percent} %");
            *had = *pool == 0;
        }
        assert_shares(&counts(found), &[f64::from(percent), f64::from(100 - percent)]);
    }
}

#[test]
fn clients_come_back_one_after_the_other_to_a_pool_that_returns() {
    const CLIENTS: u32 = 10_000;
    for policy in [DomainPolicy::Priority, DomainPolicy::Hash] {
        let table = world(policy, &[1, 1]);
        let well = assignment(&table, CLIENTS);
        let mut back: Vec<bool> = vec![false; CLIENTS as usize];
        for part in [0.1, 0.4, 0.8] {
            let standing = Standing::Returning(Share::of(part));
            let returning = table.with_pool(PoolId(0), PoolHealth { standing, ..PoolHealth::well(1) });
            let found = assignment(&returning, CLIENTS);
            for (number, pool) in found.iter().enumerate() {
                assert!(!back[number] || *pool == 0, "a client has left again at {part}");
                assert!(*pool == 1 || well[number] == 0, "a client that was never its own");
                back[number] = *pool == 0;
            }
            let own = well.iter().filter(|pool| **pool == 0).count() as f64 / f64::from(CLIENTS);
            let part = f64::from(Share::of(part).parts()) / 256.0;
            assert_shares(&counts(found), &[own * part, 1.0 - own * part]);
        }
    }
}

#[test]
fn an_address_that_returns_is_drawn_by_its_part() {
    let apex = name("ai.example");
    let addresses: Vec<(Ipv4Addr, u16)> =
        [(0, 3), (1, 2), (2, 5)].map(|(last, weight)| (Ipv4Addr::new(192, 0, 2, last), weight)).to_vec();
    for (policy, weights) in [(PoolPolicy::Weighted, [3.0, 2.0, 5.0]), (PoolPolicy::RoundRobin, [1.0; 3])] {
        let table = table(Plan {
            domains: vec![domain(&apex, ZoneId(0), vec![PoolId(0)])],
            zones: vec![zone(&apex, [])],
            pools: vec![Arc::new(pool(policy, 1, &addresses))],
            ..Plan::default()
        });
        for part in [0.05, 0.5, 0.9] {
            let shares = [Share::of(part), Share::FULL, Share::FULL].into();
            let table = table.with_pool(PoolId(0), PoolHealth { shares, ..PoolHealth::well(3) });
            let mut worker = worker(&table, 20_260_104);
            let client = IpAddr::from([192, 0, 2, 1]);
            let found = counts((0..20_000).map(|_| pool_for(&table, &mut worker, client)));
            let mut expected = weights;
            expected[0] *= f64::from(Share::of(part).part());
            assert_shares(&found, &expected);
        }
    }
}

#[test]
fn pools_have_their_turns_whatever_else_is_asked() {
    let table = world(DomainPolicy::RoundRobin, &[1; 5]);
    for seed in 0..20 {
        let mut worker = worker(&table, seed);
        let client = IpAddr::from([192, 0, 2, 1]);
        let mut last: Vec<usize> = Vec::new();
        for number in 0..200 {
            let pool = pool_for(&table, &mut worker, client);
            // Other types have turns of their own.
            for _ in 0..number % 3 {
                ask(&table, &mut worker, &name("ai.example"), Rtype::AAAA);
            }
            assert!(!last.contains(&pool), "{pool} has had its turn: {last:?}");
            last.push(pool);
            if last.len() == 5 {
                last.remove(0);
            }
        }
    }
}

/// Each of many workers is asked a few times only, as on a large machine with little load.
#[test]
fn many_workers_together_are_fair() {
    let client = IpAddr::from([192, 0, 2, 1]);
    for (policy, weights) in [(DomainPolicy::RoundRobin, [1, 1, 1]), (DomainPolicy::Weighted, [1, 2, 5])] {
        let table = world(policy, &weights);
        for each in [1, 2, 4] {
            let found = (0..6_000).flat_map(|seed| {
                let mut worker = worker(&table, seed);
                (0..each).map(|_| pool_for(&table, &mut worker, client)).collect::<Vec<_>>()
            });
            assert_shares(&counts(found), &as_parts(&weights));
        }
    }
}
