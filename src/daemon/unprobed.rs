//! What keeps this host from probing, told without flooding the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::health::{Failure, LocalFailure};

/// How long the log is quiet about what it has told: whoever looks at the last minutes finds it.
const QUIET: Duration = Duration::from_secs(60);

/// What was told, by its words.
#[derive(Default)]
pub(super) struct Unprobed(HashMap<String, Told>);

struct Told {
    at: Instant,
    /// Probes since then.
    probes: u64,
}

impl Unprobed {
    /// Notes a probe that could not be made, because of `failure`. Returns how many there were since it
    /// was last told, if it is to be told now.
    pub(super) fn note(&mut self, failure: &Failure, now: Instant) -> Option<u64> {
        let reason = match failure {
            // It says for how long, which is never the same.
            Failure::Local(LocalFailure::Stalled(_)) => "stalled".to_owned(),
            other => other.to_string(),
        };
        self.note_reason(reason, now)
    }

    fn note_reason(&mut self, reason: String, now: Instant) -> Option<u64> {
        if let Some(told) = self.0.get_mut(&reason) {
            told.probes += 1;
            if now.saturating_duration_since(told.at) < QUIET {
                return None;
            }
        }
        let probes = self.0.get(&reason).map_or(1, |told| told.probes);
        self.0.retain(|_, told| now.saturating_duration_since(told.at) < QUIET);
        self.0.insert(reason, Told { at: now, probes: 0 });
        Some(probes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::control_loop::now;
    use super::*;

    #[test]
    fn each_reason_is_told_once_a_minute() {
        let mut unprobed = Unprobed::default();
        let start = now();
        let mut note = |reason: &str, seconds| {
            unprobed.note_reason(reason.to_owned(), start + Duration::from_secs(seconds))
        };
        assert_eq!(note("a", 0), Some(1));
        assert_eq!(note("a", 1), None);
        assert_eq!(note("b", 1), Some(1));
        assert_eq!(note("a", 59), None);
        assert_eq!(note("a", 60), Some(3));
        assert_eq!(note("b", 60), None);
        assert_eq!(note("a", 200), Some(1));
        // What is long past is forgotten.
        assert_eq!(unprobed.0.len(), 1);
    }
}
