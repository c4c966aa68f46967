//! What a reload has done.

use serde::Serialize;
use utoipa::ToSchema;

use crate::plan::Difference;

/// Who wants a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadTrigger {
    /// Whoever runs the process.
    Signal,
    /// A client of the admin API.
    Api,
    /// One of the files has changed.
    File,
    /// The process before this one has reloaded while this one was starting.
    Takeover,
}

/// What a reload has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReloadReport {
    /// What is served otherwise.
    #[serde(flatten)]
    pub difference: Difference,
    /// Whether it has changed where clients are: a database, or what the configuration says itself.
    pub databases: bool,
    /// Whether other destinations of notifications are told from now on, or with other secrets.
    pub notifications: bool,
    /// Whether the configuration says something else of what is logged, of the daemon or of queries.
    pub logs: bool,
    /// The settings, as in `server.listen`, that differ from those of the start: they take effect at
    /// the next restart.
    #[schema(value_type = Vec<String>)]
    pub after_restart: Vec<&'static str>,
    /// The edits that the configuration says itself by now.
    pub retired: Vec<u64>,
    /// The edits that are not in force, because what they are about is gone.
    pub orphaned: Vec<u64>,
}

impl ReloadTrigger {
    /// As metrics and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            ReloadTrigger::Signal => "signal",
            ReloadTrigger::Api => "api",
            ReloadTrigger::File => "file",
            ReloadTrigger::Takeover => "takeover",
        }
    }
}
