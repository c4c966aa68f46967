//! When a name is looked up again.

use std::time::Duration;

use crate::control::{Found, Lookup};

/// An answer is not asked for more often than this, even if its TTL is 0: a second is as fast as
/// DNS can tell, and what a resolver bears for any number of names.
const MIN_TTL: Duration = Duration::from_secs(1);

/// An answer is asked for at least this often, however long its TTL: a site that has moved is not
/// to be away for a day because somebody forgot to shorten a TTL before.
const MAX_TTL: Duration = Duration::from_secs(5 * 60);

/// Failures are tried again after a second, and then after twice as long each time, up to this
/// (RFC 9520 section 3.2; RFC 8767 section 5 has stale data refreshed every 30 seconds).
const MAX_RETRY: Duration = Duration::from_secs(30);

/// The pace at which one name is looked up.
#[derive(Default)]
pub(super) struct Pace {
    /// Failures in a row.
    failures: u32,
}

impl Pace {
    /// How long `lookup` will do, whose answers may be kept for `ttl`; `None`: they do not say.
    pub(super) fn next(&mut self, lookup: &Lookup, ttl: Option<Duration>) -> Duration {
        let has_failed = [&lookup.v4, &lookup.v6].into_iter().any(|found| matches!(found, Found::Failed(_)));
        let good_for = ttl.map(|ttl| ttl.clamp(MIN_TTL, MAX_TTL));
        match (has_failed, good_for) {
            (false, Some(good_for)) => {
                self.failures = 0;
                good_for
            }
            (_, good_for) => {
                let retry = MIN_TTL.saturating_mul(1 << self.failures.min(16)).min(MAX_RETRY);
                self.failures += 1;
                good_for.map_or(retry, |good_for| good_for.min(retry))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_good_for_their_ttl_and_failures_are_tried_again() {
        let good = || Found::Addresses(Vec::new());
        let failed = || Found::Failed("timed out".to_owned());
        let mut pace = Pace::default();
        for (v4, v6, ttl, expected) in [
            (good(), Found::Nothing, Some(60), 60),
            (good(), Found::Nothing, Some(0), 1),
            (good(), Found::Nothing, Some(86_400), 300),
            (failed(), failed(), None, 1),
            (failed(), failed(), None, 2),
            (failed(), good(), Some(60), 4),
            (failed(), good(), Some(2), 2),
            (failed(), failed(), None, 16),
            (failed(), failed(), None, 30),
            (failed(), failed(), None, 30),
            (Found::NoSuchName, Found::NoSuchName, Some(5), 5),
            (Found::NoSuchName, Found::NoSuchName, Some(900), 300),
            // A denial without a SOA record says nothing of how long it is good for.
            (Found::NoSuchName, Found::NoSuchName, None, 1),
            (Found::NoSuchName, Found::NoSuchName, None, 2),
            (good(), good(), Some(7), 7),
            (failed(), failed(), None, 1),
        ] {
            let lookup = Lookup { v4, v6 };
            let wait = pace.next(&lookup, ttl.map(Duration::from_secs));
            assert_eq!(wait, Duration::from_secs(expected), "{lookup:?} {ttl:?}");
        }
        for _ in 0..100 {
            assert!(pace.next(&Lookup { v4: failed(), v6: failed() }, None) <= MAX_RETRY);
        }
    }
}
