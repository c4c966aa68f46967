//! What the last probes of an address found.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::health::{Failure, Outcome, Timings, Transition};

/// As many outcomes are kept of each address: at one probe per second those of the last minute and
/// a half, in some five kilobytes.
const OUTCOMES: usize = 100;

/// As many changes of the verdict are kept.
const TRANSITIONS: usize = 20;

/// The last outcomes and verdicts of an address.
#[derive(Default)]
pub(super) struct History {
    outcomes: VecDeque<Entry>,
    /// Shared with who writes them down, so that nothing is copied but when they change.
    transitions: Arc<VecDeque<Transition>>,
}

/// One outcome. There may be a million of them, and most are passes.
struct Entry {
    at: Instant,
    failure: Option<Box<Failure>>,
    took: Microseconds,
    resolve: Microseconds,
    connect: Microseconds,
    tls: Microseconds,
    first_byte: Microseconds,
}

/// A span up to an hour and a bit, in four octets; `MAX`: there was none.
#[derive(Clone, Copy)]
struct Microseconds(u32);

/// What the last probes of an address found, the latest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HistoryStatus {
    /// The pool's name.
    pub pool: String,
    /// The address's name within the pool.
    pub address: String,
    /// The last outcomes, at most 100; none where nothing watches it. A name that is resolved has none
    /// of its own: each of its addresses has.
    pub outcomes: Vec<ProbeStatus>,
    /// The last changes of the verdict, at most 20.
    pub transitions: Vec<TransitionStatus>,
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeStatus {
    /// How many seconds ago it ended.
    pub seconds_ago: f64,
    /// `pass`, or the kind of failure.
    pub outcome: String,
    /// The failure in words.
    pub reason: Option<String>,
    /// How many milliseconds it took.
    pub took_ms: f64,
    /// How many of them went into looking up the name.
    pub resolve_ms: Option<f64>,
    /// How many of them went into connecting.
    pub connect_ms: Option<f64>,
    /// How many of them went into the TLS handshake.
    pub tls_ms: Option<f64>,
    /// How many of them passed from the request to the first octet of the response.
    pub first_byte_ms: Option<f64>,
}

/// A change of the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransitionStatus {
    /// How many seconds ago it was.
    pub seconds_ago: f64,
    /// `up` or `down`.
    pub to: String,
    /// Why, in words.
    pub reason: String,
}

impl History {
    /// Takes in what a probe has found that ended at `at` and took so long.
    pub(super) fn add(&mut self, outcome: &Outcome, at: Instant, took: Duration, timings: Timings) {
        if self.outcomes.len() == OUTCOMES {
            self.outcomes.pop_front();
        }
        let failure = match outcome {
            Outcome::Pass => None,
            Outcome::Fail(failure) => Some(Box::new(failure.clone())),
        };
        // A script has this one phase: all that the probe took.
        let Timings { resolve, connect, tls, first_byte, script: _ } = timings;
        let [resolve, connect, tls, first_byte] = [resolve, connect, tls, first_byte].map(Microseconds::of);
        let took = Microseconds::of(Some(took));
        self.outcomes.push_back(Entry { at, failure, took, resolve, connect, tls, first_byte });
    }

    /// Takes in that the verdict has changed.
    pub(super) fn turn(&mut self, transition: &Transition) {
        let transitions = Arc::make_mut(&mut self.transitions);
        if transitions.len() == TRANSITIONS {
            transitions.pop_front();
        }
        transitions.push_back(transition.clone());
    }

    /// One that begins with these changes of the verdict, the earliest first.
    pub(super) fn resuming(transitions: Arc<VecDeque<Transition>>) -> Self {
        History { outcomes: VecDeque::new(), transitions }
    }

    /// The changes of the verdict, the earliest first.
    pub(super) fn turns(&self) -> &Arc<VecDeque<Transition>> {
        &self.transitions
    }

    /// The last outcome.
    pub(super) fn last(&self, now: Instant) -> Option<ProbeStatus> {
        self.outcomes.back().map(|entry| entry.status(now))
    }

    /// The outcomes, the latest first.
    pub(super) fn outcomes(&self, now: Instant) -> Vec<ProbeStatus> {
        self.outcomes.iter().rev().map(|entry| entry.status(now)).collect()
    }

    /// The changes of the verdict, the latest first.
    pub(super) fn transitions(&self, now: Instant) -> Vec<TransitionStatus> {
        let status = |transition: &Transition| TransitionStatus {
            seconds_ago: now.saturating_duration_since(transition.at).as_secs_f64(),
            to: transition.to.to_string(),
            reason: transition.to_string(),
        };
        self.transitions.iter().rev().map(status).collect()
    }
}

impl Entry {
    fn status(&self, now: Instant) -> ProbeStatus {
        let outcome = self.failure.as_ref().map_or(Outcome::Pass.label(), |failure| failure.label());
        ProbeStatus {
            seconds_ago: now.saturating_duration_since(self.at).as_secs_f64(),
            outcome: outcome.to_owned(),
            reason: self.failure.as_ref().map(ToString::to_string),
            took_ms: self.took.milliseconds().unwrap_or_default(),
            resolve_ms: self.resolve.milliseconds(),
            connect_ms: self.connect.milliseconds(),
            tls_ms: self.tls.milliseconds(),
            first_byte_ms: self.first_byte.milliseconds(),
        }
    }
}

impl Microseconds {
    fn of(span: Option<Duration>) -> Self {
        let micros = span.map_or(u32::MAX, |span| u32::try_from(span.as_micros()).unwrap_or(u32::MAX - 1));
        Microseconds(micros)
    }

    fn milliseconds(self) -> Option<f64> {
        (self.0 != u32::MAX).then(|| f64::from(self.0) / 1e3)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_are_kept_with_their_phases() {
        let start = Instant::now();
        let mut history = History::default();
        for second in 0..150 {
            let outcome = if second == 149 { Outcome::Fail(Failure::Status(503)) } else { Outcome::Pass };
            let connect = Some(Duration::from_micros(1_500));
            let timings = Timings { connect, ..Timings::default() };
            let at = start + Duration::from_secs(second);
            history.add(&outcome, at, Duration::from_millis(second), timings);
        }
        let now = start + Duration::from_secs(150);
        let outcomes = history.outcomes(now);
        let ages: Vec<f64> = outcomes.iter().map(|outcome| outcome.seconds_ago).collect();
        assert_eq!((ages.len(), ages[0], ages[99]), (100, 1.0, 100.0));
        assert_eq!(history.last(now).as_ref(), outcomes.first());
        let ProbeStatus { outcome, reason, took_ms, connect_ms, tls_ms, .. } = &outcomes[0];
        assert_eq!((&outcome[..], reason.as_deref(), *took_ms), ("status", Some("status 503"), 149.0));
        assert_eq!((*connect_ms, *tls_ms), (Some(1.5), None));
        assert_eq!((&outcomes[1].outcome[..], outcomes[1].reason.as_deref()), ("pass", None));
    }

    #[test]
    fn a_million_outcomes_fit_in_memory() {
        assert!(size_of::<Entry>() <= 48, "{}", size_of::<Entry>());
    }
}
