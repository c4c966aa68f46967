//! Pool to addresses: who is given, compiled when the pool changes.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::pool_health::{PoolHealth, Share};
use super::rendezvous::{joined, member_hash, score};
use super::whereabouts::Whereabouts;
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
    /// See [`PoolHealth::calm`].
    pub(super) calm: u32,
}

/// One kind of address, and how to choose among them.
#[derive(Clone, Debug)]
pub(super) struct Selection<T, const INLINE: usize> {
    members: SmallVec<[T; INLINE]>,
    how: How,
    /// How many one reply carries; at most [`MAX_ANSWERS`].
    answers: u8,
}

/// How one reply's members are chosen.
#[derive(Clone, Debug)]
enum How {
    /// Those before this position always, of the others each in its turn.
    InTurn(u8),
    /// At random, in proportion to the weights: the sum of them up to and including each member.
    ByLot(Box<[u32]>),
    /// By the client's prefix: each member's hash and weight.
    ByHash(Box<[(u64, f32)]>),
    /// By rank, of the same rank each in its turn, but for those whose share does not include the
    /// client.
    ByRank(Box<[Returning]>),
}

/// A member of a pool in which one comes back.
#[derive(Clone, Copy, Debug)]
struct Returning {
    hash: u64,
    share: Share,
    rank: u16,
}

/// The most addresses that one reply may carry: 64 AAAA records take 1,792 octets, more than any
/// UDP reply holds.
pub(super) const MAX_ANSWERS: usize = 64;

const _: () = assert!(size_of::<Selection<[u8; 4], 6>>() <= 64 && size_of::<Choices>() <= 192);

impl Choices {
    /// The choices among the addresses of `pool` that are up.
    pub(super) fn new(pool: &Pool, health: &PoolHealth) -> Self {
        let (v4, v6, cname) = match &pool.addresses {
            Addresses::Ip(list) => {
                let v4 = Selection::new(pool, list, health, |ip| match ip {
                    IpAddr::V4(ip) => Some(ip.octets()),
                    IpAddr::V6(_) => None,
                });
                let v6 = Selection::new(pool, list, health, |ip| match ip {
                    IpAddr::V4(_) => None,
                    IpAddr::V6(ip) => Some(ip.octets()),
                });
                (v4, v6, None)
            }
            Addresses::Cname(list) => {
                let names = Selection::new(pool, list, health, |name| Some(name.clone()));
                (Selection::none(), Selection::none(), Some(names).filter(|names| !names.is_empty()))
            }
            Addresses::Domain(_) => (Selection::none(), Selection::none(), None),
        };
        Choices { v4, v6, cname: cname.map(Box::new), calm: health.calm }
    }
}

/// An address that may be given.
struct Admitted<T> {
    rdata: T,
    hash: u64,
    weight: u16,
    share: Share,
    rank: u16,
}

impl<T: AsRef<[u8]>, const INLINE: usize> Selection<T, INLINE> {
    fn none() -> Self {
        Selection { members: SmallVec::new(), how: How::InTurn(0), answers: 0 }
    }

