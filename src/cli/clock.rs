//! Where time enters commands.

use std::time::{Duration, Instant, SystemTime};

/// Counts from when it was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts to count.
    pub(super) fn start() -> Self {
        Clock { start: now() }
    }

    /// How long it has been counting.
    pub(super) fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.start)
    }
}

/// The date, for the head of a report.
#[allow(clippy::disallowed_methods, reason = "cli/ is an I/O floor")]
pub(super) fn date() -> SystemTime {
    SystemTime::now()
}

/// This moment.
#[allow(clippy::disallowed_methods, reason = "cli/ is an I/O floor")]
pub(super) fn now() -> Instant {
    Instant::now()
}
