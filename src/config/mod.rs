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
pub use geoip::GeoipSettings;
pub use health::HealthSettings;
pub use latency::{Latencies, UnknownPool, read_latencies};
pub use resolver::ResolverSettings;
pub use service::{RateLimitSettings, ServiceSettings};
pub use settings::{AdminSettings, LogFormat, LogLevel, LogSettings, ServerSettings, Settings, TcpSettings};

use self::file::FileSpec;
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
}

/// Reads the file at `path`, and the zone files and databases that it names.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    let base_dir = path.parent().unwrap_or(Path::new(""));
    match std::fs::read(path) {
        Ok(octets) => read(name, octets, base_dir),
        Err(reason) => Err(Diagnostics::unreadable(name, &reason)),
    }
}

/// Reads `text`, which messages call `name`; relative paths in it are taken from `base_dir`.
pub fn parse(name: &str, text: &str, base_dir: &Path) -> Result<Loaded, Diagnostics> {
    read(name.to_owned(), text.as_bytes().to_vec(), base_dir)
}

fn read(name: String, octets: Vec<u8>, base_dir: &Path) -> Result<Loaded, Diagnostics> {
    let report = Report::default();
    let loaded = report
        .add_file(name, octets)
        .and_then(|file| FileSpec::read(&file, &report))
        .and_then(|spec| spec.convert(base_dir, &report));
    match report.into_diagnostics() {
        Some(diagnostics) => Err(diagnostics),
        None => Ok(loaded.expect("what cannot be loaded has been reported")),
    }
}

#[cfg(test)]
mod tests;
