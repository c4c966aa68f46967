//! Sites and their addresses.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{CheckId, ConditionId, DomainId, ServiceRules};
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
    /// What else it depends on: without that it is out of service.
    pub condition: Option<ConditionId>,
    /// When it is in service, as far as health goes.
    pub service: ServiceRules,
    /// The addresses.
    pub addresses: Addresses,
    /// Names that stand for as many more addresses as they resolve to, in the order of their
    /// positions; only beside [`Addresses::Ip`].
    pub resolved: Vec<Resolved>,
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

/// An address that is written as a name to be resolved: each IP that the name has is an address of
/// the pool with its port, weight and rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The address as it is written.
    pub address: Address<Name>,
    /// How many of the IPs that are written stand before it.
    pub position: usize,
}

/// What stands, in the name of an address, between the name that it is written under and the IP
/// that this resolves to. No name that is written has it.
pub const RESOLVED: char = '/';

impl Pool {
    /// The pool with the addresses that its names resolve to, by `answer`, among those that are
    /// written. An IP that is there already is not there a second time: what is written goes
    /// before what is resolved, and an earlier name before a later one.
    pub fn with_answers<'a>(&self, answer: impl Fn(&Name) -> &'a [IpAddr]) -> Pool {
        let Addresses::Ip(written) = &self.addresses else { return self.clone() };
        let mut known: HashSet<IpAddr> = written.iter().map(|address| address.target).collect();
        let mut list = Vec::with_capacity(written.len() + self.resolved.len());
        let mut rest = &written[..];
        for Resolved { address, position } in &self.resolved {
            let (before, after) = rest.split_at(position - (written.len() - rest.len()));
            list.extend_from_slice(before);
            rest = after;
            let new = answer(&address.target).iter().filter(|ip| known.insert(**ip));
            list.extend(new.map(|&target| Address {
                name: format!("{}{RESOLVED}{target}", address.name),
                target,
                port: address.port,
                weight: address.weight,
                rank: address.rank,
            }));
        }
        list.extend_from_slice(rest);
        Pool { addresses: Addresses::Ip(list), ..self.clone() }
    }

    /// The name that the address of this name within the pool was resolved from, if it was.
    pub fn resolved_from(&self, address: &str) -> Option<&Name> {
        let (written, _) = address.split_once(RESOLVED)?;
        let from = self.resolved.iter().find(|resolved| resolved.address.name == written);
        from.map(|resolved| &resolved.address.target)
    }
}

/// Whether clients can connect to `ip`. An IPv4-mapped address never is on the wire.
pub fn is_connectable(ip: IpAddr) -> bool {
    let is_special = match ip {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    };
    !(ip.is_unspecified() || ip.is_multicast() || is_special)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool of IPs and names as written: the last octet of an IP, or a name.
    fn pool(written: &[&str]) -> Pool {
        let (mut ips, mut resolved) = (Vec::new(), Vec::new());
        for (text, weight) in written.iter().zip(1..) {
            let (name, port, rank) = ((*text).to_owned(), Some(80), weight);
            match text.parse::<u8>() {
                Ok(octet) => {
                    let target = IpAddr::from([192, 0, 2, octet]);
                    ips.push(Address { name, target, port, weight, rank });
                }
                Err(_) => resolved.push(Resolved {
                    address: Address { name, target: text.parse().expect("a name"), port, weight, rank },
                    position: ips.len(),
                }),
            }
        }
        Pool {
            name: "pool".to_owned(),
            coordinates: None,
            bias: 0,
            serves: Vec::new(),
            policy: PoolPolicy::Priority,
            answers: 8,
            health_check: None,
            condition: None,
            service: ServiceRules::default(),
            addresses: Addresses::Ip(ips),
            resolved,
        }
    }

    #[test]
    fn resolved_addresses_stand_where_their_name_does_and_once_only() {
        for (written, one, two, expected) in [
            (&["1", "2"][..], &[][..], &[][..], &["1 w1", "2 w2"][..]),
            (&["one"], &[], &[], &[]),
            (&["one"], &[7, 8], &[], &["one/192.0.2.7 w1", "one/192.0.2.8 w1"]),
            (
                &["1", "one", "2", "two"],
                &[7],
                &[8],
                &["1 w1", "one/192.0.2.7 w2", "2 w3", "two/192.0.2.8 w4"],
            ),
            (&["one", "two", "1"], &[7], &[8], &["one/192.0.2.7 w1", "two/192.0.2.8 w2", "1 w3"]),
            // What is written goes before what is resolved, wherever it stands.
            (&["one", "1"], &[1, 7], &[], &["one/192.0.2.7 w1", "1 w2"]),
            (
                &["one", "two"],
                &[7, 8],
                &[8, 9],
                &["one/192.0.2.7 w1", "one/192.0.2.8 w1", "two/192.0.2.9 w2"],
            ),
        ] {
            let [one, two] = [one, two].map(|octets: &[u8]| -> Vec<IpAddr> {
                octets.iter().map(|octet| IpAddr::from([192, 0, 2, *octet])).collect()
            });
            let is_one = |name: &Name| name.to_string() == "one";
            let pool = pool(written);
            let found = pool.with_answers(|name| if is_one(name) { &one } else { &two });
            let Addresses::Ip(list) = &found.addresses else { panic!("{found:?}") };
            let told: Vec<String> =
                list.iter().map(|found| format!("{} w{}", found.name, found.weight)).collect();
            assert_eq!(told, expected, "{written:?}");
            assert!(list.iter().all(|address| address.port == Some(80) && address.rank == address.weight));
            for address in list {
                let from = found.resolved_from(&address.name).map(Name::to_string).unwrap_or_default();
                assert!(address.name.starts_with(&format!("{from}/")) || from.is_empty(), "{}", address.name);
                assert_eq!(from.is_empty(), address.name.parse::<u8>().is_ok(), "{}", address.name);
            }
        }
    }

    #[test]
    fn what_no_client_can_connect_to_is_told_apart() {
        for (ip, expected) in [
            ("192.0.2.1", true),
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("2001:db8::1", true),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::", false),
            ("ff02::1", false),
            ("::ffff:192.0.2.1", false),
        ] {
            assert_eq!(is_connectable(ip.parse().expect("an address")), expected, "{ip}");
        }
    }
}
