//! All that a client may be answered: the answer given as often as lots and turns can fall, each with
//! its chance.
//!
//! It is [`super::answer`] itself that is run, with a recorder that says how each lot falls.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::answer::answer_recorded;
use super::pool_health::Share;
use super::recorder::{Reason, Recorder};
use super::select::{Choices, Selection};
use super::whereabouts::Whereabouts;
use super::{Client, Counters, RoutingTable, Transport, Worker};
use crate::dns::{ClientSubnet, Name, Rtype, query_message};
use crate::plan::{DomainId, MAX_POOLS, PoolId};

/// The most ways that are gone for one client: as many as one choice by lot can have. Where choices
/// by lot stand below each other there may be more, and the chances of those that are told
/// add up to less than 1.
pub(super) const MAX_WAYS: usize = MAX_POOLS;

/// All ways that an answer to a client may go, and how likely each is.
pub(super) type Fate<'t> = BTreeMap<Route<'t>, f64>;

/// A way that an answer may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route<'t> {
    /// The pools that are taken, one below the other; the last gives the addresses.
    pub(super) pools: Vec<&'t str>,
    /// The code of the reply, and whether it answers with anything.
    outcome: (u8, bool),
    /// What may be given, as it is on the wire, and the millionths of the answers that give it,
    /// where that is by lot.
    targets: Vec<(Box<[u8]>, u32)>,
}

#[cfg(test)]
impl Route<'_> {
    /// Whether an address may be given.
    pub(super) fn has_target(&self, octets: &[u8]) -> bool {
        self.targets.iter().any(|(target, _)| **target == *octets)
    }

    /// Whether anything may be.
    pub(super) fn has_any(&self) -> bool {
        !self.targets.is_empty()
    }
}

/// Goes all the ways of answers from one table.
pub(super) struct Explorer<'t> {
    table: &'t RoutingTable,
    worker: Worker,
    reply: Vec<u8>,
}

impl<'t> Explorer<'t> {
    pub(super) fn new(table: &'t RoutingTable) -> Self {
        let mut worker = Worker::new(0, Arc::new(Counters::default()));
        worker.prepare(table);
        Explorer { table, worker, reply: vec![0; usize::from(u16::MAX)] }
    }

    /// Whatever a client at `client` may be answered when it asks for `rtype` at `name`.
    pub(super) fn explore(&mut self, name: &Name, rtype: Rtype, client: IpAddr) -> Fate<'t> {
        let length = if client.is_ipv4() { 32 } else { 128 };
        let query = query_message(0, name, rtype, Some(ClientSubnet::new(client, length)));
        // By TCP, so that nothing is left out.
        let asker = Client { address: client, transport: Transport::Tcp };
        let mut fate = Fate::new();
        let mut forks = Vec::new();
        for _ in 0..MAX_WAYS {
            let mut way = Way::new(self.table, rtype, forks);
            let length =
                answer_recorded(self.table, &mut self.worker, asker, &query, &mut self.reply, &mut way);
            let chance = way.chance;
            let (route, walked) = way.end(&self.reply[..length]);
            *fate.entry(route).or_default() += chance;
            forks = walked;
            if !turn_at_the_last(&mut forks) {
                break;
            }
        }
        fate
    }
}

/// Chooses the next way: at the last fork that has one left. False: all have been gone.
fn turn_at_the_last(forks: &mut Vec<Fork>) -> bool {
    while let Some(last) = forks.last_mut() {
        let untried = last.taken + 1..last.weights.len();
        if let Some(next) = untried.into_iter().find(|at| last.weights[*at] > 0.0) {
            last.taken = next;
            return true;
        }
        forks.pop();
    }
    false
}

/// A place where chance decides.
struct Fork {
    weights: Vec<f64>,
    taken: usize,
}

/// One way, while it is gone.
struct Way<'t> {
    table: &'t RoutingTable,
    rtype: Rtype,
    /// Those that it is known to come by, and then those that turn out to be there.
    forks: Vec<Fork>,
    /// How many of them it has come by.
    passed: usize,
    chance: f64,
    /// Which pools that return serve this time: each is asked for once and for all.
    serving: Vec<(PoolId, bool)>,
    /// Of each domain the pool that was taken last.
    taken: Vec<Option<PoolId>>,
    targets: Vec<(Box<[u8]>, u32)>,
}

