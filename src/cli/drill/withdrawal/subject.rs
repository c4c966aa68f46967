//! What is taken out of service, and what must be well while it is away.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use crate::cli::order;
use crate::control::{OrderStatus, PoolStatus, Status};

/// A pool, or one address of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Subject {
    pub(super) pool: String,
    pub(super) address: Option<String>,
}

impl Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            None => write!(f, "pool {}", self.pool),
            Some(address) => write!(f, "address {address} of pool {}", self.pool),
        }
    }
}

impl Subject {
    /// Where the admin API has it.
    pub(super) fn path(&self) -> String {
        order::path(&self.pool, self.address.as_deref())
    }

    /// The order that it is under in `pool`.
    pub(super) fn order<'s>(&self, pool: &'s PoolStatus) -> Option<&'s OrderStatus> {
        let Some(name) = &self.address else { return pool.order.as_ref() };
        pool.addresses.iter().find(|address| address.name == *name)?.order.as_ref()
    }

    /// What clients are given of `pool` when they are given the subject: IPs, or names.
    pub(super) fn targets<'s>(&self, pool: &'s PoolStatus) -> impl Iterator<Item = &'s str> {
        let addresses = pool.addresses.iter();
        addresses.filter(|address| self.covers(&address.name)).map(|address| &address.target[..])
    }

    /// Why it cannot be taken out of the answers for `domain` as things are. Otherwise the TTL of
    /// these answers.
    pub(super) fn obstacle(&self, domain: &str, status: &Status) -> Result<Duration, String> {
        let known = |name: &str| status.pools.iter().any(|pool| pool.name == name);
        let Some(found) = status.domains.iter().find(|found| found.name == domain) else {
            let domains = status.domains.iter().map(|domain| &domain.name[..]);
            return Err(format!("there is no domain `{domain}`{}", among("domains", domains)));
        };
        if !found.pools.contains(&self.pool) {
            let whose = if known(&self.pool) { format!(" of {domain}") } else { String::new() };
            let pools = found.pools.iter().map(|pool| &pool[..]);
            return Err(format!("there is no pool `{}`{whose}{}", self.pool, among("pools", pools)));
        }
        let Some(pool) = self.pool_in(status) else {
            return Err(format!("there is no pool `{}`", self.pool));
        };
        let mut covered = pool.addresses.iter().filter(|address| self.covers(&address.name)).peekable();
        if covered.peek().is_none() {
            return Err(match &self.address {
                Some(name) => {
                    let names = pool.addresses.iter().map(|address| &address.name[..]);
                    format!("there is no address `{name}` in pool {}{}", self.pool, among("addresses", names))
                }
                None => format!("{self} has no addresses of its own: drill the pools that it leads to"),
            });
        }
        let orders = pool.order.iter().chain(covered.filter_map(|address| address.order.as_ref()));
        if let Some(OrderStatus { state, reason, .. }) = orders.into_iter().next() {
            let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Err(format!(
                "{self} is {state} by order already{reason}, which is not the drill's to end"
            ));
        }
        let available = |address: &&crate::control::AddressStatus| address.available;
        if !pool.addresses.iter().filter(available).any(|address| self.covers(&address.name)) {
            return Err(format!("{self} is not given to clients now: {}", pool.reason));
        }
        match self.trouble(domain, status) {
            Some(trouble) => Err(trouble),
            None => Ok(Duration::from_secs(found.ttl.into())),
        }
    }

    /// Why nobody else can be relied on to serve `domain`, if so.
    pub(super) fn trouble(&self, domain: &str, status: &Status) -> Option<String> {
        let pools = status.domains.iter().find(|found| found.name == domain).map(|found| &found.pools[..]);
        let is_other = |pool: &&PoolStatus| {
            pools.is_some_and(|pools| pools.contains(&pool.name)) && pool.name != self.pool
        };
        let mut others = status.pools.iter().filter(is_other).peekable();
        if others.peek().is_none() {
            let remains = self.pool_in(status).is_some_and(|pool| {
                pool.addresses.iter().any(|address| address.available && !self.covers(&address.name))
            });
            return (!remains).then(|| format!("{domain} has nothing in service but {self}"));
        }
        let ill = others.find(|pool| !matches!(&pool.standing[..], "in-service" | "returning"))?;
        let words = ill.standing.replace('-', " ");
        Some(format!("pool {} is {words}: {}", ill.name, ill.reason))
    }

    fn pool_in<'s>(&self, status: &'s Status) -> Option<&'s PoolStatus> {
        status.pools.iter().find(|pool| pool.name == self.pool)
    }

    /// Whether the address of that name within the pool is taken out.
    fn covers(&self, name: &str) -> bool {
        self.address.as_deref().is_none_or(|address| address == name)
    }
}

/// A hint at what there is.
fn among<'n>(what: &str, names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { String::new() } else { format!("\nhint: the {what} are {}", names.join(", ")) }
}
