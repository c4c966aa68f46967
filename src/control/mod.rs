//! The sole writer: events become tables.
//!
//! Whatever changes what clients are told is an [`Event`], and the [`Controller`] takes one at a
//! time: it updates what is believed, compiles what the event touched and swaps one pointer. What
//! it did comes back as [`Notice`]s, for logs and metrics. It asks no clock and does no I/O, so
//! that a test can walk it through hours in simulated time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::geo::GeoTable;
use crate::health::{HealthMachine, Outcome, TargetId, Thresholds, Transition, Verdict};
use crate::plan::{Plan, PoolId, Watch};
use crate::routing::{CookieSecrets, PoolHealth, RoutingTable};

mod status;

pub use status::{AddressStatus, DomainStatus, PoolStatus, Status};

/// Something that may change what clients are told.
#[derive(Debug)]
pub enum Event {
    /// A probe has ended.
    Probed {
        /// Of what.
        target: TargetId,
        /// With what.
        outcome: Outcome,
    },
    /// The operator wants another world.
    Replaced {
        /// The world.
        plan: Arc<Plan>,
        /// The map for it.
        geo: Arc<GeoTable>,
    },
    /// Cookies are made with other secrets, or no more.
    Secrets {
        /// Which; `None`: cookies are ignored.
        cookies: Option<CookieSecrets>,
    },
}

/// What an event did.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// The verdict on an address has changed, and the next query is answered by it.
    Turned {
        /// The address.
        watch: Arc<Watch>,
        /// The change.
        transition: Transition,
    },
    /// Every address has told something: the table can be trusted.
    Settled,
    /// Another set of addresses is to be watched; see [`Controller::watches`].
    Rewatch,
    /// A table was published.
    Published {
        /// Its generation.
        generation: u64,
    },
}

/// Holds what is believed, and publishes what follows from it.
pub struct Controller {
    published: Arc<ArcSwap<RoutingTable>>,
    /// Tables that were replaced. They are let go here once no worker holds them any more:
    /// freeing one is this thread's work, never a query's.
    retired: Vec<Arc<RoutingTable>>,
    targets: HashMap<TargetId, Target>,
    /// By pool and position: what watches that address.
    by_address: Vec<Vec<Option<TargetId>>>,
    next_target: u64,
    /// How many targets have not told anything yet.
    untold: usize,
}

/// A watched address.
struct Target {
    watch: Arc<Watch>,
    pool: PoolId,
    machine: HealthMachine,
    /// Whether a probe has ended, whatever its outcome.
    has_told: bool,
}

impl Target {
    /// Whether clients may be given the address.
    ///
    /// Before its first probe has ended nothing is known, and it has to wait. When that probe
    /// could not be carried out, for a reason of our own, it counts as up: nothing speaks against it.
    fn is_up(&self) -> bool {
        match self.machine.verdict() {
            Verdict::Up => true,
            Verdict::Down => false,
            Verdict::Unknown => self.has_told,
        }
    }
}

impl Controller {
    /// A controller of `plan`, whose first table is published.
    pub fn new(plan: Arc<Plan>, geo: Arc<GeoTable>) -> Self {
        let mut controller = Controller {
            published: Arc::new(ArcSwap::from_pointee(RoutingTable::default())),
            retired: Vec::new(),
            targets: HashMap::new(),
            by_address: Vec::new(),
            next_target: 0,
            untold: 0,
        };
        controller.replace(plan, geo);
        controller
    }

    /// The pointer that answering reads.
    pub fn published(&self) -> &Arc<ArcSwap<RoutingTable>> {
        &self.published
    }

    /// Everything that is to be watched now.
    pub fn watches(&self) -> impl Iterator<Item = (TargetId, Watch)> {
        self.targets.iter().map(|(id, target)| (*id, (*target.watch).clone()))
    }

    /// What a target is, while it is watched.
    pub fn watch(&self, target: TargetId) -> Option<&Arc<Watch>> {
        self.targets.get(&target).map(|target| &target.watch)
    }

    /// Whether every address has told something, since the start or the last event.
    pub fn is_settled(&self) -> bool {
        self.untold == 0
    }

