//! Measured latencies by client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use crate::geo::RangeMap;
use crate::plan::{LatencySource, Measurement, PoolId};

/// How far clients are from pools, as measured.
pub(super) struct Latencies {
    /// To the row of the networks around an address, for each pool by the most specific that was
    /// measured; row 0 is empty.
    prefixes: Option<RangeMap>,
    /// Sorted by AS number.
    asns: Vec<(u32, u32)>,
    /// Where each row stands among the entries.
    rows: Vec<Range<u32>>,
    /// Sorted by pool within each row.
    entries: Vec<(PoolId, f32)>,
}

/// What was measured for a client: the milliseconds to some of the pools.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row<'l>(&'l [(PoolId, f32)]);

impl Row<'_> {
    /// The milliseconds to `pool`, if they were measured.
    pub(super) fn milliseconds(&self, pool: PoolId) -> Option<f32> {
        let at = self.0.binary_search_by_key(&pool, |&(pool, _)| pool).ok()?;
        Some(self.0[at].1)
    }
}

impl Latencies {
    /// The map of `measurements`; `None` if there are none. Scopes come out the shorter the fewer
    /// pools are measured: those that do not matter are best left out.
    pub(super) fn compile<'m>(measurements: impl IntoIterator<Item = &'m Measurement>) -> Option<Self> {
        let (mut prefixes, mut asns) = (Vec::new(), Vec::new());
        for &Measurement { source, pool, milliseconds } in measurements {
            match source {
                LatencySource::Prefix(prefix) => prefixes.push((prefix, (pool, milliseconds))),
                LatencySource::Asn(asn) => asns.push((asn, (pool, milliseconds))),
            }
        }
        if prefixes.is_empty() && asns.is_empty() {
            return None;
        }
        let mut rows = Rows::new();
        let prefixes = (!prefixes.is_empty())
            .then(|| RangeMap::from_covering(prefixes, |covering| rows.number(covering)));
        asns.sort_by_key(|&(asn, _)| asn);
        let asns = asns
            .chunk_by(|(one, _), (other, _)| one == other)
            .map(|of_one| {
                let row: Vec<(PoolId, f32)> = of_one.iter().map(|&(_, entry)| entry).collect();
                (of_one[0].0, rows.number(&row))
            })
            .collect();
        let Rows { rows, entries, .. } = rows;
        Some(Latencies { prefixes, asns, rows, entries })
    }

    /// What was measured for networks around `client`, and its scope: the length of the shortest
    /// prefix in which the same holds.
    #[inline]
    pub(super) fn lookup(&self, client: IpAddr) -> (Row<'_>, u8) {
        let (row, scope) = self.prefixes.as_ref().map_or((0, 0), |prefixes| prefixes.lookup(client));
        (self.row(row), scope)
    }

    /// What was measured for clients of the autonomous system `asn`.
    #[inline]
    pub(super) fn by_asn(&self, asn: u32) -> Row<'_> {
        match self.asns.binary_search_by_key(&asn, |&(asn, _)| asn) {
            Ok(at) => self.row(self.asns[at].1),
            Err(_) => Row(&[]),
        }
    }

    /// Whether anything was measured by AS number.
    pub(super) fn needs_asn(&self) -> bool {
        !self.asns.is_empty()
    }

    fn row(&self, number: u32) -> Row<'_> {
        let Range { start, end } = self.rows[number as usize];
        Row(&self.entries[start as usize..end as usize])
    }
}

/// Rows in the making, equal ones stored once.
struct Rows {
    /// By the entries, the milliseconds as bits.
    numbers: HashMap<Vec<(PoolId, u32)>, u32>,
    rows: Vec<Range<u32>>,
    entries: Vec<(PoolId, f32)>,
}

impl Rows {
    /// With row 0, the empty one.
    fn new() -> Self {
        let mut rows = Rows { numbers: HashMap::new(), rows: Vec::new(), entries: Vec::new() };
        rows.number(&[]);
        rows
    }

