//! A table that has seen any number of flips is the one compiled from scratch.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::routing::PoolHealth;

/// More than one shard of pools and more than one word of a set of them.
const POOLS: usize = 70;

fn plan() -> Plan {
    let apex = name("ai.example");
    let address = |pool: usize, number: usize| -> IpAddr {
        match number {
            3 => std::net::Ipv6Addr::from_bits(pool as u128 + 1).into(),
            _ => [10, pool as u8, 0, number as u8].into(),
        }
    };
    let list = |at: usize| -> Vec<(IpAddr, u16)> {
        (0..1 + at % 4).map(|number| (address(at, number), number as u16 + (at % 5).min(1) as u16)).collect()
    };
    let policy = |at| if at % 3 == 0 { PoolPolicy::Weighted } else { PoolPolicy::RoundRobin };
    let after =
        [WhenAllDown::ServeAll, WhenAllDown::Nodata, WhenAllDown::Servfail, WhenAllDown::Fallback(PoolId(1))];
    Plan {
        zones: vec![zone(&apex, [])],
        pools: (0..POOLS).map(|at| Arc::new(pool(policy(at), 1 + at as u8 % 3, &list(at)))).collect(),
        domains: (0..POOLS)
            .map(|at| {
                let pools = [at, (at * 7 + 1) % POOLS, (at * 13 + 2) % POOLS];
                let mut pools: Vec<PoolId> = pools.into_iter().map(|pool| PoolId(pool as u32)).collect();
                pools.sort();
                pools.dedup();
                let owner = name(&format!("www{at}.ai.example"));
                Domain { when_all_down: after[at % 4], ..domain(&owner, ZoneId(0), pools) }
            })
            .collect(),
        ..Plan::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn flips_end_where_compiling_does(
        down_at_first in proptest::collection::vec(any::<u8>(), POOLS),
        flips in proptest::collection::vec((0..POOLS, any::<u8>()), 1..60),
    ) {
        let (plan, geo) = (Arc::new(plan()), Arc::new(GeoTable::empty()));
        let mut down = down_at_first;
        let is_up = |down: &[u8], pool: PoolId, position: usize| down[pool.index()] >> position & 1 == 0;
        let health = |down: &[u8], pool: PoolId| {
            let addresses = plan.pools[pool.index()].addresses.len();
            PoolHealth::from_up(addresses, |position| is_up(down, pool, position))
        };
        let mut table =
            RoutingTable::compile(plan.clone(), geo.clone(), |pool| health(&down, pool));
        let first = table.clone();
        let before = down.clone();
        for (generation, (pool, bits)) in (1..).zip(&flips) {
            down[*pool] = *bits;
            let id = PoolId(*pool as u32);
            table = table.with_pool(id, health(&down, id));
            prop_assert_eq!(table.generation(), generation);
        }
        let anew = RoutingTable::compile(plan.clone(), geo, |pool| health(&down, pool));
        let [mut worker, mut other] = [worker(&table, 1), worker(&anew, 1)];
        for (id, pool) in (0..).map(PoolId).zip(&plan.pools) {
            for position in 0..pool.addresses.len() {
                prop_assert_eq!(table.is_up(id, position), is_up(&down, id, position));
                prop_assert_eq!(anew.is_up(id, position), is_up(&down, id, position));
                // Tables do not change when their successors are made.
                prop_assert_eq!(first.is_up(id, position), is_up(&before, id, position));
            }
        }
        for domain in &plan.domains {
            for rtype in [Rtype::A, Rtype::AAAA] {
                let flipped = ask(&table, &mut worker, &domain.name, rtype);
                prop_assert_eq!(&flipped, &ask(&anew, &mut other, &domain.name, rtype));
                // Of what is given nothing is down, as long as there is something up to give.
                let gives: Vec<IpAddr> = flipped.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
                let has = |family: bool, pool: &PoolId| {
                    let Addresses::Ip(list) = &plan.pools[pool.index()].addresses else { return Vec::new() };
                    let admitted = list.iter().enumerate().filter(|(position, address)| {
                        address.target.is_ipv4() == family && address.weight > 0 && is_up(&down, *pool, *position)
                    });
                    admitted.map(|(_, address)| address.target).collect::<Vec<IpAddr>>()
                };
                let first_pool = domain.pools().iter().map(|pool| has(rtype == Rtype::A, pool)).find(|up| !up.is_empty());
                if let Some(up) = first_pool {
                    prop_assert!(!gives.is_empty() && gives.iter().all(|ip| up.contains(ip)), "{:?} of {:?}", gives, up);
                }
            }
        }
    }
}
