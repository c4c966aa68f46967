//! What two tables have in common, so that it need not be compared answer by answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::pool_health::PoolHealth;
use super::table::RoutingTable;
use crate::dns::Name;
use crate::plan::{
    Address, Addresses, Choice, Domain, DomainId, DomainPolicy, Plan, Pool, PoolId, Resolved, Rule,
    WeightedPool, WhenAllDown,
};

/// Which domains two tables answer in the same way, as far as that can be told without asking.
pub(super) struct Sameness<'t> {
    tables: [&'t RoutingTable; 2],
    /// By pool of the first: that of this name in the second, and whether it is the same one in itself.
    pools: Vec<Option<(PoolId, bool)>>,
    /// By zone of the first: whether the second has the same.
    zones: Vec<bool>,
    /// Whether clients are at the same places.
    has_same_map: bool,
    /// Whether the same was measured.
    has_same_latencies: bool,
    /// By domain of the first: what was found.
    known: Vec<Option<bool>>,
}

impl<'t> Sameness<'t> {
    pub(super) fn new(before: &'t RoutingTable, after: &'t RoutingTable) -> Self {
        let (plan, other) = (&**before.plan(), &**after.plan());
        let by_name: HashMap<&str, PoolId> =
            (0..).map(PoolId).zip(&other.pools).map(|(id, pool)| (&pool.name[..], id)).collect();
        let zones: HashMap<&Name, _> = other.zones.iter().map(|zone| (&zone.name, zone)).collect();
        let pools: Vec<_> = (0..)
            .map(PoolId)
            .zip(&plan.pools)
            .map(|(id, pool)| {
                let twin = *by_name.get(&pool.name[..])?;
                let is_same = !leads_back(after, &pool.addresses)
                    && is_same_pool(before.pool(id), after.pool(twin))
                    && is_same_health(before.health(id), after.health(twin));
                Some((twin, is_same))
            })
            .collect();
        let has_same_latencies = plan.latencies.len() == other.latencies.len()
            && plan.latencies.iter().zip(&other.latencies).all(|(one, other)| {
                one.source == other.source
                    && one.milliseconds == other.milliseconds
                    && pools[one.pool.index()].is_some_and(|(twin, _)| twin == other.pool)
            });
        Sameness {
            tables: [before, after],
            pools,
            zones: plan.zones.iter().map(|zone| zones.get(&zone.name) == Some(&zone)).collect(),
            has_same_map: Arc::ptr_eq(before.geo(), after.geo()),
            has_same_latencies,
            known: vec![None; plan.domains.len()],
        }
    }

    /// Every domain of either table: those of the first in their order, and what only the second has.
    pub(super) fn domains(&self) -> Vec<(Name, [Option<DomainId>; 2])> {
        let [plan, other] = self.tables.map(RoutingTable::plan);
        let numbered = |plan: &'t Plan| (0..).map(DomainId).zip(&plan.domains);
        let after: HashMap<&Name, DomainId> =
            numbered(other).map(|(id, domain)| (&domain.name, id)).collect();
        let before: HashSet<&Name> = plan.domains.iter().map(|domain| &domain.name).collect();
        let of_first =
            numbered(plan).map(|(id, domain)| (&domain.name, [Some(id), after.get(&domain.name).copied()]));
        let new = numbered(other).filter(|(_, domain)| !before.contains(&domain.name));
        let new = new.map(|(id, domain)| (&domain.name, [None, Some(id)]));
        of_first.chain(new).map(|(name, ids)| (name.clone(), ids)).collect()
    }

    /// Whether nobody can get another answer from the domain that has these numbers in the tables.
    pub(super) fn is_same(&mut self, ids: [Option<DomainId>; 2]) -> bool {
        let [Some(before), Some(after)] = ids else { return false };
        if let Some(known) = self.known[before.index()] {
            return known;
        }
        let is_same = self.find(before, after);
        self.known[before.index()] = Some(is_same);
        is_same
    }

    fn find(&mut self, before: DomainId, after: DomainId) -> bool {
        let [plan, other] = self.tables.map(|table| &**table.plan());
        let (one, other) = (&plan.domains[before.index()], &other.domains[after.index()]);
        let is_measured = || one.choices().any(|choice| choice.policy == DomainPolicy::Nearest);
        let Domain { name, zone, rules, choice, ttl: _, ttl_min: _, client_subnet, when_all_down } = one;
        self.has_same_map
            && self.zones[zone.index()]
            && *name == other.name
            && plan.zones[zone.index()].name == self.tables[1].plan().zones[other.zone.index()].name
            && *client_subnet == other.client_subnet
            && (self.has_same_latencies || !is_measured())
            && self.is_same_end(Some(*when_all_down), Some(other.when_all_down))
            && rules.len() == other.rules.len()
            && rules.iter().zip(&other.rules).all(|(one, other)| self.is_same_rule(one, other))
            && match (choice, &other.choice) {
                (Some(one), Some(other)) => self.is_same_choice(one, other),
                (one, other) => one.is_none() && other.is_none(),
            }
    }

