//! The `nearest` policy: by decree first, then by distance.

use ipnet::IpNet;

use super::recorder::{Finding, Reason, Recorder};
use super::whereabouts::Whereabouts;
use crate::geo::{Continent, Country, Location, RangeMap, Subdivision, UnitVector};
use crate::plan::{Pool, PoolId, Source};

/// `nearest` over a list of pools.
#[derive(Default)]
pub(super) struct Nearest {
    candidates: Box<[Candidate]>,
    /// Whether any candidate has a place: without one, distances decide nothing.
    has_places: bool,
    decrees: Option<Box<Decrees>>,
}

struct Candidate {
    pool: PoolId,
    position: Option<UnitVector>,
}

/// What the pools' `serves` say, by kind of source. A number is a candidate's.
#[derive(Default)]
struct Decrees {
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

impl Nearest {
    pub(super) fn compile(pools: &[PoolId], plan: &[Pool]) -> Self {
        let candidates: Box<[Candidate]> = pools
            .iter()
            .map(|&pool| Candidate { pool, position: plan[pool.index()].coordinates.map(UnitVector::from) })
            .collect();
        let sources: Vec<(Source, u16)> = (0..)
            .zip(pools)
            .flat_map(|(number, pool)| plan[pool.index()].serves.iter().map(move |source| (*source, number)))
            .collect();
        Nearest {
            has_places: candidates.iter().any(|candidate| candidate.position.is_some()),
            candidates,
            decrees: (!sources.is_empty()).then(|| Box::new(Decrees::compile(sources))),
        }
    }

    /// The candidate for the client among those that `admits` lets pass.
    pub(super) fn choose(
        &self,
        admits: impl Fn(PoolId) -> bool,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> Option<PoolId> {
        let mut admitted = self.candidates.iter().filter(|candidate| admits(candidate.pool));
        let first = admitted.next()?.pool;
        let is_alone = admitted.next().is_none();
        for candidate in &self.candidates {
            if !admits(candidate.pool) {
                recorder.candidate(candidate.pool, Finding::NothingToGive);
            }
        }
        if is_alone {
            recorder.taken(first, Reason::Only);
            return Some(first);
        }
        if let Some(decrees) = &self.decrees {
            let serves = |number: u16| {
                let pool = self.candidates[usize::from(number)].pool;
                admits(pool).then_some(pool)
            };
            if let Some((pool, source)) = decrees.choose(serves, whereabouts, recorder) {
                recorder.taken(pool, Reason::Serves(source));
                return Some(pool);
            }
        }
        let here = if self.has_places { whereabouts.place(recorder).position } else { None };
        let Some(here) = here else {
            recorder.taken(first, Reason::Unplaced);
            return Some(first);
        };
        let mut closest = (f32::INFINITY, first);
        for candidate in self.candidates.iter().filter(|candidate| admits(candidate.pool)) {
            let Some(there) = candidate.position else {
                recorder.candidate(candidate.pool, Finding::Placeless);
                continue;
            };
            let distance = here.chord_squared(&there);
            recorder.candidate(candidate.pool, Finding::Distance(distance));
            // Strictly: of two that are as close, the earlier in order stays.
            if distance < closest.0 {
                closest = (distance, candidate.pool);
            }
        }
        let reason = if closest.0.is_finite() { Reason::Closest } else { Reason::Unplaced };
        recorder.taken(closest.1, reason);
        Some(closest.1)
    }
}

impl Decrees {
    fn compile(sources: Vec<(Source, u16)>) -> Self {
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
        decrees
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
    fn choose(
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
