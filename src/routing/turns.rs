//! Whose turn it is in rotations: what a worker counts, and by what names another one goes on from there.
//!
//! A worker counts in memory of its own, by the positions of pools and choices in its table. Who takes over
//! may have another configuration, so that what is handed on is told by the names of pools and domains.

use std::collections::BTreeMap;
use std::iter;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::RoutingTable;
use crate::plan::{DomainId, DomainPolicy, PoolId};

/// Counters of each pool, and of each choice among pools by turn: one for A, one for AAAA, one for
/// CNAME or any.
pub(super) const TURNS_EACH: usize = 3;

/// What one worker counts.
pub(super) struct TurnCounters {
    /// By position, not by name: when a reload moves pools, each goes on from where another stood. Counters
    /// begin anywhere anyway, and whose turn it is next matters only to a single query.
    lines: Arc<[Line]>,
    /// From this follows where each begins.
    seed: u64,
    /// Where others see them.
    shown: Option<Arc<Mutex<Shown>>>,
}

/// As many counters as two cache lines hold, which the adjacent-line prefetcher of x86 fetches in pairs: no
/// two workers write to one.
#[repr(align(128))]
struct Line([AtomicU32; Line::COUNTERS]);

/// What others see of the counters of one worker.
#[derive(Clone)]
struct Shown {
    lines: Arc<[Line]>,
    seed: u64,
}

/// Whose turn it is with several workers, as long as they answer.
#[derive(Default)]
pub struct Rotation {
    /// In the order in which they came.
    workers: Mutex<Vec<Arc<Mutex<Shown>>>>,
}

/// Whose turn it is with one worker, by name, as its counters stand. What has not rotated is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turns {
    /// Of the addresses of each pool.
    pools: BTreeMap<String, [Option<u32>; TURNS_EACH]>,
    /// Of the pools of each domain: of its choices by turn, in order. Domains that say the same share their
    /// turns, which are told of the first of them.
    domains: BTreeMap<String, Vec<[Option<u32>; TURNS_EACH]>>,
}

impl Line {
    const COUNTERS: usize = 128 / size_of::<AtomicU32>();
}

impl TurnCounters {
    /// None yet. Where they begin follows from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        TurnCounters { lines: Arc::default(), seed, shown: None }
    }

    /// Shows them to those who read `rotation`.
    pub(super) fn show(&mut self, rotation: &Rotation) {
        let shown = Arc::new(Mutex::new(Shown { lines: self.lines.clone(), seed: self.seed }));
        rotation.workers().push(shown.clone());
        self.shown = Some(shown);
    }

    /// Makes room for what `table` rotates, unless there is.
    pub(super) fn prepare(&mut self, table: &RoutingTable) {
        let needed = table.turn_count().div_ceil(Line::COUNTERS);
        if self.lines.len() >= needed {
            return;
        }
        let line = |number: usize| {
            let known = self.lines.get(number);
            let counter = |at: usize| match known {
                Some(Line(counters)) => counters[at].load(Ordering::Relaxed),
                None => beginning(self.seed, number * Line::COUNTERS + at),
            };
            Line(std::array::from_fn(|at| AtomicU32::new(counter(at))))
        };
        self.lines = (0..needed).map(line).collect();
        if let Some(shown) = &self.shown {
            locked(shown).lines = self.lines.clone();
        }
    }

    /// Takes the next turn of the counter at `slot`; `None`: the table is newer than the last
    /// [`prepare`](Self::prepare). No read-modify-write: there is one writer.
    #[inline]
    pub(super) fn take(&self, slot: usize) -> Option<u32> {
        let counter = &self.lines.get(slot / Line::COUNTERS)?.0[slot % Line::COUNTERS];
        let turn = counter.load(Ordering::Relaxed).wrapping_add(1);
        counter.store(turn, Ordering::Relaxed);
        Some(turn)
    }

    /// Goes on from `turns` with all that `table` has under the same names, `further` turns on.
    pub(super) fn go_on(&self, table: &RoutingTable, turns: &Turns, further: u32) {
        let set = |first: usize, kinds: &[Option<u32>; TURNS_EACH]| {
            for (slot, turn) in (first..).zip(kinds) {
                if let (Some(turn), Some(line)) = (turn, self.lines.get(slot / Line::COUNTERS)) {
                    let turn = turn.wrapping_add(further);
                    line.0[slot % Line::COUNTERS].store(turn, Ordering::Relaxed);
                }
            }
        };
        for (pool, first) in table.plan().pools.iter().zip((0..).step_by(TURNS_EACH)) {
            turns.pools.get(&pool.name).into_iter().for_each(|kinds| set(first, kinds));
        }
        if turns.domains.is_empty() {
            return;
        }
        for (name, firsts) in domains_in_turn(table) {
            let known = turns.domains.get(&name).into_iter().flatten();
            firsts.zip(known).for_each(|(first, kinds)| set(first, kinds));
        }
    }
}

