//! The index over the runs of IPv4 addresses: what there is in each block of 2^16 of them.

use std::collections::HashMap;

use prefetch_index::prefetch_index;

use super::runs::{Index, Key, Run, scope};

/// As many as there are upper halves of addresses.
const BLOCKS: usize = 1 << 16;

/// So many starts are compared all, in a few dozen vectors: their cache lines are read side by side, whereas each step
/// of a binary search waits for the one before. A block of /24s has no more.
const COMPARED: usize = 256;

/// Finds the value of an IPv4 address, and its scope, in few cache lines: when a query comes, the kernel has filled
/// the caches with its own since the last one.
///
/// Most blocks have one value throughout. For these it is two reads: in 128 KiB of numbers, and in the blocks, of
/// which few are unlike.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    /// By the upper half of an address: its block.
    numbers: Box<[u16]>,
    blocks: Vec<Block>,
    /// For each block of several runs: where those behind the first start, as lower halves of addresses, and behind
    /// these the values of all.
    halves: Vec<u16>,
    /// Whether a value takes two halves, the lower of which comes first.
    is_wide: bool,
}

/// The addresses that share their upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Block {
    /// The value of all or, if there are several runs, where these lie among the halves.
    at: u32,
    /// How many runs start behind the first address.
    starts: u16,
    /// The scope that leaves out what comes before the run of the first address; 0 if nothing does.
    below: u8,
    /// The scope that leaves out what comes behind the run of the last; 0 if nothing does.
    above: u8,
}

impl Index for Blocks {
    type Key = u32;

    /// A run takes three halves at the most, and two more in a block that it reaches into: all are counted in 32 bits.
    const MAX_RUNS: usize = (u32::MAX as usize - 2 * BLOCKS) / 3;

    fn over(runs: &[Run<u32, u32>]) -> Self {
        let is_wide = runs.iter().any(|run| run.value() > u32::from(u16::MAX));
        let mut index = Blocks { numbers: Box::default(), blocks: Vec::new(), halves: Vec::new(), is_wide };
        let mut numbers = Vec::with_capacity(BLOCKS);
        let mut known = HashMap::new();
        let mut rest = runs;
        for upper in 0..BLOCKS as u32 {
            let first = upper << 16;
            while rest.get(1).is_some_and(|next| next.start() <= first) {
                rest = &rest[1..];
            }
            let behind = rest.iter().position(|run| run.start() > first | 0xffff).unwrap_or(rest.len());
            let block = index.block(first, &rest[..behind], rest.get(behind));
            let number = *known.entry(block).or_insert_with(|| {
                index.blocks.push(block);
                // No more than there are blocks.
                (index.blocks.len() - 1) as u16
            });
            numbers.push(number);
        }
        index.numbers = numbers.into();
        index.blocks.shrink_to_fit();
        index.halves.shrink_to_fit();
        index
    }

    #[inline(always)]
    fn fetch(&self, key: u32) {
        prefetch_index(&self.numbers, (key >> 16) as usize);
    }

    #[inline(always)]
    fn lookup(&self, _: &[Run<u32, u32>], key: u32) -> (u32, u8) {
        let block = self.blocks[usize::from(self.numbers[(key >> 16) as usize])];
        if block.starts == 0 {
            return (block.at, block.below.max(block.above));
        }
        let (starts, values) = self.halves[block.at as usize..].split_at(usize::from(block.starts));
        let number = count_to(starts, key as u16);
        let value = if self.is_wide {
            u32::from(values[2 * number]) | u32::from(values[2 * number + 1]) << 16
        } else {
            u32::from(values[number])
        };
        let inside = |lower: u16| scope(key, key & !0xffff | u32::from(lower));
        let below = if number == 0 { block.below } else { inside(starts[number - 1] - 1) };
        let above = starts.get(number).map_or(block.above, |&start| inside(start));
        (value, below.max(above))
    }
}

