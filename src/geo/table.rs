//! All databases laid over each other: the table that a query reads.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;

use super::merge::{CONFIGURATION, Known, Merge, SourceNumbers};
use super::{Country, Database, Fields, GeoError, GeoView, Place, RangeMap};

/// The embedded database: the countries of the larger allocations. `geoip/README.md` says what it is made of.
const EMBEDDED: &[u8] = include_bytes!("../../geoip/embedded.mmdb");

/// Where clients are.
///
/// Several databases are laid over each other: each field of a location is from the first database
/// that has it for that address. An [`Overlay`](super::Overlay) of the operator's goes over all.
#[derive(Clone)]
pub struct GeoTable {
    /// Numbers into `places` and `sources`.
    map: Arc<RangeMap>,
    places: Arc<[Place]>,
    sources: Box<[SourceNumbers]>,
    databases: Vec<String>,
    /// By [`Fields::index`]; each is made when it is first asked for.
    views: [OnceLock<Arc<GeoView>>; Fields::COUNT],
    /// One of each country; they are found when they are first asked for.
    pub(super) clients: OnceLock<Box<[(Country, IpAddr)]>>,
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
    /// What says what.
    pub sources: Sources<'t>,
}

/// What the fields of a location are from: the name of a database, or `configuration`.
///
/// A continent or coordinates from nowhere are those of the country.
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
    /// How many databases can be laid over each other: their numbers are octets, two of which mean
    /// none and the configuration.
    pub const MAX_DATABASES: usize = CONFIGURATION as usize - 1;

    /// Knows nothing of any address.
    pub fn empty() -> Self {
        Merge::new().finish()
    }

    /// The table of `map`, whose values are numbers into `known`.
    pub(super) fn new(map: RangeMap, known: &[Known], databases: Vec<String>) -> Self {
        GeoTable {
            map: Arc::new(map),
            places: known.iter().map(|known| Place::from(known.location)).collect(),
            sources: known.iter().map(|known| known.sources).collect(),
            databases,
            views: Default::default(),
            clients: OnceLock::new(),
        }
    }

    /// The map, whose values are numbers of places.
    pub(super) fn map(&self) -> &RangeMap {
        &self.map
    }

    /// What a number of the map stands for.
    pub(super) fn place(&self, number: u32) -> &Place {
        &self.places[number as usize]
    }

    /// From where the country of a number of the map is.
    pub(super) fn country_source(&self, number: u32) -> u8 {
        self.sources[number as usize][0]
    }

    /// The map, and what its numbers stand for: the places are those of the table, completed.
    pub(super) fn parts(&self) -> (&RangeMap, Vec<Known>) {
        let known = self.places.iter().zip(&self.sources);
        (&self.map, known.map(|(place, &sources)| Known { location: place.location, sources }).collect())
    }

    /// The countries of the larger allocations, from the database inside the program.
    pub fn embedded() -> Self {
        let database = Database { name: "embedded".to_owned(), bytes: Cow::Borrowed(EMBEDDED) };
        GeoTable::from_databases([database]).expect("the embedded database is tested to be sound")
    }

    /// Reads the databases at `paths`, the first one first to be believed. Every unusable one is
    /// reported.
    pub fn load(paths: &[PathBuf]) -> Result<Self, Vec<GeoError>> {
        GeoTable::load_by(paths, |path| std::fs::read(path))
    }

    /// As [`GeoTable::load`]; `read` does the reading.
    pub fn load_by(
        paths: &[PathBuf],
        read: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, Vec<GeoError>> {
        GeoTable::collect(paths.iter().map(|path| {
            let name = path.display().to_string();
            match read(path) {
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
            self.sources[number as usize].map(|source| self.source(source));
        Description {
            place: &self.places[number as usize],
            prefix,
            first,
            last,
            sources: Sources { country, subdivision, continent, asn, coordinates },
        }
    }

    fn source(&self, source: u8) -> Option<&str> {
        match source {
            0 => None,
            CONFIGURATION => Some("configuration"),
            database => Some(&self.databases[usize::from(database) - 1]),
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