impl Rotation {
    /// Whose turn it is with each worker in `table`, the one that is published. They go on meanwhile. It takes
    /// `room` octets of JSON at the most, which are taken from it: if that is too little for some workers these
    /// are left out, and of the only one some of the names.
    pub fn read(&self, table: &RoutingTable, room: &mut usize) -> Vec<Turns> {
        let workers = self.workers().clone();
        let mut told = Vec::new();
        for shown in workers {
            let shown = locked(&shown).clone();
            let (turns, is_whole) = shown.read(table, room);
            if is_whole || (told.is_empty() && turns != Turns::default()) {
                told.push(turns);
            }
            if !is_whole {
                *room = 0;
                break;
            }
        }
        told
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Arc<Mutex<Shown>>>> {
        // A list of pointers is whole whatever happened to whoever held the lock.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Whose turn it is by the names in `table`, and whether there was room for all.
    fn read(&self, table: &RoutingTable, room: &mut usize) -> (Turns, bool) {
        let mut turns = Turns::default();
        if !take(room, EMPTY) {
            return (turns, false);
        }
        let pools = (0..table.pool_count() as u32).map(|id| table.pool(PoolId(id)));
        for (pool, first) in pools.zip((0..).step_by(TURNS_EACH)) {
            let kinds = self.kinds(first);
            if pool.addresses.len() < 2 || !has_rotated(&kinds) {
                continue;
            }
            if !take(room, entry(&pool.name, 1)) {
                return (turns, false);
            }
            turns.pools.insert(pool.name.clone(), kinds);
        }
        let mut is_told = vec![false; table.turn_count()];
        for (name, firsts) in domains_in_turn(table) {
            let firsts: Vec<usize> = firsts.collect();
            let Some(first) = firsts.first() else { continue };
            if std::mem::replace(&mut is_told[*first], true) {
                continue;
            }
            let kinds: Vec<_> = firsts.into_iter().map(|first| self.kinds(first)).collect();
            if !kinds.iter().any(has_rotated) {
                continue;
            }
            if !take(room, entry(&name, kinds.len())) {
                return (turns, false);
            }
            turns.domains.insert(name, kinds);
        }
        (turns, true)
    }

    /// The counters from `first` on, those that have counted.
    fn kinds(&self, first: usize) -> [Option<u32>; TURNS_EACH] {
        std::array::from_fn(|kind| {
            let slot = first + kind;
            let Line(counters) = self.lines.get(slot / Line::COUNTERS)?;
            let turn = counters[slot % Line::COUNTERS].load(Ordering::Relaxed);
            (turn != beginning(self.seed, slot)).then_some(turn)
        })
    }
}

/// Where the counter at `slot` begins: anywhere, so that workers do not rotate in step, and so that it is known
/// later whether it has counted.
fn beginning(seed: u64, slot: usize) -> u32 {
    fastrand::Rng::with_seed(seed.wrapping_add(slot as u64)).u32(..)
}

fn has_rotated(kinds: &[Option<u32>; TURNS_EACH]) -> bool {
    kinds.iter().any(Option::is_some)
}

/// The domains with choices by turn, by name, each with the first counters of these.
fn domains_in_turn(table: &RoutingTable) -> impl Iterator<Item = (String, impl Iterator<Item = usize>)> {
    let world = &table.world;
    // Without such a choice not one of a million domains need be looked at.
    let domains = if world.turns == 0 { &[][..] } else { &world.plan.domains[..] };
    (0..).map(DomainId).zip(domains).filter_map(move |(id, domain)| {
        let in_turn = |policy| policy == DomainPolicy::RoundRobin;
        let mut firsts = world.steering_of(id).choices().filter(move |choice| in_turn(choice.policy));
        let first = firsts.next()?;
        let all = iter::once(first).chain(firsts).map(|choice| table.first_turn(choice.turn));
        Some((domain.name.to_string(), all))
    })
}

/// Octets of JSON of one worker with nothing, and what is between it and the next.
const EMPTY: usize = br#"{"pools":{},"domains":{}},"#.len();

/// Octets of JSON that the counters under `name` take at the most: numbers of ten digits, brackets and commas.
fn entry(name: &str, choices: usize) -> usize {
    const EACH: usize = b"[4294967295,4294967295,4294967295],".len();
    // Any octet may take six, as `\u0000`; names with such are hardly ever met.
    let name = if name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet)) {
        name.len()
    } else {
        6 * name.len()
    };
    name + br#""":[],"#.len() + choices * EACH
}

/// Takes so many octets from `room`, if there are.
fn take(room: &mut usize, octets: usize) -> bool {
    let left = room.checked_sub(octets);
    *room = left.unwrap_or(*room);
    left.is_some()
}

fn locked(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    // A pointer is whole whatever happened to whoever held the lock.
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
