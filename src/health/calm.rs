//! How long nothing has been about to change.

use std::time::{Duration, Instant};

/// The longest that is told apart, in seconds: whoever keeps an answer for a day learns of no
/// failover anyway.
const MAX_LIMIT: u32 = 86_400;

/// For how long no flip has been near, in powers of two: 0, 1, 2, 4, 8 seconds and so on.
///
/// It bounds how long an answer may be kept: while a flip is near not at all, and afterwards for
/// as long as things have been calm, until that bounds nothing any more. In powers of two, because
/// each step makes a new table: up to a day there are eighteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calm {
    limit: u32,
    is_near: bool,
    /// When a flip was near last; `None`: long ago, or never.
    since: Option<Instant>,
}

impl Calm {
    /// Everything is calm. From `limit` seconds on, a day at the most, that bounds nothing.
    pub fn new(limit: u32) -> Self {
        Calm { limit: limit.min(MAX_LIMIT), is_near: false, since: None }
    }

    /// As it is when a flip is near, or was near last at `since`.
    pub fn resuming(limit: u32, is_near: bool, since: Option<Instant>) -> Self {
        Calm { is_near, since, ..Calm::new(limit) }
    }

    /// From how many seconds on it bounds nothing.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether a flip is near.
    pub fn is_near(&self) -> bool {
        self.is_near
    }

    /// When a flip was near last, as far as that still counts.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The same history with another limit.
    pub fn with_limit(self, limit: u32) -> Self {
        Calm { limit: limit.min(MAX_LIMIT), ..self }
    }

    /// Takes in, at `now`, whether a flip is near, and whether one has just happened.
    pub fn observe(&mut self, is_near: bool, has_flipped: bool, now: Instant) {
        if self.is_near || is_near || has_flipped {
            self.since = Some(now);
        } else if self.seconds(now) == u32::MAX {
            self.since = None;
        }
        self.is_near = is_near;
    }

    /// Seconds of calm, at least; `u32::MAX`: as many as the limit, or more.
    pub fn seconds(&self, now: Instant) -> u32 {
        match (self.is_near, self.since) {
            (true, _) => 0,
            (false, None) => u32::MAX,
            (false, Some(since)) => {
                let elapsed = now.saturating_duration_since(since).as_secs();
                let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
                let seconds = elapsed.checked_ilog2().map_or(0, |power| 1 << power);
                if seconds >= self.limit { u32::MAX } else { seconds }
            }
        }
    }

    /// When that changes next by time alone.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let since = self.since.filter(|_| !self.is_near)?;
        let step = match self.seconds(now) {
            u32::MAX => return None,
            0 => 1,
            seconds => 2 * seconds,
        };
        Some(since + Duration::from_secs(step.into()))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn calm_grows_in_powers_of_two_up_to_the_limit() {
        let start = Instant::now();
        for (limit, expected) in [
            (0, &[(0, u32::MAX)][..]),
            (1, &[(0, 0), (1, u32::MAX)]),
            (5, &[(0, 0), (1, 1), (2, 2), (4, 4), (8, u32::MAX)]),
            (8, &[(0, 0), (1, 1), (2, 2), (4, 4), (8, u32::MAX)]),
            (9, &[(0, 0), (1, 1), (2, 2), (4, 4), (8, 8), (16, u32::MAX)]),
        ] {
            let mut calm = Calm::new(limit);
            assert_eq!((calm.seconds(start), calm.next(start)), (u32::MAX, None));
            calm.observe(false, true, start);
            let mut now = start;
            let mut steps = vec![(0, calm.seconds(now))];
            while let Some(next) = calm.next(now) {
                assert_eq!(calm.seconds(next - ms(1)), calm.seconds(now));
                now = next;
                steps.push(((now - start).as_secs(), calm.seconds(now)));
            }
            assert_eq!(steps, expected, "limit {limit}");
        }
        let mut calm = Calm::new(u32::MAX);
        calm.observe(false, true, start);
        assert_eq!(calm.seconds(start + ms(65_536_000)), 65_536);
        assert_eq!(calm.seconds(start + ms(131_072_000)), u32::MAX);
    }

    #[test]
    fn while_a_flip_is_near_nothing_is_calm() {
        let start = Instant::now();
        let mut calm = Calm::new(30);
        calm.observe(true, false, start);
        assert_eq!((calm.seconds(start + ms(60_000)), calm.next(start)), (0, None));
        // It did not come to it.
        calm.observe(false, false, start + ms(60_000));
        assert_eq!(calm.seconds(start + ms(60_999)), 0);
        assert_eq!(calm.seconds(start + ms(64_000)), 4);
        calm.observe(true, false, start + ms(64_500));
        assert_eq!(calm.seconds(start + ms(64_500)), 0);
    }

    #[test]
    fn a_higher_limit_wakes_nothing_that_is_over() {
        let start = Instant::now();
        let mut calm = Calm::new(8);
        calm.observe(false, true, start);
        let raised = calm.with_limit(100);
        assert_eq!(raised.seconds(start + ms(9000)), 8, "it was not over yet");
        calm.observe(false, false, start + ms(9000));
        assert_eq!(calm.with_limit(100).seconds(start + ms(9000)), u32::MAX);
    }

    proptest! {
        #[test]
        fn it_never_claims_more_than_was_and_at_least_half(
            events in proptest::collection::vec((0u64..50_000, any::<bool>(), any::<bool>()), 1..40),
        ) {
            const LIMIT: u32 = 20;
            let mut now = Instant::now();
            let mut calm = Calm::new(LIMIT);
            let mut last: Option<Instant> = None;
            let mut was_near = false;
            for (gap, is_near, has_flipped) in events {
                now += ms(gap);
                let truth = match (was_near, last) {
                    (true, _) => 0,
                    (false, None) => u64::MAX,
                    (false, Some(last)) => (now - last).as_secs(),
                };
                let told = calm.seconds(now);
                if told == u32::MAX {
                    prop_assert!(truth >= u64::from(LIMIT));
                } else {
                    prop_assert!(u64::from(told) <= truth && truth < 2 * u64::from(told.max(1)));
                }
                prop_assert!(calm.next(now).is_none_or(|next| next > now));
                calm.observe(is_near, has_flipped, now);
                if was_near || is_near || has_flipped {
                    last = Some(now);
                }
                was_near = is_near;
            }
        }
    }
}
