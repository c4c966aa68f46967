//! All that clients may be answered, and what another table would change of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;

use super::steering::{Maker, World};
use super::*;
use crate::geo::Country;
use crate::plan::{Rule, WeightedPool};
use crate::routing::answer::answer_recorded;
use crate::routing::explore::{Explorer, Fate};
use crate::routing::story::Story;
use crate::routing::{Covered, Move, PoolHealth, Standing, compare, coverage, explain};

const TYPES: [Rtype; 2] = [Rtype::A, Rtype::AAAA];

fn clients(maker: &mut Maker, count: usize) -> Vec<(Country, IpAddr)> {
    (0..count).map(|_| (maker.country(), maker.client())).collect()
}

/// The domains and pools that one answer takes, and the addresses that it gives.
pub(super) fn sample(
    table: &RoutingTable,
    worker: &mut Worker,
    name: &Name,
    rtype: Rtype,
    client: IpAddr,
) -> (Vec<(String, String)>, Vec<IpAddr>) {
    let length = if client.is_ipv4() { 32 } else { 128 };
    let query = query_message(0, name, rtype, Some(crate::dns::ClientSubnet::new(client, length)));
    let asker = Client { address: client, transport: Transport::Tcp };
    let (mut reply, mut story) = (vec![0; 4096], Story::new(table, client));
    let length = answer_recorded(table, worker, asker, &query, &mut reply, &mut story);
    let message = Message::from_vec(&reply[..length]).expect("a good reply");
    let (_, decisions) = story.end();
    let pools =
        decisions.into_iter().filter_map(|decision| Some((decision.domain, decision.pool?))).collect();
    (pools, message.answers.iter().filter_map(|record| record.data.ip_addr()).collect())
}

fn octets(ip: IpAddr) -> Box<[u8]> {
    match ip {
        IpAddr::V4(ip) => ip.octets().into(),
        IpAddr::V6(ip) => ip.octets().into(),
    }
}

