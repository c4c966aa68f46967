//! A map from every IP address to a value, made for fast lookups.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::poptrie::Poptrie;
use super::runs::{Key, Runs};

/// A value for every IPv4 and every IPv6 address.
///
/// It is built once and then read without allocation, in tens of nanoseconds. An IPv4-mapped IPv6
/// address (RFC 4291 section 2.5.5.2) is the IPv4 address in it, in a prefix as in a lookup.
#[derive(Clone, Debug)]
pub struct RangeMap<V> {
    v4: Family<u32, V>,
    v6: Family<u128, V>,
}

impl<V: Copy + PartialEq> RangeMap<V> {
    /// The same value everywhere.
    pub fn uniform(value: V) -> Self {
        Self::from_prefixes(value, [])
    }

    /// An address has the value of the most specific prefix that covers it, or else `elsewhere`.
    /// Where a prefix is given twice, the first one counts.
    pub fn from_prefixes(elsewhere: V, prefixes: impl IntoIterator<Item = (IpNet, V)>) -> Self {
        Self::from_covering(prefixes, |covering| covering.first().copied().unwrap_or(elsewhere))
    }

    /// An address has the value that `value_of` makes of the marks of all prefixes that cover it:
    /// the most specific first, equal prefixes in the order given, none where there is no prefix.
    pub fn from_covering<T: Copy>(
        prefixes: impl IntoIterator<Item = (IpNet, T)>,
        mut value_of: impl FnMut(&[T]) -> V,
    ) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, mark) in prefixes {
            match (prefix.network().to_canonical(), prefix.broadcast().to_canonical()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.into(), last.into(), mark)),
                _ => {
                    let IpNet::V6(prefix) = prefix else { unreachable!("an IPv4 address is canonical") };
                    v6.push((prefix.network().into(), prefix.broadcast().into(), mark));
                }
            }
        }
        Self::from_runs(Runs::from_nested(v4, &mut value_of), Runs::from_nested(v6, &mut value_of))
    }

    pub(super) fn from_runs(v4: Runs<u32, V>, v6: Runs<u128, V>) -> Self {
        RangeMap { v4: Family::from(v4), v6: Family::from(v6) }
    }

    /// The value at `ip`, and its scope: the length of the shortest prefix that contains `ip` and
    /// has this value throughout.
    ///
    /// The length counts bits of the address's family, up to 32 for an IPv4-mapped one.
    #[inline]
    pub fn lookup(&self, ip: IpAddr) -> (V, u8) {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.lookup(ip.into()),
            IpAddr::V6(ip) => self.v6.lookup(ip.into()),
        }
    }

    /// The first and the last of the neighbouring addresses around `ip` that have its value.
    pub fn range(&self, ip: IpAddr) -> (IpAddr, IpAddr) {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let (first, last) = self.v4.range(ip.into());
                (Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into())
            }
            IpAddr::V6(ip) => {
                let (first, last) = self.v6.range(ip.into());
                (Ipv6Addr::from(first).into(), Ipv6Addr::from(last).into())
            }
        }
    }

    /// How many ranges of IPv4 and of IPv6 addresses it tells apart.
    pub fn len(&self) -> (usize, usize) {
        (self.v4.starts.len(), self.v6.starts.len())
    }
}

/// The runs of one family with the index over their starts.
#[derive(Clone, Debug)]
struct Family<K, V> {
    starts: Box<[K]>,
    values: Box<[V]>,
    index: Option<Poptrie>,
}

impl<K: Key, V: Copy + PartialEq> From<Runs<K, V>> for Family<K, V> {
    fn from(runs: Runs<K, V>) -> Self {
        let index = Poptrie::over(&runs.starts);
        Family { starts: runs.starts.into(), values: runs.values.into(), index }
    }
}

impl<K: Key, V: Copy> Family<K, V> {
    #[inline]
    fn lookup(&self, key: K) -> (V, u8) {
        let run = self.find(key);
        let below = self.starts[run].previous();
        let above = self.starts.get(run + 1).copied();
        // The prefix must be long enough to leave out the neighbours on both sides: one bit longer
        // than what it has in common with them.
        let scope = |neighbour: K| (key ^ neighbour).leading_zeros() + 1;
        let scope = below.map_or(0, scope).max(above.map_or(0, scope));
        (self.values[run], scope as u8)
    }

    fn range(&self, key: K) -> (K, K) {
        let run = self.find(key);
        let above = self.starts.get(run + 1).and_then(|above| above.previous());
        (self.starts[run], above.unwrap_or(K::LAST))
    }

    /// The number of the run that holds `key`.
    #[inline]
    fn find(&self, key: K) -> usize {
        match &self.index {
            Some(index) => index.find(&self.starts, key),
            None => self.starts.partition_point(|&start| start <= key) - 1,
        }
    }
}
