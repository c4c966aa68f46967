//! Messages for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::incident::Phase;
use super::outbox::{Change, Message};

/// What a message is about, in one line.
pub(super) fn title(message: &Message) -> String {
    // The worst, and of those the first.
    let mut worst = message.changes.first();
    for change in &message.changes {
        if worst.is_some_and(|worst| change.incident.severity() > worst.incident.severity()) {
            worst = Some(change);
        }
    }
    let first = worst.map(sentence).unwrap_or_default();
    match message.changes.len().saturating_sub(1) + message.more {
        0 => first,
        others => format!("{first} (and {others} more)"),
    }
}

/// How bad it is, in a word; `over` if all that it tells of is.
pub(super) fn word(message: &Message) -> &'static str {
    let is_over = |change: &Change| change.incident.phase == Phase::Over;
    if message.changes.iter().all(is_over) { "over" } else { message.severity().word() }
}

/// All of it, a line for each change.
pub(super) fn lines(message: &Message) -> Vec<String> {
    let mut lines: Vec<String> = message.changes.iter().map(line).collect();
    if message.more > 0 {
        lines.push(format!("and {} more", message.more));
    }
    lines
}

/// A moment as RFC 3339 writes it, in UTC.
pub(super) fn moment(since_1970: Duration) -> String {
    let time: SystemTime = UNIX_EPOCH + since_1970;
    humantime::format_rfc3339_millis(time).to_string()
}

fn line(change: &Change) -> String {
    let word = match change.incident.phase {
        Phase::Begun | Phase::Once => change.incident.severity().word(),
        Phase::Over => "over",
    };
    let at = moment(change.incident.at);
    // To the second: `2026-05-01T12:00:00.000Z`.
    let at = at.get(.."2026-05-01T12:00:00".len()).unwrap_or(&at);
    format!("{at}Z {word}: {}", sentence(change))
}

fn sentence(change: &Change) -> String {
    let Change { incident, began } = change;
    match began {
        Some(began) => {
            let lasted = Duration::from_secs(incident.at.saturating_sub(*began).as_secs());
            format!("{}, after {}", incident.summary, humantime::format_duration(lasted))
        }
        None => incident.summary.clone(),
    }
}
