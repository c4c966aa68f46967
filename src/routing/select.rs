//! Pool to addresses: who is given, compiled when the pool changes.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::worker::Chance;
use crate::dns::Name;
use crate::plan::{Address, Addresses, Pool, PoolPolicy};

/// What a pool answers with, for one state of its addresses' health: the addresses to choose
/// from, by what a query can take. It lies in the table itself, with the members of a usual pool,
/// so that reading it is a matter of neighbouring cache lines: one for A, two more for AAAA.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Choices {
    pub(super) v4: Selection<[u8; 4], 6>,
    pub(super) v6: Selection<[u8; 16], 4>,
    /// In a box: pools of names are few.
    pub(super) cname: Option<Box<Selection<Name, 1>>>,
}

/// One kind of address, and how to choose among them.
#[derive(Clone, Debug)]
pub(super) struct Selection<T, const INLINE: usize> {
    members: SmallVec<[T; INLINE]>,
    /// For `weighted`: the sum of the weights up to and including each member. Empty for
    /// `round-robin`.
    cumulative: Box<[u32]>,
    /// How many one reply carries; at most [`MAX_ANSWERS`].
    answers: usize,
}

/// The most addresses that one reply may carry: 64 AAAA records take 1,792 octets, more than any
/// UDP reply holds.
pub(super) const MAX_ANSWERS: usize = 64;

const _: () = assert!(size_of::<Selection<[u8; 4], 6>>() <= 64 && size_of::<Choices>() <= 192);

impl Choices {
    /// The choices among the addresses of `pool` at the positions that `admits` lets pass.
    pub(super) fn new(pool: &Pool, admits: impl Fn(usize) -> bool) -> Self {
        match &pool.addresses {
            Addresses::Ip(list) => Choices {
                v4: Selection::new(pool, list, &admits, |ip| match ip {
                    IpAddr::V4(ip) => Some(ip.octets()),
                    IpAddr::V6(_) => None,
                }),
                v6: Selection::new(pool, list, &admits, |ip| match ip {
                    IpAddr::V4(_) => None,
                    IpAddr::V6(ip) => Some(ip.octets()),
                }),
                cname: None,
            },
            Addresses::Cname(list) => Choices {
                v4: Selection::none(),
                v6: Selection::none(),
                cname: Some(Selection::new(pool, list, &admits, |name| Some(name.clone())))
                    .filter(|names| !names.is_empty())
                    .map(Box::new),
            },
        }
    }
}

impl<T, const INLINE: usize> Selection<T, INLINE> {
    fn none() -> Self {
        Selection { members: SmallVec::new(), cumulative: Box::default(), answers: 0 }
    }

    fn new<A>(
        pool: &Pool,
        list: &[Address<A>],
        admits: impl Fn(usize) -> bool,
        rdata: impl Fn(&A) -> Option<T>,
    ) -> Self {
        let admitted = list.iter().enumerate().filter(|(position, address)| {
            // Weight 0 takes no traffic, under any policy and in any need.
            address.weight > 0 && admits(*position)
        });
        let (members, weights): (Vec<T>, Vec<u16>) =
            admitted.filter_map(|(_, address)| Some((rdata(&address.target)?, address.weight))).unzip();
        let cumulative = match pool.policy {
            PoolPolicy::RoundRobin => Vec::new(),
            PoolPolicy::Weighted => weights
                .iter()
                .scan(0u32, |sum, &weight| {
                    *sum += u32::from(weight);
                    Some(*sum)
                })
                .collect(),
        };
        let answers = usize::from(pool.answers).min(members.len()).min(MAX_ANSWERS);
        Selection { members: members.into_iter().collect(), cumulative: cumulative.into(), answers }
    }

    /// Whether there is nothing to give.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Gives each chosen member to `give`, in the order of the reply; stops at its first error.
    /// `slot` is the counter of turns for this pool and kind.
    pub(super) fn choose<'s, E>(
        &'s self,
        chance: &mut Chance,
        slot: usize,
        mut give: impl FnMut(&'s T) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.members.is_empty() {
            return Ok(());
        }
        if self.cumulative.is_empty() {
            let mut next = chance.turn(slot) as usize % self.members.len();
            for _ in 0..self.answers {
                give(&self.members[next])?;
                next += 1;
                if next == self.members.len() {
                    next = 0;
                }
            }
            return Ok(());
        }
        let mut chosen = Chosen { positions: [0; MAX_ANSWERS], count: 0, weight: 0 };
        for _ in 0..self.answers {
            let position = self.draw(chance, &chosen);
            chosen.add(position, self.weight(position));
            give(&self.members[position])?;
        }
        Ok(())
    }

    /// One member in proportion to the weights of those not yet chosen, of which there is one.
    fn draw(&self, chance: &mut Chance, chosen: &Chosen) -> usize {
        /// Drawing again until a new one comes up is exact and, unless most of the weight is
        /// taken, quick; this often before the rest is looked through instead.
        const TRIES: usize = 4;
        let total = self.cumulative[self.cumulative.len() - 1];
        for _ in 0..TRIES {
            let point = chance.below(total);
            let position = self.cumulative.partition_point(|&sum| sum <= point);
            if !chosen.has(position) {
                return position;
            }
        }
        let mut point = chance.below(total - chosen.weight);
        for position in (0..self.members.len()).filter(|&position| !chosen.has(position)) {
            let weight = self.weight(position);
            if point < weight {
                return position;
            }
            point -= weight;
        }
        unreachable!("the point lies below the sum of the weights that are left")
    }

    fn weight(&self, position: usize) -> u32 {
        self.cumulative[position] - if position == 0 { 0 } else { self.cumulative[position - 1] }
    }
}

/// The positions chosen so far for one reply.
struct Chosen {
    positions: [u16; MAX_ANSWERS],
    count: usize,
    /// The sum of their weights.
    weight: u32,
}

impl Chosen {
    fn has(&self, position: usize) -> bool {
        self.positions[..self.count].iter().any(|&chosen| usize::from(chosen) == position)
    }

    fn add(&mut self, position: usize, weight: u32) {
        self.positions[self.count] = position as u16;
        self.count += 1;
        self.weight += weight;
    }
}
