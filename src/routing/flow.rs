//! Where answers go: how often each domain has taken each of its pools.
//!
//! A worker counts in memory of its own, by the numbers that a table gives its [`Edges`]. When
//! another configuration numbers them anew, what was counted is kept by the names of domain and pool.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RoutingTable;
use super::counters::Counter;
use super::edges::{Edges, MAX_EDGES};
use crate::dns::Name;

/// What all workers have counted together, since the start of the process.
pub struct Flow {
    /// What workers count in, or have counted in; locked for moments only.
    tallies: Mutex<Vec<Counted>>,
    /// What was counted in configurations that are gone. Whoever reads locks this first.
    past: Mutex<Past>,
    /// Called when there is something to [fold](Flow::fold).
    changed: Box<dyn Fn() + Send + Sync>,
}

/// How often a domain has taken its pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DomainFlow {
    /// The domain.
    pub name: String,
    /// The answers of all its pools.
    pub answers: u64,
    /// Its pools in order, and then those that it had before.
    pub pools: Vec<PoolFlow>,
}

/// How often a pool was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolFlow {
    /// The pool.
    pub pool: String,
    /// The answers for which the domain has taken it.
    pub answers: u64,
}

/// What was counted, by domain and pool.
type Past = HashMap<Name, HashMap<String, u64>>;

/// What one worker counts, or has counted.
#[derive(Clone)]
struct Counted {
    edges: Arc<Edges>,
    lines: Arc<[Line]>,
}

/// As many counters as two cache lines hold, which the adjacent-line prefetcher of x86 fetches in pairs: no
/// two workers write to one.
#[derive(Default)]
#[repr(align(128))]
struct Line([Counter; Line::COUNTERS]);

impl Line {
    const COUNTERS: usize = 128 / size_of::<Counter>();
}

/// Where one worker counts.
pub(super) struct Tally {
    lines: Arc<[Line]>,
    /// By what they are numbered.
    edges: Option<Arc<Edges>>,
    /// `None`: nothing is counted.
    flow: Option<Arc<Flow>>,
}

impl Tally {
    /// Counts nothing.
    pub(super) fn nothing() -> Self {
        Tally { lines: Arc::default(), edges: None, flow: None }
    }

    /// Counts for `flow`, once it is made ready for a table.
    pub(super) fn of(flow: Arc<Flow>) -> Self {
        Tally { flow: Some(flow), ..Tally::nothing() }
    }

    /// Makes room for what `table` numbers, unless that is what is counted already: a table that follows
    /// another has its edges if they are the same. What was counted before is left to the flow.
    pub(super) fn prepare(&mut self, table: &RoutingTable) {
        let edges = &table.world.edges;
        let Some(flow) = &self.flow else { return };
        if self.edges.as_ref().is_some_and(|known| Arc::ptr_eq(known, edges)) {
            return;
        }
        self.lines = (0..edges.count().div_ceil(Line::COUNTERS)).map(|_| Line::default()).collect();
        self.edges = Some(edges.clone());
        flow.tallies().push(Counted { edges: edges.clone(), lines: self.lines.clone() });
        (flow.changed)();
    }

    /// Counts that an edge was taken.
    #[inline]
    pub(super) fn add(&self, edge: u32) {
        let edge = edge as usize;
        if let Some(line) = self.lines.get(edge / Line::COUNTERS) {
            line.0[edge % Line::COUNTERS].add(1);
        }
    }
}

impl Default for Flow {
    /// Whoever reads it folds it.
    fn default() -> Self {
        Flow::new(|| {})
    }
}

impl Flow {
    /// Nothing is counted yet. `changed` is called when a worker has gone over to another configuration:
    /// by that worker, which is not to be kept waiting. Then, or soon after, somebody has to
    /// [fold](Self::fold), lest what was counted in each configuration stays in memory beside the others.
    pub fn new(changed: impl Fn() + Send + Sync + 'static) -> Self {
        Flow { tallies: Mutex::default(), past: Mutex::default(), changed: Box::new(changed) }
    }

    /// Takes in what was counted in configurations that no worker uses any more. It looks at every pool of
    /// every domain: nothing for a thread that answers.
    pub fn fold(&self) {
        drop(self.folded());
    }

    /// How often each of the domains of `table` has taken its pools, in the order of the
    /// configuration: `limit` of them, those behind the domain `after`. What pools that a domain has lost
    /// have answered is told as long as there is room for it: of 65,536 pools of domains.
    pub fn read(&self, table: &RoutingTable, after: Option<&Name>, limit: usize) -> Vec<DomainFlow> {
        let first = match after {
            Some(name) => match table.domain(name) {
                Some(domain) => domain.index() + 1,
                None => return Vec::new(),
            },
            None => 0,
        };
        self.told(table, first, limit)
    }

