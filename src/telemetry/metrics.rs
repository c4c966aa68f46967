//! Metrics in Prometheus' text form.
//!
//! What happens once in a while and is told apart by a few words is counted by a recorder, as it happens. Everything of which
//! there are as many as somebody has configured is told from what there is when somebody scrapes, and goes with it.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::exposition::Exposition;
use super::traffic::tell_workers;
use super::{Answers, Ledger, Sockets, process, state};
use crate::config::Desired;
use crate::control::Readings;
use crate::routing::{Counters, Transport};

/// Whatever is counted elsewhere, gathered when scraped.
pub struct Sources {
    /// The counters of every answering thread, and what it answers over.
    pub workers: Box<dyn Fn() -> Vec<(Transport, Arc<Counters>)> + Send + Sync>,
    /// What the sockets have seen.
    pub sockets: Box<dyn Fn() -> Sockets + Send + Sync>,
    /// Where answers went.
    pub answers: Box<dyn Fn() -> Answers + Send + Sync>,
    /// Whether DNS is answered.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// What has become of notifications.
    pub notified: Box<dyn Fn() -> Vec<Notified> + Send + Sync>,
    /// The size of the journal of edits in octets, if there is one.
    pub journal: Box<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// What has become of the messages to one destination of notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// Its name.
    pub destination: String,
    /// How many messages have come to what, in a word.
    pub results: [(&'static str, u64); 3],
}

/// The metrics of this process.
pub struct Metrics {
    handle: PrometheusHandle,
    sources: Sources,
    ledger: Ledger,
    process_started: Option<Duration>,
}

impl Metrics {
    /// Starts to collect.
    pub fn start(sources: Sources, ledger: Ledger) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // A second daemon in one process, as tests have them, leaves events to the first.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        begin();
        Metrics { handle, sources, ledger, process_started: process::started() }
    }

    /// Everything, in Prometheus' text exposition format. `in_flight`: how many probes are under way. It takes long where
    /// there is much.
    pub fn render(&self, readings: &Readings, desired: &Desired, in_flight: usize) -> String {
        let mut told = Exposition::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        told.gauge("rhumb_build_info", "1, of the version that runs.").truth(&version, true);
        told.gauge("rhumb_ready", "1 if DNS is answered.").truth(&[], (self.sources.is_ready)());
        tell_workers(&(self.sources.workers)(), &mut told);
        let sockets = (self.sources.sockets)();
        sockets.tell(&mut told);
        self.ledger.tell_stages(&sockets.taken_up, &mut told);
        (self.sources.answers)().tell(&mut told);
        state::tell(readings, &mut told);
        told.gauge("rhumb_probes_in_flight", "Probes that are under way.").count(&[], in_flight as u64);
        tell_notified(&(self.sources.notified)(), &mut told);
        state::tell_edits(desired, (self.sources.journal)(), &mut told);
        self.ledger.tell(readings, state::has_addresses(readings), &mut told);
        process::tell(self.process_started, &mut told);
        self.ledger.tell_spans(&mut told);
        told.behind(self.handle.render())
    }

    /// A table was published `since` the beginning of 1970.
    pub fn published(since: Duration) {
        gauge!("rhumb_table_published_timestamp_seconds").set(since.as_secs_f64());
    }

    /// A reload that somebody or something of this name wanted was carried out or refused, `since` the beginning of 1970.
    pub fn reloaded(trigger: &'static str, accepted: bool, since: Duration) {
        let result = if accepted { "accepted" } else { "refused" };
        counter!("rhumb_reloads_total", "result" => result, "trigger" => trigger).increment(1);
        configured(accepted, since);
    }

    /// The configuration was read at the start, `since` the beginning of 1970.
    pub fn started(since: Duration) {
        configured(true, since);
    }

    /// So many edits were made, and so many stand no longer.
    pub fn edited(made: usize, ended: usize) {
        counter!("rhumb_edits_made_total").increment(made as u64);
        counter!("rhumb_edits_ended_total").increment(ended as u64);
    }

    /// Edits were refused, for a reason of this name.
    pub fn edit_refused(reason: &'static str) {
        counter!("rhumb_edits_refused_total", "reason" => reason).increment(1);
    }
}

fn tell_notified(all: &[Notified], told: &mut Exposition) {
    let help = "Notifications, by destination and by what has become of them.";
    let mut family = told.counter("rhumb_notifications_total", help);
    for Notified { destination, results } in all {
        for (result, messages) in results {
            family.count(&[("destination", destination), ("result", result)], *messages);
        }
    }
}

fn configured(accepted: bool, since: Duration) {
    gauge!("rhumb_config_last_reload_successful").set(f64::from(u8::from(accepted)));
    if accepted {
        gauge!("rhumb_config_last_reload_success_timestamp_seconds").set(since.as_secs_f64());
    }
}

/// Tells of what has not happened yet: who counts how much more of something happens has to see it begin at 0.
fn begin() {
    for trigger in ["signal", "api", "file", "takeover"] {
        for result in ["accepted", "refused"] {
            counter!("rhumb_reloads_total", "result" => result, "trigger" => trigger).increment(0);
        }
    }
    Metrics::edited(0, 0);
    for reason in ["unknown", "unfit", "mistaken", "needed", "no_such_edit", "lost", "not_kept"] {
        counter!("rhumb_edits_refused_total", "reason" => reason).increment(0);
    }
    for reason in ["no_token", "wrong_token", "throttled", "origin", "role", "busy"] {
        counter!("rhumb_admin_refused_total", "reason" => reason).increment(0);
    }
}

fn describe() {
    describe_counter!("rhumb_query_log_written_total", "Records of queries that were written.");
    describe_counter!("rhumb_query_log_dropped_total", "Records of queries for which there was no room.");
    describe_counter!(
        "rhumb_query_log_filtered_total",
        "Queries that were sampled and that the query log's filter did not want."
    );
    describe_gauge!(
        "rhumb_table_published_timestamp_seconds",
        Unit::Seconds,
        "When the current table was published, since unix epoch."
    );
    describe_counter!("rhumb_reloads_total", "Reloads, by result and by what they were for.");
    describe_gauge!(
        "rhumb_config_last_reload_successful",
        "1 if the last attempt to read the configuration succeeded, that at the start included."
    );
    describe_gauge!(
        "rhumb_config_last_reload_success_timestamp_seconds",
        Unit::Seconds,
        "When the configuration was last read with success, since unix epoch."
    );
    describe_counter!("rhumb_edits_made_total", "Edits made by API, orders included.");
    describe_counter!("rhumb_edits_ended_total", "Edits that were taken back, replaced, or over.");
    describe_counter!("rhumb_edits_refused_total", "Edits that were refused, by reason.");
    describe_counter!(
        "rhumb_admin_refused_total",
        "Requests to the admin API that were turned away for who sent them, or how many did, by reason."
    );
    describe_counter!(
        "rhumb_admin_requests_total",
        "Requests to the admin API, by route, method and status."
    );
}
