//! Clients that are sent to a pool by decree: what `serves` says.

use ipnet::IpNet;

use super::recorder::Recorder;
use super::whereabouts::Whereabouts;
use crate::geo::{Continent, Country, Location, RangeMap, Subdivision};
use crate::plan::{Pool, PoolId, Source};

/// What the pools' `serves` say, by kind of source. A number is a candidate's.
#[derive(Default)]
pub(super) struct Decrees {
    /// To the list of candidates that serve the range, the most specific prefix first; list 0 is
    /// empty.
    prefixes: Option<RangeMap<u32>>,
    prefix_lists: Vec<Box<[(IpNet, u16)]>>,
    /// Sorted by key, then by the pools' order.
    asns: Vec<(u32, u16)>,
    subdivisions: Vec<(Subdivision, u16)>,
    countries: Vec<(Country, u16)>,
    continents: Vec<(Continent, u16)>,
}

impl Decrees {
    /// What `pools` decree, numbered in their order; `None` if nothing.
    pub(super) fn compile<'p>(pools: impl Iterator<Item = &'p Pool>) -> Option<Self> {
        let sources: Vec<(Source, u16)> = (0..)
            .zip(pools)
            .flat_map(|(number, pool)| pool.serves.iter().map(move |source| (*source, number)))
            .collect();
        if sources.is_empty() {
            return None;
        }
        let mut decrees = Decrees { prefix_lists: vec![Box::default()], ..Decrees::default() };
        let mut prefixes: Vec<(IpNet, u16)> = Vec::new();
        for (source, number) in sources {
            match source {
                Source::Prefix(prefix) => prefixes.push((prefix, number)),
                Source::Asn(asn) => decrees.asns.push((asn, number)),
                Source::Subdivision(subdivision) => decrees.subdivisions.push((subdivision, number)),
                Source::Country(country) => decrees.countries.push((country, number)),
                Source::Continent(continent) => decrees.continents.push((continent, number)),
            }
        }
        decrees.asns.sort();
        decrees.subdivisions.sort();
        decrees.countries.sort();
        decrees.continents.sort();
        if !prefixes.is_empty() {
            decrees.enter_prefixes(prefixes);
        }
        Some(decrees)
    }

    fn enter_prefixes(&mut self, prefixes: Vec<(IpNet, u16)>) {
        let lists = &mut self.prefix_lists;
        let marked = prefixes.into_iter().map(|(prefix, number)| (prefix, (prefix, number)));
        self.prefixes = Some(RangeMap::from_covering(marked, |covering: &[(IpNet, u16)]| {
            let list: Box<[(IpNet, u16)]> = covering.into();
            let number = lists.iter().position(|known| *known == list).unwrap_or_else(|| {
                lists.push(list);
                lists.len() - 1
            });
            number as u32
        }));
    }

    /// The first that serves the client, from the most specific kind of source to the least.
    pub(super) fn choose(
        &self,
        serves: impl Fn(u16) -> Option<PoolId>,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> Option<(PoolId, Source)> {
        if let Some(prefixes) = &self.prefixes {
            let (list, scope) = prefixes.lookup(whereabouts.client());
            whereabouts.narrow(scope);
            for &(prefix, number) in &self.prefix_lists[list as usize] {
                if let Some(pool) = serves(number) {
                    return Some((pool, Source::Prefix(prefix)));
                }
            }
        }
        if self.asns.is_empty()
            && self.subdivisions.is_empty()
            && self.countries.is_empty()
            && self.continents.is_empty()
        {
            return None;
        }
        let Location { asn, subdivision, country, continent, coordinates: _ } =
            whereabouts.place(recorder).location;
        first_of(&self.asns, asn, &serves, Source::Asn)
            .or_else(|| first_of(&self.subdivisions, subdivision, &serves, Source::Subdivision))
            .or_else(|| first_of(&self.countries, country, &serves, Source::Country))
            .or_else(|| first_of(&self.continents, continent, &serves, Source::Continent))
    }
}

/// The first candidate in `sorted` under `key` that serves.
fn first_of<K: Ord + Copy>(
    sorted: &[(K, u16)],
    key: Option<K>,
    serves: impl Fn(u16) -> Option<PoolId>,
    source: impl Fn(K) -> Source,
) -> Option<(PoolId, Source)> {
    let key = key?;
    let from = sorted.partition_point(|(other, _)| *other < key);
    sorted[from..]
        .iter()
        .take_while(|(other, _)| *other == key)
        .find_map(|&(_, number)| Some((serves(number)?, source(key))))
}
