//! What one plan has that another has not.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Addresses, CheckId, Condition, ConditionId, ConditionRule, Domain, DomainId, Measurement, Member, Plan,
    Pool, PoolId, WhenAllDown, ZoneId,
};

/// What has changed from one plan to another, by the names of the configuration: where something
/// stands in it means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// Of the pools.
    pub pools: Changes,
    /// Of the steered names.
    pub domains: Changes,
    /// Of the zones, with their static records.
    pub zones: Changes,
    /// Of the health checks.
    pub health_checks: Changes,
    /// Of the conditions.
    pub conditions: Changes,
    /// Whether measured latencies have changed.
    pub latencies: bool,
    /// Whether it has changed when this host suspects its own network.
    pub isolation: bool,
}

/// What has changed of one kind of things: their names, in the order of the plan that has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Changes {
    /// Those that were not there before.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that are not what they were.
    pub changed: Vec<String>,
}

/// What has changed from `before` to `after`, in time linear in their sizes.
pub fn difference(before: &Plan, after: &Plan) -> Difference {
    let positions = Positions::new(before, after);
    let measured = |plan: &Plan, to: &dyn Fn(PoolId) -> PoolId| -> HashMap<_, u32> {
        let entry = |&Measurement { source, pool, milliseconds }: &Measurement| {
            ((source, to(pool)), milliseconds.to_bits())
        };
        plan.latencies.iter().map(entry).collect()
    };
    Difference {
        pools: changes(
            (&before.pools, &after.pools),
            |pool| &pool.name,
            |old, new| positions.pool(old) == **new,
        ),
        domains: changes(
            (&before.domains, &after.domains),
            |domain| &domain.name,
            |old, new| positions.domain(old) == *new,
        ),
        zones: changes((&before.zones, &after.zones), |zone| &zone.name, PartialEq::eq),
        health_checks: changes(
            (&before.health_checks, &after.health_checks),
            |check| &check.name,
            PartialEq::eq,
        ),
        conditions: changes(
            (&before.conditions, &after.conditions),
            |condition| &condition.name,
            |old, new| positions.condition(old) == *new,
        ),
        latencies: measured(before, &|pool| positions.pool_id(pool)) != measured(after, &|pool| pool),
        isolation: before.isolation != after.isolation,
    }
}

impl Difference {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Difference::default()
    }
}

impl fmt::Display for Difference {
    /// As in `2 pools changed, 1 domain added`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { pools, domains, zones, health_checks, conditions, latencies, isolation } = self;
        let mut parts = Vec::new();
        for (one, many, of) in [
            ("pool", "pools", pools),
            ("domain", "domains", domains),
            ("zone", "zones", zones),
            ("health check", "health checks", health_checks),
            ("condition", "conditions", conditions),
        ] {
            let Changes { added, removed, changed } = of;
            for (what, names) in [("changed", changed), ("added", added), ("removed", removed)] {
                match names.len() {
                    0 => {}
                    1 => parts.push(format!("1 {one} {what}")),
                    count => parts.push(format!("{count} {many} {what}")),
                }
            }
        }
        parts.extend(latencies.then(|| "latencies changed".to_owned()));
        parts.extend(isolation.then(|| "isolation changed".to_owned()));
        match parts.is_empty() {
            true => f.write_str("nothing has changed"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}

fn changes<T, N: Eq + Hash + ToString>(
    (before, after): (&[T], &[T]),
    name: impl Fn(&T) -> &N,
    is_same: impl Fn(&T, &T) -> bool,
) -> Changes {
    let mut old: HashMap<&N, &T> = before.iter().map(|thing| (name(thing), thing)).collect();
    let mut changes = Changes::default();
    for thing in after {
        match old.remove(name(thing)) {
            None => changes.added.push(name(thing).to_string()),
            Some(known) if !is_same(known, thing) => changes.changed.push(name(thing).to_string()),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|thing| old.contains_key(name(thing)));
    changes.removed = gone.map(|thing| name(thing).to_string()).collect();
    changes
}

/// By position in the plan before: the position in the plan after of what has the same name.
struct Positions {
    zones: Vec<u32>,
    checks: Vec<u32>,
    pools: Vec<u32>,
    domains: Vec<u32>,
    conditions: Vec<u32>,
}

/// The position of what is gone; no plan has so many.
const GONE: u32 = u32::MAX;

impl Positions {
    fn new(before: &Plan, after: &Plan) -> Self {
        Positions {
            zones: positions(before.zones.iter().map(|it| &it.name), after.zones.iter().map(|it| &it.name)),
            checks: positions(
                before.health_checks.iter().map(|it| &it.name),
                after.health_checks.iter().map(|it| &it.name),
            ),
            pools: positions(before.pools.iter().map(|it| &it.name), after.pools.iter().map(|it| &it.name)),
            domains: positions(
                before.domains.iter().map(|it| &it.name),
                after.domains.iter().map(|it| &it.name),
            ),
            conditions: positions(
                before.conditions.iter().map(|it| &it.name),
                after.conditions.iter().map(|it| &it.name),
            ),
        }
    }

    fn pool_id(&self, id: PoolId) -> PoolId {
        PoolId(self.pools[id.index()])
    }

    fn check_id(&self, id: CheckId) -> CheckId {
        CheckId(self.checks[id.index()])
    }

    fn condition_id(&self, id: ConditionId) -> ConditionId {
        ConditionId(self.conditions[id.index()])
    }

    /// `pool` as the plan after would have it.
    fn pool(&self, pool: &Pool) -> Pool {
        let mut pool = pool.clone();
        pool.health_check = pool.health_check.map(|id| self.check_id(id));
        pool.condition = pool.condition.map(|id| self.condition_id(id));
        if let Addresses::Domain(id) = &mut pool.addresses {
            *id = DomainId(self.domains[id.index()]);
        }
        pool
    }

    /// `domain` as the plan after would have it.
    fn domain(&self, domain: &Domain) -> Domain {
        let mut domain = domain.clone();
        domain.zone = ZoneId(self.zones[domain.zone.index()]);
        let of_rules = domain.rules.iter_mut().filter_map(|rule| rule.when_all_down.as_mut());
        for answer in of_rules.chain([&mut domain.when_all_down]) {
            if let WhenAllDown::Fallback(id) = answer {
                *id = self.pool_id(*id);
            }
        }
        let choices = domain.rules.iter_mut().map(|rule| &mut rule.choice).chain(&mut domain.choice);
        for weighted in choices.flat_map(|choice| &mut choice.pools) {
            weighted.pool = self.pool_id(weighted.pool);
        }
        domain
    }

    /// `condition` as the plan after would have it.
    fn condition(&self, condition: &Condition) -> Condition {
        let mut condition = condition.clone();
        match &mut condition.rule {
            ConditionRule::Check { check, .. } => *check = self.check_id(*check),
            ConditionRule::Of { members, .. } => {
                for member in members {
                    match member {
                        Member::Condition(id) => *id = self.condition_id(*id),
                        Member::Pool(id) | Member::Address(id, _) => *id = self.pool_id(*id),
                    }
                }
            }
        }
        condition
    }
}

fn positions<'p, N: Eq + Hash + 'p>(
    before: impl Iterator<Item = &'p N>,
    after: impl Iterator<Item = &'p N>,
) -> Vec<u32> {
    let after: HashMap<&N, u32> = after.zip(0..).collect();
    before.map(|name| after.get(name).copied().unwrap_or(GONE)).collect()
}
