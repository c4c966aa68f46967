//! One MaxMind-format database, read into runs of addresses and their locations.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};
use maxminddb::{LookupResult, MaxMindDbError, Metadata, Reader, WithinOptions};

use super::Location;
use super::interner::Interner;
use super::record::Value;
use super::runs::{Key, Runs};

/// A database as it is on disk, in memory.
#[derive(Clone, Debug)]
pub struct Database {
    /// What errors and explanations call it: its path.
    pub name: String,
    /// The whole file.
    pub bytes: Cow<'static, [u8]>,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The file is missing, or may not be read.
    #[error("{database}: {error}")]
    Unreadable {
        /// Its path.
        database: String,
        /// What the system says.
        error: io::Error,
    },
    /// There is no valid metadata at its end, or the file is shorter than that says.
    #[error("{database}: not a MaxMind-format database, or cut short: {reason}")]
    NotADatabase {
        /// Its name.
        database: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// The search tree or a record breaks the format.
    #[error("{database}: damaged: {reason}")]
    Damaged {
        /// Its name.
        database: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// It is a sound database of something else, such as of connection types.
    #[error("{database}: holds no country, subdivision, continent, AS number or coordinates")]
    NoLocations {
        /// Its name.
        database: String,
    },
    /// More than [`GeoTable::MAX_DATABASES`](super::GeoTable::MAX_DATABASES) were given.
    #[error("{database}: one too many; at most 254 databases can be laid over each other")]
    TooMany {
        /// The first that is too many.
        database: String,
    },
}

impl GeoError {
    /// The name of the database, or its path.
    pub fn database(&self) -> &str {
        match self {
            GeoError::Unreadable { database, .. }
            | GeoError::NotADatabase { database, .. }
            | GeoError::Damaged { database, .. }
            | GeoError::NoLocations { database }
            | GeoError::TooMany { database } => database,
        }
    }
}

/// What one database says of every address: numbers into `locations`.
pub(super) struct Layer {
    pub(super) v4: Runs<u32, u32>,
    pub(super) v6: Runs<u128, u32>,
    /// The distinct locations, the first of which is [`Location::default`].
    pub(super) locations: Vec<Location>,
}

impl Layer {
    /// Reads all of `database`.
    pub(super) fn read(database: &Database) -> Result<Self, GeoError> {
        let name = || database.name.clone();
        let reader = Reader::from_source(&*database.bytes)
            .map_err(|error| GeoError::NotADatabase { database: name(), reason: plain(error) })?;
        let layer = read_tree(&reader, &database.bytes)
            .map_err(|reason| GeoError::Damaged { database: name(), reason })?;
        if layer.locations.len() == 1 {
            return Err(GeoError::NoLocations { database: name() });
        }
        Ok(layer)
    }
}

fn read_tree(reader: &Reader<&[u8]>, file: &[u8]) -> Result<Layer, String> {
    check_tree(file, reader.metadata())?;
    let mut records = Records::new(file.len());
    let (mut v4, mut v6) = (Gapped::new(), Gapped::new());
    for found in reader.networks(WithinOptions::default()).map_err(plain)? {
        let found = found.map_err(plain)?;
        let Some(offset) = found.offset() else { continue };
        let number = records.number(offset, &found)?;
        let network = found.network().map_err(plain)?;
        match (network.network(), network.broadcast()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => v4.put(first.into(), last.into(), number)?,
            (IpAddr::V6(first), IpAddr::V6(last)) => v6.put(first.into(), last.into(), number)?,
            _ => return Err("a network is of two address families".to_owned()),
        }
    }
    Ok(Layer { v4: v4.finish(), v6: v6.finish(), locations: records.locations.into_values() })
}

/// Refuses a search tree that cannot be walked in reasonable time.
///
/// The format lets several nodes have the same child. Sound databases use that to repeat IPv4 in
/// up to four places of IPv6, and some writers share equal subtrees. A damaged tree can have cycles,
/// or more ways through it than there are addresses, and the reader would follow them all.
fn check_tree(file: &[u8], metadata: &Metadata) -> Result<(), String> {
    let mut visits_left = 16 * u64::from(metadata.node_count);
    let mut open = vec![0];
    while let Some(node) = open.pop() {
        visits_left = visits_left.checked_sub(1).ok_or("the search tree has too many ways through it")?;
        let children = children(file, metadata.record_size, node);
        open.extend(children.into_iter().filter(|&child| child < metadata.node_count));
    }
    Ok(())
}

/// The two records of `node`, of `bits` each, in the search tree that `file` begins with.
fn children(file: &[u8], bits: u16, node: u32) -> [u32; 2] {
    let octets = usize::from(bits) / 4;
    let node = &file[node as usize * octets..][..octets];
    let number = |octets: &[u8]| octets.iter().fold(0, |number, &octet| number << 8 | u32::from(octet));
    match node {
        // Of 28 bits the four highest are in the octet between, the left record's first.
        [left @ .., middle, _, _, _] if bits == 28 => {
            [number(left) | u32::from(middle >> 4) << 24, number(&node[3..]) & 0x0FFF_FFFF]
        }
        _ => [number(&node[..octets / 2]), number(&node[octets / 2..])],
    }
}

/// The distinct records met so far.
struct Records {
    /// The numbers of locations by the offsets of the records that say them: a record that many
    /// networks share is decoded once.
    by_offset: HashMap<usize, u32>,
    locations: Interner<Location>,
    /// How many more values may be decoded.
    budget: usize,
}

impl Records {
    /// For a database of `length` octets.
    fn new(length: usize) -> Self {
        // A pointer of two octets can repeat a whole map, so a record is larger decoded than
        // encoded: sound databases stay below four values for each octet of the file. What goes
        // far beyond was made or damaged so as to keep the decoder busy.
        let budget = length.saturating_mul(16);
        Records { by_offset: HashMap::new(), locations: Interner::with_first(Location::default()), budget }
    }

    /// The number of the location that the record of `network`, at `offset`, says.
    fn number(&mut self, offset: usize, network: &LookupResult<'_, &[u8]>) -> Result<u32, String> {
        if let Some(&number) = self.by_offset.get(&offset) {
            return Ok(number);
        }
        let record = network.decode::<Value<'_>>().map_err(plain)?.unwrap_or(Value::Other);
        self.budget = self
            .budget
            .checked_sub(record.size())
            .ok_or("the records repeat each other more than those of a sound database do")?;
        let number = self.locations.number(record.location());
        self.by_offset.insert(offset, number);
        Ok(number)
    }
}

/// Runs made of networks in ascending order with gaps between them, where the value is 0.
struct Gapped<K> {
    runs: Runs<K, u32>,
    /// The first address that has no value yet; `None` past the last.
    free: Option<K>,
}

impl<K: Key> Gapped<K> {
    fn new() -> Self {
        Gapped { runs: Runs::new(), free: Some(K::FIRST) }
    }

    fn put(&mut self, first: K, last: K, value: u32) -> Result<(), String> {
        let free = self.free.filter(|&free| free <= first).ok_or("networks overlap")?;
        if free < first {
            self.runs.push(free, 0);
        }
        self.runs.push(first, value);
        self.free = last.next();
        Ok(())
    }

    fn finish(mut self) -> Runs<K, u32> {
        if let Some(free) = self.free {
            self.runs.push(free, 0);
        }
        self.runs
    }
}

/// An error of the reader without the words that the message around it has already.
fn plain(error: MaxMindDbError) -> String {
    let text = error.to_string();
    text.strip_prefix("invalid database: ").map_or(text.clone(), str::to_owned)
}
