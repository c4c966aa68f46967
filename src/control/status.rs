//! What is believed and served, for people and machines to read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::history::ProbeStatus;
use super::isolation::Isolated;
use super::names::{NameState, Names};
use super::orders::{Away, Standing};
use super::pool::PoolState;
use super::target::Target;
use crate::dns::Name;
use crate::health::{HealthMachine, Hold, TargetId, Verdict};
use crate::plan::{Address, Addresses, Domain, PoolId};
use crate::routing::RoutingTable;

/// The state of everything.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// How many tables were published before the current one.
    pub generation: u64,
    /// That the daemon takes itself to be cut off from the network, and calls nobody down for
    /// being silent.
    pub isolated: Option<IsolatedStatus>,
    /// Every domain, in the order of the configuration.
    pub domains: Vec<DomainStatus>,
    /// Every pool, in the order of the configuration.
    pub pools: Vec<PoolStatus>,
}

/// The daemon takes itself to be cut off from the network.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IsolatedStatus {
    /// For how many seconds.
    pub seconds: f64,
    /// How many sites are silent: pools, and places of conditions.
    pub silent: usize,
    /// Of how many with addresses that were believed to be up.
    pub of: usize,
}

/// A domain, and what it steers by.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Its policy, as in the configuration.
    pub policy: String,
    /// `in-service`, `returning`, `below-minimum`, `unmet`, `down`, `held` or `awaits-release`.
    pub standing: String,
    /// Why, in words.
    pub reason: String,
    /// The share of the clients that it serves, from 0 to 1; where nothing is in service, pools
    /// serve without a share.
    pub share: f64,
    /// Seconds for which it is still held.
    pub held_seconds: Option<f64>,
    /// How many of its addresses are given to clients.
    pub available: usize,
    /// Why its check looks wrong, in words.
    pub suspicion: Option<String>,
    /// What the operator orders of all its addresses that have no order of their own.
    pub order: Option<OrderStatus>,
    /// The addresses, in order.
    pub addresses: Vec<AddressStatus>,
    /// The names that stand for some of them, in order.
    pub names: Vec<NameStatus>,
}

/// An address and what is believed of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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
    /// The part of its weight that it takes, from 0 to 1.
    pub share: f64,
    /// What the operator orders: `auto`, `drain`, `up` or `down`.
    pub state: String,
    /// The order behind a state other than `auto`, its own or that of its pool.
    pub order: Option<OrderStatus>,
    /// That its site has reported it away.
    pub away: Option<AwayStatus>,
    /// That it is held down for flipping too often, whatever its health.
    pub damped: Option<DampedStatus>,
    /// Seconds since the health last changed.
    pub since_seconds: Option<f64>,
    /// How many of the last probes in a row were passes, or failures.
    pub streak: u32,
    /// The last failure, in words.
    pub last_failure: Option<String>,
    /// What the last probe found, and how long each phase of it took.
    pub last_probe: Option<ProbeStatus>,
}

/// An order that stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OrderStatus {
    /// `drain`, `up` or `down`.
    pub state: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Seconds for which it still stands; `None`: until it is taken back.
    pub seconds: Option<f64>,
    /// Seconds until nobody who honours TTLs uses a drained address any more; 0: it is empty.
    pub empty_seconds: Option<f64>,
}

/// An absence that a site has reported.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AwayStatus {
    /// Why, in the site's words.
    pub reason: Option<String>,
    /// Seconds for which it still counts.
    pub seconds: f64,
}

/// A name that is resolved, and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NameStatus {
    /// The name, within the pool, of the address that it is written for.
    pub address: String,
    /// The domain name.
    pub name: String,
    /// What it resolves to, or did when it last resolved.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// Seconds since it last resolved.
    pub resolved_seconds: Option<f64>,
    /// Seconds since its addresses last changed.
    pub changed_seconds: Option<f64>,
    /// What was wrong with the last lookup, in words; `None`: nothing.
    pub failure: Option<String>,
}

/// An address is held down for flipping too often.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DampedStatus {
    /// How often it has flipped.
    pub flips: u32,
    /// Seconds for which it is still held down if it keeps still.
    pub seconds: f64,
}

/// What the state of things is read from.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) table: &'k RoutingTable,
    pub(super) pools: &'k [PoolState],
    pub(super) targets: &'k HashMap<TargetId, Target>,
    pub(super) names: &'k Names,
    pub(super) now: Instant,
}

/// Some of a list, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Those.
    pub items: Vec<T>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// At most `limit` of `all`: those behind the one that `is_last` knows, from the first on without it.
    fn of<A>(
        all: impl Iterator<Item = A>,
        is_last: Option<impl Fn(&A) -> bool>,
        limit: usize,
        show: impl Fn(A) -> T,
    ) -> Self {
        let mut all = all;
        if let Some(is_last) = is_last {
            all.by_ref().find(is_last);
        }
        let items = all.by_ref().take(limit).map(show).collect();
        Page { items, has_more: all.next().is_some() }
    }
}

impl Status {
    pub(super) fn new(known: Known<'_>, isolated: Option<Isolated>) -> Self {
        let plan = known.table.plan();
        let isolated = isolated.map(|Isolated { since, silent, of }| IsolatedStatus {
            seconds: seconds(known.now, since),
            silent,
            of,
        });
        Status {
            generation: known.table.generation(),
            isolated,
            domains: plan.domains.iter().map(|domain| known.domain(domain)).collect(),
            pools: (0..).map(PoolId).take(known.pools.len()).map(|id| known.pool(id)).collect(),
        }
    }
}

