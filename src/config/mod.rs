//! Text to plan: reads the operator's TOML and zone files and tells every mistake with its place.
//!
//! It goes in four steps. `reader` takes typed values out of the TOML tree, which is made of one of
//! the `sections` of the file after the other, into one `...Spec` per table, as written. Each spec
//! converts itself, with its defaults filled in and its references looked up. `zone_rules` and
//! `domain_rules` check what the tables have to do with each other.
//! A mistake is noted in the `report` and reading goes on, so that all are told at once; only a
//! file in which nothing is wrong becomes a [`Loaded`].

mod address;
mod bias_rules;
mod choice;
mod condition;
mod damping;
mod diagnostics;
mod domain;
mod domain_rules;
mod edits;
mod file;
mod geoip;
mod health;
mod health_check;
mod isolation;
mod latency;
mod location;
mod master_file;
mod name;
mod nesting;
mod origin;
mod pool;
mod pool_service;
mod presentation;
mod rdata;
mod rdata_format;
mod rdata_parts;
mod reader;
mod record;
mod report;
mod resolver;
mod rule;
mod sections;
mod serves;
mod service;
mod settings;
mod source;
mod svcb;
mod unique;
mod when_all_down;
mod zone;
mod zone_rules;

use std::path::Path;
use std::sync::Arc;

pub use diagnostics::{Diagnostic, Diagnostics, Position};
pub use edits::{
    Change, Desired, Document, Draft, Edit, Object, Outcome, Refusal, Specified, Stamp, Standing, Unfit,
    UnknownObject,
};
pub use geoip::GeoipSettings;
pub use health::HealthSettings;
pub use latency::{Latencies, UnknownPool, read_latencies};
pub use origin::Origin;
pub use resolver::ResolverSettings;
pub use service::{RateLimitSettings, ServiceSettings};
pub use settings::{AdminSettings, LogFormat, LogLevel, LogSettings, ServerSettings, Settings, TcpSettings};

use self::file::{FileSpec, World};
use self::origin::Files;
use self::report::Report;
use crate::geo::GeoTable;
use crate::plan::Plan;

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What only a restart changes.
    pub settings: Settings,
    /// Where clients are looked up.
    pub geoip: GeoipSettings,
    /// The same, read.
    pub geo: Arc<GeoTable>,
    /// What is served.
    pub plan: Plan,
    /// What it was read from.
    pub origin: Origin,
}

/// Reads the file at `path`, and the zone files and databases that it names.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    let base_dir = path.parent().unwrap_or(Path::new(""));
    match std::fs::read(path) {
        Ok(octets) => read(name, octets, base_dir, None),
        Err(reason) => Err(Diagnostics::unreadable(name, &reason)),
    }
}

/// Reads `text`, which messages call `name`; relative paths in it are taken from `base_dir`.
pub fn parse(name: &str, text: &str, base_dir: &Path) -> Result<Loaded, Diagnostics> {
    read(name.to_owned(), text.as_bytes().to_vec(), base_dir, None)
}

/// What need not be read from disk again.
type Known = (Files, GeoipSettings, Arc<GeoTable>);

fn read(name: String, octets: Vec<u8>, base_dir: &Path, known: Option<Known>) -> Result<Loaded, Diagnostics> {
    let (files, map) = match known {
        Some((files, geoip, geo)) => (files, Some((geoip, geo))),
        None => (Files::default(), None),
    };
    let report = Report::after(files);
    let read = report.add_file(name.clone(), octets).and_then(|file| {
        let spec = FileSpec::read(&file, &report)?;
        Some((spec.convert(base_dir, map, &report)?, file.text))
    });
    let files = match report.end() {
        Ok(files) => files,
        Err(diagnostics) => return Err(diagnostics),
    };
    let (World { settings, geoip, geo, plan }, text) = read.expect("what cannot be loaded has been reported");
    let document = Document::new(&text);
    let (geoip_too, geo_too) = (geoip.clone(), Arc::clone(&geo));
    let base_dir = base_dir.to_owned();
    let origin = Origin { name, base_dir, document, files, geoip: geoip_too, geo: geo_too };
    Ok(Loaded { settings, geoip, geo, plan, origin })
}

#[cfg(test)]
mod tests;
