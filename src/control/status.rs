//! What is believed and served, for people and machines to read.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::health::{HealthMachine, Verdict};
use crate::plan::{Addresses, Domain, PoolId};
use crate::routing::RoutingTable;

/// The state of everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// How many tables were published before the current one.
    pub generation: u64,
    /// Every domain, in the order of the configuration.
    pub domains: Vec<DomainStatus>,
    /// Every pool, in the order of the configuration.
    pub pools: Vec<PoolStatus>,
}

/// A domain, and what it steers by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainStatus {
    /// The name that clients ask for.
    pub name: String,
    /// Its policy, as in the configuration.
    pub policy: String,
    /// Its TTL, in seconds.
    pub ttl: u32,
    /// Its pools, in order.
    pub pools: Vec<String>,
}

/// A pool and its addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Its policy, as in the configuration.
    pub policy: String,
    /// How many of its addresses are given to clients.
    pub available: usize,
    /// The addresses, in order.
    pub addresses: Vec<AddressStatus>,
}

/// An address and what is believed of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddressStatus {
    /// Its name within the pool.
    pub name: String,
    /// The IP or the name that clients are given.
    pub target: String,
    /// Its weight.
    pub weight: u16,
    /// `up`, `down`, `unknown`, or `unchecked` where nothing watches it.
    pub health: String,
    /// Whether clients are given it.
    pub available: bool,
    /// Seconds since the health last changed.
    pub since_seconds: Option<f64>,
    /// How many of the last probes in a row were passes, or failures.
    pub streak: u32,
    /// The last failure, in words.
    pub last_failure: Option<String>,
}

impl Status {
    pub(super) fn new<'m>(
        table: &RoutingTable,
        now: Instant,
        machine: impl Fn(PoolId, usize) -> Option<&'m HealthMachine>,
    ) -> Self {
        let plan = table.plan();
        let domains = plan
            .domains
            .iter()
            .map(|domain| DomainStatus {
                name: domain.name.to_string(),
                policy: policy_of(domain),
                ttl: domain.ttl,
                pools: domain.pools().into_iter().map(|pool| plan.pools[pool.index()].name.clone()).collect(),
            })
            .collect();
        let pools = (0..)
            .map(PoolId)
            .zip(&plan.pools)
            .map(|(id, pool)| {
                let addresses: Vec<AddressStatus> = described(&pool.addresses)
                    .into_iter()
                    .enumerate()
                    .map(|(position, (name, target, weight))| {
                        let machine = machine(id, position);
                        AddressStatus {
                            name,
                            target,
                            weight,
                            health: match machine.map(HealthMachine::verdict) {
                                Some(Verdict::Up) => "up",
                                Some(Verdict::Down) => "down",
                                Some(Verdict::Unknown) => "unknown",
                                None => "unchecked",
                            }
                            .to_owned(),
                            available: weight > 0 && table.is_up(id, position),
                            since_seconds: machine
                                .and_then(HealthMachine::since)
                                .map(|since| now.saturating_duration_since(since).as_secs_f64()),
                            streak: machine.map_or(0, HealthMachine::streak),
                            last_failure: machine
                                .and_then(HealthMachine::last_failure)
                                .map(ToString::to_string),
                        }
                    })
                    .collect();
                PoolStatus {
                    name: pool.name.clone(),
                    policy: pool.policy.to_string(),
                    available: addresses.iter().filter(|address| address.available).count(),
                    addresses,
                }
            })
            .collect();
        Status { generation: table.generation(), domains, pools }
    }
}

/// The policy of a domain, as in the configuration; `rules` where there are some.
fn policy_of(domain: &Domain) -> String {
    match &domain.choice {
        Some(choice) if domain.rules.is_empty() => choice.policy.to_string(),
        _ => "rules".to_owned(),
    }
}

/// Name, target and weight of each address.
fn described(addresses: &Addresses) -> Vec<(String, String, u16)> {
    match addresses {
        Addresses::Ip(list) => list
            .iter()
            .map(|address| (address.name.clone(), address.target.to_string(), address.weight))
            .collect(),
        Addresses::Cname(list) => list
            .iter()
            .map(|address| (address.name.clone(), address.target.to_string(), address.weight))
            .collect(),
        Addresses::Domain(_) => Vec::new(),
    }
}
