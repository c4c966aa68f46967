//! When an address is due.

use std::ops::Range;
use std::time::{Duration, Instant};

/// First probes are spread over the interval, but over no more than this: a daemon that starts
/// knows every address within this and one timeout, and 10,000 addresses make 10 starts per
/// millisecond, which one core can serve.
const MAX_SPREAD: Duration = Duration::from_secs(1);

/// Longer intervals count as this one: no check is that rare, and no sum of times overflows.
const MAX_INTERVAL: Duration = Duration::from_secs(365 * 24 * 3600);

/// When an address is due.
///
/// Probes start on a grid: a first slot chosen by a seed, then one slot every interval. A probe
/// that starts or ends late moves no later slot, so the schedule does not drift. A slot that went
/// by while a probe was under way is served late if it is at most half an interval ago, and
/// skipped otherwise; so is one less than half an interval after the last start. There is never
/// a burst to catch up.
///
/// Serving a slot late matters where the timeout equals the interval: a timer fires a little
/// after its time, and without that grace an address that hangs would be probed at half its rate,
/// just when it matters.
///
/// While a change is to be confirmed, probes may be wanted sooner than their slots; that moves no
/// slot either: [`hurry`](Self::hurry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    interval: Duration,
    slot: Instant,
    /// A probe that comes before the slot, and not in its place.
    hurried: Option<Instant>,
}

impl Cadence {
    /// A schedule whose first slot is at `now` or later by less than the interval and less than
    /// a second, as `seed` decides. An interval of zero counts as one nanosecond.
    pub fn new(interval: Duration, seed: u64, now: Instant) -> Self {
        Cadence::within(0.0..1.0, interval, seed, now)
    }

    /// The same, where the first slot is in this `part` of the time over which first slots are spread, from 0
    /// to 1: so some addresses can go before others, and no more are due at a time.
    pub fn within(part: Range<f64>, interval: Duration, seed: u64, now: Instant) -> Self {
        let interval = interval.clamp(Duration::from_nanos(1), MAX_INTERVAL);
        let spread = interval.min(MAX_SPREAD);
        let [from, to] = [part.start, part.end].map(|part| spread.mul_f64(part.clamp(0.0, 1.0)));
        let slot = now + from + fraction(to.saturating_sub(from), seed);
        Cadence { interval, slot, hurried: None }
    }

    /// When the next probe starts. It lies in the past if that slot is served late.
    pub fn due(&self) -> Instant {
        self.hurried.map_or(self.slot, |hurried| hurried.min(self.slot))
    }

    /// The next probe starts at `at`, unless its slot is before that.
    pub fn hurry(&mut self, at: Instant) {
        self.hurried = Some(at).filter(|at| *at < self.slot);
    }

    /// A probe, that of the current slot or a hurried one, ran from `started` to `finished`: moves on to the next slot
    /// to serve.
    pub fn advance(&mut self, started: Instant, finished: Instant) {
        let grace = self.interval / 2;
        // After a hurried probe a slot is served however near it is: else an address that hangs from then
        // on would not be seen to for longer than an interval.
        let nearest = match self.hurried.take() {
            Some(_) => started,
            None => {
                self.slot += self.interval;
                started + grace
            }
        };
        let too_close = nearest.saturating_duration_since(self.slot);
        let too_late = finished.saturating_duration_since(self.slot).saturating_sub(grace);
        let skipped = too_close.max(too_late).as_nanos().div_ceil(self.interval.as_nanos());
        // More than fit in u32 are skipped only where the interval is one of nanoseconds; the
        // rest of them is skipped the next time.
        self.slot += self.interval * u32::try_from(skipped).unwrap_or(u32::MAX);
    }
}