impl Known<'_> {
    pub(super) fn domain(self, domain: &Domain) -> DomainStatus {
        let plan = self.table.plan();
        DomainStatus {
            name: domain.name.to_string(),
            policy: policy_of(domain),
            ttl: domain.ttl,
            pools: domain.pools().into_iter().map(|pool| plan.pools[pool.index()].name.clone()).collect(),
        }
    }

    pub(super) fn domains(self, after: Option<&Name>, limit: usize) -> Page<DomainStatus> {
        let is_last = after.map(|after| move |domain: &&Domain| domain.name == *after);
        Page::of(self.table.plan().domains.iter(), is_last, limit, |domain| self.domain(domain))
    }

    pub(super) fn pools(self, after: Option<&str>, limit: usize) -> Page<PoolStatus> {
        let is_last = after.map(|after| move |id: &PoolId| self.pools[id.index()].name == after);
        let ids = (0..).map(PoolId).take(self.pools.len());
        Page::of(ids, is_last, limit, |id| self.pool(id))
    }

    pub(super) fn pool(self, id: PoolId) -> PoolStatus {
        let Known { table, pools, targets, names, now } = self;
        let (pool, state) = (table.pool(id), &pools[id.index()]);
        let addresses: Vec<AddressStatus> = described(&pool.addresses)
            .into_iter()
            .enumerate()
            .map(|(position, (name, target, weight))| AddressStatus {
                state: state
                    .orders
                    .order_of(&name)
                    .map_or_else(|| "auto".to_owned(), |order| order.state.to_string()),
                order: state.orders.order_of(&name).map(|order| OrderStatus::new(order, now)),
                away: state.orders.absence_of(&name).map(|away| AwayStatus::new(away, now)),
                available: weight > 0 && table.is_up(id, position),
                share: state.share_of(position, targets, now),
                ..AddressStatus::new(
                    (name, target, weight),
                    state.targets[position].and_then(|id| targets.get(&id)),
                    now,
                )
            })
            .collect();
        let available = addresses.iter().filter(|address| address.available).count();
        PoolStatus {
            name: pool.name.clone(),
            policy: pool.policy.to_string(),
            standing: state.standing(available > 0).to_owned(),
            reason: state.reason(targets, now),
            share: state.share(now),
            held_seconds: state.held_until().map(|until| seconds(until, now)),
            available,
            suspicion: state.suspicion().map(str::to_owned),
            order: state.orders.of_pool().map(|order| OrderStatus::new(order, now)),
            addresses,
            names: pool
                .resolved
                .iter()
                .map(|resolved| {
                    let Address { name, target, .. } = &resolved.address;
                    NameStatus::new(name, target, names.get(target), now)
                })
                .collect(),
        }
    }
}

impl AddressStatus {
    /// What `target`, which watches it, knows of an address.
    fn new((name, given, weight): (String, String, u16), target: Option<&Target>, now: Instant) -> Self {
        let machine = target.map(Target::machine);
        AddressStatus {
            name,
            target: given,
            weight,
            health: match machine.map(HealthMachine::verdict) {
                Some(Verdict::Up) => "up",
                Some(Verdict::Down) => "down",
                Some(Verdict::Unknown) => "unknown",
                None => "unchecked",
            }
            .to_owned(),
            available: true,
            share: 1.0,
            state: String::new(),
            order: None,
            away: None,
            damped: target
                .and_then(|target| target.hold(now))
                .map(|Hold { flips, until }| DampedStatus { flips, seconds: seconds(until, now) }),
            since_seconds: machine.and_then(HealthMachine::since).map(|since| seconds(now, since)),
            streak: machine.map_or(0, HealthMachine::streak),
            last_failure: machine.and_then(HealthMachine::last_failure).map(ToString::to_string),
            last_probe: target.and_then(|target| target.history.last(now)),
        }
    }
}

impl OrderStatus {
    fn new(order: &Standing, now: Instant) -> Self {
        OrderStatus {
            state: order.state.to_string(),
            reason: order.reason.clone(),
            seconds: order.until.map(|until| seconds(until, now)),
            empty_seconds: order.empty.map(|empty| seconds(empty, now)),
        }
    }
}

impl AwayStatus {
    fn new(away: &Away, now: Instant) -> Self {
        AwayStatus { reason: away.reason.clone(), seconds: seconds(away.until, now) }
    }
}

impl NameStatus {
    /// What is known of `name`, which the address called `address` is written for.
    fn new(address: &str, name: &Name, state: Option<&NameState>, now: Instant) -> Self {
        let age =
            |since: fn(&NameState) -> Option<Instant>| state.and_then(since).map(|since| seconds(now, since));
        NameStatus {
            address: address.to_owned(),
            name: name.to_string(),
            addresses: state.map(NameState::addresses).unwrap_or_default(),
            resolved_seconds: age(NameState::answered),
            changed_seconds: age(NameState::changed),
            failure: state.and_then(NameState::failure).map(str::to_owned),
        }
    }
}

/// Seconds from one moment until a later one.
fn seconds(until: Instant, from: Instant) -> f64 {
    until.saturating_duration_since(from).as_secs_f64()
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
