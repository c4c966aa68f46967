//! `[geoip]` and `[[geoip.network]]`: where clients are.

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::location::LocationSpec;
use super::reader::{Value, list, list_or_none, string};
use super::report::Report;
use super::serves::{asn, prefix};
use super::settings::path;
use super::source::{Located, Place};
use super::unique::Unique;
use crate::geo::{GeoTable, Location, Network, Overlay};

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

    /// Reads the databases, those that cannot be read being noted at their paths, and lays the
    /// networks over them.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> (GeoipSettings, Option<GeoTable>) {
        let GeoipSpec { databases, network, unknown } = self;
        let (databases, table) = open_databases(databases, base_dir, report);
        let overlay = Overlay {
            networks: convert_networks(network.map_or(Vec::new(), |network| network.value), report),
            unknown: unknown.map(|unknown| unknown.value.convert(report)),
        };
        let table = table.map(|table| table.with_overlay(&overlay));
        (GeoipSettings { databases, overlay }, table)
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

fn open_databases(
    databases: Option<Located<Vec<Located<String>>>>,
    base_dir: &Path,
    report: &Report,
) -> (Vec<PathBuf>, Option<GeoTable>) {
    // Without a word on it, `nearest` should do something sensible all the same.
    let Some(Located { value: written, place: list_place }) = databases else {
        return (Vec::new(), Some(GeoTable::embedded()));
    };
    if written.is_empty() {
        return (Vec::new(), Some(GeoTable::empty()));
    }
    let mut unique = Unique::new("database");
    for path in &written {
        unique.note(&path.value, path.place, report);
    }
    let databases: Vec<PathBuf> = written.iter().map(|path| base_dir.join(&path.value)).collect();
    let table = GeoTable::load_by(&databases, |path| report.read_file(path));
    if let Err(errors) = &table {
        for error in errors {
            let is_it = |path: &PathBuf| path.display().to_string() == error.database();
            let position = databases.iter().position(is_it);
            let place = position.map_or(list_place, |position| written[position].place);
            report.error(place, format!("cannot use the database: {error}"));
        }
    }
    (databases, table.ok())
}