    fn new<A>(
        pool: &Pool,
        list: &[Address<A>],
        health: &PoolHealth,
        rdata: impl Fn(&A) -> Option<T>,
    ) -> Self {
        let mut admitted: Vec<Admitted<T>> = list
            .iter()
            .zip(&health.shares)
            // Weight 0 takes no traffic, under any policy and in any need.
            .filter(|(address, share)| address.weight > 0 && **share > Share::NONE)
            .filter_map(|(address, &share)| {
                let rdata = rdata(&address.target)?;
                let hash = member_hash(rdata.as_ref());
                Some(Admitted { rdata, hash, weight: address.weight, share, rank: address.rank })
            })
            .collect();
        let answers = usize::from(pool.answers).min(admitted.len()).min(MAX_ANSWERS);
        let is_ramping = admitted.iter().any(|member| member.share != Share::FULL);
        let how = match pool.policy {
            // There is nothing to choose, and so nothing that depends on the client.
            _ if admitted.len() < 2 => How::InTurn(0),
            PoolPolicy::RoundRobin if !is_ramping => How::InTurn(0),
            PoolPolicy::RoundRobin => by_lot(&admitted, |_| 1),
            PoolPolicy::Weighted => by_lot(&admitted, |member| member.weight),
            PoolPolicy::Hash => {
                let weight = |member: &Admitted<T>| f32::from(member.weight) * member.share.part();
                How::ByHash(admitted.iter().map(|member| (member.hash, weight(member))).collect())
            }
            PoolPolicy::Priority => {
                admitted.sort_by_key(|member| member.rank);
                if is_ramping {
                    let returning = |member: &Admitted<T>| {
                        let Admitted { hash, share, rank, .. } = *member;
                        Returning { hash, share, rank }
                    };
                    How::ByRank(admitted.iter().map(returning).collect())
                } else {
                    in_ranks(&mut admitted, answers)
                }
            }
        };
        let members = admitted.into_iter().map(|member| member.rdata).collect();
        Selection { members, how, answers: answers as u8 }
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
        whereabouts: &mut Whereabouts<'_>,
        mut give: impl FnMut(&'s T) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.members.is_empty() {
            return Ok(());
        }
        let answers = usize::from(self.answers);
        if let How::InTurn(fixed) = self.how {
            let (always, in_turn) = self.members.split_at(usize::from(fixed));
            for member in always {
                give(member)?;
            }
            // In 32 bits, which divide in half the time.
            let mut next = (chance.turn(slot) % in_turn.len() as u32) as usize;
            for _ in always.len()..answers {
                give(&in_turn[next])?;
                next += 1;
                if next == in_turn.len() {
                    next = 0;
                }
            }
            return Ok(());
        }
        let mut chosen = Chosen::default();
        let client = if let How::ByLot(_) = self.how { 0 } else { whereabouts.hash() };
        let turn = if let How::ByRank(_) = self.how { chance.turn(slot) } else { 0 };
        for _ in 0..answers {
            let position = match &self.how {
                How::ByHash(members) => best(members, client, &chosen),
                How::ByRank(members) => ranked(members, client, turn, &chosen),
                How::ByLot(cumulative) => draw(cumulative, chance, &mut chosen),
                How::InTurn(_) => return Ok(()),
            };
            chosen.add(position);
            give(&self.members[position])?;
        }
        Ok(())
    }

    /// All that [`choose`](Self::choose) may give to the client at `whereabouts`, each with its weight: how
    /// likely it is beside the others, and 1 where chance plays no part or takes each in its turn.
    pub(super) fn possible(&self, whereabouts: &mut Whereabouts<'_>) -> Vec<(&T, u32)> {
        let turns = match &self.how {
            How::InTurn(_) => return self.members.iter().map(|member| (member, 1)).collect(),
            How::ByLot(cumulative) => {
                let below = [0].into_iter().chain(cumulative.iter().copied());
                let weights = cumulative.iter().zip(below).map(|(sum, below)| sum - below);
                return self.members.iter().zip(weights).collect();
            }
            How::ByHash(_) => 1,
            // As many as there can be equals: each of them comes first in one.
            How::ByRank(members) => members.len() as u32,
        };
        let client = whereabouts.hash();
        let mut is_given = vec![false; self.members.len()];
        for turn in 0..turns {
            let mut chosen = Chosen::default();
            for _ in 0..self.answers {
                let position = match &self.how {
                    How::ByHash(members) => best(members, client, &chosen),
                    How::ByRank(members) => ranked(members, client, turn, &chosen),
                    How::InTurn(_) | How::ByLot(_) => break,
                };
                chosen.add(position);
                is_given[position] = true;
            }
        }
        let given = self.members.iter().zip(is_given).filter(|(_, is_given)| *is_given);
        given.map(|(member, _)| (member, 1)).collect()
    }
}

