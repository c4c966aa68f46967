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
use super::edges::{Edges, MAX_EDGES, MAX_ZONES};
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

/// How many queries were for each zone, by the names that they asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneFlow {
    /// The first [`MAX_ZONES`](super::edges::MAX_ZONES) zones, in order.
    pub zones: Vec<(String, u64)>,
    /// Those for all other zones.
    pub others: u64,
    /// Those for names in no zone, which are refused.
    pub outside: u64,
}

/// What was counted where no worker counts any more.
#[derive(Default)]
struct Past {
    answers: Answers,
    zones: Zones,
}

/// What was counted, by domain and pool.
type Answers = HashMap<Name, HashMap<String, u64>>;

/// Queries, by zone.
#[derive(Clone, Default)]
struct Zones {
    named: HashMap<Name, u64>,
    others: u64,
    outside: u64,
}

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
    /// How many zones are counted apart. Their counters come first, then one for all others and one for names in no
    /// zone, then those of the edges.
    zones: u32,
    /// By what they are numbered.
    edges: Option<Arc<Edges>>,
    /// `None`: nothing is counted.
    flow: Option<Arc<Flow>>,
}

impl Tally {
    /// Counts nothing.
    pub(super) fn nothing() -> Self {
        Tally { lines: Arc::default(), zones: 0, edges: None, flow: None }
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
        let counters = first_edge(edges.zones().len()) + edges.count();
        self.lines = (0..counters.div_ceil(Line::COUNTERS)).map(|_| Line::default()).collect();
        self.zones = edges.zones().len() as u32;
        self.edges = Some(edges.clone());
        flow.tallies().push(Counted { edges: edges.clone(), lines: self.lines.clone() });
        (flow.changed)();
    }

    /// Counts that an edge was taken.
    #[inline]
    pub(super) fn add(&self, edge: u32) {
        self.count(first_edge(self.zones as usize) + edge as usize);
    }

    /// Counts a query for a name in the zone of this number.
    #[inline]
    pub(super) fn add_zone(&self, zone: u32) {
        self.count(zone.min(self.zones) as usize);
    }

    /// Counts a query for a name in no zone.
    #[inline]
    pub(super) fn add_outside(&self) {
        self.count(outside(self.zones as usize));
    }

    #[inline]
    fn count(&self, counter: usize) {
        if let Some(line) = self.lines.get(counter / Line::COUNTERS) {
            line.0[counter % Line::COUNTERS].add(1);
        }
    }
}

/// Which counter names in no zone have, behind those of `zones` zones and of all others.
const fn outside(zones: usize) -> usize {
    zones + 1
}

/// Which counter the first edge has.
const fn first_edge(zones: usize) -> usize {
    outside(zones) + 1
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

    /// How often all domains of `table` have taken their pools, if these are `most` at the most, and none otherwise; with
    /// the pools that domains have lost, if all together are as few.
    pub fn read_few(&self, table: &RoutingTable, most: usize) -> Vec<DomainFlow> {
        let edges = &table.world.edges;
        if edges.count() > most {
            return Vec::new();
        }
        let mut told = self.told(table, 0, usize::MAX);
        if told.iter().map(|domain| domain.pools.len()).sum::<usize>() > most {
            for ((id, _), domain) in edges.domains().zip(&mut told) {
                let named: HashSet<&str> = edges.of_domain(id).map(|(_, pool)| pool).collect();
                domain.pools.retain(|flow| named.contains(&flow.pool[..]));
            }
        }
        told
    }

    /// Of `limit` domains of `table`, from the one at `first` on.
    fn told(&self, table: &RoutingTable, first: usize, limit: usize) -> Vec<DomainFlow> {
        let edges = &table.world.edges;
        let past = self.folded();
        let tallies = self.tallies().clone();
        let (current, others): (Vec<_>, Vec<_>) =
            tallies.into_iter().partition(|counted| Arc::ptr_eq(&counted.edges, edges));
        // Of workers that have not gone over yet, or are ahead of `table`.
        let mut elsewhere = Answers::new();
        others.iter().for_each(|counted| counted.add_answers_to(&mut elsewhere));
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
                add(pool, current.iter().map(|counted| counted.read_edge(edge)).sum());
            }
            for counted in [&past.answers, &elsewhere] {
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

    /// How many queries were for each zone of `table`.
    pub fn zones(&self, table: &RoutingTable) -> ZoneFlow {
        let past = self.folded();
        let mut counted = past.zones.clone();
        self.tallies().iter().for_each(|tally| tally.add_zones_to(&mut counted));
        let Zones { named, others, outside } = counted;
        let zones = table.world.edges.zones().iter();
        let zones = zones.map(|zone| (zone.to_string(), named.get(zone).copied().unwrap_or(0))).collect();
        ZoneFlow { zones, others, outside }
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
        for counted in &ended {
            counted.add_answers_to(&mut past.answers);
            counted.add_zones_to(&mut past.zones);
        }
        if let Some(latest) = ended.last() {
            if past.answers.values().map(HashMap::len).sum::<usize>() > MAX_EDGES {
                forget_all_but(&mut past.answers, &latest.edges);
            }
            if past.zones.named.len() > 2 * MAX_ZONES {
                past.zones.named.retain(|zone, _| latest.edges.zones().contains(zone));
            }
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
    fn read(&self, counter: usize) -> u64 {
        let line = self.lines.get(counter / Line::COUNTERS);
        line.map_or(0, |line| line.0[counter % Line::COUNTERS].read())
    }

    fn read_edge(&self, edge: u32) -> u64 {
        match self.edges.count() {
            0 => 0,
            _ => self.read(first_edge(self.edges.zones().len()) + edge as usize),
        }
    }

    /// Adds the queries that were counted to those that are known by zone.
    fn add_zones_to(&self, past: &mut Zones) {
        let zones = self.edges.zones();
        for (zone, at) in zones.iter().zip(0..) {
            match (self.read(at), past.named.get_mut(zone)) {
                (0, _) => {}
                (count, Some(known)) => *known += count,
                (count, None) => drop(past.named.insert(zone.clone(), count)),
            }
        }
        past.others += self.read(zones.len());
        past.outside += self.read(outside(zones.len()));
    }

    /// Adds what was counted to what is known by name.
    fn add_answers_to(&self, past: &mut Answers) {
        if self.edges.count() == 0 {
            return;
        }
        for (id, domain) in self.edges.domains() {
            for (edge, pool) in self.edges.of_domain(id) {
                let count = self.read_edge(edge);
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
fn forget_all_but(past: &mut Answers, edges: &Edges) {
    let mut kept = Answers::new();
    for (id, domain) in edges.domains() {
        let Some(mut pools) = past.remove(domain) else { continue };
        let named: HashSet<&str> = edges.of_domain(id).map(|(_, pool)| pool).collect();
        pools.retain(|pool, _| named.contains(&pool[..]));
        kept.insert(domain.clone(), pools);
    }
    *past = kept;
}
