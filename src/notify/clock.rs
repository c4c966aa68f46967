//! What time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For spans: nobody sets it. The outbox is given it.
#[allow(clippy::disallowed_methods, reason = "the outside world is where time enters")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Since the beginning of 1970: signatures, alerts and people are told the time of day.
#[allow(clippy::disallowed_methods, reason = "the outside world is where time enters")]
pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
