//! Generic JSON, for programs.

use serde_json::{Value, json};

use super::outbox::Message;
use super::text;

/// The version of what is sent: another one if a member changes its meaning.
const VERSION: u32 = 1;

/// A message as JSON.
pub(super) fn body(message: &Message, instance: &str) -> Value {
    let events: Vec<Value> = message
        .changes
        .iter()
        .map(|change| {
            let incident = &change.incident;
            let subject = &incident.subject;
            json!({
                "event": incident.topic.word(),
                "state": incident.phase,
                "severity": incident.severity(),
                "pool": subject.pool,
                "address": subject.address,
                "domain": subject.domain,
                "name": subject.name,
                "summary": incident.summary,
                "at": text::moment(incident.at),
                "began": change.began.map(text::moment),
            })
        })
        .collect();
    json!({
        "version": VERSION,
        "instance": instance,
        "severity": message.severity(),
        "title": text::title(message),
        "events": events,
        "more": message.more,
    })
}
