//! How often something was how large: counted by one thread without a lock, added up when scraped.

use std::array;
use std::time::Duration;

use super::Counter;

/// Upper bounds of the stages of a failover, in nanoseconds: from a microsecond, which is about what a swap takes, over what
/// idle threads take to look for a table, to minutes of a patient check.
pub const STAGE_BOUNDS: [u64; 18] = [
    1_000,
    10_000,
    100_000,
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    150_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
];

/// How often something was how large, written by one thread and read by any.
#[derive(Debug)]
pub struct Histogram<const BOUNDS: usize> {
    bounds: &'static [u64; BOUNDS],
    /// By bound: what is no larger, but larger than the bound before.
    counts: [Counter; BOUNDS],
    /// What is larger than all bounds.
    larger: Counter,
    sum: Counter,
}

/// What a histogram has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Upper bounds, and how much is no larger than each but larger than the one before.
    pub buckets: Vec<(u64, u64)>,
    /// How much is larger than all bounds.
    pub larger: u64,
    /// The sum of everything.
    pub sum: u64,
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    /// Nothing yet, to be counted by these bounds, which rise.
    pub fn new(bounds: &'static [u64; BOUNDS]) -> Self {
        let counts = array::from_fn(|_| Counter::default());
        Histogram { bounds, counts, larger: Counter::default(), sum: Counter::default() }
    }

    /// Counts `value`; only the owning thread may call this.
    pub fn record(&self, value: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound);
        bucket.map_or(&self.larger, |bucket| &self.counts[bucket]).add(1);
        self.sum.add(value);
    }

    /// Counts a span, in nanoseconds; likewise.
    pub fn record_span(&self, span: Duration) {
        self.record(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What it has counted, from any thread.
    pub fn read(&self) -> Distribution {
        let buckets = self.bounds.iter().zip(&self.counts).map(|(bound, count)| (*bound, count.read()));
        Distribution { buckets: buckets.collect(), larger: self.larger.read(), sum: self.sum.read() }
    }
}

impl Distribution {
    /// Nothing yet, to be counted by these bounds, which rise.
    pub fn of(bounds: &[u64]) -> Self {
        let buckets = bounds.iter().map(|bound| (*bound, 0)).collect();
        Distribution { buckets, larger: 0, sum: 0 }
    }

    /// Counts a span, in nanoseconds.
    pub fn record_span(&mut self, span: Duration) {
        let value = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.buckets.iter_mut().find(|(bound, _)| value <= *bound);
        *bucket.map_or(&mut self.larger, |(_, count)| count) += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// How much was counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum::<u64>() + self.larger
    }

    /// Adds what another one of the same bounds has counted.
    pub fn add(&mut self, other: &Distribution) {
        if self.buckets.is_empty() {
            *self = other.clone();
            return;
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.larger += other.larger;
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_bucket_of_the_least_bound_that_holds_it() {
        let one = Histogram::new(&[1, 2, 4, 8, 16, 32]);
        for value in [1, 2, 3, 4, 32, 33, 1000] {
            one.record(value);
        }
        let read = one.read();
        assert_eq!(read.buckets, [(1, 1), (2, 1), (4, 2), (8, 0), (16, 0), (32, 1)]);
        assert_eq!((read.larger, read.sum, read.count()), (2, 1075, 7));
        let mut both = Distribution::default();
        both.add(&read);
        both.add(&read);
        assert_eq!((both.buckets[2], both.larger, both.sum, both.count()), ((4, 4), 4, 2150, 14));
    }

    #[test]
    fn spans_are_counted_alike_with_and_without_atomics() {
        let spans = [5, 10, 11, 200, 201].map(Duration::from_nanos);
        let one = Histogram::new(&[10, 200]);
        let mut other = Distribution::of(&[10, 200]);
        for span in spans {
            one.record_span(span);
            other.record_span(span);
        }
        assert_eq!(one.read(), other);
        assert_eq!((other.buckets, other.larger, other.sum), (vec![(10, 2), (200, 2)], 1, 427));
    }
}
