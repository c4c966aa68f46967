//! Addresses that flip too often.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When an address that flips is held down, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DampingRules {
    /// As many flips within the window are borne.
    pub flips: u32,
    /// How far back flips count.
    pub window: Duration,
    /// How long the address is held down after its last flip.
    pub hold: Duration,
}

/// The flips of an address, and whether it is held down for them.
///
/// One flip too many starts the hold, and each further one starts it over: it ends when the
/// address has kept still for as long as the hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damping {
    rules: Option<DampingRules>,
    /// The latest flips, no more than it takes to decide.
    recent: VecDeque<Instant>,
    hold: Option<Hold>,
}

/// An address is held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// For how many flips: those that led to it and those since.
    pub flips: u32,
    /// Until when, if it does not flip again.
    pub until: Instant,
}

impl Damping {
    /// An address that has not flipped yet; without rules it never is held.
    pub fn new(rules: Option<DampingRules>) -> Self {
        Damping { rules, recent: VecDeque::new(), hold: None }
    }

    /// An address that has flipped at these moments, the earliest first, and is under this hold, which is
    /// taken for no longer than the rules allow from `now` on.
    pub fn resuming(
        rules: Option<DampingRules>,
        recent: impl IntoIterator<Item = Instant>,
        hold: Option<Hold>,
        now: Instant,
    ) -> Self {
        let Some(DampingRules { flips, hold: longest, .. }) = rules else { return Damping::new(None) };
        let mut recent: VecDeque<Instant> = recent.into_iter().collect();
        let needed = usize::try_from(flips).unwrap_or(usize::MAX).saturating_add(1);
        recent.drain(..recent.len().saturating_sub(needed));
        let hold = hold.map(|hold| Hold { until: hold.until.min(now + longest), ..hold });
        Damping { rules, recent, hold }
    }

    /// The latest flips, the earliest first, as many as it takes to decide.
    pub fn recent(&self) -> impl Iterator<Item = Instant> {
        self.recent.iter().copied()
    }

    /// The last hold, which may be over.
    pub fn last_hold(&self) -> Option<Hold> {
        self.hold
    }

    /// The same history under other rules. They decide from the next flip on; without any, a hold
    /// ends at once.
    pub fn with_rules(self, rules: Option<DampingRules>) -> Self {
        let Damping { recent, hold, .. } = self;
        Damping { rules, recent, hold: hold.filter(|_| rules.is_some()) }
    }

    /// The verdict on the address has flipped at `now`.
    pub fn flip(&mut self, now: Instant) {
        let Some(DampingRules { flips, window, hold }) = self.rules else { return };
        let running = self.hold(now);
        self.recent.push_back(now);
        let borne = usize::try_from(flips).unwrap_or(usize::MAX);
        while self.recent.len() > borne.saturating_add(1) {
            self.recent.pop_front();
        }
        let first = *self.recent.front().expect("one was just added");
        let is_too_many = self.recent.len() > borne && now.saturating_duration_since(first) <= window;
        let count = match running {
            Some(running) => running.flips.saturating_add(1),
            None => flips.saturating_add(1),
        };
        if is_too_many || running.is_some() {
            self.hold = Some(Hold { flips: count, until: now + hold });
        }
    }