/// At random, in proportion to `weight` and to how far each is back in service.
fn by_lot<T>(admitted: &[Admitted<T>], weight: impl Fn(&Admitted<T>) -> u16) -> How {
    let is_ramping = admitted.iter().any(|member| member.share != Share::FULL);
    let weigh = |member: &Admitted<T>| {
        let parts = if is_ramping { member.share.parts() } else { 1 };
        u64::from(weight(member)) * u64::from(parts)
    };
    let total: u64 = admitted.iter().map(weigh).sum();
    // A pool of hundreds with large weights, while one of them comes back: in coarser units, but
    // of at least one each.
    let shift = (u64::BITS - total.leading_zeros()).saturating_sub(u32::BITS - 1);
    let mut sum = 0;
    How::ByLot(
        admitted
            .iter()
            .map(|member| {
                sum += (weigh(member) >> shift).max(1) as u32;
                sum
            })
            .collect(),
    )
}

/// Sorted by rank: as many of the best as a reply carries, those of the last rank that comes to
/// it each in its turn. The others are left out.
fn in_ranks<T>(admitted: &mut Vec<Admitted<T>>, answers: usize) -> How {
    let Some(last) = answers.checked_sub(1).map(|last| admitted[last].rank) else {
        return How::InTurn(0);
    };
    let fixed = admitted.partition_point(|member| member.rank < last);
    admitted.truncate(admitted.partition_point(|member| member.rank <= last));
    How::InTurn(fixed as u8)
}

/// The member that suits the client best of those not yet chosen, of which there is one.
fn best(members: &[(u64, f32)], client: u64, chosen: &Chosen) -> usize {
    let scored = (0..members.len()).filter(|position| !chosen.has(*position)).map(|position| {
        let (hash, weight) = members[position];
        (score(joined(client, hash), weight), position)
    });
    scored.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, position)| position)
}

/// Of those of the lowest rank that serve the client and are not yet chosen, the one whose turn it
/// is; else the first that is not.
fn ranked(members: &[Returning], client: u64, turn: u32, chosen: &Chosen) -> usize {
    let left = || (0..members.len()).filter(|position| !chosen.has(*position));
    let serving = || {
        left().filter(|&position| {
            let Returning { hash, share, .. } = members[position];
            share.includes(joined(!client, hash))
        })
    };
    let Some(best) = serving().next() else { return left().next().unwrap_or(0) };
    let equals = || serving().filter(|&position| members[position].rank == members[best].rank);
    equals().nth(turn as usize % equals().count()).unwrap_or(best)
}

/// One member in proportion to the weights of those not yet chosen, of which there is one.
fn draw(cumulative: &[u32], chance: &mut Chance, chosen: &mut Chosen) -> usize {
    /// Drawing again until a new one comes up is exact and, unless most of the weight is
    /// taken, quick; this often before the rest is looked through instead.
    const TRIES: usize = 4;
    let weight =
        |position: usize| cumulative[position] - if position == 0 { 0 } else { cumulative[position - 1] };
    let total = cumulative[cumulative.len() - 1];
    for _ in 0..TRIES {
        let point = chance.below(total);
        let position = cumulative.partition_point(|&sum| sum <= point);
        if !chosen.has(position) {
            chosen.weight += weight(position);
            return position;
        }
    }
    let mut point = chance.below(total - chosen.weight);
    for position in (0..cumulative.len()).filter(|&position| !chosen.has(position)) {
        if point < weight(position) {
            chosen.weight += weight(position);
            return position;
        }
        point -= weight(position);
    }
    unreachable!("the point lies below the sum of the weights that are left")
}

/// The positions chosen so far for one reply.
struct Chosen {
    positions: [u16; MAX_ANSWERS],
    count: usize,
    /// The sum of their weights, where they are drawn.
    weight: u32,
}

impl Default for Chosen {
    fn default() -> Self {
        Chosen { positions: [0; MAX_ANSWERS], count: 0, weight: 0 }
    }
}

impl Chosen {
    fn has(&self, position: usize) -> bool {
        self.positions[..self.count].iter().any(|&chosen| usize::from(chosen) == position)
    }

    fn add(&mut self, position: usize) {
        self.positions[self.count] = position as u16;
        self.count += 1;
    }
}
