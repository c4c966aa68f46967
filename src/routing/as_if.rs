//! The table that another plan would have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::pool_health::{PoolHealth, Share, Standing};
use super::{Compiled, RoutingTable};
use crate::dns::Name;
use crate::plan::{Addresses, Plan, Pool, PoolId};

impl RoutingTable {
    /// The table that `plan` would have with what is believed now. A pool is known by its name, an
    /// address within it by the IP or the name that clients are given; what is new counts as up, and
    /// names that are resolved keep what they resolve to.
    ///
    /// It is what would be in force at once, in a still world: what conditions would come to say of other
    /// pools, and what is held back before it returns, only the daemon finds out.
    pub fn as_if(&self, plan: Arc<Plan>) -> RoutingTable {
        let known: HashMap<&str, PoolId> =
            (0..).map(PoolId).zip(&self.plan().pools).map(|(id, pool)| (&pool.name[..], id)).collect();
        let answers = self.answers();
        let pools: Vec<(Arc<Pool>, PoolHealth)> = plan
            .pools
            .iter()
            .map(|pool| {
                let with_answers =
                    || pool.with_answers(|name| answers.get(name).map_or(&[][..], |found| found));
                let pool = if pool.resolved.is_empty() { pool.clone() } else { Arc::new(with_answers()) };
                let health = match known.get(&pool.name[..]) {
                    Some(before) => self.believed(*before, &pool),
                    None => PoolHealth::well(pool.addresses.len()),
                };
                (pool, health)
            })
            .collect();
        let geo = self.geo().clone();
        Compiled::new(plan, geo).with_states(|id| pools[id.index()].clone()).following(self)
    }

    /// What the names in its pools resolve to.
    fn answers(&self) -> HashMap<&Name, Vec<IpAddr>> {
        let mut answers: HashMap<&Name, Vec<IpAddr>> = HashMap::new();
        for id in (0..).map(PoolId).take(self.pool_count()) {
            let pool = self.pool(id);
            let Addresses::Ip(list) = &pool.addresses else { continue };
            for address in list {
                if let Some(name) = pool.resolved_from(&address.name) {
                    let found = answers.entry(name).or_default();
                    if !found.contains(&address.target) {
                        found.push(address.target);
                    }
                }
            }
        }
        answers
    }

    /// What is believed of `pool`, which is that of `before` as it would be.
    fn believed(&self, before: PoolId, pool: &Pool) -> PoolHealth {
        let (was, health) = (self.pool(before), self.health(before));
        let is_checked = was.health_check.is_some() && pool.health_check.is_some();
        let origins = origins(&was.addresses, &pool.addresses);
        let is_withdrawn = |origin: &Option<usize>| origin.is_some_and(|at| health.is_withdrawn(at));
        let share = |origin: &Option<usize>| match *origin {
            Some(at) if is_checked || health.is_withdrawn(at) => health.shares[at],
            // Nothing watches it: it counts as up.
            Some(_) | None => Share::FULL,
        };
        let shares: Box<[Share]> = origins.iter().map(share).collect();
        let withdrawn = origins.iter().any(is_withdrawn);
        let withdrawn = withdrawn.then(|| origins.iter().map(is_withdrawn).collect());
        let standing = standing(pool, &shares, health.standing);
        PoolHealth { shares, standing, withdrawn, calm: health.calm }
    }

    /// This table with something else believed of one pool, which stands as that lets it: below its
    /// minimum or not.
    pub fn with_settled(&self, id: PoolId, health: PoolHealth) -> RoutingTable {
        let standing = standing(self.pool(id), &health.shares, health.standing);
        self.with_pool(id, PoolHealth { standing, ..health })
    }
}

/// How `pool` stands with these shares that stood `before` as it did.
fn standing(pool: &Pool, shares: &[Share], before: Standing) -> Standing {
    let is_up = |at: usize| shares[at] > Share::NONE;
    let is_met = match pool.addresses {
        Addresses::Domain(_) => true,
        _ => pool.service.min_available.is_met(&pool.addresses.weights(), is_up),
    };
    match before {
        Standing::Unmet if pool.condition.is_some() => Standing::Unmet,
        held @ (Standing::Held | Standing::AwaitsRelease) => held,
        standing @ (Standing::Full | Standing::Returning(_)) if is_met => standing,
        _ if is_met => Standing::Full,
        // With nothing to give, how it stands decides nothing.
        _ if (0..shares.len()).any(is_up) => Standing::BelowMinimum,
        _ => Standing::Full,
    }
}

/// By position in `now`: where the same address stands in `before`.
fn origins(before: &Addresses, now: &Addresses) -> Vec<Option<usize>> {
    fn of<T: PartialEq>(before: &[T], now: &[T]) -> Vec<Option<usize>> {
        now.iter().map(|target| before.iter().position(|other| other == target)).collect()
    }
    let targets = |list: &[crate::plan::Address<IpAddr>]| -> Vec<IpAddr> {
        list.iter().map(|address| address.target).collect()
    };
    let names = |list: &[crate::plan::Address<Name>]| -> Vec<Name> {
        list.iter().map(|address| address.target.clone()).collect()
    };
    match (before, now) {
        (Addresses::Ip(before), Addresses::Ip(now)) => of(&targets(before), &targets(now)),
        (Addresses::Cname(before), Addresses::Cname(now)) => of(&names(before), &names(now)),
        _ => vec![None; now.len()],
    }
}
