//! A map from every IP address to a number, made for fast lookups.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::blocks::Blocks;
use super::poptrie::Poptrie;
use super::runs::{Index, Key, Run, Runs, value_and_scope};

/// With fewer runs a binary search is about as fast as an index of 128 KiB and more, and needs no memory.
const MIN_INDEXED: usize = 2048;

/// A value for every IPv4 and every IPv6 address: a number, of whatever the values are.
///
/// It is built once and then read without allocation, in tens of nanoseconds. An IPv4-mapped IPv6
/// address (RFC 4291 section 2.5.5.2) is the IPv4 address in it, in a prefix as in a lookup.
#[derive(Clone)]
pub struct RangeMap {
    v4: Family<Blocks>,
    v6: Family<Poptrie>,
}

impl RangeMap {
    /// An address has the value of the most specific prefix that covers it, or else `elsewhere`.
    /// Where a prefix is given twice, the first one counts.
    pub fn from_prefixes(elsewhere: u32, prefixes: impl IntoIterator<Item = (IpNet, u32)>) -> Self {
        Self::from_covering(prefixes, |covering| covering.first().copied().unwrap_or(elsewhere))
    }

    /// An address has the value that `value_of` makes of the marks of all prefixes that cover it:
    /// the most specific first, equal prefixes in the order given, none where there is no prefix.
    pub fn from_covering<T: Copy>(
        prefixes: impl IntoIterator<Item = (IpNet, T)>,
        mut value_of: impl FnMut(&[T]) -> u32,
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

    pub(super) fn from_runs(v4: Runs<u32, u32>, v6: Runs<u128, u32>) -> Self {
        RangeMap { v4: Family::from(v4), v6: Family::from(v6) }
    }

    /// The value at `ip`, and its scope: the length of the shortest prefix that contains `ip` and
    /// has this value throughout.
    ///
    /// The length counts bits of the address's family, up to 32 for an IPv4-mapped one.
    #[inline(always)]
    pub fn lookup(&self, ip: IpAddr) -> (u32, u8) {
        match ip {
            IpAddr::V4(ip) => self.v4.lookup(ip.into()),
            IpAddr::V6(ip) => self.lookup_v6(ip),
        }
    }

    /// Has the first fetched from memory that a look-up of `ip` is going to read. An IPv4-mapped address is left to it.
    #[inline(always)]
    pub fn fetch(&self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.v4.fetch(ip.into()),
            IpAddr::V6(ip) => self.v6.fetch(ip.into()),
        }
    }

    #[inline(never)]
    fn lookup_v6(&self, ip: Ipv6Addr) -> (u32, u8) {
        match ip.to_ipv4_mapped() {
            Some(ip) => self.v4.lookup(ip.into()),
            None => self.v6.lookup(ip.into()),
        }
    }

    /// The map of what `value_of` makes of each value; ranges that come to be equal become one.
    pub fn map(&self, mut value_of: impl FnMut(u32) -> u32) -> RangeMap {
        RangeMap::from_runs(
            Runs::mapped(&self.v4.runs, &mut value_of),
            Runs::mapped(&self.v6.runs, &mut value_of),
        )
    }

    /// An address has the value that `value_of` makes of those it has in `one` and in `other`.
    pub fn zip(one: &RangeMap, other: &RangeMap, mut value_of: impl FnMut(u32, u32) -> u32) -> Self {
        RangeMap::from_runs(
            Runs::zip(&one.v4.runs, &other.v4.runs, &mut value_of),
            Runs::zip(&one.v6.runs, &other.v6.runs, &mut value_of),
        )
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

    /// The ranges of IPv4 addresses, in order.
    pub(super) fn v4(&self) -> &[Run<u32, u32>] {
        &self.v4.runs
    }

    /// The ranges of IPv6 addresses, in order.
    pub(super) fn v6(&self) -> &[Run<u128, u32>] {
        &self.v6.runs
    }

    /// How many ranges of IPv4 and of IPv6 addresses it tells apart.
    pub fn len(&self) -> (usize, usize) {
        (self.v4.runs.len(), self.v6.runs.len())
    }
}

impl fmt::Debug for RangeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (v4, v6) = self.len();
        f.debug_struct("RangeMap").field("v4_ranges", &v4).field("v6_ranges", &v6).finish()
    }
}

