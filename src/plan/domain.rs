//! Steered names.

use std::fmt;

use super::{PoolId, ZoneId};
use crate::dns::Name;

/// A steered name: it answers with the addresses of one of its pools.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// The name that clients ask for; may be a wildcard.
    pub name: Name,
    /// The zone that it stands in.
    pub zone: ZoneId,
    /// How a pool is chosen.
    pub policy: DomainPolicy,
    /// What may be chosen, in the operator's order of preference. Never empty, no repeats.
    pub pools: Vec<PoolId>,
    /// Seconds that a resolver may keep an answer.
    pub ttl: u32,
    /// What to answer when none of the pools has a healthy address.
    pub when_all_down: WhenAllDown,
}

/// How a domain chooses among its pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DomainPolicy {
    /// The pool whose `serves` names the client most specifically, else the closest one.
    Nearest,
    /// The first in order that has a healthy address.
    Priority,
}

/// What a domain answers when no pool of it has a healthy address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAllDown {
    /// As if every address were up: a wrong probe must not take a site off the internet.
    ServeAll,
    /// From this pool; if it is down too, as if its addresses were up.
    Fallback(PoolId),
    /// An empty answer with the zone's SOA.
    Nodata,
    /// SERVFAIL, so that resolvers try the zone's other servers.
    Servfail,
}

impl fmt::Display for DomainPolicy {
    /// The policy's name in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DomainPolicy::Nearest => "nearest",
            DomainPolicy::Priority => "priority",
        })
    }
}
