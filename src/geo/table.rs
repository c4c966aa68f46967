//! All databases laid over each other: the table that a query reads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;

use super::database::Layer;
use super::interner::Interner;
use super::runs::{Key, Runs};
use super::{Database, Fields, GeoError, GeoView, Location, Place, RangeMap};

/// The embedded database: the countries of the larger allocations. `geoip/README.md` says what it is made of.
const EMBEDDED: &[u8] = include_bytes!("../../geoip/embedded.mmdb");

/// Where clients are.
///
/// Several databases are laid over each other: each field of a location is from the first database
/// that has it for that address.
#[derive(Clone)]
pub struct GeoTable {
    /// Numbers into `places` and `sources`.
    map: Arc<RangeMap<u32>>,
    places: Arc<[Place]>,
    sources: Box<[SourceNumbers]>,
    databases: Vec<String>,
    /// By [`Fields::index`]; each is made when it is first asked for.
    views: [OnceLock<Arc<GeoView>>; Fields::COUNT],
}

/// Where a client is, and for whom else that holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located<'t> {
    /// Where the client is.
    pub place: &'t Place,
    /// The length of the shortest prefix that contains the client and whose addresses are all at
    /// this place (in a [`GeoTable`] by the same databases as well): an answer that follows from
    /// the place holds for all of them (the SCOPE PREFIX-LENGTH of RFC 7871 section 6). 0 if that
    /// is the whole family.
    pub scope: u8,
}

/// Where an address is, with the reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Description<'t> {
    /// Where it is.
    pub place: &'t Place,
    /// The shortest prefix that contains it and is all there.
    pub prefix: IpNet,
    /// The first of the neighbouring addresses that are there too.
    pub first: IpAddr,
    /// The last of them.
    pub last: IpAddr,
    /// Which database says what.
    pub sources: Sources<'t>,
}

/// The names of the databases that the fields of a location are from.
///
/// A continent or coordinates without a database are those of the country.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources<'t> {
    /// Of the country.
    pub country: Option<&'t str>,
    /// Of the subdivision.
    pub subdivision: Option<&'t str>,
    /// Of the continent.
    pub continent: Option<&'t str>,
    /// Of the AS number.
    pub asn: Option<&'t str>,
    /// Of the coordinates.
    pub coordinates: Option<&'t str>,
}

impl GeoTable {
    /// How many databases can be laid over each other: their numbers are octets.
    pub const MAX_DATABASES: usize = u8::MAX as usize;

    /// Knows nothing of any address.
    pub fn empty() -> Self {
        Merge::new().finish()
    }

    /// The countries of the larger allocations, from the database inside the program.
    pub fn embedded() -> Self {
        let database = Database { name: "embedded".to_owned(), bytes: Cow::Borrowed(EMBEDDED) };
        GeoTable::from_databases([database]).expect("the embedded database is tested to be sound")
    }

    /// Reads the databases at `paths`, the first one first to be believed. Every unusable one is
    /// reported.
    pub fn load(paths: &[PathBuf]) -> Result<Self, Vec<GeoError>> {
        GeoTable::collect(paths.iter().map(|path| {
            let name = path.display().to_string();
            match std::fs::read(path) {
                Ok(bytes) => Ok(Database { name, bytes: Cow::Owned(bytes) }),
                Err(error) => Err(GeoError::Unreadable { database: name, error }),
            }
        }))
    }

    /// As [`GeoTable::load`], from memory.
    pub fn from_databases(databases: impl IntoIterator<Item = Database>) -> Result<Self, Vec<GeoError>> {
        GeoTable::collect(databases.into_iter().map(Ok))
    }

    fn collect(databases: impl Iterator<Item = Result<Database, GeoError>>) -> Result<Self, Vec<GeoError>> {
        let mut merge = Merge::new();
        let mut errors = Vec::new();
        for database in databases {
            // One at a time, so that never more than one file is in memory.
            if let Err(error) = database.and_then(|database| merge.add(database)) {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(merge.finish()) } else { Err(errors) }
    }

    /// Where `ip` is. An IPv4-mapped IPv6 address is where its IPv4 address is, with its scope.
    #[inline]
    pub fn locate(&self, ip: IpAddr) -> Located<'_> {
        let (number, scope) = self.map.lookup(ip);
        Located { place: &self.places[number as usize], scope }
    }

    /// The map by `fields` only, for decisions that look at no others. All who ask for the same
    /// fields get the same view; it is made when the first asks, which takes one pass over the map.
    pub fn view(&self, fields: Fields) -> Arc<GeoView> {
        let view = &self.views[fields.index()];
        view.get_or_init(|| Arc::new(GeoView::of(&self.map, &self.places, fields))).clone()
    }