/// The runs of one family, with an index over them where they are many.
#[derive(Clone)]
struct Family<I: Index> {
    runs: Box<[Run<I::Key, u32>]>,
    index: Option<I>,
}

impl<I: Index> From<Runs<I::Key, u32>> for Family<I> {
    fn from(Runs(runs): Runs<I::Key, u32>) -> Self {
        let index = (MIN_INDEXED..=I::MAX_RUNS).contains(&runs.len()).then(|| I::over(&runs));
        Family { runs: runs.into(), index }
    }
}

impl<I: Index> Family<I> {
    #[inline(always)]
    fn lookup(&self, key: I::Key) -> (u32, u8) {
        match &self.index {
            Some(index) => index.lookup(&self.runs, key),
            None => value_and_scope(&self.runs, self.find(key), key),
        }
    }

    #[inline(always)]
    fn fetch(&self, key: I::Key) {
        if let Some(index) = &self.index {
            index.fetch(key);
        }
    }

    fn range(&self, key: I::Key) -> (I::Key, I::Key) {
        let number = self.find(key);
        let next = self.runs.get(number + 1).map(Run::start);
        (self.runs[number].start(), next.and_then(Key::previous).unwrap_or(I::Key::LAST))
    }

    /// The number of the run that holds `key`, by a binary search.
    fn find(&self, key: I::Key) -> usize {
        self.runs.partition_point(|run| run.start() <= key) - 1
    }
}