    fn is_same_rule(&mut self, one: &Rule, other: &Rule) -> bool {
        one.sources == other.sources
            && self.is_same_choice(&one.choice, &other.choice)
            && self.is_same_end(one.when_all_down, other.when_all_down)
    }

    fn is_same_choice(&mut self, one: &Choice, other: &Choice) -> bool {
        one.policy == other.policy
            && one.pools.len() == other.pools.len()
            && one.pools.iter().zip(&other.pools).all(|(one, other)| {
                let WeightedPool { pool, weight } = *one;
                weight == other.weight && self.is_same_taken(pool, other.pool)
            })
    }

    fn is_same_end(&mut self, one: Option<WhenAllDown>, other: Option<WhenAllDown>) -> bool {
        match (one, other) {
            (Some(WhenAllDown::Fallback(one)), Some(WhenAllDown::Fallback(other))) => {
                self.is_same_taken(one, other)
            }
            (one, other) => one == other,
        }
    }

    /// Whether a pool of the first gives what one of the second does.
    fn is_same_taken(&mut self, one: PoolId, other: PoolId) -> bool {
        if self.pools[one.index()] != Some((other, true)) {
            return false;
        }
        let [before, after] = self.tables;
        match (&before.pool(one).addresses, &after.pool(other).addresses) {
            (Addresses::Domain(one), Addresses::Domain(other)) => {
                before.plan().domains[one.index()].name == after.plan().domains[other.index()].name
                    && self.is_same([Some(*one), Some(*other)])
            }
            // That is in what the pools are themselves.
            _ => true,
        }
    }
}

/// Whether clients are given a name of a zone of `table`: what follows from it is not the pool's alone.
fn leads_back(table: &RoutingTable, addresses: &Addresses) -> bool {
    let Addresses::Cname(list) = addresses else { return false };
    let is_zone = |name: Name| table.world.zone(&name).is_some();
    list.iter().any(|address| std::iter::successors(Some(address.target.clone()), Name::parent).any(is_zone))
}

/// Whether two pools give the same, if the same is believed of them; but for the domains that may stand
/// in for their addresses.
fn is_same_pool(one: &Pool, other: &Pool) -> bool {
    fn is_same_list<T: PartialEq>(one: &[Address<T>], other: &[Address<T>]) -> bool {
        let given = |address: &Address<T>| (address.weight, address.rank);
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(one, other)| one.target == other.target && given(one) == given(other))
    }
    let Pool {
        name,
        coordinates,
        bias,
        serves,
        policy,
        answers,
        health_check: _,
        condition: _,
        service: _,
        addresses,
        resolved,
    } = one;
    // While they are not resolved, nobody takes them for down.
    let awaits = |resolved: &[Resolved]| resolved.iter().any(|resolved| resolved.address.weight > 0);
    *name == other.name
        && *coordinates == other.coordinates
        && *bias == other.bias
        && *serves == other.serves
        && *policy == other.policy
        && *answers == other.answers
        && awaits(resolved) == awaits(&other.resolved)
        && match (addresses, &other.addresses) {
            (Addresses::Ip(one), Addresses::Ip(other)) => is_same_list(one, other),
            (Addresses::Cname(one), Addresses::Cname(other)) => is_same_list(one, other),
            (Addresses::Domain(_), Addresses::Domain(_)) => true,
            _ => false,
        }
}

/// Whether the same is believed; how soon it may change decides how long an answer is kept only.
fn is_same_health(one: &PoolHealth, other: &PoolHealth) -> bool {
    let PoolHealth { shares, standing, withdrawn, calm: _ } = one;
    *shares == other.shares && *standing == other.standing && *withdrawn == other.withdrawn
}

/// What pools of a domain, and of those below it, have to give.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    pub(super) v4: bool,
    pub(super) v6: bool,
    pub(super) names: bool,
    /// Some of the names are of zones of the same table.
    pub(super) leads_back: bool,
}

impl Reach {
    /// Adds what `domain` has to give.
    pub(super) fn add(&mut self, table: &RoutingTable, domain: DomainId) {
        let mut seen = HashSet::from([domain]);
        let mut waiting = vec![domain];
        while let Some(domain) = waiting.pop() {
            let domain = &table.plan().domains[domain.index()];
            for pool in domain.pools().into_iter().chain(domain.fallbacks()) {
                let addresses = &table.pool(pool).addresses;
                match addresses {
                    Addresses::Ip(list) => {
                        self.v4 |= list.iter().any(|address| address.target.is_ipv4());
                        self.v6 |= list.iter().any(|address| address.target.is_ipv6());
                    }
                    Addresses::Cname(_) => {
                        self.names = true;
                        self.leads_back |= leads_back(table, addresses);
                    }
                    Addresses::Domain(below) if seen.insert(*below) => waiting.push(*below),
                    Addresses::Domain(_) => {}
                }
            }
        }
    }
}
