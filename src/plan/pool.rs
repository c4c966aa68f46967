//! Sites and their addresses.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{CheckId, DomainId, ServiceRules};
use crate::dns::Name;
use crate::geo::{Continent, Coordinates, Country, Subdivision};

/// A site: addresses that stand in for each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name in the configuration.
    pub name: String,
    /// Where it stands, for `nearest`.
    pub coordinates: Option<Coordinates>,
    /// Kilometres by which its reach is stretched, or shrunk if negative, for `nearest`.
    pub bias: i32,
    /// Clients that are sent here by decree, whatever the distance.
    pub serves: Vec<Source>,
    /// How addresses are chosen.
    pub policy: PoolPolicy,
    /// How many addresses one reply carries, at least 1.
    pub answers: u8,
    /// What watches the addresses; without one they count as up.
    pub health_check: Option<CheckId>,
    /// When it is in service, as far as health goes.
    pub service: ServiceRules,
    /// The addresses.
    pub addresses: Addresses,
}

/// Clients named by where they come from, from the most specific kind to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// An IP prefix.
    Prefix(IpNet),
    /// An autonomous system.
    Asn(u32),
    /// A first-level subdivision (ISO 3166-2).
    Subdivision(Subdivision),
    /// A country (ISO 3166-1 alpha-2).
    Country(Country),
    /// A continent.
    Continent(Continent),
}

impl fmt::Display for Source {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Prefix(prefix) => prefix.fmt(f),
            Source::Asn(number) => write!(f, "AS{number}"),
            Source::Subdivision(subdivision) => subdivision.fmt(f),
            Source::Country(country) => country.fmt(f),
            Source::Continent(continent) => write!(f, "continent:{}", continent.code()),
        }
    }
}

/// How a pool chooses among its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolPolicy {
    /// Each in its turn; weights other than 0 do not count.
    RoundRobin,
    /// At random, in proportion to the weights.
    Weighted,
    /// Those of the lowest rank; of the same rank each in its turn.
    Priority,
    /// By the client's prefix, in proportion to the weights: a client stays with its address, and
    /// the loss of an address moves its own clients only.
    Hash,
}

/// The addresses of a pool: all of one kind. Never empty, but that nothing may be known yet of
/// names that are resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum Addresses {
    /// Answered as A and AAAA.
    Ip(Vec<Address<IpAddr>>),
    /// Answered as CNAME.
    Cname(Vec<Address<Name>>),
    /// Whatever this domain answers.
    Domain(DomainId),
}

/// One address of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Address<T> {
    /// Its name within the pool.
    pub name: String,
    /// What clients are given.
    pub target: T,
    /// Where the check connects; `None`: the scheme's own port.
    pub port: Option<u16>,
    /// Its share under `weighted` and `hash`; 0 takes no traffic under any policy.
    pub weight: u16,
    /// Its place under `priority`, the lowest first.
    pub rank: u16,
}

impl Addresses {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Addresses::Ip(list) => list.len(),
            Addresses::Cname(list) => list.len(),
            Addresses::Domain(_) => 0,
        }
    }

    /// Whether there is none, as where another domain stands in for them.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weight of each address, in order.
    pub fn weights(&self) -> Vec<u16> {
        match self {
            Addresses::Ip(list) => list.iter().map(|address| address.weight).collect(),
            Addresses::Cname(list) => list.iter().map(|address| address.weight).collect(),
            Addresses::Domain(_) => Vec::new(),
        }
    }

    /// The name of each address, in order.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Addresses::Ip(list) => list.iter().map(|address| &address.name[..]).collect(),
            Addresses::Cname(list) => list.iter().map(|address| &address.name[..]).collect(),
            Addresses::Domain(_) => Vec::new(),
        }
    }
}

impl fmt::Display for PoolPolicy {
    /// The policy's name in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PoolPolicy::RoundRobin => "round-robin",
            PoolPolicy::Weighted => "weighted",
            PoolPolicy::Priority => "priority",
            PoolPolicy::Hash => "hash",
        })
    }
}
