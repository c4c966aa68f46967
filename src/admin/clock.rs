//! What time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Since the beginning of 1970.
#[allow(clippy::disallowed_methods, reason = "what operators are told carries the time of day")]
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// For spans: nobody sets it.
#[allow(clippy::disallowed_methods, reason = "the outside world is where time enters")]
pub(super) fn instant() -> Instant {
    Instant::now()
}
