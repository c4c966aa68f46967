//! `[geoip]` and `[[geoip.network]]`: where clients are.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::files::FilesRead;
use super::location::LocationSpec;
use super::reader::{Value, list, list_or_none, string};
use super::report::Report;
use super::serves::{asn, prefix};
use super::settings::path;
use super::source::{Located, Place};
use super::unique::Unique;
use crate::geo::{GeoError, GeoTable, Location, Network, Overlay};

/// `[geoip]`: what says where a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoipSettings {
    /// MaxMind-format files in order of precedence, relative ones taken from the configuration's directory.
    pub databases: Vec<PathBuf>,
    /// What the configuration itself says; it goes over the databases.
    pub overlay: Overlay,
}

/// The same as written.
#[derive(Default)]
pub(super) struct GeoipSpec {
    databases: Option<Located<Vec<Located<String>>>>,
    network: Option<Located<Vec<Located<NetworkSpec>>>>,
    unknown: Option<Located<LocationSpec>>,
}

/// The databases that a configuration names, relative ones from its directory; `None`: it does not say.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct NamedDatabases(Option<Vec<PathBuf>>);

/// What has come of them.
pub(super) struct ReadDatabases {
    table: Result<GeoTable, Vec<GeoError>>,
    files: FilesRead,
}

/// Where they are named.
pub(super) struct PlacedDatabases {
    list_place: Option<Place>,
    places: Vec<Place>,
}

struct NetworkSpec {
    place: Place,
    prefixes: Option<Located<Vec<Located<IpNet>>>>,
    /// Whether there is nothing but prefixes, not even what could not be read.
    is_empty: bool,
    location: LocationSpec,
    asn: Option<Located<u32>>,
}

impl GeoipSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = GeoipSpec {
            databases: table.optional("databases", list_or_none(path)),
            network: table.optional("network", list(NetworkSpec::read)),
            unknown: table.optional("unknown", unknown),
        };
        table.finish();
        Some(spec)
    }

    /// The databases that it names.
    pub(super) fn databases(&self, base_dir: &Path) -> NamedDatabases {
        let paths = |written: &Located<Vec<Located<String>>>| {
            written.value.iter().map(|path| base_dir.join(&path.value)).collect()
        };
        NamedDatabases(self.databases.as_ref().map(paths))
    }

    /// Looks at what is written, and lays the networks over what `read` gives of the databases; those that cannot
    /// be read are noted at their paths.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> (GeoipSettings, PlacedDatabases) {
        let NamedDatabases(paths) = self.databases(base_dir);
        let GeoipSpec { databases, network, unknown } = self;
        let places: Vec<Place> =
            databases.iter().flat_map(|list| list.value.iter().map(|path| path.place)).collect();
        let mut unique = Unique::new("database");
        for path in databases.iter().flat_map(|list| &list.value) {
            unique.note(&path.value, path.place, report);
        }
        let overlay = Overlay {
            networks: convert_networks(network.map_or(Vec::new(), |network| network.value), report),
            unknown: unknown.map(|unknown| unknown.value.convert(report)),
        };
        let placed = PlacedDatabases { list_place: databases.map(|list| list.place), places };
        (GeoipSettings { databases: paths.unwrap_or_default(), overlay }, placed)
    }
}

impl NamedDatabases {
    /// Those of a configuration without `[geoip]`.
    pub(super) fn none() -> Self {
        NamedDatabases(None)
    }

    /// Reads them, which takes seconds if they are large, and needs nothing else of the configuration.
    pub(super) fn read(self) -> ReadDatabases {
        let files = RefCell::new(FilesRead::default());
        let table = match &self.0 {
            // Without a word on it, `nearest` should do something sensible all the same.
            None => Ok(GeoTable::embedded()),
            Some(paths) => GeoTable::load_by(paths, |path| files.borrow_mut().read(path)),
        };
        ReadDatabases { table, files: files.into_inner() }
    }
}

impl PlacedDatabases {
    /// The map that has come of them; `None`: there is a mistake, and it has been noted.
    pub(super) fn table(
        self,
        read: ReadDatabases,
        settings: &GeoipSettings,
        report: &Report,
    ) -> Option<GeoTable> {
        report.add_files(read.files);
        let errors = match read.table {
            Ok(table) => return Some(table.with_overlay(&settings.overlay)),
            Err(errors) => errors,
        };
        for error in errors {
            let is_it = |path: &PathBuf| path.display().to_string() == error.database();
            let position = settings.databases.iter().position(is_it);
            let place = position.and_then(|position| self.places.get(position).copied()).or(self.list_place);
            if let Some(place) = place {
                report.error(place, format!("cannot use the database: {error}"));
            }
        }
        None
    }
}

impl NetworkSpec {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = NetworkSpec {
            place: value.place,
            prefixes: table.required("prefixes", list(network)),
            is_empty: table.is_empty(),
            location: LocationSpec::read(&mut table),
            asn: table.optional("asn", asn),
        };
        table.finish();
        Some(spec)
    }

    fn convert(self, report: &Report) -> Vec<Located<Network>> {
        let NetworkSpec { place, prefixes, is_empty, location, asn } = self;
        if is_empty {
            report.error_with_hint(
                place,
                "nothing is said of the network",
                "give `country`, `subdivision`, `continent`, `asn`, or `latitude` and `longitude`".to_owned(),
            );
        }
        let location = Location { asn: asn.map(|asn| asn.value), ..location.convert(report) };
        let prefixes = prefixes.map_or(Vec::new(), |prefixes| prefixes.value);
        let network = |prefix: Located<IpNet>| prefix.map(|prefix| Network { prefix, location });
        prefixes.into_iter().map(network).collect()
    }
}

/// The place of those of whom nothing is known.
fn unknown(value: Value<'_>) -> Option<LocationSpec> {
    let mut table = value.table()?;
    if table.is_empty() {
        return value.refuse("the location is empty", "write it as in { country = \"VN\" }".to_owned());
    }
    let location = LocationSpec::read(&mut table);
    table.finish();
    Some(location)
}

fn network(value: Value<'_>) -> Option<IpNet> {
    prefix(value, &string(value)?)
}

fn convert_networks(specs: Vec<Located<NetworkSpec>>, report: &Report) -> Vec<Network> {
    let mut unique = Unique::new("prefix");
    let networks = specs.into_iter().flat_map(|spec| spec.value.convert(report));
    networks
        .map(|Located { value: network, place }| {
            unique.note(&network.prefix, place, report);
            network
        })
        .collect()
}