    /// Takes in `event`, which happened at `now`. When it returns, the next query is answered by
    /// what follows from it.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Notice> {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
        match event {
            Event::Probed { target, outcome } => self.observe(target, &outcome, now),
            Event::Replaced { plan, geo } => self.replace(plan, geo),
            Event::Secrets { cookies } => {
                let table = self.published.load().with_cookies(cookies);
                table.into_iter().map(|table| self.publish(table)).collect()
            }
        }
    }

    /// What is believed of everything, and what is served.
    pub fn status(&self, now: Instant) -> Status {
        let table = self.published.load();
        Status::new(&table, now, |pool, position| {
            let target = self.by_address[pool.index()][position]?;
            Some(&self.targets.get(&target)?.machine)
        })
    }

    fn observe(&mut self, id: TargetId, outcome: &Outcome, now: Instant) -> Vec<Notice> {
        // A probe may have been under way while its target left the plan.
        let Some(target) = self.targets.get_mut(&id) else {
            return Vec::new();
        };
        let was_up = target.is_up();
        let transition = target.machine.observe(outcome, now);
        let is_first = !std::mem::replace(&mut target.has_told, true);
        let (is_up, pool, watch) = (target.is_up(), target.pool, target.watch.clone());
        let mut notices = Vec::new();
        if is_up != was_up {
            notices.push(self.publish_pool(pool));
        }
        if let Some(transition) = transition {
            notices.push(Notice::Turned { watch, transition });
        }
        if is_first {
            self.untold -= 1;
            if self.untold == 0 {
                notices.push(Notice::Settled);
            }
        }
        notices
    }

    /// Goes over to another plan. What is believed of an address stays as long as the address
    /// does: a changed interval or path is no reason to forget that a site is down.
    fn replace(&mut self, plan: Arc<Plan>, geo: Arc<GeoTable>) -> Vec<Notice> {
        let mut before: HashMap<_, (TargetId, Target)> = std::mem::take(&mut self.targets)
            .into_iter()
            .map(|(id, target)| (subject(&target.watch), (id, target)))
            .collect();
        self.by_address = plan.pools.iter().map(|pool| vec![None; pool.addresses.len()]).collect();
        for (pool, position, watch) in plan.watches() {
            let thresholds = Thresholds { fall: watch.check.fall, rise: watch.check.rise };
            let (id, target) = match before.remove(&subject(&watch)) {
                Some((id, target)) if *target.watch == watch => (id, Target { pool, ..target }),
                Some((_, target)) => {
                    let machine = target.machine.with_thresholds(thresholds);
                    let watch = Arc::new(watch);
                    (self.next_id(), Target { watch, pool, machine, has_told: target.has_told })
                }
                None => {
                    let machine = HealthMachine::new(thresholds);
                    let watch = Arc::new(watch);
                    (self.next_id(), Target { watch, pool, machine, has_told: false })
                }
            };
            self.by_address[pool.index()][position] = Some(id);
            self.targets.insert(id, target);
        }
        self.untold = self.targets.values().filter(|target| !target.has_told).count();
        let table = RoutingTable::compile(plan, geo, |pool| self.health(pool));
        let following = table.following(&self.published.load());
        let mut notices = vec![self.publish(following), Notice::Rewatch];
        if self.untold == 0 {
            notices.push(Notice::Settled);
        }
        notices
    }

    fn publish_pool(&mut self, pool: PoolId) -> Notice {
        let table = self.published.load().with_pool(pool, self.health(pool));
        self.publish(table)
    }

    fn publish(&mut self, table: RoutingTable) -> Notice {
        let generation = table.generation();
        self.retired.push(self.published.swap(Arc::new(table)));
        Notice::Published { generation }
    }

    fn health(&self, pool: PoolId) -> PoolHealth {
        let addresses = self.by_address[pool.index()].len();
        PoolHealth::from_up(addresses, |position| self.is_up(pool, position))
    }

    /// An address that nothing watches counts as up.
    fn is_up(&self, pool: PoolId, position: usize) -> bool {
        self.by_address[pool.index()][position]
            .and_then(|target| self.targets.get(&target))
            .is_none_or(Target::is_up)
    }

    fn next_id(&mut self) -> TargetId {
        self.next_target += 1;
        TargetId(self.next_target)
    }
}

/// What a belief is about, whatever the check that led to it.
fn subject(watch: &Watch) -> (String, crate::plan::Endpoint, u16) {
    (watch.pool.clone(), watch.endpoint.clone(), watch.port)
}

#[cfg(test)]
mod tests;
