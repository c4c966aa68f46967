//! What a configuration was read from, kept so that it can be read again with edits in it.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::edits::Document;
use super::geoip::GeoipSettings;
use super::report::Report;
use super::{Diagnostics, Loaded};
use crate::geo::GeoTable;

/// Files that were read, as they were.
pub(super) type Kept = HashMap<PathBuf, Arc<[u8]>>;

/// What a configuration was read from: its text, the files that it names, and the map that came of
/// its databases.
///
/// What changes on disk afterwards changes nothing here: an edit takes effect with the
/// configuration that is in force, and not with one that the operator is at work on.
#[derive(Clone)]
pub struct Origin {
    pub(super) name: String,
    pub(super) base_dir: PathBuf,
    pub(super) document: Document,
    pub(super) kept: Kept,
    pub(super) geoip: GeoipSettings,
    pub(super) geo: Arc<GeoTable>,
}

impl Origin {
    /// The configuration's own text.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// What messages call the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The databases that it names, and what it says of networks itself.
    pub fn geoip(&self) -> &GeoipSettings {
        &self.geoip
    }

    /// The map that came of its databases.
    pub fn geo(&self) -> &Arc<GeoTable> {
        &self.geo
    }

    /// Reads `document` in the place of its own text. Settings and databases are not looked at again.
    ///
    /// # Errors
    ///
    /// If there is something wrong with it; places are those in the text of `document`.
    pub fn read(&self, document: &Document) -> Result<Loaded, Diagnostics> {
        let octets = document.text().as_bytes().to_vec();
        let map = Some((self.geoip.clone(), Arc::clone(&self.geo)));
        let report = Report::after(self.kept.clone());
        super::read(report, self.name.clone(), octets, &self.base_dir, map).0
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.name).finish()
    }
}
