//! The cache of a resolver, for one name and type.

use std::net::IpAddr;
use std::time::Duration;

/// How long a failure to resolve is remembered: the least that RFC 9520 section 3.2 allows.
const FAILURE_TTL: Duration = Duration::from_secs(1);

/// The addresses of a name, in the order of the answer, and how long they hold. There may be none
/// (NXDOMAIN, NODATA); that holds for a time as well (RFC 2308 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ttl: Duration,
}

/// What became of a query: an answer, or why there is none.
pub(super) type Resolution = Result<Answer, String>;

/// Holds the last resolution for as long as it says, never longer.
#[derive(Debug, Default)]
pub(super) struct Cache {
    held: Option<(Resolution, Duration)>,
}

impl Cache {
    /// What is held, unless it has expired by `now`.
    pub(super) fn fresh(&self, now: Duration) -> Option<&Resolution> {
        self.held.as_ref().filter(|(_, expires)| now < *expires).map(|(resolution, _)| resolution)
    }

    /// Holds `resolution`, which arrived at `now`, instead of what was held.
    pub(super) fn hold(&mut self, resolution: Resolution, now: Duration) {
        let ttl = resolution.as_ref().map_or(FAILURE_TTL, |answer| answer.ttl);
        self.held = Some((resolution, now + ttl));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_long_as_the_ttl_and_no_longer() {
        let answer =
            |ttl| Ok(Answer { addresses: vec![IpAddr::from([192, 0, 2, 1])], ttl: Duration::from_secs(ttl) });
        let cases: [(Resolution, u64, bool); 7] = [
            (answer(2), 0, true),
            (answer(2), 1_999, true),
            (answer(2), 2_000, false),
            (answer(2), 5_000, false),
            (answer(0), 0, false),
            (Err("SERVFAIL".to_owned()), 999, true),
            (Err("SERVFAIL".to_owned()), 1_000, false),
        ];
        for (resolution, age, fresh) in cases {
            let arrived = Duration::from_millis(10_250);
            let mut cache = Cache::default();
            assert_eq!(cache.fresh(arrived), None);
            cache.hold(resolution.clone(), arrived);
            let now = arrived + Duration::from_millis(age);
            assert_eq!(cache.fresh(now), fresh.then_some(&resolution), "{resolution:?} after {age} ms");
        }
    }

    #[test]
    fn what_is_newer_replaces_what_is_held() {
        let second = Duration::from_secs(1);
        let mut cache = Cache::default();
        cache.hold(Ok(Answer { addresses: Vec::new(), ttl: 60 * second }), second);
        cache.hold(Err("SERVFAIL".to_owned()), 2 * second);
        assert_eq!(cache.fresh(2 * second), Some(&Err("SERVFAIL".to_owned())));
        assert_eq!(cache.fresh(4 * second), None);
    }
}
