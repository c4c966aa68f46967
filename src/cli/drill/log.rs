//! A recording as programs read it, and as it is drawn.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::recording::{Lookup, Request};
use super::seconds::Seconds;

/// One request of the client.
#[derive(Serialize)]
pub(super) struct LogEntry {
    pub(super) started: Seconds,
    pub(super) latency: Seconds,
    pub(super) address: Option<IpAddr>,
    pub(super) failure: Option<String>,
}

/// What the name server answered from then on.
#[derive(Serialize)]
pub(super) struct AnswerEntry {
    pub(super) at: Seconds,
    pub(super) addresses: BTreeSet<IpAddr>,
}

/// All requests.
pub(super) fn log(requests: Vec<Request>) -> Vec<LogEntry> {
    let entry = |request: Request| LogEntry {
        started: Seconds(request.started),
        latency: Seconds(request.ended - request.started),
        address: request.address,
        failure: request.failure,
    };
    requests.into_iter().map(entry).collect()
}

/// What was answered, whenever it changed.
pub(super) fn answers(mut lookups: Vec<Lookup>) -> Vec<AnswerEntry> {
    lookups.dedup_by(|next, last| next.addresses == last.addresses);
    lookups.into_iter().map(|l| AnswerEntry { at: Seconds(l.answered), addresses: l.addresses }).collect()
}

/// A date as RFC 3339 has it.
pub(super) fn rfc3339<S: Serializer>(date: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*date))
}