impl Blocks {
    /// The block from `first` on with these runs, of which the first may start before it, and the one behind them.
    fn block(&mut self, first: u32, runs: &[Run<u32, u32>], behind: Option<&Run<u32, u32>>) -> Block {
        // To neighbours outside the block all its addresses are alike.
        let outside = |neighbour: u32| scope(first, neighbour);
        let below = runs[0].start().previous().map_or(0, outside);
        let above = behind.map_or(0, |run| outside(run.start()));
        if let [run] = runs {
            return Block { at: run.value(), starts: 0, below, above };
        }
        let at = self.halves.len() as u32;
        self.halves.extend(runs[1..].iter().map(|run| run.start() as u16));
        for value in runs.iter().map(Run::value) {
            self.halves.push(value as u16);
            if self.is_wide {
                self.halves.push((value >> 16) as u16);
            }
        }
        Block { at, starts: (runs.len() - 1) as u16, below, above }
    }
}

/// How many of `starts`, which are in order, are not above `lower`.
#[inline(always)]
fn count_to(starts: &[u16], lower: u16) -> usize {
    let (mut count, mut rest) = (0, starts);
    while rest.len() > COMPARED {
        let (before, behind) = rest.split_at(rest.len() / 2);
        if behind[0] <= lower {
            count += before.len();
            rest = behind;
        } else {
            rest = before;
        }
    }
    let compared: u16 = rest.iter().map(|&start| u16::from(start <= lower)).sum();
    count + usize::from(compared)
}

#[cfg(test)]
mod tests {
    use super::super::runs::tests::{check_index, starts};
    use super::super::runs::value_and_scope;
    use super::*;
    use proptest::prelude::*;

    /// With these the values of few runs take one half each, and two that are unlike.
    const EACH: [u32; 2] = [1, 0x1_0003];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn finds_what_a_linear_search_finds(
            starts in starts(vec![0u32, 0x0100_0000, 0xCB00_7100, u32::MAX - 300]),
            each in prop::sample::select(&EACH[..]),
        ) {
            check_index::<Blocks>(&starts, each);
        }
    }

    /// Each run is found at its start and at its end; there are too many to search them one by one.
    fn check_large(runs: &[Run<u32, u32>]) -> Blocks {
        let index = Blocks::over(runs);
        for (number, run) in runs.iter().enumerate() {
            let last = runs.get(number + 1).and_then(|next| next.start().previous()).unwrap_or(u32::MAX);
            for key in [run.start(), last] {
                assert_eq!(index.lookup(runs, key), value_and_scope(runs, number, key), "{key:x}");
            }
        }
        index
    }

    #[test]
    fn finds_single_addresses_side_by_side() {
        // A block full of them, and parts of its neighbours. The values of all take a half each, or two.
        let block = (0x2_0000..0x3_0000).map(|start| Run::new(start, start - 0x2_0000));
        let narrow: Vec<_> = [Run::new(0, 1)].into_iter().chain(block).collect();
        check_large(&narrow);
        let around = [0].into_iter().chain(0x1_ff80..0x3_0080);
        check_large(&around.map(|start| Run::new(start, start)).collect::<Vec<_>>());
        for each in EACH {
            check_index::<Blocks>(&[0].into_iter().chain(5_000..7_000).collect::<Vec<u32>>(), each);
        }
    }

    #[test]
    fn all_blocks_may_be_unlike() {
        let runs: Vec<_> = (0..BLOCKS as u32).map(|upper| Run::new(upper << 16, upper)).collect();
        assert_eq!(check_large(&runs).blocks.len(), BLOCKS);
    }

    #[test]
    fn blocks_that_are_alike_are_kept_once() {
        let runs: Vec<_> = (0..256u32).map(|octet| Run::new(octet << 24, octet % 2)).collect();
        let index = check_large(&runs);
        // Those of a /8 are alike; a /8 is unlike others by its value and by what it shares with its neighbours.
        assert_eq!((index.blocks.len(), index.halves.len()), (16, 0));
    }
}
