//! What one answering thread keeps between queries.

use std::sync::Arc;

use super::{Counters, RoutingTable};

/// What one thread that answers keeps between queries: rotation, randomness and its counters.
pub struct Worker {
    pub(super) counters: Arc<Counters>,
    random: fastrand::Rng,
    /// Whose turn it is: a counter per pool and kind of address. One counter for all would let
    /// a client that asks A and AAAA in turn see only every other address.
    turns: Vec<u32>,
}

/// Counters per pool: one for A, one for AAAA, one for CNAME.
pub(super) const TURNS_PER_POOL: usize = 3;

impl Worker {
    /// A worker whose random choices follow from `seed`. Workers should have different ones, so
    /// that they do not rotate in step.
    pub fn new(seed: u64, counters: Arc<Counters>) -> Self {
        Worker { counters, random: fastrand::Rng::with_seed(seed), turns: Vec::new() }
    }

    /// Makes room for what `table` rotates; to be called whenever the worker sees a new table,
    /// so that `answer` need not allocate.
    pub fn prepare(&mut self, table: &RoutingTable) {
        let pools = table.pool_count() * TURNS_PER_POOL;
        let random = &mut self.random;
        if self.turns.len() < pools {
            self.turns.resize_with(pools, || random.u32(..));
        }
    }

    /// Takes the next turn of a counter.
    pub(super) fn turn(&mut self, slot: usize) -> u32 {
        match self.turns.get_mut(slot) {
            Some(turn) => {
                *turn = turn.wrapping_add(1);
                *turn
            }
            // The table is newer than the last `prepare`: fair on average.
            None => self.random.u32(..),
        }
    }

    /// A number below `bound`, which is not 0, each as likely.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.random.u32(..bound)
    }
}