    /// Where `ip` is, and why.
    pub fn describe(&self, ip: IpAddr) -> Description<'_> {
        let ip = ip.to_canonical();
        let (number, scope) = self.map.lookup(ip);
        let (first, last) = self.map.range(ip);
        let prefix = IpNet::new(ip, scope).expect("a scope is at most the length of its address").trunc();
        let [country, subdivision, continent, asn, coordinates] =
            self.sources[number as usize].map(|number| {
                let database = usize::from(number).checked_sub(1)?;
                Some(self.databases[database].as_str())
            });
        Description {
            place: &self.places[number as usize],
            prefix,
            first,
            last,
            sources: Sources { country, subdivision, continent, asn, coordinates },
        }
    }

    /// The names of the databases, the first one first.
    pub fn databases(&self) -> &[String] {
        &self.databases
    }

    /// How many ranges of IPv4 and of IPv6 addresses it tells apart.
    pub fn ranges(&self) -> (usize, usize) {
        self.map.len()
    }
}

impl fmt::Debug for GeoTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (v4, v6) = self.ranges();
        f.debug_struct("GeoTable")
            .field("databases", &self.databases)
            .field("places", &self.places.len())
            .field("v4_ranges", &v4)
            .field("v6_ranges", &v6)
            .finish()
    }
}

/// For each field of a location, in order, one more than the number of its database; 0: of none.
type SourceNumbers = [u8; 5];

/// The databases laid over each other so far.
struct Merge {
    v4: Runs<u32, u32>,
    v6: Runs<u128, u32>,
    merged: Vec<(Location, SourceNumbers)>,
    databases: Vec<String>,
}

impl Merge {
    fn new() -> Self {
        let nowhere = (Location::default(), SourceNumbers::default());
        Merge { v4: Runs::uniform(0), v6: Runs::uniform(0), merged: vec![nowhere], databases: Vec::new() }
    }

    /// Lays `database` under those that are there.
    fn add(&mut self, database: Database) -> Result<(), GeoError> {
        let Ok(source) = u8::try_from(self.databases.len() + 1) else {
            return Err(GeoError::TooMany { database: database.name });
        };
        let layer = Layer::read(&database)?;
        let mut pairs = Pairs {
            upper: &self.merged,
            lower: &layer.locations,
            source,
            numbers: HashMap::new(),
            merged: Interner::with_first(self.merged[0]),
        };
        self.v4 = pairs.zip(&self.v4, &layer.v4);
        self.v6 = pairs.zip(&self.v6, &layer.v6);
        self.merged = pairs.merged.into_values();
        self.databases.push(database.name);
        Ok(())
    }

    fn finish(self) -> GeoTable {
        GeoTable {
            map: Arc::new(RangeMap::from_runs(self.v4, self.v6)),
            places: self.merged.iter().map(|&(location, _)| Place::from(location)).collect(),
            sources: self.merged.iter().map(|&(_, sources)| sources).collect(),
            databases: self.databases,
            views: Default::default(),
        }
    }
}

/// Two layers becoming one.
struct Pairs<'m> {
    upper: &'m [(Location, SourceNumbers)],
    lower: &'m [Location],
    /// The number of the lower layer's database, in the manner of [`SourceNumbers`].
    source: u8,
    /// The numbers of the pairs met so far.
    numbers: HashMap<(u32, u32), u32>,
    merged: Interner<(Location, SourceNumbers)>,
}

impl Pairs<'_> {
    fn zip<K: Key>(&mut self, upper: &Runs<K, u32>, lower: &Runs<K, u32>) -> Runs<K, u32> {
        Runs::zip(upper, lower, |upper, lower| self.number(upper, lower))
    }

    fn number(&mut self, upper: u32, lower: u32) -> u32 {
        *self.numbers.entry((upper, lower)).or_insert_with(|| {
            let (above, sources) = self.upper[upper as usize];
            self.merged.number(fill_gaps(above, sources, &self.lower[lower as usize], self.source))
        })
    }
}

/// `above` with the fields that it lacks and `below` has, which then come from `source`.
fn fill_gaps(
    above: Location,
    sources: SourceNumbers,
    below: &Location,
    source: u8,
) -> (Location, SourceNumbers) {
    fn fill<T: Copy>(field: Option<T>, number: u8, below: Option<T>, source: u8) -> (Option<T>, u8) {
        match (field, below) {
            (None, Some(_)) => (below, source),
            _ => (field, number),
        }
    }
    let (country, country_source) = fill(above.country, sources[0], below.country, source);
    let (subdivision, subdivision_source) = fill(above.subdivision, sources[1], below.subdivision, source);
    let (continent, continent_source) = fill(above.continent, sources[2], below.continent, source);
    let (asn, asn_source) = fill(above.asn, sources[3], below.asn, source);
    let (coordinates, coordinates_source) = fill(above.coordinates, sources[4], below.coordinates, source);
    (
        Location { country, subdivision, continent, asn, coordinates },
        [country_source, subdivision_source, continent_source, asn_source, coordinates_source],
    )
}
