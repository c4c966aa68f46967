//! Equal values stored once, under a number.

use std::hash::Hash;

use foldhash::{HashMap, HashMapExt};

/// Distinct values, numbered in the order they came.
pub(super) struct Interner<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T: Copy + Eq + Hash> Interner<T> {
    /// Holds nothing yet.
    pub(super) fn new() -> Self {
        Interner { numbers: HashMap::new(), values: Vec::new() }
    }

    /// Holds `value`, whose number is 0.
    pub(super) fn with_first(value: T) -> Self {
        let mut interner = Interner::new();
        interner.number(value);
        interner
    }

    /// The number of `value`, a new one if it has none.
    pub(super) fn number(&mut self, value: T) -> u32 {
        *self.numbers.entry(value).or_insert_with(|| {
            self.values.push(value);
            // A value comes from a record or from a run: there are no 2^32 of them in memory.
            u32::try_from(self.values.len() - 1).expect("fewer values than the octets they were read from")
        })
    }

    /// The values in the order of their numbers.
    pub(super) fn into_values(self) -> Vec<T> {
        self.values
    }
}
