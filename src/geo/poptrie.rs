//! The index over the runs of IPv6 addresses: a poptrie (Asai and Ohara, SIGCOMM 2015).

use prefetch_index::prefetch_index;

use super::runs::{Index, Key, Run, value_and_scope};

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

impl Index for Poptrie {
    type Key = u128;

    /// The bit [`NODE`] is not theirs.
    const MAX_RUNS: usize = NODE as usize - 1;

    fn over(runs: &[Run<u128, u32>]) -> Self {
        let mut builder = Builder { runs, nodes: Vec::new(), leaves: Vec::new() };
        let log_size = u128::BITS - DIRECT_BITS;
        let mut run = 0;
        let direct = (0..1 << DIRECT_BITS)
            .map(|slot| {
                let first = u128::FIRST.skip(slot, log_size);
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

    #[inline(always)]
    fn fetch(&self, key: u128) {
        prefetch_index(&self.direct, bits(key, 0, DIRECT_BITS));
    }

    #[inline]
    fn lookup(&self, runs: &[Run<u128, u32>], key: u128) -> (u32, u8) {
        let mut number = self.leaf(key) as usize;
        while let Some(next) = runs.get(number + 1)
            && next.start() <= key
        {
            number += 1;
        }
        value_and_scope(runs, number, key)
    }
}

impl Poptrie {
    #[inline(always)]
    fn leaf(&self, key: u128) -> u32 {
        let entry = self.direct[bits(key, 0, DIRECT_BITS)];
        if entry & NODE == 0 {
            return entry;
        }
        let mut node = &self.nodes[(entry & !NODE) as usize];
        let mut depth = DIRECT_BITS;
        loop {
            let bit = 1u64 << bits(key, depth, STRIDE);
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

struct Builder<'r> {
    runs: &'r [Run<u128, u32>],
    nodes: Vec<Node>,
    leaves: Vec<u32>,
}

impl Builder<'_> {
    /// Fills in the node at `at`, whose addresses begin with `first`, in run `run`, and have `depth` bits in common.
    fn fill(&mut self, at: u32, first: u128, depth: u32, run: usize) {
        // In the last stride fewer bits than six are left; a lookup pads them with zeros.
        let padding = (depth + STRIDE).saturating_sub(u128::BITS);
        let log_size = (u128::BITS - depth).saturating_sub(STRIDE);
        let mut node = Node { first_leaf: self.leaves.len() as u32, ..Node::default() };
        let mut children = [(u128::FIRST, 0); 1 << STRIDE];
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
    fn run_at(&self, key: u128, from: usize) -> usize {
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
fn last_of(first: u128, log_size: u32) -> u128 {
    first.skip(1, log_size).previous().unwrap_or(u128::LAST)
}

/// The `width` bits of `key` after the first `depth`; bits past its end are zero.
#[inline]
fn bits(key: u128, depth: u32, width: u32) -> usize {
    // The upper half is a machine word, and all that most lookups need.
    if depth + width <= u64::BITS {
        let upper = (key >> u64::BITS) as u64;
        ((upper >> (u64::BITS - depth - width)) & ((1 << width) - 1)) as usize
    } else {
        ((key << depth) >> (u128::BITS - width)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::runs::tests::{check_index, starts};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn finds_what_a_linear_search_finds(starts in starts(vec![
            0u128,
            0x2001_0db8 << 96,
            0x2400_cb00_0001 << 80,
            0x2a02_0000_0000_0001 << 64,
            u128::MAX - 300,
        ])) {
            check_index::<Poptrie>(&starts, 1);
        }
    }

    #[test]
    fn finds_single_addresses_side_by_side() {
        let starts: Vec<u128> = [0].into_iter().chain((0..5000).map(|i| u128::MAX - 4999 + i)).collect();
        check_index::<Poptrie>(&starts, 1);
    }

    #[test]
    fn sparse_runs_need_no_nodes() {
        let runs: Vec<_> = (0..256u32).map(|octet| Run::new(u128::from(octet) << 120, octet)).collect();
        let index = Poptrie::over(&runs);
        assert!(index.nodes.is_empty() && index.leaves.is_empty());
    }

    #[test]
    fn bits_are_cut_out_and_padded() {
        let key = 0x1234_5678u128 << 96;
        assert_eq!(bits(key, 0, 16), 0x1234);
        assert_eq!(bits(key, 16, 6), 0b010101);
        assert_eq!(bits(0b1101 << 62, 62, 6), 0b110100);
        // Four bits are left at depth 124; two zeros are put after them.
        assert_eq!(bits(u128::MAX, 124, 6), 0b111100);
    }
}