    /// The number of the row that has for each pool the first of `entries`.
    fn number(&mut self, entries: &[(PoolId, f32)]) -> u32 {
        let mut row: Vec<(PoolId, u32)> =
            entries.iter().map(|&(pool, milliseconds)| (pool, milliseconds.to_bits())).collect();
        row.sort_by_key(|&(pool, _)| pool);
        row.dedup_by_key(|&mut (pool, _)| pool);
        if let Some(&number) = self.numbers.get(&row) {
            return number;
        }
        let start = self.entries.len() as u32;
        self.entries.extend(row.iter().map(|&(pool, bits)| (pool, f32::from_bits(bits))));
        self.rows.push(start..self.entries.len() as u32);
        let number = self.rows.len() as u32 - 1;
        self.numbers.insert(row, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;
    use crate::geo::edges;

    fn prefix(text: &str, pool: u32, milliseconds: f32) -> Measurement {
        let source = LatencySource::Prefix(text.parse().unwrap());
        Measurement { source, pool: PoolId(pool), milliseconds }
    }

    fn asn(asn: u32, pool: u32, milliseconds: f32) -> Measurement {
        Measurement { source: LatencySource::Asn(asn), pool: PoolId(pool), milliseconds }
    }

    fn latencies(measurements: &[Measurement]) -> Latencies {
        Latencies::compile(measurements).expect("there are measurements")
    }

    #[test]
    fn the_most_specific_prefix_counts_for_each_pool() {
        let latencies = latencies(&[
            prefix("10.0.0.0/8", 0, 10.0),
            prefix("10.0.0.0/8", 1, 20.0),
            prefix("10.1.0.0/16", 1, 5.0),
            prefix("10.2.0.0/16", 0, 10.0),
            prefix("2001:db8::/32", 2, 7.0),
        ]);
        let (zero, one, two) = (PoolId(0), PoolId(1), PoolId(2));
        for (client, row, scope) in [
            ("10.1.0.1", &[(zero, 10.0), (one, 5.0)][..], 16),
            ("::ffff:10.1.0.1", &[(zero, 10.0), (one, 5.0)], 16),
            // What 10.2.0.0/16 says is nothing new, and splits nothing.
            ("10.2.0.1", &[(zero, 10.0), (one, 20.0)], 15),
            ("11.0.0.1", &[], 8),
            ("2001:db8::1", &[(two, 7.0)], 32),
            ("8000::", &[], 1),
        ] {
            assert_eq!(latencies.lookup(client.parse().unwrap()), (Row(row), scope), "{client}");
        }
        let (row, _) = latencies.lookup("10.1.0.1".parse().unwrap());
        assert_eq!([zero, one, two].map(|pool| row.milliseconds(pool)), [Some(10.0), Some(5.0), None]);
        assert!(!latencies.needs_asn());
    }

    #[test]
    fn autonomous_systems_have_rows_of_their_own() {
        let latencies = latencies(&[asn(64501, 1, 3.0), asn(64500, 1, 2.0), asn(64501, 0, 1.0)]);
        assert_eq!(latencies.by_asn(64500), Row(&[(PoolId(1), 2.0)]));
        assert_eq!(latencies.by_asn(64501), Row(&[(PoolId(0), 1.0), (PoolId(1), 3.0)]));
        assert!(latencies.by_asn(64502).milliseconds(PoolId(0)).is_none());
        assert_eq!(latencies.lookup("192.0.2.1".parse().unwrap()), (Row(&[]), 0));
        assert!(latencies.needs_asn());
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(Latencies::compile(&[]).is_none());
    }

    #[test]
    fn each_network_may_have_its_own_latency() {
        let net = |number: u32| IpNet::new(Ipv4Addr::from(0x0A00_0000 | number << 8).into(), 24).unwrap();
        let measurements: Vec<Measurement> = (0..20_000)
            .map(|number| Measurement {
                source: LatencySource::Prefix(net(number)),
                pool: PoolId(0),
                milliseconds: number as f32,
            })
            .collect();
        let latencies = latencies(&measurements);
        for number in [0, 1, 9_999, 19_999] {
            let (row, scope) = latencies.lookup(net(number).addr());
            assert_eq!((row.milliseconds(PoolId(0)), scope), (Some(number as f32), 24));
        }
    }

    /// Prefixes that nest and touch, at both ends of the addresses and between.
    fn measurements() -> impl Strategy<Value = Vec<Measurement>> {
        let v4 = (prop::sample::select(vec![0u32, 0x0A00_0000, 0xFFFF_FFF0]), 0u32..16, 0u8..=32)
            .prop_map(|(base, offset, length)| IpNet::new(Ipv4Addr::from(base | offset).into(), length));
        let v6 = (prop::sample::select(vec![0x2001_0db8 << 96, !0xF]), 0u128..16, 0u8..=128)
            .prop_map(|(base, offset, length)| IpNet::new(Ipv6Addr::from(base | offset).into(), length));
        let prefix = prop_oneof![v4, v6].prop_map(|net| net.unwrap().trunc());
        let measurement = (prefix, 0u32..3, 1u8..3).prop_map(|(prefix, pool, milliseconds)| Measurement {
            source: LatencySource::Prefix(prefix),
            pool: PoolId(pool),
            milliseconds: milliseconds.into(),
        });
        prop::collection::vec(measurement, 1..16)
    }

    fn network(measurement: &Measurement) -> IpNet {
        let LatencySource::Prefix(prefix) = measurement.source else {
            unreachable!("only prefixes are made")
        };
        prefix
    }

    /// The row that a walk over all measurements finds.
    fn expected(measurements: &[Measurement], client: IpAddr) -> Vec<(PoolId, f32)> {
        let of_pool = |pool| {
            let covering = measurements.iter().filter(|measurement| {
                measurement.pool == PoolId(pool) && network(measurement).contains(&client)
            });
            // Of equal ones the first counts, and `min_by_key` takes the first as well.
            let found = covering.min_by_key(|measurement| u8::MAX - network(measurement).prefix_len())?;
            Some((PoolId(pool), found.milliseconds))
        };
        (0..3).filter_map(of_pool).collect()
    }

    proptest! {
        #[test]
        fn rows_and_scopes_agree_with_a_linear_search(measurements in measurements()) {
            let latencies = latencies(&measurements);
            let edges = edges(measurements.iter().map(network));
            for &client in &edges {
                let (row, scope) = latencies.lookup(client);
                let own = expected(&measurements, client);
                prop_assert_eq!(row, Row(&own), "{}", client);
                // Whether the row holds for all who share `length` bits: the first for whom it
                // does not would be next to an edge.
                let holds = |length: u8| {
                    let block = IpNet::new(client, length).unwrap();
                    let mut inside = edges.iter().filter(|edge| block.contains(*edge));
                    inside.all(|edge| expected(&measurements, *edge) == own)
                };
                prop_assert!(holds(scope), "{} with scope {}", client, scope);
                prop_assert!(scope == 0 || !holds(scope - 1), "{} with scope {}", client, scope);
            }
        }
    }
}
