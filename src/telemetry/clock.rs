//! The clocks, for those who tell when something was.

use std::time::{Duration, Instant, SystemTime};

use nix::time::ClockId;

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

/// How long this machine is up, suspended or not. `None`: it has no such clock.
pub(super) fn uptime() -> Option<Duration> {
    ClockId::CLOCK_BOOTTIME.now().ok().map(Duration::from)
}
