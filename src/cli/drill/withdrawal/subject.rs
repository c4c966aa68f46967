//! What is taken out of service, and what must be well while it is away.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use crate::cli::order;
use crate::control::{AddressStatus, OrderStatus, PoolStatus, Status};

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
        let order = covered.find_map(|address| address.order.as_ref()).or(pool.order.as_ref());
        if let Some(OrderStatus { state, reason, .. }) = order {
            let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Err(format!(
                "{self} is {state} by order already{reason}, which is not the drill's to end"
            ));
        }
        let available = |address: &&AddressStatus| address.available;
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
        if status.isolated.is_some() {
            return Some("the daemon takes itself to be cut off, and cannot tell who is well".to_owned());
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DOMAIN: &str = "www.example.com";

    fn address(name: &str, available: bool) -> Value {
        json!({ "name": name, "target": "192.0.2.1", "weight": 1, "health": "up", "available": available,
            "share": 1.0, "state": "auto", "streak": 3 })
    }

    fn pool(name: &str, standing: &str, addresses: Vec<Value>) -> Value {
        let available = addresses.iter().filter(|address| address["available"] == true).count();
        json!({ "name": name, "policy": "weighted", "standing": standing, "reason": "it has its reasons",
            "share": 1.0, "available": available, "addresses": addresses, "names": [] })
    }

    fn status(pools: Vec<Value>) -> Status {
        let names: Vec<_> = pools.iter().map(|pool| pool["name"].clone()).collect();
        let domain = json!({ "name": DOMAIN, "policy": "nearest", "ttl": 5, "pools": names });
        let status = json!({ "generation": 1, "domains": [domain], "pools": pools });
        serde_json::from_value(status).expect("a status")
    }

    fn subject(pool: &str, address: Option<&str>) -> Subject {
        Subject { pool: pool.to_owned(), address: address.map(str::to_owned) }
    }

    #[test]
    fn every_other_pool_is_to_be_well() {
        for (standing, trouble) in [
            ("in-service", None),
            ("returning", None),
            ("down", Some("pool b is down: it has its reasons")),
            ("below-minimum", Some("pool b is below minimum: it has its reasons")),
            ("held", Some("pool b is held: it has its reasons")),
            ("unmet", Some("pool b is unmet: it has its reasons")),
        ] {
            let a = pool("a", "in-service", vec![address("one", true)]);
            let status = status(vec![a, pool("b", standing, vec![address("two", true)])]);
            for name in [None, Some("one")] {
                assert_eq!(subject("a", name).trouble(DOMAIN, &status).as_deref(), trouble, "{standing}");
            }
        }
    }

    #[test]
    fn a_daemon_that_is_cut_off_is_not_relied_on() {
        let pools = ["a", "b"].map(|name| pool(name, "in-service", vec![address("one", true)]));
        let mut status = status(pools.to_vec());
        assert_eq!(subject("a", None).trouble(DOMAIN, &status), None);
        status.isolated =
            serde_json::from_value(json!({ "seconds": 1.0, "silent": 2, "of": 2 })).expect("a status");
        let told = subject("a", None).trouble(DOMAIN, &status).expect("it is trouble");
        assert!(told.starts_with("the daemon takes itself to be cut off"), "{told}");
    }

    #[test]
    fn a_pool_that_is_alone_lends_an_address_but_not_all() {
        let status =
            |other| status(vec![pool("a", "in-service", vec![address("one", true), address("two", other)])]);
        assert_eq!(subject("a", Some("one")).obstacle(DOMAIN, &status(true)), Ok(Duration::from_secs(5)));
        for (name, status, words) in
            [(Some("one"), status(false), "address one of pool a"), (None, status(true), "pool a")]
        {
            let expected = Err(format!("{DOMAIN} has nothing in service but {words}"));
            assert_eq!(subject("a", name).obstacle(DOMAIN, &status), expected);
        }
    }

    #[test]
    fn what_is_out_or_ordered_already_is_left_alone() {
        let b = || pool("b", "in-service", vec![address("two", true)]);
        let obstacle = |a, name| subject("a", name).obstacle(DOMAIN, &status(vec![a, b()])).unwrap_err();
        let down = pool("a", "down", vec![address("one", false)]);
        assert_eq!(obstacle(down, None), "pool a is not given to clients now: it has its reasons");
        let nested = pool("a", "in-service", Vec::new());
        assert!(obstacle(nested, None).starts_with("pool a has no addresses of its own"));

        let mut ordered = address("one", true);
        ordered["order"] = json!({ "state": "up", "reason": "a test" });
        for name in [None, Some("one")] {
            let a = pool("a", "in-service", vec![ordered.clone(), address("other", true)]);
            let told = obstacle(a, name);
            assert!(
                told.ends_with("is up by order already (a test), which is not the drill's to end"),
                "{told}"
            );
        }
        let a = pool("a", "in-service", vec![ordered, address("other", true)]);
        assert!(subject("a", Some("other")).obstacle(DOMAIN, &status(vec![a, b()])).is_ok());
    }
}
