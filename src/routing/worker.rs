//! What one answering thread keeps between queries.

use std::sync::Arc;
use std::time::Duration;

use super::flow::{Flow, Tally};
use super::proofs::Proofs;
use super::rate_limit::RateLimiter;
use super::service::Service;
use super::turns::{Rotation, TurnCounters, Turns};
use super::{Counters, RoutingTable};
use crate::dns::{NameBuffer, ReplyOptions};

/// What one thread that answers keeps between queries: rotation, randomness, its counters and
/// room to work in.
pub struct Worker {
    pub(super) counters: Arc<Counters>,
    pub(super) chance: Chance,
    pub(super) tally: Tally,
    /// The name that is answered, and those that its chain has led through. Here, and not on the
    /// stack of each answer, because clearing and moving them costs more than a look-up.
    pub(super) name: NameBuffer,
    pub(super) visited: Visited,
    pub(super) proofs: Proofs,
    pub(super) options: ReplyOptions,
    pub(super) service: Arc<Service>,
    pub(super) limiter: Option<Box<RateLimiter>>,
    /// Seconds since 1970, modulo 2^32.
    pub(super) now: u32,
}

/// Whose turn it is, and the luck of the draw.
pub(super) struct Chance {
    random: fastrand::Rng,
    /// A counter per pool, or choice among pools, and kind of address. One counter for all would let a client that asks
    /// A and AAAA in turn see only every other address.
    turns: TurnCounters,
}

impl Worker {
    /// A worker whose random choices follow from `seed`. Workers should have different ones, so
    /// that they do not rotate in step.
    pub fn new(seed: u64, counters: Arc<Counters>) -> Self {
        Worker {
            counters,
            chance: Chance { random: fastrand::Rng::with_seed(seed), turns: TurnCounters::new(seed) },
            tally: Tally::nothing(),
            name: NameBuffer::root(),
            visited: Visited::NOTHING,
            proofs: Proofs::NOTHING,
            options: ReplyOptions::new(),
            service: Arc::default(),
            limiter: None,
            now: 0,
        }
    }

    /// The same worker, which presents and guards itself as `service` says. The memory of its rate
    /// limit is taken here.
    pub fn with_service(mut self, service: Arc<Service>) -> Self {
        let limit = service.rate_limit.clone();
        let seed = self.chance.random.u64(..);
        self.limiter = limit.map(|limit| Box::new(RateLimiter::new(limit, seed)));
        self.service = service;
        self
    }

    /// Has clients that ask how long they may keep their connection be told to close it (RFC 7828
    /// section 3.2.2). Not for the moment of an answer: it allocates.
    pub fn leave(&mut self) {
        let service = Service { tcp_idle_timeout: Some(Duration::ZERO), ..Service::clone(&self.service) };
        self.service = Arc::new(service);
    }

    /// The same worker, which counts for `flow` where its answers go.
    pub fn with_flow(mut self, flow: Arc<Flow>) -> Self {
        self.tally = Tally::of(flow);
        self
    }

    /// The same worker, whose rotations `rotation` has from now on.
    pub fn with_rotation(mut self, rotation: &Rotation) -> Self {
        self.chance.turns.show(rotation);
        self
    }

    /// Goes on in its rotations where `turns` says that another worker stood, `further` turns on; what is not
    /// told begins anywhere. To be called before the first answer, with the table that it is prepared for.
    pub fn go_on(&mut self, table: &RoutingTable, turns: &Turns, further: u32) {
        self.chance.turns.go_on(table, turns, further);
    }

    /// Tells the time, in seconds since 1970 modulo 2^32: that of cookies (RFC 9018 section 4.3)
    /// and of the rate limit. To be called before each batch of queries.
    pub fn tick(&mut self, now: u32) {
        self.now = now;
    }

    /// Makes room for what `table` rotates and counts; to be called whenever the worker sees a new table,
    /// so that `answer` need not allocate.
    pub fn prepare(&mut self, table: &RoutingTable) {
        self.chance.turns.prepare(table);
        self.tally.prepare(table);
    }
}

impl Chance {
    /// Takes the next turn of a counter.
    pub(super) fn turn(&mut self, slot: usize) -> u32 {
        match self.turns.take(slot) {
            Some(turn) => turn,
            // The table is newer than the last `prepare`: fair on average.
            None => self.random.u32(..),
        }
    }

    /// Any number, each as likely.
    pub(super) fn bits(&mut self) -> u64 {
        self.random.u64(..)
    }

    /// A number below `bound`, which is not 0, each as likely.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.random.u32(..bound)
    }
}

/// The most names that one answer goes through by CNAME and DNAME. Resolvers follow about as
/// many before they give up (BIND 16, Unbound 11).
pub(super) const MAX_CHAIN: usize = 16;

/// What a chain has led through.
pub(super) struct Visited {
    /// Names, by hash.
    hashes: [u64; MAX_CHAIN],
    count: usize,
    /// DNAME records, by the place of their first octet. One leads on each time, the first name
    /// of the chain included.
    dnames: [usize; MAX_CHAIN + 1],
    dname_count: usize,
}

impl Visited {
    const NOTHING: Visited =
        Visited { hashes: [0; MAX_CHAIN], count: 0, dnames: [0; MAX_CHAIN + 1], dname_count: 0 };

    /// Starts another chain.
    pub(super) fn clear(&mut self) {
        (self.count, self.dname_count) = (0, 0);
    }

    /// Enters a DNAME record by its data; false if the chain has come by it before.
    pub(super) fn push_dname(&mut self, data: &[u8]) -> bool {
        let place = data.as_ptr().addr();
        let is_new = !self.dnames[..self.dname_count].contains(&place);
        if is_new && let Some(free) = self.dnames.get_mut(self.dname_count) {
            *free = place;
            self.dname_count += 1;
        }
        is_new
    }

    /// Enters a name; false if the chain is as long as it may be.
    pub(super) fn push(&mut self, hash: u64) -> bool {
        match self.hashes.get_mut(self.count) {
            Some(place) => {
                *place = hash;
                self.count += 1;
                true
            }
            None => false,
        }
    }

    /// Whether the chain has been at this name.
    pub(super) fn has(&self, hash: u64) -> bool {
        self.hashes[..self.count].contains(&hash)
    }
}
