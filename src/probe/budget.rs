//! The time of one probe, shared by its phases.

use std::error::Error;
use std::time::{Duration, Instant};

use super::{cause, now};
use crate::health::{Failure, Phase, Timings};

/// Longer timeouts count as this one, so that no sum of times overflows.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The time that one probe may take, from the first lookup to the last octet it needs, and what it
/// was spent on. Attempts that go on at the same time have a copy each.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    end: tokio::time::Instant,
    whole: Duration,
    spent: Timings,
}

impl Budget {
    pub(super) fn new(started: Instant, whole: Duration) -> Self {
        Budget { end: (started + whole.min(MAX_TIMEOUT)).into(), whole, spent: Timings::default() }
    }

    /// The whole time once more, from `started` on.
    pub(super) fn anew(self, started: Instant) -> Self {
        Budget { spent: self.spent, ..Budget::new(started, self.whole) }
    }

    /// The time of the whole probe, however much of it is left.
    pub(super) fn whole(self) -> Duration {
        self.whole
    }

    /// How long the phases took that have come to their end.
    pub(super) fn spent(self) -> Timings {
        self.spent
    }

    /// Runs one phase in what is left of the time.
    ///
    /// A result that is there when the time is over counts: where this process is what was slow,
    /// the answer is found in the socket before the timer is looked at.
    pub(super) async fn spend<T, E: Error + 'static>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let whole = self.whole;
        let timed_out = || Failure::TimedOut { phase, after: whole };
        let started = now();
        match tokio::time::timeout_at(self.end, work).await {
            Ok(Ok(done)) => {
                self.spent.add(phase, now().saturating_duration_since(started));
                Ok(done)
            }
            Ok(Err(error)) => Err(cause::failure(&error).unwrap_or_else(timed_out)),
            Err(_) => Err(timed_out()),
        }
    }
}