    /// Of `limit` domains of `table`, from the one at `first` on.
    fn told(&self, table: &RoutingTable, first: usize, limit: usize) -> Vec<DomainFlow> {
        let edges = &table.world.edges;
        let past = self.folded();
        let tallies = self.tallies().clone();
        let (current, others): (Vec<_>, Vec<_>) =
            tallies.into_iter().partition(|counted| Arc::ptr_eq(&counted.edges, edges));
        // Of workers that have not gone over yet, or are ahead of `table`.
        let mut elsewhere = Past::new();
        others.iter().for_each(|counted| counted.add_to(&mut elsewhere));
        let told = edges.domains().skip(first).take(limit).map(|(id, domain)| {
            let mut pools: Vec<PoolFlow> = Vec::new();
            let mut places = HashMap::new();
            let mut add = |pool: &str, more: u64| {
                let place = *places.entry(pool.to_owned()).or_insert_with(|| {
                    pools.push(PoolFlow { pool: pool.to_owned(), answers: 0 });
                    pools.len() - 1
                });
                pools[place].answers += more;
            };
            for (edge, pool) in edges.of_domain(id) {
                add(pool, current.iter().map(|counted| counted.read(edge)).sum());
            }
            for counted in [&*past, &elsewhere] {
                let mut counted: Vec<_> = counted.get(domain).into_iter().flatten().collect();
                counted.sort();
                counted.into_iter().for_each(|(pool, count)| add(pool, *count));
            }
            let answers = pools.iter().map(|pool| pool.answers).sum();
            DomainFlow { name: domain.to_string(), answers, pools }
        });
        told.collect()
    }

    /// How often the domain `name` of `table` has taken its pools; `None`: there is no such domain.
    pub fn of(&self, table: &RoutingTable, name: &Name) -> Option<DomainFlow> {
        let domain = table.domain(name)?;
        self.told(table, domain.index(), 1).pop()
    }

    /// What was counted where no worker counts any more.
    fn folded(&self) -> MutexGuard<'_, Past> {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut ended, mut active) = (Vec::new(), Vec::new());
        {
            let mut tallies = self.tallies();
            for mut counted in mem::take(&mut *tallies) {
                // Readers share it under the lock of `past` only: else whoever counted has let go of
                // it, and what was written before that is seen from here on.
                let list = if Arc::get_mut(&mut counted.lines).is_some() { &mut ended } else { &mut active };
                list.push(counted);
            }
            *tallies = active;
        }
        ended.iter().for_each(|counted| counted.add_to(&mut past));
        if let Some(latest) = ended.last()
            && past.values().map(HashMap::len).sum::<usize>() > MAX_EDGES
        {
            forget_all_but(&mut past, &latest.edges);
        }
        past
    }

    fn tallies(&self) -> MutexGuard<'_, Vec<Counted>> {
        // A list of pointers is whole whatever happened to whoever held the lock.
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoutingTable {
    /// How many pools its domains name, each as often as it is named, and whether a [`Flow`] counts
    /// how often each is taken: up to [`MAX_EDGES`] are.
    pub fn edges(&self) -> (usize, bool) {
        (self.world.edges.count(), self.world.edges.are_counted())
    }
}

impl Counted {
    fn read(&self, edge: u32) -> u64 {
        let edge = edge as usize;
        let line = self.lines.get(edge / Line::COUNTERS);
        line.map_or(0, |line| line.0[edge % Line::COUNTERS].read())
    }

    /// Adds what was counted to what is known by name.
    fn add_to(&self, past: &mut Past) {
        if self.lines.is_empty() {
            return;
        }
        for (id, domain) in self.edges.domains() {
            for (edge, pool) in self.edges.of_domain(id) {
                let count = self.read(edge);
                if count == 0 {
                    continue;
                }
                if !past.contains_key(domain) {
                    past.insert(domain.clone(), HashMap::new());
                }
                let Some(pools) = past.get_mut(domain) else { continue };
                match pools.get_mut(pool) {
                    Some(known) => *known += count,
                    None => drop(pools.insert(pool.to_owned(), count)),
                }
            }
        }
    }
}

/// Forgets what is not among `edges`.
fn forget_all_but(past: &mut Past, edges: &Edges) {
    let mut kept = Past::new();
    for (id, domain) in edges.domains() {
        let Some(mut pools) = past.remove(domain) else { continue };
        let named: HashSet<&str> = edges.of_domain(id).map(|(_, pool)| pool).collect();
        pools.retain(|pool, _| named.contains(&pool[..]));
        kept.insert(domain.clone(), pools);
    }
    *past = kept;
}
