//! Clients by where they come from: what `serves` and the rules of domains name.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::geo::{Continent, Country, Fields, Location, RangeMap, Subdivision};
use crate::plan::Source;

/// Numbered things by the sources that they are for, by kind of source.
#[derive(Default)]
pub(super) struct SourceIndex {
    /// To the list of what is for the range, the most specific prefix first; list 0 is empty.
    prefixes: Option<RangeMap>,
    prefix_lists: Vec<Box<[(IpNet, u16)]>>,
    /// Sorted by key, then by number.
    asns: Vec<(u32, u16)>,
    subdivisions: Vec<(Subdivision, u16)>,
    countries: Vec<(Country, u16)>,
    continents: Vec<(Continent, u16)>,
}

/// What is for one client by its place, the numbers of each kind in order.
#[derive(Clone, Copy)]
pub(super) struct ByPlace<'i> {
    pub(super) asns: &'i [(u32, u16)],
    pub(super) subdivisions: &'i [(Subdivision, u16)],
    pub(super) countries: &'i [(Country, u16)],
    pub(super) continents: &'i [(Continent, u16)],
}

impl SourceIndex {
    /// Indexes `sources`; `None` if there are none.
    pub(super) fn compile(sources: impl Iterator<Item = (Source, u16)>) -> Option<Self> {
        let mut index = SourceIndex { prefix_lists: vec![Box::default()], ..SourceIndex::default() };
        let mut prefixes: Vec<(IpNet, u16)> = Vec::new();
        let mut is_empty = true;
        for (source, number) in sources {
            is_empty = false;
            match source {
                Source::Prefix(prefix) => prefixes.push((prefix, number)),
                Source::Asn(asn) => index.asns.push((asn, number)),
                Source::Subdivision(subdivision) => index.subdivisions.push((subdivision, number)),
                Source::Country(country) => index.countries.push((country, number)),
                Source::Continent(continent) => index.continents.push((continent, number)),
            }
        }
        index.asns.sort();
        index.subdivisions.sort();
        index.countries.sort();
        index.continents.sort();
        if !prefixes.is_empty() {
            index.enter_prefixes(prefixes);
        }
        (!is_empty).then_some(index)
    }

    fn enter_prefixes(&mut self, prefixes: Vec<(IpNet, u16)>) {
        let lists = &mut self.prefix_lists;
        let mut numbers: HashMap<Box<[(IpNet, u16)]>, u32> = HashMap::from([(Box::default(), 0)]);
        let marked = prefixes.into_iter().map(|(prefix, number)| (prefix, (prefix, number)));
        self.prefixes = Some(RangeMap::from_covering(marked, |covering: &[(IpNet, u16)]| {
            if let Some(number) = numbers.get(covering) {
                return *number;
            }
            let number = lists.len() as u32;
            lists.push(covering.into());
            numbers.insert(covering.into(), number);
            number
        }));
    }

    /// What is for `client` by prefix, the most specific first, and how many leading bits of its
    /// address say so.
    #[inline]
    pub(super) fn by_prefix(&self, client: IpAddr) -> (&[(IpNet, u16)], u8) {
        match &self.prefixes {
            Some(prefixes) => {
                let (list, scope) = prefixes.lookup(client);
                (&self.prefix_lists[list as usize], scope)
            }
            None => (&[], 0),
        }
    }

    /// By what of their place anything is for clients.
    pub(super) fn fields(&self) -> Fields {
        let needed = |field, is_needed| if is_needed { field } else { Fields::NONE };
        needed(Fields::ASN, !self.asns.is_empty())
            | needed(Fields::SUBDIVISION, !self.subdivisions.is_empty())
            | needed(Fields::COUNTRY, !self.countries.is_empty())
            | needed(Fields::CONTINENT, !self.continents.is_empty())
    }

    /// The first for clients at `location`, from the most specific kind of source to the least, that `admits` lets pass.
    #[inline(always)]
    pub(super) fn most_specific(
        &self,
        location: &Location,
        admits: impl Fn(u16) -> bool,
    ) -> Option<(u16, Source)> {
        let Location { asn, subdivision, country, continent, coordinates: _ } = *location;
        first_under(&self.asns, asn, Source::Asn, &admits)
            .or_else(|| first_under(&self.subdivisions, subdivision, Source::Subdivision, &admits))
            .or_else(|| first_under(&self.countries, country, Source::Country, &admits))
            .or_else(|| first_under(&self.continents, continent, Source::Continent, &admits))
    }

    /// What is for clients at `location`.
    pub(super) fn by_place(&self, location: &Location) -> ByPlace<'_> {
        let Location { asn, subdivision, country, continent, coordinates: _ } = *location;
        ByPlace {
            asns: run(&self.asns, asn),
            subdivisions: run(&self.subdivisions, subdivision),
            countries: run(&self.countries, country),
            continents: run(&self.continents, continent),
        }
    }
}

impl ByPlace<'_> {
    /// Nothing is.
    pub(super) const NOTHING: ByPlace<'static> =
        ByPlace { asns: &[], subdivisions: &[], countries: &[], continents: &[] };

    /// The lowest number from `from` on.
    pub(super) fn lowest(&self, from: u16) -> Option<(u16, Source)> {
        let admits = |number| number >= from;
        let found = [
            first(self.asns, Source::Asn, admits),
            first(self.subdivisions, Source::Subdivision, admits),
            first(self.countries, Source::Country, admits),
            first(self.continents, Source::Continent, admits),
        ];
        found.into_iter().flatten().min_by_key(|(number, _)| *number)
    }
}

/// The entries of `sorted` under `key`.
fn run<K: Ord + Copy>(sorted: &[(K, u16)], key: Option<K>) -> &[(K, u16)] {
    let entries = from(sorted, key);
    let length = entries.partition_point(|(other, _)| Some(*other) == key);
    &entries[..length]
}

/// The first entry of `sorted` under `key` that is admitted. Mostly it is the first of all: then where they end need not
/// be looked for.
#[inline(always)]
fn first_under<K: Ord + Copy>(
    sorted: &[(K, u16)],
    key: Option<K>,
    source: impl Fn(K) -> Source,
    admits: impl Fn(u16) -> bool,
) -> Option<(u16, Source)> {
    let mut entries = from(sorted, key).iter().take_while(|(other, _)| Some(*other) == key);
    entries.find(|(_, number)| admits(*number)).map(|&(key, number)| (number, source(key)))
}

/// What is not below `key` in `sorted`.
#[inline(always)]
fn from<K: Ord + Copy>(sorted: &[(K, u16)], key: Option<K>) -> &[(K, u16)] {
    // Most lists are empty.
    let Some(key) = key.filter(|_| !sorted.is_empty()) else { return &[] };
    &sorted[sorted.partition_point(|(other, _)| *other < key)..]
}

fn first<K: Copy>(
    entries: &[(K, u16)],
    source: impl Fn(K) -> Source,
    admits: impl Fn(u16) -> bool,
) -> Option<(u16, Source)> {
    entries.iter().find(|(_, number)| admits(*number)).map(|&(key, number)| (number, source(key)))
}
