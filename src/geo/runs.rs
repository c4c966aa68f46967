//! A family of addresses cut into runs of equal value, and the ways to make it.

use std::cmp::Reverse;
use std::ops::BitXor;

/// An address of one family as the integer it is.
pub(super) trait Key: Copy + Ord + BitXor<Output = Self> + std::fmt::Debug {
    /// The length of an address in bits.
    const BITS: u32;
    /// The lowest address.
    const FIRST: Self;
    /// The highest address.
    const LAST: Self;

    /// The address after this one, unless it is the last.
    fn next(self) -> Option<Self>;
    /// The address before this one, unless it is the first.
    fn previous(self) -> Option<Self>;
    /// How many bits are zero before the first that is not.
    fn leading_zeros(self) -> u32;
    /// How many bits are zero behind the last that is not.
    fn trailing_zeros(self) -> u32;
    /// This address plus `count` blocks of 2^`log_size` addresses, wrapping.
    fn skip(self, count: usize, log_size: u32) -> Self;
}

macro_rules! key {
    ($integer:ty) => {
        impl Key for $integer {
            const BITS: u32 = <$integer>::BITS;
            const FIRST: Self = <$integer>::MIN;
            const LAST: Self = <$integer>::MAX;

            #[inline]
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            #[inline]
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }

            #[inline]
            fn leading_zeros(self) -> u32 {
                <$integer>::leading_zeros(self)
            }

            fn trailing_zeros(self) -> u32 {
                <$integer>::trailing_zeros(self)
            }

            #[inline]
            fn skip(self, count: usize, log_size: u32) -> Self {
                self.wrapping_add((count as $integer) << log_size)
            }
        }
    };
}

key!(u32);
key!(u128);

/// Addresses from `start` to the start of the next run.
///
/// Packed, so that a run of IPv6 addresses with a small value takes no more than it needs: there
/// are millions.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub(super) struct Run<K, V> {
    start: K,
    value: V,
}

impl<K: Copy, V: Copy> Run<K, V> {
    pub(super) fn new(start: K, value: V) -> Self {
        Run { start, value }
    }

    #[inline]
    pub(super) fn start(&self) -> K {
        self.start
    }

    #[inline]
    pub(super) fn value(&self) -> V {
        self.value
    }
}

/// All addresses of one family as runs: each reaches from its start to the next one's, the first
/// starts at the lowest address, and neighbours differ in value.
pub(super) struct Runs<K, V>(pub(super) Vec<Run<K, V>>);

impl<K: Key, V: Copy + PartialEq> Runs<K, V> {
    /// No address yet: the first push starts at the lowest address.
    pub(super) fn new() -> Self {
        Runs(Vec::new())
    }

    /// The same value everywhere.
    pub(super) fn uniform(value: V) -> Self {
        Runs(vec![Run::new(K::FIRST, value)])
    }

    /// From `start`, which is above every start before it, the value is `value`.
    pub(super) fn push(&mut self, start: K, value: V) {
        let last = self.0.last().copied();
        debug_assert!(last.map_or(start == K::FIRST, |last| last.start() < start));
        if last.is_none_or(|last| last.value() != value) {
            self.0.push(Run::new(start, value));
        }
    }

    /// Cuts the family at the bounds of `prefixes`, each an interval of addresses that nests in or
    /// is disjoint from any other; the value of a piece is `value_of` the marks of the prefixes that
    /// cover it, the smallest prefix first and equal ones in the order given.
    pub(super) fn from_nested<T: Copy>(
        mut prefixes: Vec<(K, K, T)>,
        value_of: &mut impl FnMut(&[T]) -> V,
    ) -> Self {
        // Outer before inner; of equal ones the last given is the outermost.
        prefixes.reverse();
        prefixes.sort_by_key(|&(first, last, _)| (first, Reverse(last)));
        let mut sweep =
            Sweep { runs: Runs::new(), open: Vec::new(), covered_to: None, marks: Vec::new(), value_of };
        for (first, last, mark) in prefixes {
            sweep.close_before(first);
            sweep.open.push((last, mark));
        }
        sweep.close_all();
        sweep.runs
    }

