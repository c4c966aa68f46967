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
/// that ends late moves no later slot, so the schedule does not drift. A slot that went by while
/// a probe was under way is served late if it is at most half an interval ago, and skipped
/// otherwise: two probes never start less than half an interval apart.
///
/// Serving the slot late matters where the timeout equals the interval: a timer fires a little
/// after its time, and without that grace an address that hangs would be probed at half its rate,
/// just when it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    interval: Duration,
    slot: Instant,
}

impl Cadence {
    /// A schedule whose first slot is at `now` or later by less than the interval and less than
    /// a second, as `seed` decides. An interval of zero counts as one nanosecond.
    pub fn new(interval: Duration, seed: u64, now: Instant) -> Self {
        let interval = interval.clamp(Duration::from_nanos(1), MAX_INTERVAL);
        Cadence { interval, slot: now + fraction(interval.min(MAX_SPREAD), seed) }
    }

    /// When the next probe starts. It lies in the past if that slot is served late.
    pub fn due(&self) -> Instant {
        self.slot
    }

    /// The probe of the current slot is over at `now`: moves on to the next slot to serve.
    pub fn advance(&mut self, now: Instant) {
        self.slot += self.interval;
        let late = now.saturating_duration_since(self.slot);
        let (interval, late) = (self.interval.as_nanos(), late.as_nanos());
        let mut missed = late / interval;
        if (late % interval) * 2 > interval {
            missed += 1;
        }
        // More slots than fit in u32 can only be missed with an interval of nanoseconds; what
        // remains of them is skipped the next time.
        self.slot += self.interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
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
