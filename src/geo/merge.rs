//! Layers becoming one map, field by field.

use foldhash::{HashMap, HashMapExt};

use super::database::Layer;
use super::interner::Interner;
use super::runs::Runs;
use super::{Database, GeoError, GeoTable, Location, RangeMap};

/// For each field of a location, in the order of [`super::Sources`]: 0 if it is from nowhere, one
/// more than the number of its database, or [`CONFIGURATION`].
pub(super) type SourceNumbers = [u8; 5];

/// The number of what the operator says.
pub(super) const CONFIGURATION: u8 = u8::MAX;

/// What is known of a range of addresses, and from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Known {
    pub(super) location: Location,
    pub(super) sources: SourceNumbers,
}

/// The databases laid over each other so far.
pub(super) struct Merge {
    v4: Runs<u32, u32>,
    v6: Runs<u128, u32>,
    known: Vec<Known>,
    databases: Vec<String>,
}

impl Merge {
    pub(super) fn new() -> Self {
        let (v4, v6) = (Runs::uniform(0), Runs::uniform(0));
        Merge { v4, v6, known: vec![Known::default()], databases: Vec::new() }
    }

    /// Lays `database` under those that are there.
    pub(super) fn add(&mut self, database: Database) -> Result<(), GeoError> {
        if self.databases.len() == GeoTable::MAX_DATABASES {
            return Err(GeoError::TooMany { database: database.name });
        }
        let source = self.databases.len() as u8 + 1;
        let layer = Layer::read(&database)?;
        let known = &self.known;
        let mut pairs = Pairs::new(|upper: u32, lower: u32| {
            fill_gaps(&known[upper as usize], &layer.locations[lower as usize], source)
        });
        let v4 = Runs::zip(&self.v4.0, &layer.v4.0, |upper, lower| pairs.number(upper, lower));
        let v6 = Runs::zip(&self.v6.0, &layer.v6.0, |upper, lower| pairs.number(upper, lower));
        (self.v4, self.v6, self.known) = (v4, v6, pairs.into_known());
        self.databases.push(database.name);
        Ok(())
    }

    pub(super) fn finish(self) -> GeoTable {
        GeoTable::new(RangeMap::from_runs(self.v4, self.v6), &self.known, self.databases)
    }
}

/// Two layers becoming one: gives numbers to the pairs that meet.
pub(super) struct Pairs<F> {
    /// The numbers of the pairs met so far.
    numbers: HashMap<(u32, u32), u32>,
    /// The same of pairs with a 0, by what is above it or below it: most pairs are such, as databases are of one
    /// family or say nothing of what others know.
    above_nothing: Vec<Option<u32>>,
    below_nothing: Vec<Option<u32>>,
    known: Interner<Known>,
    combine: F,
}

impl<F: Fn(u32, u32) -> Known> Pairs<F> {
    /// `combine` makes of the numbers of an upper and a lower layer what is known where they meet.
    pub(super) fn new(combine: F) -> Self {
        Pairs {
            numbers: HashMap::new(),
            above_nothing: Vec::new(),
            below_nothing: Vec::new(),
            known: Interner::new(),
            combine,
        }
    }

    pub(super) fn number(&mut self, upper: u32, lower: u32) -> u32 {
        let Pairs { numbers, above_nothing, below_nothing, known, combine } = self;
        let number = || known.number(combine(upper, lower));
        let (with_nothing, at) = match (upper, lower) {
            (upper, 0) => (above_nothing, upper as usize),
            (0, lower) => (below_nothing, lower as usize),
            pair => return *numbers.entry(pair).or_insert_with(number),
        };
        if at >= with_nothing.len() {
            with_nothing.resize(at + 1, None);
        }
        *with_nothing[at].get_or_insert_with(number)
    }

    /// What the numbers stand for.
    pub(super) fn into_known(self) -> Vec<Known> {
        self.known.into_values()
    }
}

/// `above` with the fields that it lacks and `below` has, which then come from `source`.
fn fill_gaps(above: &Known, below: &Location, source: u8) -> Known {
    fn fill<T: Copy>(field: Option<T>, number: u8, below: Option<T>, source: u8) -> (Option<T>, u8) {
        match (field, below) {
            (None, Some(_)) => (below, source),
            _ => (field, number),
        }
    }
    let Known { location: above, sources } = above;
    let (country, country_source) = fill(above.country, sources[0], below.country, source);
    let (subdivision, subdivision_source) = fill(above.subdivision, sources[1], below.subdivision, source);
    let (continent, continent_source) = fill(above.continent, sources[2], below.continent, source);
    let (asn, asn_source) = fill(above.asn, sources[3], below.asn, source);
    let (coordinates, coordinates_source) = fill(above.coordinates, sources[4], below.coordinates, source);
    Known {
        location: Location { country, subdivision, continent, asn, coordinates },
        sources: [country_source, subdivision_source, continent_source, asn_source, coordinates_source],
    }
}
