//! Shares that grow from nothing to all.

use std::time::{Duration, Instant};

/// Each step is a new table. Of twenty, each moves a twentieth of the clients, which a site that
/// is warming up hardly notices.
const MAX_STEPS: u32 = 20;

/// Resolvers keep an answer for a second at least: quicker steps would be seen by nobody.
const MIN_STEP: Duration = Duration::from_secs(1);

/// Longer ramps count as this one, so that no sum of times overflows.
const MAX_LENGTH: Duration = Duration::from_secs(365 * 24 * 3600);

/// A share that grows from nothing to all in steps: at most twenty of one length, none shorter
/// than a second, unless the whole is.
///
/// The share of a step is what a straight line would have in the middle of it: on the whole as
/// much is given as along the line, and from the first moment on it is more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    start: Instant,
    length: Duration,
}

impl Ramp {
    /// A ramp from `start` on. One without length is over at once.
    pub fn new(start: Instant, length: Duration) -> Self {
        Ramp { start, length: length.min(MAX_LENGTH) }
    }

    /// The share at `now`, above 0 and up to 1; before the start that of the first step.
    pub fn share(&self, now: Instant) -> f64 {
        let done = self.steps_done(now);
        if done == self.steps() { 1.0 } else { (f64::from(done) + 0.5) / f64::from(self.steps()) }
    }

    /// When the share grows next; `None`: it is all.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let done = self.steps_done(now);
        (done < self.steps()).then(|| self.end_of_step(done + 1))
    }

    /// When the share is all.
    pub fn end(&self) -> Instant {
        self.start + self.length
    }

    fn steps(&self) -> u32 {
        let most = self.length.as_secs() / MIN_STEP.as_secs();
        u32::try_from(most).unwrap_or(MAX_STEPS).clamp(1, MAX_STEPS)
    }

    fn steps_done(&self, now: Instant) -> u32 {
        (1..=self.steps()).take_while(|step| self.end_of_step(*step) <= now).count() as u32
    }

    /// The first step is number 1.
    fn end_of_step(&self, step: u32) -> Instant {
        self.start + self.length * step / self.steps()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every share of a ramp of `length` milliseconds, with the milliseconds from which it holds.
    fn shares(length: u64) -> Vec<(u128, f64)> {
        let start = Instant::now();
        let ramp = Ramp::new(start, Duration::from_millis(length));
        let mut now = start;
        let mut shares = vec![(0, ramp.share(now))];
        while let Some(next) = ramp.next(now) {
            assert!(next > now);
            assert_eq!(ramp.share(next - Duration::from_nanos(1)), ramp.share(now));
            now = next;
            shares.push(((now - start).as_millis(), ramp.share(now)));
        }
        assert_eq!(now.max(start), ramp.end());
        shares
    }

    #[test]
    fn shares_grow_in_steps() {
        for (length, expected) in [
            (0, &[(0, 1.0)][..]),
            (300, &[(0, 0.5), (300, 1.0)]),
            (1999, &[(0, 0.5), (1999, 1.0)]),
            (2000, &[(0, 0.25), (1000, 0.75), (2000, 1.0)]),
            (5000, &[(0, 0.1), (1000, 0.3), (2000, 0.5), (3000, 0.7), (4000, 0.9), (5000, 1.0)]),
        ] {
            assert_eq!(shares(length), expected, "{length} ms");
        }
        let minutes = shares(120_000);
        assert_eq!((minutes.len(), minutes[1], minutes[19]), (21, (6000, 0.075), (114_000, 0.975)));
    }

    #[test]
    fn before_its_start_it_stands_at_the_first_step() {
        let now = Instant::now();
        let ramp = Ramp::new(now + Duration::from_secs(5), Duration::from_secs(2));
        assert_eq!((ramp.share(now), ramp.next(now)), (0.25, Some(now + Duration::from_secs(6))));
        let ramp = Ramp::new(now, Duration::MAX);
        assert_eq!(ramp.share(now), 0.025);
    }

    proptest! {
        #[test]
        fn steps_are_few_and_follow_the_line(length in 0u64..100_000_000) {
            let shares = shares(length);
            prop_assert!(shares.len() <= 21);
            for pair in shares.windows(2) {
                let [(from, share), (until, next)] = [pair[0], pair[1]];
                prop_assert!(share < next && (until - from >= 1000 || shares.len() == 2));
                let line = (from + until) as f64 / 2.0 / length as f64;
                prop_assert!((share - line).abs() < 0.001 || length < 1000, "{share} instead of {line}");
            }
        }
    }
}
