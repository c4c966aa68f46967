//! The index over the starts of runs: a poptrie (Asai and Ohara, SIGCOMM 2015).

use super::runs::{Key, Run};

/// The first bits of an address are looked up in a table of 2^16 entries, 256 KiB, which stays in
/// the second-level cache.
const DIRECT_BITS: u32 = 16;

/// The following bits are taken in strides of 6: 2^6 children are counted in one 64-bit word.
const STRIDE: u32 = 6;

/// How many starts may lie between what a leaf names and the run looked for. They are searched one
/// after the other, in the cache line or two that have to be read anyway.
const MAX_STEPS: usize = 6;

/// An entry of the direct table with this bit is the number of a node, otherwise of a run.
const NODE: u32 = 1 << 31;

/// Finds runs by the bits of an address.
#[derive(Clone, Debug)]
pub(super) struct Poptrie {
    direct: Box<[u32]>,
    nodes: Vec<Node>,
    /// The numbers of runs.
    leaves: Vec<u32>,
}

/// One stride: for each value of its six bits a child node or a leaf.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The slots that are nodes.
    children: u64,
    /// The slots at which a new leaf begins; it is also that of the slots after, up to the next one.
    leaves: u64,
    /// Where the nodes of `children` begin, in the order of their slots.
    first_child: u32,
    /// Where the leaves of `leaves` begin, in the order of their slots.
    first_leaf: u32,
}

impl Poptrie {
    /// How many runs it can tell apart: the bit [`NODE`] is not theirs.
    pub(super) const MAX_RUNS: usize = NODE as usize - 1;

    /// The index over `runs`.
    pub(super) fn over<K: Key, V: Copy>(runs: &[Run<K, V>]) -> Self {
        let mut builder = Builder { runs, nodes: Vec::new(), leaves: Vec::new() };
        let log_size = K::BITS - DIRECT_BITS;
        let mut run = 0;
        let direct = (0..1 << DIRECT_BITS)
            .map(|slot| {
                let first = K::FIRST.skip(slot, log_size);
                run = builder.run_at(first, run);
                if builder.fits_leaf(run, builder.run_at(last_of(first, log_size), run)) {
                    return run as u32;
                }
                let node = builder.reserve(1);
                builder.fill(node, first, DIRECT_BITS, run);
                NODE | node
            })
            .collect();
        builder.nodes.shrink_to_fit();
        builder.leaves.shrink_to_fit();
        Poptrie { direct, nodes: builder.nodes, leaves: builder.leaves }
    }

    /// The number of the run that holds `key`, given the runs that the index was made over.
    #[inline]
    pub(super) fn find<K: Key, V: Copy>(&self, runs: &[Run<K, V>], key: K) -> usize {
        let mut number = self.leaf(key) as usize;
        while let Some(next) = runs.get(number + 1)
            && next.start() <= key
        {
            number += 1;
        }
        number
    }

    #[inline(always)]
    fn leaf<K: Key>(&self, key: K) -> u32 {
        let entry = self.direct[key.bits(0, DIRECT_BITS)];
        if entry & NODE == 0 {
            return entry;
        }
        let mut node = &self.nodes[(entry & !NODE) as usize];
        let mut depth = DIRECT_BITS;
        loop {
            let bit = 1u64 << key.bits(depth, STRIDE);
            if node.children & bit == 0 {
                let position = (node.leaves & (bit | (bit - 1))).count_ones() - 1;
                return self.leaves[(node.first_leaf + position) as usize];
            }
            let position = (node.children & (bit - 1)).count_ones();
            node = &self.nodes[(node.first_child + position) as usize];
            depth += STRIDE;
        }
    }
}

struct Builder<'r, K, V> {
    runs: &'r [Run<K, V>],
    nodes: Vec<Node>,
    leaves: Vec<u32>,
}

