//! Who is given, in the long run.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::routing::{PoolHealth, Share};

fn world(pool: Pool) -> RoutingTable {
    let apex = name("ai.example");
    table(Plan {
        domains: vec![domain(&apex, ZoneId(0), vec![PoolId(0)])],
        zones: vec![zone(&apex, [])],
        pools: vec![Arc::new(pool)],
        ..Plan::default()
    })
}

/// The addresses of a reply, in order.
fn addresses(message: &Message) -> Vec<IpAddr> {
    message.answers.iter().map(|record| record.data.ip_addr().expect("an address")).collect()
}

fn v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

/// How often each sequence of addresses, by last octet, comes in `count` replies.
fn sequences(pool: Pool, count: usize) -> HashMap<Vec<u8>, usize> {
    let table = world(pool);
    // The seed is fixed: what passes once passes always.
    let mut worker = worker(&table, 20_260_101);
    let mut found = HashMap::new();
    for _ in 0..count {
        let reply = addresses(&ask(&table, &mut worker, &name("ai.example"), Rtype::A));
        let numbers = reply.iter().map(|ip| match ip {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => panic!("an A record has an IPv4 address"),
        });
        *found.entry(numbers.collect()).or_default() += 1;
    }
    found
}

/// The probability of every sequence of `answers` of `weights`, drawn one after the other without
/// putting back.
fn expected(weights: &[u16], answers: usize) -> Vec<(Vec<u8>, f64)> {
    let mut sequences = vec![(Vec::new(), 1.0)];
    for _ in 0..answers {
        let longer = sequences.iter().flat_map(|(sequence, probability): &(Vec<u8>, f64)| {
            let left =
                (0..weights.len() as u8).filter(|at| !sequence.contains(at) && weights[usize::from(*at)] > 0);
            let total: f64 = left.clone().map(|at| f64::from(weights[usize::from(at)])).sum();
            left.map(move |at| {
                let next = [&sequence[..], &[at]].concat();
                (next, probability * f64::from(weights[usize::from(at)]) / total)
            })
        });
        sequences = longer.collect();
    }
    sequences
}

/// The value that chi square with `freedom` degrees exceeds in one case of a thousand, by Wilson's
/// and Hilferty's approximation, which is a little above for few degrees.
pub(super) fn critical(freedom: usize) -> f64 {
    /// The same of the normal distribution.
    const Z: f64 = 3.0902;
    let freedom = freedom as f64;
    let ninth = 2.0 / (9.0 * freedom);
    freedom * (1.0 - ninth + Z * ninth.sqrt()).powi(3)
}

#[test]
fn the_critical_values_are_those_of_the_tables() {
    for (freedom, value) in [(2, 13.816), (5, 20.515), (10, 29.588), (59, 98.324)] {
        let found = critical(freedom);
        assert!((value - 0.1..value * 1.03).contains(&found), "{freedom}: {found}");
    }
}

/// Whether weighted draws are distributed as their weights say, with a confidence of 99.9 %.
#[test]
fn weighted_draws_follow_the_weights() {
    const DRAWS: usize = 20_000;
    for (weights, answers) in [
        (&[1, 1][..], 1),
        (&[1, 2, 5], 1),
        (&[1, 2, 5], 2),
        (&[1, 2, 5], 3),
        (&[0, 3, 0, 4, 5], 2),
        (&[100, 1, 1], 2),
        (&[1, 1, 1, 1, 1], 3),
        // So unequal that drawing again and again comes to its end.
        (&[65_535, 300, 500], 3),
        (&[7], 1),
    ] {
        let list: Vec<(Ipv4Addr, u16)> =
            (0..).zip(weights).map(|(number, weight)| (v4(number), *weight)).collect();
        let found = sequences(pool(PoolPolicy::Weighted, answers, &list), DRAWS);
        let expected = expected(weights, usize::from(answers));
        let total: f64 = expected.iter().map(|(_, probability)| probability).sum();
        assert!((total - 1.0).abs() < 1e-9);
        assert_eq!(found.values().sum::<usize>(), DRAWS);
        for sequence in found.keys() {
            assert!(expected.iter().any(|(may, _)| may == sequence), "{weights:?}: {sequence:?}");
        }
        let count_of = |sequence: &Vec<u8>| found.get(sequence).copied().unwrap_or(0) as f64;
        // Sequences of fewer than five expected draws are taken together: chi square is no
        // approximation for them.
        let (usual, rare): (Vec<_>, Vec<_>) =
            expected.iter().partition(|(_, probability)| probability * DRAWS as f64 >= 5.0);
        let mut classes: Vec<(f64, f64)> = usual
            .iter()
            .map(|(sequence, probability)| (count_of(sequence), probability * DRAWS as f64))
            .collect();
        let rare = rare.iter().fold((0.0, 0.0), |(count, mean), (sequence, probability)| {
            (count + count_of(sequence), mean + probability * DRAWS as f64)
        });
        if rare.1 >= 5.0 {
            classes.push(rare);
        }
        if classes.len() < 2 {
            continue;
        }
        let chi_square: f64 = classes.iter().map(|(count, mean)| (count - mean).powi(2) / mean).sum();
        let most = critical(classes.len() - 1);
        assert!(chi_square < most, "{weights:?}, {answers} answers: {chi_square} > {most}: {found:?}");
    }
}

