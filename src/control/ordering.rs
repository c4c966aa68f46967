//! What operators and sites say of addresses, put into effect.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::orders::{Absence, Order, Orders};
use super::{Controller, Notice};
use crate::plan::{Addresses, Plan, PoolId};

/// What is spoken of is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuch {
    /// There is no pool of this name.
    #[error("there is no pool `{0}`")]
    Pool(String),
    /// The pool has no address of this name.
    #[error("pool `{0}` has no address `{1}`")]
    Address(String, String),
}

impl Controller {
    /// Whether something can be said of `address` in `pool`; of the whole pool without one.
    ///
    /// # Errors
    ///
    /// If there is no such pool or address.
    pub fn has_address(&self, pool: &str, address: Option<&str>) -> Result<(), NoSuch> {
        let (_, state) = self.pool_of(pool).ok_or_else(|| NoSuch::Pool(pool.to_owned()))?;
        match address {
            Some(address) if !state.has_address(address) => {
                Err(NoSuch::Address(pool.to_owned(), address.to_owned()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn order(
        &mut self,
        pool: &str,
        address: Option<&str>,
        order: Order,
        now: Instant,
    ) -> Vec<Notice> {
        let Some((id, _)) = self.pool_of(pool) else { return Vec::new() };
        let ttl = longest_ttl(self.published.load().plan(), id);
        self.say(id, now, |orders| orders.order(address, order, ttl, now))
    }

    pub(super) fn report(
        &mut self,
        pool: &str,
        address: Option<&str>,
        absence: Option<Absence>,
        now: Instant,
    ) -> Vec<Notice> {
        let Some((id, _)) = self.pool_of(pool) else { return Vec::new() };
        self.say(id, now, |orders| orders.report(address, absence, now))
    }

    fn say(&mut self, pool: PoolId, now: Instant, say: impl FnOnce(&mut Orders)) -> Vec<Notice> {
        say(&mut self.pools[pool.index()].orders);
        self.refresh(pool, now)
    }
}

/// For how long clients may use what they were given of `pool`: the longest TTL of a domain that
/// comes to it, by itself or by way of others.
fn longest_ttl(plan: &Plan, pool: PoolId) -> Duration {
    let mut reaching = BTreeSet::from([pool]);
    let mut domains = BTreeSet::new();
    loop {
        let known = domains.len();
        for (domain, at) in plan.domains.iter().zip(0..) {
            if !domains.contains(&at) && domain.pools().iter().any(|pool| reaching.contains(pool)) {
                domains.insert(at);
            }
        }
        if domains.len() == known {
            let ttls = domains.iter().map(|at| plan.domains[*at as usize].ttl);
            return Duration::from_secs(ttls.max().unwrap_or(0).into());
        }
        let nested = (0..).map(PoolId).zip(&plan.pools).filter(|(_, pool)| match pool.addresses {
            Addresses::Domain(domain) => domains.contains(&domain.0),
            Addresses::Ip(_) | Addresses::Cname(_) => false,
        });
        reaching.extend(nested.map(|(id, _)| id));
    }
}