impl<K: Key, V: Copy> Builder<'_, K, V> {
    /// Fills in the node at `at`, whose addresses begin with `first`, in run `run`, and have `depth` bits in common.
    fn fill(&mut self, at: u32, first: K, depth: u32, run: usize) {
        // In the last stride fewer bits than six are left; a lookup pads them with zeros.
        let padding = (depth + STRIDE).saturating_sub(K::BITS);
        let log_size = (K::BITS - depth).saturating_sub(STRIDE);
        let mut node = Node { first_leaf: self.leaves.len() as u32, ..Node::default() };
        let mut children = [(K::FIRST, 0); 1 << STRIDE];
        let mut child_count = 0;
        let mut run = run;
        let mut leaf: Option<usize> = None;
        for position in 0..1usize << (STRIDE - padding) {
            let slot = position << padding;
            let slot_first = first.skip(position, log_size);
            run = self.run_at(slot_first, run);
            let last_run = self.run_at(last_of(slot_first, log_size), run);
            if leaf.is_some_and(|leaf| self.fits_leaf(leaf, last_run)) {
                continue;
            }
            if self.fits_leaf(run, last_run) {
                leaf = Some(run);
                node.leaves |= 1 << slot;
                self.leaves.push(run as u32);
            } else {
                children[child_count] = (slot_first, run);
                child_count += 1;
                node.children |= 1 << slot;
            }
        }
        node.first_child = self.reserve(child_count);
        self.nodes[at as usize] = node;
        for (child, &(child_first, child_run)) in (node.first_child..).zip(&children[..child_count]) {
            self.fill(child, child_first, depth + STRIDE, child_run);
        }
    }

    fn fits_leaf(&self, run: usize, last_run: usize) -> bool {
        last_run - run <= MAX_STEPS
    }

    /// The run that holds `key`, known to be `from` or a later one.
    fn run_at(&self, key: K, from: usize) -> usize {
        // Most often it is near: doubling the distance first keeps the search short.
        let mut reach = 1;
        while self.runs.get(from + reach).is_some_and(|run| run.start() <= key) {
            reach *= 2;
        }
        let end = (from + reach).min(self.runs.len());
        let low = from + reach / 2;
        low + self.runs[low..end].partition_point(|run| run.start() <= key) - 1
    }

    fn reserve(&mut self, count: usize) -> u32 {
        let first = self.nodes.len();
        self.nodes.resize(first + count, Node::default());
        first as u32
    }
}

/// The last address of the block of 2^`log_size` that begins with `first`.
fn last_of<K: Key>(first: K, log_size: u32) -> K {
    first.skip(1, log_size).previous().unwrap_or(K::LAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Starts in which some addresses lie close together, around `bases` and at both ends.
    fn starts<K: Key + 'static>(bases: Vec<K>) -> impl Strategy<Value = Vec<K>> {
        let near = (0..bases.len(), 0usize..200, 0u32..14)
            .prop_map(move |(base, count, log_size)| bases[base].skip(count, log_size));
        prop::collection::btree_set(near, 0..400).prop_map(|mut starts| {
            starts.insert(K::FIRST);
            starts.into_iter().collect()
        })
    }

    fn runs<K: Key>(starts: &[K]) -> Vec<Run<K, ()>> {
        starts.iter().map(|&start| Run::new(start, ())).collect()
    }

    /// Every start and its neighbours are found where a linear search finds them.
    fn check<K: Key>(starts: &[K]) {
        let runs = runs(starts);
        let index = Poptrie::over(&runs);
        let around = |&start: &K| [start.previous(), Some(start), start.next()];
        for key in starts.iter().flat_map(around).flatten().chain([K::FIRST, K::LAST]) {
            let expected = starts.iter().filter(|&&start| start <= key).count() - 1;
            assert_eq!(index.find(&runs, key), expected, "{key:x?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn finds_in_v4(starts in starts(vec![0u32, 0x0100_0000, 0xCB00_7100, u32::MAX - 300])) {
            check(&starts);
        }

        #[test]
        fn finds_in_v6(starts in starts(vec![
            0u128,
            0x2001_0db8 << 96,
            0x2400_cb00_0001 << 80,
            0x2a02_0000_0000_0001 << 64,
            u128::MAX - 300,
        ])) {
            check(&starts);
        }
    }

    #[test]
    fn finds_single_addresses_side_by_side() {
        let starts: Vec<u32> = (0..5000).collect();
        check(&starts);
        let starts: Vec<u128> = [0].into_iter().chain((0..5000).map(|i| u128::MAX - 4999 + i)).collect();
        check(&starts);
    }

    #[test]
    fn sparse_runs_need_no_nodes() {
        let starts: Vec<u32> = (0..256).map(|octet| octet << 24).collect();
        let index = Poptrie::over(&runs(&starts));
        assert!(index.nodes.is_empty() && index.leaves.is_empty());
    }
}