impl<'t> Way<'t> {
    fn new(table: &'t RoutingTable, rtype: Rtype, forks: Vec<Fork>) -> Self {
        Way {
            table,
            rtype,
            forks,
            passed: 0,
            chance: 1.0,
            serving: Vec::new(),
            taken: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Which of several with these weights is taken on this way.
    fn fork(&mut self, weights: impl FnOnce() -> Vec<f64>) -> usize {
        if self.passed == self.forks.len() {
            let weights = weights();
            let taken = weights.iter().position(|weight| *weight > 0.0).unwrap_or(0);
            self.forks.push(Fork { weights, taken });
        }
        let Fork { weights, taken } = &self.forks[self.passed];
        self.passed += 1;
        self.chance *= weights[*taken] / weights.iter().sum::<f64>();
        *taken
    }

    /// Where it has led, by the reply; and the forks.
    fn end(mut self, reply: &[u8]) -> (Route<'t>, Vec<Fork>) {
        let name = |pool: PoolId| &self.table.plan().pools[pool.index()].name[..];
        self.targets.sort();
        let rcode = reply.get(3).map_or(0, |octet| octet & 0xf);
        let has_answer = reply.get(6..8).is_some_and(|count| count != [0, 0]);
        let route = Route {
            pools: self.taken.iter().flatten().map(|pool| name(*pool)).collect(),
            outcome: (rcode, has_answer),
            targets: self.targets,
        };
        (route, self.forks)
    }
}

impl Recorder for Way<'_> {
    fn domain(&mut self, _domain: impl FnOnce() -> DomainId) {
        self.taken.push(None);
    }

    fn taken(&mut self, pool: PoolId, _reason: Reason) {
        if let Some(last) = self.taken.last_mut() {
            *last = Some(pool);
        }
    }

    fn lot(&mut self, weights: impl Iterator<Item = u32>) -> Option<usize> {
        Some(self.fork(|| weights.map(f64::from).collect()))
    }

    fn serves(&mut self, pool: PoolId, share: Share) -> Option<bool> {
        if let Some((_, serves)) = self.serving.iter().find(|(known, _)| *known == pool) {
            return Some(*serves);
        }
        let part = share.chance();
        let serves = self.fork(|| vec![part, 1.0 - part]) == 0;
        self.serving.push((pool, serves));
        Some(serves)
    }

    fn alias<'n>(
        &mut self,
        names: &'n Selection<Name, 1>,
        whereabouts: &mut Whereabouts<'_>,
    ) -> Option<&'n Name> {
        let possible = names.possible(whereabouts);
        let at = match possible.len() {
            0 => return None,
            1 => 0,
            _ => self.fork(|| possible.iter().map(|(_, weight)| f64::from(*weight)).collect()),
        };
        let (name, _) = possible[at];
        self.targets.push((name.wire().into(), 0));
        Some(name)
    }

    fn gives(&mut self, choices: &Choices, whereabouts: &mut Whereabouts<'_>) {
        if matches!(self.rtype, Rtype::A | Rtype::ANY) {
            self.targets.extend(shared(choices.v4.possible(whereabouts)));
        }
        if matches!(self.rtype, Rtype::AAAA | Rtype::ANY) {
            self.targets.extend(shared(choices.v6.possible(whereabouts)));
        }
    }
}

/// Each of these with the millionths that are its part of the weights; 0 where they are all the same.
fn shared<'s, T: AsRef<[u8]> + 's>(
    possible: Vec<(&'s T, u32)>,
) -> impl Iterator<Item = (Box<[u8]>, u32)> + use<'s, T> {
    let total: u64 = possible.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let is_even = possible.iter().all(|(_, weight)| *weight == possible[0].1);
    let part = move |weight: u32| match is_even {
        true => 0,
        // Of a total that is at least as much, it fits.
        false => (u64::from(weight) * 1_000_000 / total) as u32,
    };
    possible.into_iter().map(move |(target, weight)| (target.as_ref().into(), part(weight)))
}
