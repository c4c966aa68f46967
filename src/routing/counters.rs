//! Counters of one worker, written by it alone and summed when scraped.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one worker has counted since it started.
///
/// Aligned to two cache lines, since the adjacent-line prefetcher of x86 fetches them in pairs:
/// no two workers write to one line.
#[derive(Default, Debug)]
#[repr(align(128))]
pub struct Counters {
    /// Datagrams or TCP messages received.
    pub queries: Counter,
}

/// A number that one thread writes and any may read. Not a read-modify-write: an uncontended
/// plain store, since there is one writer.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; only the owning thread may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The current value, from any thread.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
