//! Text to plan: reads the operator's TOML and zone files and tells every mistake with its place.
//!
//! It goes in four steps. `reader` takes typed values out of the TOML tree, which is made of one of
//! the `sections` of the file after the other, into one `...Spec` per table, as written. Each spec
//! converts itself, with its defaults filled in and its references looked up. `zone_rules` and
//! `domain_rules` check what the tables have to do with each other.
//! A mistake is noted in the `report` and reading goes on, so that all are told at once; only a
//! file in which nothing is wrong becomes a [`Loaded`].

mod address;
mod admin;
mod bias_rules;
mod choice;
mod condition;
mod damping;
mod diagnostics;
mod domain;
mod domain_rules;
mod edits;
mod file;
mod files;
mod geoip;
mod health;
mod health_check;
mod identity;
mod isolation;
mod latency;
mod location;
mod master_file;
mod name;
mod nesting;
mod notification;
mod origin;
mod pool;
mod pool_service;
mod presentation;
mod query_log;
mod rdata;
mod rdata_format;
mod rdata_parts;
mod rdata_signatures;
mod reader;
mod record;
mod report;
mod resolver;
mod restart;
mod rule;
mod sections;
mod serves;
mod service;
mod settings;
mod source;
mod svcb;
mod tokens;
mod traces;
mod unique;
mod when_all_down;
mod zone;
mod zone_rules;

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

pub use admin::{AdminSettings, AdminTlsSettings, SocketSettings};
pub use diagnostics::{Diagnostic, Diagnostics, Position};
pub use edits::{
    Change, Desired, Document, Draft, Edit, Misfit, Object, Outcome, Refusal, Specified, Stamp, Standing,
    UnknownObject,
};
pub use files::{Content, FilesRead};
pub use geoip::GeoipSettings;
pub use health::HealthSettings;
pub use identity::{Unfit, read_identity};
pub use latency::{Latencies, UnknownPool, read_latencies};
pub use notification::{
    Credentials, DomainPatterns, EmailSettings, Login, MailTls, MessageRate, Notification, NotificationKind,
    Secret, Severity, Topic, UnfitSecret, UnreadSecret, UrlSource,
};
pub use origin::Origin;
pub use query_log::{QueryLogFormat, QueryLogSettings, QueryLogTarget};
pub use resolver::ResolverSettings;
pub use service::{RateLimitSettings, ServiceSettings};
pub use settings::{LogFormat, LogLevel, LogSettings, ServerSettings, Settings, TcpSettings, check_filter};
pub use tokens::{PoolPatterns, Role, TokenHash, TokenHolder, Tokens, UnreadTokens, read_tokens};
pub use traces::TracesSettings;

use self::file::{Databases, FileSpec, World};
use self::geoip::{NamedDatabases, ReadDatabases};
use self::report::{File, Report};
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
    /// Who is told what happens, in the order of the configuration.
    pub notifications: Vec<Notification>,
    /// What it was read from.
    pub origin: Origin,
    /// The files that it was read from.
    pub files: FilesRead,
}

impl Loaded {
    /// Reads the secrets and the certificate that it names, which are left to the daemon: that does so before it
    /// gives up the rights for it. What this process may not read is passed over.
    ///
    /// # Errors
    ///
    /// If they cannot be used, with every mistake, and without a part of a secret.
    pub fn check_files(&self) -> Result<(), Diagnostics> {
        let of_admin = self.settings.admin.check_files().err();
        let mut mistakes: Vec<Diagnostic> = of_admin.iter().flat_map(Diagnostics::iter).cloned().collect();
        mistakes.extend(Notification::mistakes_of_files(&self.notifications));
        Diagnostics::new(mistakes).map_or(Ok(()), Err)
    }
}

/// Reads the file at `path`, and the zone files and databases that it names.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    load_files(path).0
}

/// The same with the files that were read for it, also where there is a mistake in one of them.
pub fn load_files(path: &Path) -> (Result<Loaded, Diagnostics>, FilesRead) {
    let name = path.display().to_string();
    let base_dir = path.parent().unwrap_or(Path::new(""));
    let report = Report::default();
    match report.read_file(path) {
        Ok(octets) => read(report, name, octets, base_dir, None),
        Err(reason) => (Err(Diagnostics::unreadable(name, &reason)), report.files()),
    }
}

/// Reads `text`, which messages call `name`; relative paths in it are taken from `base_dir`.
pub fn parse(name: &str, text: &str, base_dir: &Path) -> Result<Loaded, Diagnostics> {
    read(Report::default(), name.to_owned(), text.as_bytes().to_vec(), base_dir, None).0
}

/// What has come of the databases that a configuration names.
type Map = (GeoipSettings, Arc<GeoTable>);

fn read(
    report: Report,
    name: String,
    octets: Vec<u8>,
    base_dir: &Path,
    map: Option<Map>,
) -> (Result<Loaded, Diagnostics>, FilesRead) {
    let read = report.add_file(name.clone(), octets).and_then(|file| match map {
        Some((geoip, geo)) => {
            let (spec, document) = FileSpec::read(&file, &report, |_| {})?;
            Some((spec.convert(base_dir, || Databases::Same(geoip, geo), &report)?, document))
        }
        None => read_beside_databases(&file, base_dir, &report),
    });
    let files = report.files();
    let kept = match report.end() {
        Ok(kept) => kept,
        Err(diagnostics) => return (Err(diagnostics), files),
    };
    let (World { settings, geoip, geo, plan, notifications }, document) =
        read.expect("what cannot be loaded has been reported");
    let origin = Origin {
        name,
        base_dir: base_dir.to_owned(),
        document,
        kept,
        geoip: geoip.clone(),
        geo: Arc::clone(&geo),
    };
    (Ok(Loaded { settings, geoip, geo, plan, notifications, origin, files: files.clone() }), files)
}

/// Reads `file`, and the databases that it names on a thread beside that: large ones take as long as a million domains.
fn read_beside_databases(file: &File, base_dir: &Path, report: &Report) -> Option<(World, Document)> {
    thread::scope(|scope| {
        let mut reading: Option<(NamedDatabases, ScopedJoinHandle<'_, ReadDatabases>)> = None;
        let (spec, document) = FileSpec::read(file, report, |spec| {
            let named = spec.databases(base_dir);
            if reading.as_ref().is_none_or(|(begun, _)| *begun != named) {
                let databases = named.clone();
                let thread = thread::Builder::new().name("databases".to_owned());
                // Where there can be no more threads they are read below.
                reading = thread.spawn_scoped(scope, || databases.read()).ok().map(|thread| (named, thread));
            }
        })?;
        let named = spec.databases(base_dir);
        let databases = || {
            let read = match reading {
                Some((_, thread)) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                None => named.read(),
            };
            Databases::Read(read.into())
        };
        Some((spec.convert(base_dir, databases, report)?, document))
    })
}

#[cfg(test)]
mod tests;
