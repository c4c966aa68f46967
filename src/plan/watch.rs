//! Addresses with what watches them.

use std::fmt;
use std::net::IpAddr;

use super::{Addresses, HealthCheck, Plan, PoolId};
use crate::dns::Name;

/// One address that is watched, and how. Two that are equal are the same thing to watch: what
/// is believed of it carries over from one plan to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// The pool's name.
    pub pool: String,
    /// The address's name within the pool.
    pub address: String,
    /// What to connect to.
    pub endpoint: Endpoint,
    /// The port to connect to.
    pub port: u16,
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

impl Plan {
    /// Everything that has to be watched: pool, position of the address in it, and how.
    pub fn watches(&self) -> impl Iterator<Item = (PoolId, usize, Watch)> {
        self.pools.iter().zip(0..).flat_map(|(pool, id)| {
            let check = pool.health_check.map(|check| &self.health_checks[check.index()]);
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
            endpoints.into_iter().enumerate().filter_map(move |(position, (address, endpoint, port))| {
                let check = check?;
                let watch = Watch {
                    pool: pool.name.clone(),
                    address: address.to_owned(),
                    endpoint,
                    port: port.or(check.default_port())?,
                    check: check.clone(),
                };
                Some((PoolId(id), position, watch))
            })
        })
    }
}
