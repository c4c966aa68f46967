//! Which candidates of a choice may be chosen.

use crate::plan::MAX_POOLS;

/// Which candidates of a choice may be chosen, one bit each.
#[derive(Default)]
pub(super) struct Admitted {
    first: u64,
    /// Of choices among more than the first word has bits. Such are rare, and memory to be cleared is not free.
    later: Option<[u64; MAX_POOLS / WORD - 1]>,
    count: usize,
}

/// Candidates in one word.
const WORD: usize = u64::BITS as usize;

impl Admitted {
    /// Enters those of `candidates` for which `is_admitted` says so.
    #[inline(always)]
    pub(super) fn enter<T>(&mut self, candidates: &[T], mut is_admitted: impl FnMut(usize, &T) -> bool) {
        let mut count = 0;
        // In registers, not in what they end up in: a candidate would wait for the one before it.
        let mut word = |base: usize, candidates: &[T]| {
            let mut bits = 0;
            for (bit, candidate) in candidates.iter().enumerate() {
                let is_admitted = is_admitted(base + bit, candidate);
                bits |= u64::from(is_admitted) << bit;
                count += usize::from(is_admitted);
            }
            bits
        };
        let (head, tail) = candidates.split_at(candidates.len().min(WORD));
        self.first = word(0, head);
        if !tail.is_empty() {
            let words = self.later.insert([0; MAX_POOLS / WORD - 1]);
            let bases = (WORD..).step_by(WORD);
            for ((place, base), candidates) in words.iter_mut().zip(bases).zip(tail.chunks(WORD)) {
                *place = word(base, candidates);
            }
        }
        self.count = count;
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the candidate at `at` is one.
    pub(super) fn has(&self, at: usize) -> bool {
        let word = match at.checked_sub(WORD) {
            None => self.first,
            Some(behind) => self.later.as_ref().map_or(0, |later| later[behind / WORD]),
        };
        word >> (at % WORD) & 1 != 0
    }

    /// They, in order.
    #[inline(always)]
    pub(super) fn iter(&self) -> Positions<'_> {
        let later = self.later.as_ref().map_or(&[][..], |later| later);
        Positions { word: self.first, base: 0, later }
    }
}

/// The positions of the bits that are set.
pub(super) struct Positions<'a> {
    /// What is left of the word that is looked at.
    word: u64,
    /// The position of its first bit.
    base: usize,
    later: &'a [u64],
}

impl Iterator for Positions<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            let (next, later) = self.later.split_first()?;
            (self.word, self.later) = (*next, later);
            self.base += WORD;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(self.base + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_entered_come_back_in_order_and_no_others() {
        for (candidates, step) in
            [(0, 1), (1, 1), (4, 2), (63, 1), (64, 3), (65, 1), (200, 7), (MAX_POOLS, 63)]
        {
            let all: Vec<usize> = (0..candidates).collect();
            let mut admitted = Admitted::default();
            admitted.enter(&all, |at, candidate| {
                assert_eq!(at, *candidate);
                at % step == 0
            });
            let expected: Vec<usize> = (0..candidates).step_by(step).collect();
            assert_eq!(admitted.iter().collect::<Vec<_>>(), expected, "{candidates} in steps of {step}");
            assert_eq!(admitted.count(), expected.len());
            assert!(all.iter().all(|at| admitted.has(*at) == (at % step == 0)));
        }
    }

    #[test]
    fn none_may_be_among_the_first_and_some_behind() {
        let mut admitted = Admitted::default();
        admitted.enter(&[(); 130], |at, ()| at == 129);
        assert_eq!(admitted.iter().collect::<Vec<_>>(), [129]);
        assert!(admitted.has(129) && !admitted.has(65) && !admitted.has(1));
    }
}