/// Something of a configuration changed by chance.
pub(super) fn edited(maker: &mut Maker, plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let at = maker.below(plan.pools.len());
    let domain = maker.below(plan.domains.len());
    match maker.below(7) {
        0 => Arc::make_mut(&mut plan.pools[at]).bias += 500,
        1 => Arc::make_mut(&mut plan.pools[at]).serves = maker.sources(3),
        2 => Arc::make_mut(&mut plan.pools[at]).policy = PoolPolicy::Hash,
        3 => {
            if let Addresses::Ip(list) = &mut Arc::make_mut(&mut plan.pools[at]).addresses {
                list[0].weight += 1;
            }
        }
        4 => {
            plan.domains[domain].choice = Some(Choice::even(DomainPolicy::Weighted, [PoolId(0), PoolId(2)]));
        }
        5 => {
            let removed = plan.domains.pop().expect("there are some");
            plan.domains.push(Domain { name: name("new.ai.example"), ..removed });
        }
        _ => plan.domains[domain].rules.insert(
            0,
            Rule {
                sources: vec![maker.source()],
                choice: Choice {
                    policy: DomainPolicy::Priority,
                    pools: vec![WeightedPool { pool: PoolId(3), weight: 1 }],
                },
                when_all_down: None,
            },
        ),
    }
    plan
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every answer is one of the ways that are told, and these are all there are.
    #[test]
    fn every_answer_is_among_those_foreseen(seed: u64) {
        let mut maker = Maker::new(seed);
        let World { table, domains } = maker.world();
        let mut worker = worker(&table, seed);
        let mut explorer = Explorer::new(&table);
        for name in &domains {
            for rtype in TYPES {
                let client = maker.client();
                let fate = explorer.explore(name, rtype, client);
                let sum: f64 = fate.values().sum();
                prop_assert!((sum - 1.0).abs() < 1e-9, "{}: {:?}", sum, fate);
                for _ in 0..12 {
                    let (taken, given) = sample(&table, &mut worker, name, rtype, client);
                    let pools: Vec<&str> = taken.iter().map(|(_, pool)| &pool[..]).collect();
                    let is_foreseen = fate.keys().any(|route| {
                        route.pools == pools && given.iter().all(|ip| route.has_target(&octets(*ip)))
                    });
                    prop_assert!(is_foreseen, "{:?} with {:?} is none of {:?}", pools, given, fate);
                }
            }
        }
    }

    /// What `coverage` tells is what `explain` does, as far as chance plays no part.
    #[test]
    fn coverage_agrees_with_explanations(seed: u64) {
        let mut maker = Maker::new(seed);
        let World { table, domains } = maker.world();
        let clients = clients(&mut maker, 6);
        let down = PoolId(maker.below(4) as u32);
        let without = table.without(down);
        for name in &domains {
            let covered = coverage(&table, name, Rtype::A, &clients, Some(down));
            prop_assert_eq!(covered.len(), clients.len());
            for Covered { client, pools, shares, after, after_shares, .. } in covered {
                let explained = |table| -> Vec<String> {
                    let explanation = explain(table, name, Rtype::A, client);
                    explanation.decisions.into_iter().filter_map(|decision| decision.pool).collect()
                };
                let after = after.expect("it was asked for");
                for (table, pools, shares) in [(&table, pools, shares), (&without, after, after_shares)] {
                    let explained = explained(table);
                    if shares.is_empty() {
                        prop_assert_eq!(pools, explained);
                    } else {
                        prop_assert_eq!(&pools, &shares[0].pools);
                        prop_assert!(shares.iter().any(|share| share.pools == explained));
                        prop_assert!(shares.is_sorted_by(|one, other| one.share >= other.share));
                    }
                }
            }
        }
    }

    /// What is passed over has not moved, and who is told to move does.
    #[test]
    fn exactly_those_are_told_whose_answers_may_differ(seed: u64) {
        let mut maker = Maker::new(seed);
        let World { table: before, .. } = maker.world();
        let clients = clients(&mut maker, 8);
        let after = match maker.is(3) {
            true => {
                let pool = PoolId(maker.below(4) as u32);
                before.with_pool(pool, maker.health(before.pool(pool).addresses.len()))
            }
            false => before.as_if(Arc::new(edited(&mut maker, before.plan()))),
        };
        let told: Vec<(String, String, IpAddr)> = compare(&before, &after, &clients)
            .into_iter()
            .flat_map(|moved| {
                let Move { domain, rtype, asked, moved, clients } = moved;
                assert_eq!((asked, moved), (8, clients.len()), "few enough to explain all");
                clients.into_iter().map(move |client| (domain.clone(), rtype.clone(), client.client))
            })
            .collect();
        let names = [&before, &after].map(|table| table.plan().domains.iter().map(|domain| &domain.name));
        let names: BTreeSet<&Name> = names.into_iter().flatten().collect();
        let (mut one, mut other) = (Explorer::new(&before), Explorer::new(&after));
        for name in names {
            for rtype in TYPES {
                for (_, client) in &clients {
                    let fates: [Fate<'_>; 2] =
                        [one.explore(name, rtype, *client), other.explore(name, rtype, *client)];
                    let has_moved = fates[0] != fates[1];
                    let is_told = told.contains(&(name.to_string(), rtype.to_string(), *client));
                    // Of a type that no pool has in either table, nobody asks.
                    let is_asked = fates.iter().flat_map(|fate| fate.keys()).any(|route| route.has_any());
                    if is_asked || is_told {
                        prop_assert_eq!(is_told, has_moved, "{} {} {}: {:?}", name, rtype, client, fates);
                    }
                }
            }
        }
    }

    /// The plan that a table has is no other.
    #[test]
    fn nobody_moves_as_if_nothing_had_changed(seed: u64) {
        let mut maker = Maker::new(seed);
        let World { table, .. } = maker.world();
        let clients = clients(&mut maker, 8);
        // Health that a pool's rules would never lead to is put right.
        let settled = table.as_if(table.plan().clone());
        let again = settled.as_if(table.plan().clone());
        prop_assert!(compare(&settled, &again, &clients).is_empty());
        let mut shuffled = Plan::clone(table.plan());
        shuffled.zones.insert(0, zone(&name("other.example"), []));
        for domain in &mut shuffled.domains {
            domain.zone = ZoneId(1);
        }
        prop_assert!(compare(&settled, &settled.as_if(Arc::new(shuffled)), &clients).is_empty());
    }
}

/// Four IPv4 addresses of which the last octets are given.
pub(super) fn site(label: &str, octets: &[u8]) -> Pool {
    let list: Vec<([u8; 4], u16)> = octets.iter().map(|octet| ([192, 0, 2, *octet], 1)).collect();
    Pool { name: label.to_owned(), ..pool(PoolPolicy::RoundRobin, 1, &list) }
}

pub(super) fn plan_of(pools: Vec<Pool>, choice: Choice) -> Plan {
    let apex = name("ai.example");
    let www = domain(&name("www.ai.example"), ZoneId(0), Vec::new());
    Plan {
        zones: vec![zone(&apex, [])],
        pools: pools.into_iter().map(Arc::new).collect(),
        domains: vec![Domain { choice: Some(choice), ..www }],
        ..Plan::default()
    }
}

#[test]
fn chances_are_those_of_the_weights() {
    let mut choice = Choice::even(DomainPolicy::Weighted, [PoolId(0), PoolId(1)]);
    choice.pools[0].weight = 3;
    let table = table(plan_of(vec![site("one", &[1]), site("two", &[2])], choice));
    let client = [(Country::all().next().expect("there are some"), IpAddr::from([10, 0, 0, 1]))];
    let covered = coverage(&table, &name("www.ai.example"), Rtype::A, &client, Some(PoolId(0)));
    let json = serde_json::to_value(&covered).expect("it is JSON");
    let expected = serde_json::json!([{
        "country": client[0].0.to_string(), "client": "10.0.0.1",
        "pools": ["one"],
        "shares": [{"pools": ["one"], "share": 0.75}, {"pools": ["two"], "share": 0.25}],
        "after": ["two"],
    }]);
    assert_eq!(json, expected);

    // A pool that returns has a share of its share.
    let health =
        PoolHealth { standing: Standing::Returning(crate::routing::Share::of(0.5)), ..PoolHealth::well(1) };
    let returning = table.with_pool(PoolId(0), health);
    let covered = coverage(&returning, &name("www.ai.example"), Rtype::A, &client, None);
    let shares: Vec<f64> = covered[0].shares.iter().map(|share| share.share).collect();
    assert_eq!(shares, [0.625, 0.375], "half of the time it is not there at all");
}

#[test]
fn what_is_believed_goes_with_the_address() {
    let even = || Choice::even(DomainPolicy::Priority, [PoolId(0), PoolId(1)]);
    let table = table(plan_of(vec![site("one", &[1, 2]), site("two", &[3])], even()));
    let mut checked = Plan::clone(table.plan());
    for pool in &mut checked.pools {
        Arc::make_mut(pool).health_check = Some(crate::plan::CheckId(0));
    }
    let withdrawn = Some([true, false].into());
    let table = table
        .as_if(Arc::new(checked.clone()))
        .with_pool(PoolId(0), PoolHealth { withdrawn, ..PoolHealth::from_up(2, |_| false) });

    // Another first pool, the order of addresses turned round, and one more.
    let mut edited = checked;
    edited.pools.insert(0, Arc::new(site("new", &[9])));
    let one = Arc::make_mut(&mut edited.pools[1]);
    let Addresses::Ip(list) = &mut one.addresses else { panic!("it is of IPs") };
    list.reverse();
    list.push(Address { target: [192, 0, 2, 7].into(), ..list[0].clone() });
    let after = table.as_if(Arc::new(edited.clone()));
    assert_eq!(after.generation(), table.generation() + 1);
    let up: Vec<bool> = (0..3).map(|at| after.is_up(PoolId(1), at)).collect();
    assert_eq!(up, [false, false, true]);
    let health = after.health(PoolId(1));
    assert_eq!(
        [health.is_withdrawn(0), health.is_withdrawn(1), health.is_withdrawn(2)],
        [false, true, false]
    );
    assert!(after.is_up(PoolId(0), 0) && after.is_up(PoolId(2), 0));

    // Less than its minimum is up; and without a check, only what was taken out stays out.
    Arc::make_mut(&mut edited.pools[1]).service.min_available = crate::plan::MinAvailable::Addresses(2);
    let short = table.as_if(Arc::new(edited.clone()));
    assert_eq!(short.health(PoolId(1)).standing, Standing::BelowMinimum);
    let settled = |up: usize| {
        let table = short.with_settled(PoolId(1), PoolHealth::from_up(3, |position| position < up));
        table.health(PoolId(1)).standing
    };
    // With nothing to give, how it stands decides nothing.
    assert_eq!([0, 1, 2].map(settled), [Standing::Full, Standing::BelowMinimum, Standing::Full]);
    Arc::make_mut(&mut edited.pools[1]).health_check = None;
    let unchecked = table.as_if(Arc::new(edited));
    let up: Vec<bool> = (0..3).map(|at| unchecked.is_up(PoolId(1), at)).collect();
    assert_eq!((up, unchecked.health(PoolId(1)).standing), (vec![true, false, true], Standing::Full));
}

#[test]
fn names_keep_what_they_resolve_to() {
    let mut one = site("one", &[1]);
    let address =
        Address { name: "cdn".to_owned(), target: name("cdn.example.net"), port: None, weight: 1, rank: 1 };
    one.resolved = vec![crate::plan::Resolved { address, position: 1 }];
    let plan = plan_of(vec![one], Choice::even(DomainPolicy::Priority, [PoolId(0)]));
    let found = [IpAddr::from([198, 51, 100, 1]), IpAddr::from([198, 51, 100, 2])];
    let resolved = Arc::new(plan.pools[0].with_answers(|_| &found));
    let before = table(plan.clone()).with_addresses(PoolId(0), resolved, PoolHealth::well(3));
    let mut edited = plan;
    let mut more = Pool::clone(&edited.pools[0]);
    more.name = "more".to_owned();
    more.addresses = Addresses::Ip(Vec::new());
    more.resolved[0].position = 0;
    edited.pools.push(Arc::new(more));
    let after = before.as_if(Arc::new(edited));
    assert_eq!(after.pool(PoolId(0)).addresses, before.pool(PoolId(0)).addresses);
    let Addresses::Ip(list) = &after.pool(PoolId(1)).addresses else { panic!("it is of IPs") };
    assert_eq!(list.iter().map(|address| address.target).collect::<Vec<_>>(), found);
}

#[test]
fn who_is_given_a_name_moves_with_what_it_leads_to() {
    let names = |label: &str, targets: &[&str]| {
        let address = |target: &&str| Address {
            name: (*target).to_owned(),
            target: name(target),
            port: None,
            weight: 1,
            rank: 1,
        };
        let addresses = Addresses::Cname(targets.iter().map(address).collect());
        Pool { addresses, ..site(label, &[1]) }
    };
    let pools = vec![
        site("one", &[1]),
        site("two", &[2]),
        names("here", &["www.ai.example"]),
        names("elsewhere", &["a.example.net", "b.example.net"]),
    ];
    let mut plan = plan_of(pools, Choice::even(DomainPolicy::Priority, [PoolId(0)]));
    let more = |label: &str, pool: u32| domain(&name(label), ZoneId(0), vec![PoolId(pool)]);
    plan.domains.extend([
        more("alias.ai.example", 2),
        more("cdn.ai.example", 3),
        more("cdn2.ai.example", 3),
        more("two.ai.example", 1),
    ]);
    let before = table(plan.clone());
    let clients = [("VN".parse().expect("a country"), IpAddr::from([10, 0, 0, 1]))];
    let told = |after: &RoutingTable| -> Vec<String> {
        let moves = compare(&before, after, &clients);
        moves.iter().map(|moved| format!("{} {}", moved.domain, moved.rtype)).collect()
    };
    let alias = Explorer::new(&before).explore(&name("alias.ai.example"), Rtype::A, clients[0].1);
    assert_eq!(alias.keys().next().map(|route| route.pools.clone()), Some(vec!["here", "one"]));

    let mut edited = plan.clone();
    edited.domains[0].choice = Some(Choice::even(DomainPolicy::Priority, [PoolId(1)]));
    assert_eq!(told(&before.as_if(Arc::new(edited))), ["www.ai.example A", "alias.ai.example A"]);

    let mut edited = plan;
    let Addresses::Cname(list) = &mut Arc::make_mut(&mut edited.pools[3]).addresses else {
        panic!("of names")
    };
    list.pop();
    assert_eq!(told(&before.as_if(Arc::new(edited))), ["cdn.ai.example CNAME", "cdn2.ai.example CNAME"]);
    assert_eq!(told(&before.clone()), Vec::<String>::new());
}
