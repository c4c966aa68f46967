//! Alerts of an Alertmanager, by `POST /api/v2/alerts`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::incident::Phase;
use super::outbox::{Change, Message};
use super::text;
use crate::config::Topic;

/// As Prometheus has it: an alert ends by itself when it was not sent again for four times as long as that takes.
const MISSED: u32 = 4;
/// What is over as soon as it has happened is seen for so long.
const ONCE: Duration = Duration::from_secs(300);

/// Alerts for what a message tells, as of `now`, since the beginning of 1970.
pub(super) fn body(message: &Message, instance: &str, resend_after: Duration, now: Duration) -> Value {
    message.changes.iter().map(|change| alert(change, instance, resend_after, now)).collect()
}

fn alert(change: &Change, instance: &str, resend_after: Duration, now: Duration) -> Value {
    let Change { incident, began } = change;
    let subject = &incident.subject;
    // They are what tells one alert from another: all of them are the same until it is over.
    let mut labels: Map<String, Value> = [
        ("alertname", name(incident.topic)),
        ("severity", incident.severity().word()),
        ("job", "rhumb"),
        ("instance", instance),
    ]
    .into_iter()
    .map(|(label, value)| (label.to_owned(), value.into()))
    .collect();
    for (label, value) in [
        ("pool", &subject.pool),
        ("address", &subject.address),
        ("domain", &subject.domain),
        ("name", &subject.name),
    ] {
        labels.extend(value.clone().map(|value| (label.to_owned(), value.into())));
    }
    let (starts, ends) = match incident.phase {
        Phase::Begun => (incident.at, now + resend_after * MISSED),
        Phase::Over => (began.unwrap_or(incident.at), incident.at),
        Phase::Once => (incident.at, incident.at + ONCE),
    };
    json!({
        "labels": labels,
        "annotations": { "summary": incident.summary },
        "startsAt": text::moment(starts),
        "endsAt": text::moment(ends),
    })
}

fn name(topic: Topic) -> &'static str {
    match topic {
        Topic::Domain => "RhumbDomainDown",
        Topic::Isolation => "RhumbIsolated",
        Topic::Pool => "RhumbPoolOut",
        Topic::Release => "RhumbPoolAwaitsRelease",
        Topic::Check => "RhumbCheckSuspected",
        Topic::Reload => "RhumbReloadRefused",
        Topic::Edits => "RhumbEditsOrphaned",
        Topic::Address => "RhumbAddressDown",
        Topic::Damping => "RhumbAddressDamped",
        Topic::Name => "RhumbNameUnresolved",
        Topic::Order => "RhumbOrder",
        Topic::Daemon => "RhumbDaemon",
        Topic::Test => "RhumbTest",
    }
}
