//! The clocks, for those who tell when something was.

use std::time::{Instant, SystemTime};

/// The clock that never goes back.
#[allow(clippy::disallowed_methods, reason = "the one look at it in this room")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The clock of the calendar.
#[allow(clippy::disallowed_methods, reason = "the one look at it in this room")]
pub(super) fn calendar() -> SystemTime {
    SystemTime::now()
}
