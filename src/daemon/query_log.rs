//! The query log, as its settings have it, between those who answer and whoever writes.

use std::time::Duration;

use nix::unistd::gethostname;

use crate::config::{QueryLogFormat, QueryLogSettings, QueryLogTarget};
use crate::serve::{Exchange, Tap};
use crate::telemetry::query_log::{Destination, Filter, Format, Place, QueryLog, Recorder};

/// Shows a recorder what one answerer has been asked.
pub(super) struct Tapped(Recorder);

impl Tap for Tapped {
    fn tick(&mut self, now: Duration) -> bool {
        self.0.tick(now)
    }

    fn show(&mut self, exchange: Exchange<'_>) {
        let Exchange { client, port, local, query, reply } = exchange;
        self.0.record(client, port, local, query, reply);
    }
}

/// The tap of one answerer.
pub(super) fn tap(log: &QueryLog) -> Box<dyn Tap> {
    Box::new(Tapped(log.recorder()))
}

/// Where a log with these settings goes.
pub(super) fn destination(settings: &QueryLogSettings) -> Destination {
    Destination {
        format: match settings.format {
            QueryLogFormat::Json => Format::Json,
            QueryLogFormat::Dnstap => Format::Dnstap,
        },
        place: match &settings.target {
            QueryLogTarget::File(path) => Place::File(path.clone()),
            QueryLogTarget::Socket(path) => Place::Socket(path.clone()),
        },
        identity: settings.identity.clone().unwrap_or_else(host_name),
    }
}

/// What a log with these settings records.
pub(super) fn filter(settings: &QueryLogSettings) -> Filter {
    Filter::new(&settings.rcodes, &settings.zones)
}

/// What this host is called; `rhumb` if that cannot be told.
pub(super) fn host_name() -> String {
    // Not from /proc, of which the unit leaves no more than processes.
    let name = gethostname().unwrap_or_default();
    if name.is_empty() { "rhumb".to_owned() } else { name.to_string_lossy().into_owned() }
}
