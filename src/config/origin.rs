//! What a configuration was read from, kept so that it can be read again with edits in it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::edits::Document;
use super::geoip::GeoipSettings;
use super::{Diagnostics, Loaded};
use crate::geo::GeoTable;

/// Files that were read, as they were.
#[derive(Clone, Default)]
pub(super) struct Files(HashMap<PathBuf, Arc<[u8]>>);

/// Reads files, each once.
#[derive(Default)]
pub(super) struct Reading(RefCell<Files>);

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
    pub(super) files: Files,
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
        let known = Some((self.files.clone(), self.geoip.clone(), Arc::clone(&self.geo)));
        super::read(self.name.clone(), octets, &self.base_dir, known)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.name).finish()
    }
}

impl Reading {
    /// Files that are in `files` already are as they were.
    pub(super) fn after(files: Files) -> Self {
        Reading(RefCell::new(files))
    }

    /// The octets of the file at `path`.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if let Some(octets) = self.0.borrow().0.get(path) {
            return Ok(octets.to_vec());
        }
        let octets = std::fs::read(path)?;
        self.0.borrow_mut().0.insert(path.to_owned(), octets.as_slice().into());
        Ok(octets)
    }

    /// All that were read.
    pub(super) fn into_files(self) -> Files {
        self.0.into_inner()
    }
}