    /// What `value_of` makes of the values of `runs`, which are those of a whole family.
    pub(super) fn mapped<A: Copy>(runs: &[Run<K, A>], mut value_of: impl FnMut(A) -> V) -> Self {
        let mut mapped = Runs::new();
        for run in runs {
            mapped.push(run.start(), value_of(run.value()));
        }
        mapped
    }

    /// Cuts the family, of which `one` and `other` are all runs, wherever one of them is cut; the
    /// value of a piece is `value_of` theirs.
    pub(super) fn zip<A: Copy, B: Copy>(
        one: &[Run<K, A>],
        other: &[Run<K, B>],
        mut value_of: impl FnMut(A, B) -> V,
    ) -> Self {
        let mut runs = Runs::new();
        let (mut i, mut j) = (0, 0);
        let mut start = K::FIRST;
        loop {
            runs.push(start, value_of(one[i].value(), other[j].value()));
            let ends = (one.get(i + 1).map(Run::start), other.get(j + 1).map(Run::start));
            start = match ends {
                (None, None) => return runs,
                (Some(next), None) | (None, Some(next)) => next,
                (Some(next), Some(other_next)) => next.min(other_next),
            };
            i += usize::from(ends.0 == Some(start));
            j += usize::from(ends.1 == Some(start));
        }
    }
}

/// Finds addresses among the runs of a family that are many.
pub(super) trait Index: Clone {
    /// The family's addresses.
    type Key: Key;

    /// How many runs it can tell apart.
    const MAX_RUNS: usize;

    /// The index over `runs`, which are those of the whole family.
    fn over(runs: &[Run<Self::Key, u32>]) -> Self;

    /// Has the first fetched from memory that [`lookup`](Self::lookup) is going to read of `key`, without waiting for it.
    fn fetch(&self, key: Self::Key);

    /// The value of `key`, and the length of the shortest prefix that contains it and has this value
    /// throughout. `runs` are those that the index was made over.
    fn lookup(&self, runs: &[Run<Self::Key, u32>], key: Self::Key) -> (u32, u8);
}

/// The value of `key`, which is in the run of this number, and the length of the shortest prefix that contains
/// it and has this value throughout.
#[inline(always)]
pub(super) fn value_and_scope<K: Key>(runs: &[Run<K, u32>], number: usize, key: K) -> (u32, u8) {
    let run = runs[number];
    let below = run.start().previous().map_or(0, |last| scope(key, last));
    let above = runs.get(number + 1).map_or(0, |next| scope(key, next.start()));
    (run.value(), below.max(above))
}

/// The length of the shortest prefix that contains `key` and not `neighbour`: one bit longer than what
/// they have in common.
#[inline(always)]
pub(super) fn scope<K: Key>(key: K, neighbour: K) -> u8 {
    (key ^ neighbour).leading_zeros() as u8 + 1
}

/// A pass over nested prefixes in the order of their first addresses.
struct Sweep<'f, K, V, T, F> {
    runs: Runs<K, V>,
    /// The prefixes around the current address, outermost first: the last address and the mark of each.
    open: Vec<(K, T)>,
    /// The last address that has its value already.
    covered_to: Option<K>,
    /// Where the marks are put in order for `value_of`.
    marks: Vec<T>,
    value_of: &'f mut F,
}

