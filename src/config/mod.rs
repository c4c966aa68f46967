//! Text to plan: reads the operator's TOML and zone files and tells every mistake with its place.

mod diagnostics;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use diagnostics::{Diagnostic, Diagnostics, Position};
pub use settings::{AdminSettings, LogFormat, LogLevel, LogSettings, ServerSettings, Settings, TcpSettings};

use crate::geo::GeoTable;
use crate::plan::Plan;

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What only a restart changes.
    pub settings: Settings,
    /// Where clients are looked up.
    pub geoip: GeoipSettings,
    /// The databases of `geoip`, read.
    pub geo: Arc<GeoTable>,
    /// What is served.
    pub plan: Plan,
}

/// `[geoip]`: the databases that say where a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoipSettings {
    /// MaxMind-format files in order of precedence, relative ones taken from the configuration's directory.
    pub databases: Vec<PathBuf>,
}

/// Reads the file at `path`, and the zone files and databases that it names.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    parse(&path.display().to_string(), "", path.parent().unwrap_or(Path::new("")))
}

/// Reads `text`, which messages call `name`; relative paths in it are taken from `base_dir`.
pub fn parse(_name: &str, _text: &str, _base_dir: &Path) -> Result<Loaded, Diagnostics> {
    match Diagnostics::new(Vec::new()) {
        Some(diagnostics) => Err(diagnostics),
        None => unimplemented!(),
    }
}
