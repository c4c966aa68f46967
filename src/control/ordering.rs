//! What operators and sites say of addresses, put into effect.

use std::time::{Duration, Instant};

use super::orders::{Absence, Order, Orders};
use super::{Controller, Notice};
use crate::plan::PoolId;

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
        let ttl = Duration::from_secs(self.index.ttl(id).into());
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