/// The addresses at which, or just before which, what covers them may change.
#[cfg(test)]
pub(crate) fn edges(nets: impl IntoIterator<Item = IpNet>) -> Vec<IpAddr> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let whole: [IpNet; 2] = ["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("a prefix"));
    let around = |net: IpNet| match (net.network(), net.broadcast()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (u32::from(first), u32::from(last));
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
                .map(|key| IpAddr::from(Ipv4Addr::from(key)))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let (first, last) = (u128::from(first), u128::from(last));
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
                .map(|key| IpAddr::from(Ipv6Addr::from(key)))
        }
        _ => unreachable!("a prefix is of one family"),
    };
    nets.into_iter().chain(whole).flat_map(around).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nets(prefixes: &[(&str, u32)]) -> Vec<(IpNet, u32)> {
        prefixes.iter().map(|(prefix, value)| (prefix.parse().unwrap(), *value)).collect()
    }

    #[test]
    fn the_most_specific_prefix_wins() {
        let map = RangeMap::from_prefixes(
            0,
            nets(&[
                ("10.0.0.0/8", 1),
                ("10.1.0.0/16", 2),
                ("10.1.2.3/32", 3),
                ("10.1.0.0/16", 4),
                ("255.255.255.255/32", 5),
                ("2001:db8::/32", 6),
                ("2001:db8:0:1::/64", 7),
                ("ffff::/16", 8),
            ]),
        );
        let cases = [
            ("0.0.0.0", 0, 5),
            ("9.255.255.255", 0, 7),
            ("10.0.0.0", 1, 16),
            ("10.2.0.0", 1, 15),
            ("10.1.0.0", 2, 23),
            ("10.1.2.2", 2, 32),
            ("10.1.2.3", 3, 32),
            ("10.1.2.4", 2, 30),
            ("255.255.255.254", 0, 32),
            ("255.255.255.255", 5, 32),
            ("::", 0, 3),
            ("2001:db8::", 6, 64),
            ("2001:db8:0:1::5", 7, 64),
            ("2001:db8:8000::", 6, 33),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 8, 16),
            ("::ffff:10.1.2.3", 3, 32),
        ];
        for (address, value, scope) in cases {
            assert_eq!(map.lookup(ip(address)), (value, scope), "{address}");
        }
        assert_eq!(map.range(ip("10.1.200.1")), (ip("10.1.2.4"), ip("10.1.255.255")));
        assert_eq!(map.range(ip("ffff::1")), (ip("ffff::"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
    }

    #[test]
    fn a_uniform_map_has_scope_zero() {
        let map = RangeMap::from_prefixes(7, []);
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            assert_eq!(map.lookup(ip(address)), (7, 0));
        }
        let everything = RangeMap::from_prefixes(0, nets(&[("0.0.0.0/0", 1), ("::/0", 2)]));
        assert_eq!(everything.lookup(ip("255.255.255.255")), (1, 0));
        assert_eq!(everything.lookup(ip("::1")), (2, 0));
    }

    #[test]
    fn mapped_prefixes_are_of_ipv4() {
        let map = RangeMap::from_prefixes(0, nets(&[("::ffff:192.0.2.0/120", 1), ("::/0", 2)]));
        assert_eq!(map.lookup(ip("192.0.2.1")), (1, 24));
        assert_eq!(map.lookup(ip("::ffff:192.0.2.1")), (1, 24));
        assert_eq!(map.lookup(ip("198.51.100.1")).0, 0);
    }

    #[test]
    fn covering_prefixes_come_most_specific_first() {
        let prefixes =
            nets(&[("10.0.0.0/8", 1u32), ("10.1.0.0/16", 2), ("10.0.0.0/8", 3), ("10.1.1.0/24", 4)]);
        let map =
            RangeMap::from_covering(prefixes, |marks| marks.iter().fold(0, |all, mark| all * 10 + mark));
        let cases = [("9.0.0.0", 0), ("10.0.0.0", 13), ("10.1.0.0", 213), ("10.1.1.0", 4213)];
        for (address, value) in cases {
            assert_eq!(map.lookup(ip(address)).0, value, "{address}");
        }
    }

    #[test]
    fn equal_neighbours_are_one_range() {
        let map = RangeMap::from_prefixes(0, nets(&[("192.0.2.0/25", 1), ("192.0.2.128/25", 1)]));
        assert_eq!(map.lookup(ip("192.0.2.1")), (1, 24));
        assert_eq!(map.len(), (3, 1));
    }

    /// The least prefix length whose prefix around `key` stays within `first` and `last`.
    fn naive_scope(key: u128, first: u128, last: u128, bits: u32) -> u8 {
        let host_mask = |length: u32| (1u128 << (bits - length)).wrapping_sub(1);
        let inside = |length: u32| {
            // A shift by all 128 bits is not one: the mask of length 0 is all ones.
            let mask = if length == 0 { u128::MAX >> (128 - bits) } else { host_mask(length) };
            key & !mask >= first && key | mask <= last
        };
        (0..=bits).find(|&length| inside(length)).expect("the address alone is inside") as u8
    }

    /// Checks value and scope of `key` against a walk over all prefixes and all addresses that bound them.
    fn check(map: &RangeMap, prefixes: &[(IpNet, u32)], key: IpAddr) {
        let number = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        let (bits, top) = if key.is_ipv4() { (32, u128::from(u32::MAX)) } else { (128, u128::MAX) };
        let intervals: Vec<_> = prefixes
            .iter()
            .filter(|(prefix, _)| prefix.addr().is_ipv4() == key.is_ipv4())
            .map(|(prefix, value)| (number(prefix.network()), number(prefix.broadcast()), *value))
            .collect();
        let value_at = |key: u128| {
            let covering = intervals.iter().filter(|(first, last, _)| (*first..=*last).contains(&key));
            covering.min_by_key(|(first, last, _)| last - first).map_or(0, |(.., value)| *value)
        };
        let mut bounds: Vec<u128> = intervals.iter().map(|(first, ..)| *first).collect();
        bounds.extend(intervals.iter().filter(|(_, last, _)| *last < top).map(|(_, last, _)| last + 1));
        bounds.sort_unstable();
        let at = number(key);
        let value = value_at(at);
        let differs = |bound: &&u128| value_at(**bound) != value;
        // The run ends where the next bound of another value is, and begins after the last address
        // before it that has another value.
        let last = bounds.iter().filter(|bound| **bound > at).find(differs).map_or(top, |bound| bound - 1);
        let before = |bound: &&u128| **bound > 0 && **bound <= at && value_at(**bound - 1) != value;
        let first = bounds.iter().rev().find(before).copied().unwrap_or(0);
        assert_eq!(map.lookup(key), (value, naive_scope(at, first, last, bits)), "{key} in {prefixes:?}");
    }

    fn prefixes() -> impl Strategy<Value = Vec<(IpNet, u32)>> {
        let v4 = (prop::sample::select(vec![0u32, 0x0A00_0000, 0xFFFF_FF00]), 0u32..512, 0u8..=32)
            .prop_map(|(base, offset, length)| IpNet::new(Ipv4Addr::from(base | offset).into(), length));
        let v6 = (prop::sample::select(vec![0u128, 0x2001_0db8 << 96, !0xFFFF]), 0u128..512, 0u8..=128)
            .prop_map(|(base, offset, length)| IpNet::new(Ipv6Addr::from(base | offset).into(), length));
        let prefix = prop_oneof![v4, v6].prop_map(|net| net.unwrap().trunc());
        // An IPv6 prefix within ::ffff:0:0/96 would be one of IPv4: no base leads there.
        prop::collection::vec((prefix, 1u32..5), 0..40)
    }

    proptest! {
        #[test]
        fn lookups_agree_with_a_linear_search(prefixes in prefixes(), v4: u32, v6: u128) {
            let map = RangeMap::from_prefixes(0, prefixes.iter().copied());
            let edges = prefixes.iter().flat_map(|(prefix, _)| match (prefix.network(), prefix.broadcast()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    let (first, last) = (u32::from(first), u32::from(last));
                    [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|key| Ipv4Addr::from(key).into())
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    let (first, last) = (u128::from(first), u128::from(last));
                    [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|key| Ipv6Addr::from(key).into())
                }
                _ => unreachable!("a prefix is of one family"),
            });
            let others: [IpAddr; 2] = [Ipv4Addr::from(v4).into(), Ipv6Addr::from(v6).into()];
            let ends = ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"].map(ip);
            for key in edges.chain(others).chain(ends) {
                check(&map, &prefixes, key.to_canonical());
            }
        }
    }

    #[test]
    fn large_maps_agree_with_a_linear_search() {
        // Enough for the index to be made, in both families; every third prefix is of a small block.
        let prefixes: Vec<(IpNet, u32)> = (0..4000u32)
            .flat_map(|i| {
                let spread = i.wrapping_mul(0x9E37_79B9);
                let v4 = Ipv4Addr::from(if i % 3 == 0 { 0x0A01_0000 | i } else { spread });
                let v6 = Ipv6Addr::from(u128::from(spread) << 96 | u128::from(i % 7) << 60);
                let value = i % 5 + 1;
                [
                    (IpNet::new(v4.into(), 24 + (i % 9) as u8), value),
                    (IpNet::new(v6.into(), 64 + (i % 7) as u8), value),
                ]
            })
            .map(|(net, value)| (net.unwrap().trunc(), value))
            .collect();
        let map = RangeMap::from_prefixes(0, prefixes.iter().copied());
        assert!(map.v4.index.is_some() && map.v6.index.is_some());
        for (prefix, _) in prefixes.iter().step_by(97) {
            check(&map, &prefixes, prefix.network());
            check(&map, &prefixes, prefix.broadcast());
        }
    }
}