/// The part of `whole`, from nothing to just below all of it, that `seed` decides.
fn fraction(whole: Duration, seed: u64) -> Duration {
    // At most MAX_SPREAD, whose nanoseconds fit in 30 bits.
    let nanos = (u128::from(scrambled(seed)) * whole.as_nanos()) >> 64;
    Duration::from_nanos(nanos as u64)
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014): seeds that are neighbours
/// give values that are not.
fn scrambled(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Runs probes that take `lengths` in turn and that the host starts `lag` after they are due,
    /// and returns their starts, counted from the first slot.
    fn starts(interval: Duration, lag: Duration, lengths: &[Duration]) -> Vec<Duration> {
        let mut cadence = Cadence::new(interval, 7, Instant::now());
        let origin = cadence.due();
        let mut now = origin;
        let mut starts = Vec::new();
        for &length in lengths {
            let started = now.max(cadence.due()) + lag;
            starts.push(started - origin);
            now = started + length;
            cadence.advance(started, now);
        }
        starts
    }

    #[test]
    fn starts_keep_to_the_grid() {
        let interval = ms(100);
        for (what, lag, lengths, expected) in [
            ("quick", ms(0), [1, 1, 1, 1], [0, 100, 200, 300]),
            ("slow, but within the interval", ms(0), [99, 99, 99, 99], [0, 100, 200, 300]),
            ("a late start does not add up", ms(3), [1, 1, 1, 1], [3, 103, 203, 303]),
            ("a timeout that fires late serves the slot", ms(0), [101, 101, 1, 1], [0, 101, 202, 300]),
            ("half an interval late is served", ms(0), [150, 1, 1, 1], [0, 150, 200, 300]),
            ("more is skipped", ms(0), [151, 1, 1, 1], [0, 200, 300, 400]),
            ("many missed are all skipped", ms(0), [1055, 1, 1, 1], [0, 1100, 1200, 1300]),
            ("a very late start is not made up for", ms(140), [1, 1, 1, 1], [140, 340, 540, 740]),
        ] {
            assert_eq!(starts(interval, lag, &lengths.map(ms)), expected.map(ms), "{what}");
        }
    }

    #[test]
    fn a_million_probes_do_not_drift() {
        let lengths = vec![ms(7); 1_000_000];
        let starts = starts(ms(100), Duration::from_micros(900), &lengths);
        assert_eq!(starts.last(), Some(&(ms(999_999 * 100) + Duration::from_micros(900))));
    }

    #[test]
    fn starts_are_never_closer_than_half_an_interval() {
        // Lengths from nothing to three intervals in an order without a pattern.
        let lengths: Vec<Duration> = (0..10_000).map(|n| fraction(ms(300), n)).collect();
        for lag in [0, 1, 49, 50, 51, 99, 140, 250] {
            let starts = starts(ms(100), ms(lag), &lengths);
            assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= ms(50)), "lag {lag} ms");
        }
    }

    #[test]
    fn first_slots_are_spread_evenly() {
        let now = Instant::now();
        for (interval, spread) in [(ms(500), ms(500)), (Duration::from_secs(60), MAX_SPREAD)] {
            let mut tenths = [0; 10];
            for seed in 0..10_000 {
                let wait = Cadence::new(interval, seed, now).due() - now;
                assert!(wait < spread);
                tenths[(wait.as_nanos() * 10 / spread.as_nanos()) as usize] += 1;
            }
            assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
        }
    }

    #[test]
    fn who_goes_first_is_through_before_the_others_begin() {
        let now = Instant::now();
        let waits = |part: Range<f64>| {
            let slot = |seed| Cadence::within(part.clone(), ms(500), seed, now).due() - now;
            let waits: Vec<Duration> = (0..1000).map(slot).collect();
            (waits.iter().min().copied(), waits.iter().max().copied())
        };
        let (first, last) = waits(0.0..0.2);
        assert!(first < Some(ms(2)) && (Some(ms(98))..Some(ms(100))).contains(&last), "{first:?} {last:?}");
        let (first, last) = waits(0.2..1.0);
        assert!((Some(ms(100))..Some(ms(102))).contains(&first), "{first:?}");
        assert!((Some(ms(496))..Some(ms(500))).contains(&last), "{last:?}");
    }

    #[test]
    fn hurried_probes_move_no_slot() {
        let mut cadence = Cadence::new(ms(100), 7, Instant::now());
        let origin = cadence.due();
        let mut starts = Vec::new();
        // Each probe takes 5 ms; the first three are followed by another 20 ms after their start.
        for number in 0..8 {
            let started = cadence.due();
            starts.push((started - origin).as_millis());
            cadence.advance(started, started + ms(5));
            if number < 3 {
                cadence.hurry(started + ms(20));
            }
        }
        assert_eq!(starts, [0, 20, 40, 60, 100, 200, 300, 400]);
        cadence.hurry(cadence.due() + ms(1));
        assert_eq!((cadence.due() - origin).as_millis(), 500, "nothing is put off");
    }

    #[test]
    fn odd_intervals_do_no_harm() {
        let now = Instant::now();
        for interval in [Duration::ZERO, Duration::MAX] {
            let mut cadence = Cadence::new(interval, 1, now);
            let before = cadence.due();
            cadence.advance(now, now + Duration::from_secs(3600));
            assert!(cadence.due() > before, "{interval:?}");
        }
    }
}
