//! Addresses with what watches them.

use std::fmt;
use std::net::IpAddr;

use super::{Addresses, HealthCheck, Plan, Pool, RESOLVED};
use crate::dns::Name;

/// One address that is watched, and how. Two that are equal are the same thing to watch: what
/// is believed of it carries over from one plan to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// The pool's name; `None`: it belongs to none.
    pub pool: Option<String>,
    /// The address's name within the pool, or what it is where there is none.
    pub address: String,
    /// What to connect to.
    pub endpoint: Endpoint,
    /// The name that was resolved to the endpoint: the host to ask for, unless the check says
    /// another.
    pub resolved_from: Option<Name>,
    /// The port to connect to; `None`: the check knows no ports.
    pub port: Option<u16>,
    /// What one probe does, and when.
    pub check: HealthCheck,
}

/// What a probe connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// This address.
    Ip(IpAddr),
    /// Whatever this name resolves to.
    Name(Name),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Ip(ip) => ip.fmt(f),
            Endpoint::Name(name) => name.fmt(f),
        }
    }
}

impl Watch {
    /// The name of the address as it is written: for a name that is resolved, that of all the
    /// addresses that it has had over time.
    pub fn written(&self) -> &str {
        self.address.split(RESOLVED).next().unwrap_or(&self.address)
    }

    /// The pool's name, for whoever has to write one.
    pub fn pool_or_none(&self) -> &str {
        self.pool.as_deref().unwrap_or("none")
    }
}

impl Plan {
    /// Everything of `pool`, which is one of the plan's or such a one with other addresses, that
    /// has to be watched: position of the address, and how.
    pub fn watches(&self, pool: &Pool) -> Vec<(usize, Watch)> {
        let Some(check) = pool.health_check.map(|check| &self.health_checks[check.index()]) else {
            return Vec::new();
        };
        let endpoints: Vec<(&str, Endpoint, Option<u16>)> = match &pool.addresses {
            Addresses::Ip(list) => list
                .iter()
                .map(|address| (&address.name[..], Endpoint::Ip(address.target), address.port))
                .collect(),
            Addresses::Cname(list) => list
                .iter()
                .map(|address| (&address.name[..], Endpoint::Name(address.target.clone()), address.port))
                .collect(),
            Addresses::Domain(_) => Vec::new(),
        };
        let watch = |(address, endpoint, port): (&str, Endpoint, Option<u16>)| Watch {
            pool: Some(pool.name.clone()),
            address: address.to_owned(),
            endpoint,
            resolved_from: pool.resolved_from(address).cloned(),
            port: port.or(check.default_port()),
            check: check.clone(),
        };
        endpoints.into_iter().map(watch).enumerate().collect()
    }
}