    /// The hold that the address is under at `now`.
    pub fn hold(&self, now: Instant) -> Option<Hold> {
        self.hold.filter(|hold| now < hold.until)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: DampingRules =
        DampingRules { flips: 2, window: Duration::from_secs(10), hold: Duration::from_secs(5) };

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Flips at these seconds: for how many flips, and until which second, the address is held then.
    fn held(flips: &[u64]) -> Option<(u32, u64)> {
        let start = Instant::now();
        let mut damping = Damping::new(Some(RULES));
        for second in flips {
            damping.flip(start + secs(*second));
        }
        let last = start + secs(flips.last().copied().unwrap_or(0));
        damping.hold(last).map(|hold| (hold.flips, (hold.until - start).as_secs()))
    }

    #[test]
    fn one_flip_too_many_within_the_window_holds() {
        for (flips, expected) in [
            (&[][..], None),
            (&[0, 1], None),
            (&[0, 1, 2], Some((3, 7))),
            (&[0, 1, 10], Some((3, 15))),
            (&[0, 1, 11], None),
            (&[0, 1, 11, 12], None),
            (&[0, 1, 11, 11], Some((3, 16))),
            // Each further one starts the hold over, also where the window has moved on.
            (&[0, 1, 2, 6, 10], Some((5, 15))),
            (&[0, 1, 2, 6, 10, 14], Some((6, 19))),
            // Over, and again too many.
            (&[0, 1, 2, 7], Some((3, 12))),
        ] {
            assert_eq!(held(flips), expected, "{flips:?}");
        }
    }

    #[test]
    fn a_hold_ends_to_the_moment() {
        let start = Instant::now();
        let mut damping = Damping::new(Some(DampingRules { flips: 0, ..RULES }));
        assert_eq!(damping.hold(start), None);
        damping.flip(start);
        assert!(damping.hold(start + secs(5) - Duration::from_nanos(1)).is_some());
        assert_eq!(damping.hold(start + secs(5)), None);
    }

    #[test]
    fn other_rules_decide_from_the_next_flip_on() {
        let start = Instant::now();
        let mut damping = Damping::new(Some(RULES));
        for second in 0..3 {
            damping.flip(start + secs(second));
        }
        let now = start + secs(2);
        let longer = DampingRules { hold: secs(60), ..RULES };
        let mut changed = damping.clone().with_rules(Some(longer));
        assert_eq!(changed.hold(now).map(|hold| hold.until), Some(start + secs(7)));
        changed.flip(now);
        assert_eq!(changed.hold(now), Some(Hold { flips: 4, until: start + secs(62) }));
        assert_eq!(damping.with_rules(None).hold(now), None);
        let mut free = Damping::new(None);
        for _ in 0..100 {
            free.flip(now);
        }
        assert_eq!(free, Damping::new(None));
    }

    #[test]
    fn a_hold_goes_on_and_for_no_longer_than_the_rules_say() {
        let start = Instant::now();
        let mut damping = Damping::new(Some(RULES));
        for second in 0..3 {
            damping.flip(start + secs(second));
        }
        let now = start + secs(4);
        let hold = damping.hold(now);
        let again = |rules, now| Damping::resuming(rules, damping.recent(), hold, now);
        assert_eq!(again(Some(RULES), now), damping);
        assert_eq!(again(None, now), Damping::new(None));
        let early = again(Some(RULES), start).hold(start);
        assert_eq!(early, Some(Hold { flips: 3, until: start + RULES.hold }), "until 7 it was");
    }

    proptest! {
        /// Against the words of the rule, read off the whole history.
        #[test]
        fn holds_follow_from_the_history(
            flips in 0u32..4,
            gaps in proptest::collection::vec(0u64..12, 0..40),
        ) {
            let rules = DampingRules { flips, ..RULES };
            let start = Instant::now();
            let mut damping = Damping::new(Some(rules));
            let mut history: Vec<Instant> = Vec::new();
            let mut until = None;
            let mut now = start;
            for gap in gaps {
                now += secs(gap);
                prop_assert_eq!(damping.hold(now).is_some(), until.is_some_and(|until| now < until));
                let is_held = until.is_some_and(|until| now < until);
                history.push(now);
                damping.flip(now);
                let within = history.iter().filter(|flip| now - **flip <= rules.window).count();
                if is_held || within > flips as usize {
                    until = Some(now + rules.hold);
                }
                prop_assert_eq!(damping.hold(now).map(|hold| hold.until), until.filter(|until| now < *until));
            }
        }
    }
}