impl<K: Key, V: Copy + PartialEq, T: Copy, F: FnMut(&[T]) -> V> Sweep<'_, K, V, T, F> {
    /// Gives every address below `address` its value and forgets the prefixes that end there.
    fn close_before(&mut self, address: K) {
        let Some(end) = address.previous() else { return };
        while let Some(&(last, _)) = self.open.last()
            && last <= end
        {
            self.cover_to(last);
            self.open.pop();
        }
        self.cover_to(end);
    }

    fn close_all(&mut self) {
        while let Some((last, _)) = self.open.last().copied() {
            self.cover_to(last);
            self.open.pop();
        }
        self.cover_to(K::LAST);
    }

    /// Gives the addresses up to `last` that have no value yet the one of the open prefixes.
    fn cover_to(&mut self, last: K) {
        if self.covered_to.is_some_and(|covered| covered >= last) {
            return;
        }
        let start = match self.covered_to {
            None => K::FIRST,
            Some(covered) => covered.next().expect("an address above it remains to be covered"),
        };
        self.marks.clear();
        self.marks.extend(self.open.iter().rev().map(|&(_, mark)| mark));
        self.runs.push(start, (self.value_of)(&self.marks));
        self.covered_to = Some(last);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Starts in which some addresses lie close together, around `bases` and at both ends.
    pub(in crate::geo) fn starts<K: Key + 'static>(bases: Vec<K>) -> impl Strategy<Value = Vec<K>> {
        let near = (0..bases.len(), 0usize..200, 0u32..14)
            .prop_map(move |(base, count, log_size)| bases[base].skip(count, log_size));
        prop::collection::btree_set(near, 0..400).prop_map(|mut starts| {
            starts.insert(K::FIRST);
            starts.into_iter().collect()
        })
    }

    /// Every start and its neighbours are found where a linear search finds them; `each` is what the values, which are
    /// all unlike, are multiples of.
    pub(in crate::geo) fn check_index<I: Index>(starts: &[I::Key], each: u32) {
        let runs: Vec<_> = (0..).zip(starts).map(|(number, &start)| Run::new(start, number * each)).collect();
        let index = I::over(&runs);
        let around = |&start: &I::Key| [start.previous(), Some(start), start.next()];
        let ends = [I::Key::FIRST, I::Key::LAST];
        for key in starts.iter().flat_map(around).flatten().chain(ends) {
            let number = starts.iter().filter(|&&start| start <= key).count() - 1;
            assert_eq!(index.lookup(&runs, key), value_and_scope(&runs, number, key), "{key:x?}");
        }
    }

    #[test]
    fn equal_neighbours_are_one_run() {
        let mut runs = Runs::new();
        for (start, value) in [(0u32, 'a'), (5, 'a'), (7, 'b'), (9, 'a')] {
            runs.push(start, value);
        }
        assert_eq!(runs.0.iter().map(|run| run.start()).collect::<Vec<_>>(), [0, 7, 9]);
    }

    /// Prefixes among the first and the last 256 addresses, each marked by its place in the list.
    fn prefixes() -> impl Strategy<Value = Vec<(u32, u32, usize)>> {
        let prefix = (any::<u8>(), 0u32..=8, any::<bool>()).prop_map(|(address, host_bits, high)| {
            let base = if high { !0xFF } else { 0 };
            let first = (u32::from(address) >> host_bits) << host_bits;
            (base + first, base + first + ((1 << host_bits) - 1))
        });
        prop::collection::vec(prefix, 0..12).prop_map(|prefixes| {
            prefixes.into_iter().enumerate().map(|(mark, (first, last))| (first, last, mark)).collect()
        })
    }

    proptest! {
        #[test]
        fn nested_prefixes_cover_as_a_linear_search_says(prefixes in prefixes()) {
            let mut lists = Vec::new();
            let runs = Runs::from_nested(prefixes.clone(), &mut |marks: &[usize]| {
                lists.push(marks.to_vec());
                lists.len() - 1
            });
            for address in (0..=256).chain(u32::MAX - 256..=u32::MAX) {
                let run = runs.0.partition_point(|run| run.start() <= address) - 1;
                let mut expected: Vec<_> =
                    prefixes.iter().filter(|(first, last, _)| (*first..=*last).contains(&address)).collect();
                expected.sort_by_key(|(first, last, mark)| (last - first, *mark));
                let expected: Vec<_> = expected.iter().map(|(.., mark)| *mark).collect();
                prop_assert_eq!(&lists[runs.0[run].value()], &expected);
            }
        }
    }
}