#[test]
fn more_answers_than_addresses_are_all_of_them_once() {
    for policy in [PoolPolicy::Weighted, PoolPolicy::RoundRobin] {
        let list = [(v4(0), 1), (v4(1), 60_000), (v4(2), 0), (v4(3), 2)];
        for (mut sequence, _) in sequences(pool(policy, 255, &list), 1_000) {
            sequence.sort();
            assert_eq!(sequence, [0, 1, 3], "{policy}");
        }
    }
}

#[test]
fn each_address_is_first_in_its_turn() {
    for answers in [1, 2, 3, 8] {
        let list: Vec<(Ipv4Addr, u16)> = (0..3).map(|number| (v4(number), u16::from(number) + 1)).collect();
        let table = world(pool(PoolPolicy::RoundRobin, answers, &list));
        for seed in 0..20 {
            let mut worker = worker(&table, seed);
            let mut ask = || addresses(&ask(&table, &mut worker, &name("ai.example"), Rtype::A));
            let first = ask();
            assert_eq!(first.len(), usize::from(answers.min(3)));
            let [mut before, mut firsts] = [first[0], first[0]].map(|ip| (ip, HashMap::from([(ip, 1)])));
            for _ in 0..29 {
                let ip = ask()[0];
                assert_ne!(ip, before.0, "the same twice in a row");
                before.0 = ip;
                *firsts.1.entry(ip).or_insert(0) += 1;
            }
            assert!(firsts.1.values().all(|count| *count == 10), "{firsts:?}");
        }
    }
}

#[test]
fn asking_for_both_families_in_turn_starves_no_address() {
    let list: Vec<(IpAddr, u16)> = (0..4)
        .flat_map(|number| [(v4(number).into(), 1), (Ipv6Addr::from_bits(u128::from(number) + 1).into(), 1)])
        .collect();
    let table = world(pool(PoolPolicy::RoundRobin, 1, &list));
    let mut worker = worker(&table, 3);
    let mut firsts: HashMap<IpAddr, u32> = HashMap::new();
    for _ in 0..40 {
        for rtype in [Rtype::A, Rtype::AAAA] {
            let reply = addresses(&ask(&table, &mut worker, &name("ai.example"), rtype));
            *firsts.entry(reply[0]).or_default() += 1;
        }
    }
    assert_eq!(firsts.len(), 8);
    assert!(firsts.values().all(|count| *count == 10), "{firsts:?}");
}

#[test]
fn workers_do_not_rotate_in_step() {
    let list: Vec<(Ipv4Addr, u16)> = (0..16).map(|number| (v4(number), 1)).collect();
    let table = world(pool(PoolPolicy::RoundRobin, 1, &list));
    let starts: std::collections::HashSet<IpAddr> = (0..16)
        .map(|seed| addresses(&ask(&table, &mut worker(&table, seed), &name("ai.example"), Rtype::A))[0])
        .collect();
    assert!(starts.len() > 4, "16 workers start at {} of 16 addresses", starts.len());
}

#[test]
fn a_pool_of_weights_zero_has_nothing_to_give() {
    for policy in [PoolPolicy::Weighted, PoolPolicy::RoundRobin] {
        let table = world(pool(policy, 8, &[(v4(1), 0), (v4(2), 0)]));
        let reply = ask(&table, &mut worker(&table, 1), &name("ai.example"), Rtype::A);
        assert_eq!((reply.answers.len(), reply.authorities.len()), (0, 1), "NODATA under {policy}");
    }
}

/// A reserve that comes back is no reason to send everybody to the first of those in front of it.
#[test]
fn equals_take_turns_while_another_one_comes_back() {
    let mut ranked = pool(PoolPolicy::Priority, 1, &[(v4(1), 1), (v4(2), 1), (v4(3), 1)]);
    let Addresses::Ip(list) = &mut ranked.addresses else { panic!("IPs were given") };
    list[2].rank = 2;
    let mut health = PoolHealth::well(3);
    health.shares[2] = Share::of(0.5);
    let table = world(ranked).with_pool(PoolId(0), health);
    let mut worker = worker(&table, 1);
    let mut counts = [0; 3];
    for _ in 0..1000 {
        let message = ask(&table, &mut worker, &name("ai.example"), Rtype::A);
        let given = message.answers[0].data.ip_addr().expect("an address");
        counts[(0..3).find(|at| IpAddr::from(v4(*at as u8 + 1)) == given).expect("one of them")] += 1;
    }
    assert_eq!(counts, [500, 500, 0]);
}
