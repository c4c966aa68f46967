//! The sole writer: events become tables.
//!
//! Whatever changes what clients are told is an [`Event`], and the [`Controller`] takes one at a
//! time: it updates what is believed, compiles what the event touched and swaps one pointer. What
//! it did comes back as [`Notice`]s, for logs and metrics. It asks no clock and does no I/O, so
//! that a test can walk it through hours in simulated time: what changes by time alone changes
//! when [`Event::Elapsed`] says so, and [`Controller::due`] tells when that is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::dns::Name;
use crate::geo::GeoTable;
use crate::health::{Belief, Failure, Heard, Outcome, Phase, Stage, TargetId, Timings, Transition, Verdict};
use crate::plan::{ConditionId, Plan, PoolId, Watch};
use crate::routing::RoutingTable;

mod conditions;
mod deadlines;
mod event;
mod history;
mod isolation;
mod longest_ttls;
mod memory;
mod names;
mod ordering;
mod orders;
mod pool;
mod prepared;
mod readings;
mod remains;
mod resolution;
mod status;
mod summary;
mod target;
mod watching;

pub use event::{Event, NotReleasable, Notice};
pub use history::{HistoryStatus, ProbeStatus, TransitionStatus};
pub use memory::{Memory, Moment, Recalled, Snapshot};
pub use names::{Found, Lookup};
pub use ordering::NoSuch;
pub use orders::{Absence, Following, Order};
pub use prepared::Prepared;
pub use readings::{PoolReadings, Readings};
pub use remains::Remains;
pub use status::{
    AddressStatus, AwayStatus, DampedStatus, DomainStatus, IsolatedStatus, NameStatus, OrderStatus, Page,
    PoolStatus, Status,
};
pub use summary::Summary;

use self::conditions::Conditions;
use self::deadlines::Deadlines;
use self::isolation::Network;
use self::names::Names;
use self::pool::PoolState;
use self::prepared::{Index, Lineup};
use self::status::Known;
use self::target::{Observed, Owner, Target};
use self::watching::Rewatching;

/// Holds what is believed, and publishes what follows from it.
pub struct Controller {
    published: Arc<ArcSwap<RoutingTable>>,
    /// Tables that were replaced. They are let go here once no worker holds them any more:
    /// freeing one is this thread's work, never a query's. One of an earlier plan takes long, and is
    /// let go where that delays nothing.
    retired: Vec<Arc<RoutingTable>>,
    targets: HashMap<TargetId, Target>,
    /// By [`PoolId`].
    pools: Vec<PoolState>,
    names: Names,
    network: Network,
    conditions: Conditions,
    deadlines: Deadlines,
    index: Index,
    /// What is to be freed, and has not been asked for yet.
    remains: Remains,
    next_target: u64,
    /// How many targets have not told anything yet.
    untold: usize,
    /// The latest moment that was heard of.
    latest: Instant,
    /// When the outcome was known of which tables follow that are published now; `None`: they follow from something else.
    decided: Option<Instant>,
}

impl Controller {
    /// A controller of `plan`, whose first table is published, at `now`.
    pub fn new(plan: Arc<Plan>, geo: Arc<GeoTable>, now: Instant) -> Self {
        let mut controller = Controller {
            published: Arc::new(ArcSwap::from_pointee(RoutingTable::default())),
            retired: Vec::new(),
            targets: HashMap::new(),
            pools: Vec::new(),
            names: Names::default(),
            network: Network::default(),
            conditions: Conditions::default(),
            deadlines: Deadlines::new(0),
            index: Index::default(),
            remains: Remains::default(),
            next_target: 0,
            untold: 0,
            latest: now,
            decided: None,
        };
        controller.replace(Prepared::new(plan, geo), Vec::new(), now);
        controller
    }

    /// The pointer that answering reads.
    pub fn published(&self) -> &Arc<ArcSwap<RoutingTable>> {
        &self.published
    }

    /// Everything that is to be watched now, and what is believed of it.
    pub fn watches(&self) -> impl Iterator<Item = (TargetId, Arc<Watch>, Belief)> {
        let believed = |target: &Target| target.machine().belief();
        let targets = self.targets.iter().map(move |(id, target)| (*id, &target.watch, believed(target)));
        let network = self.network.watches().map(|(id, watch)| (id, watch, Verdict::Unknown.into()));
        targets.chain(network).map(|(id, watch, belief)| (id, Arc::clone(watch), belief))
    }

    /// What a target is, while it is watched.
    pub fn watch(&self, target: TargetId) -> Option<&Arc<Watch>> {
        self.targets.get(&target).map(|target| &target.watch).or_else(|| self.network.canary(target))
    }

    /// Whether `target` is held down for flipping too often.
    pub fn is_held_down(&self, target: TargetId) -> bool {
        self.targets.get(&target).is_some_and(Target::is_held_down)
    }

    /// Whether something of today is known of every name and every address, since the start or the last event.
    pub fn is_settled(&self) -> bool {
        self.untold == 0 && self.names.untold() == 0 && !self.network.doubts_the_first_word()
    }

    /// When something changes next by time alone: [`Event::Elapsed`] is to be handled then.
    pub fn due(&self) -> Option<Instant> {
        self.deadlines.first().into_iter().chain(self.network.due()).min()
    }

    /// Whether [`Event::Released`] would bring `pool` back.
    ///
    /// # Errors
    ///
    /// If it would not; the error says why.
    pub fn can_release(&self, pool: &str) -> Result<(), NotReleasable> {
        let name = pool.to_owned();
        match self.pool_of(pool).map(|(_, pool)| (pool, pool.stage())) {
            None => Err(NotReleasable::Unknown(name)),
            Some((_, Stage::InService | Stage::Returning { .. })) => Err(NotReleasable::InService(name)),
            Some((pool, Stage::Out)) => {
                Err(NotReleasable::Out(name, pool.reason(&self.targets, self.latest)))
            }
            Some((_, Stage::Held { .. } | Stage::AwaitsRelease)) => Ok(()),
        }
    }

    /// Takes in `event`, which happened at `now`. When it returns, the next query is answered by
    /// what follows from it.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Notice> {
        self.let_go_of_tables();
        // What was measured elsewhere may arrive a little late; time goes on all the same.
        self.latest = now.max(self.latest);
        let now = self.latest;
        self.decided = matches!(event, Event::Probed { .. }).then_some(now);
        let was_settled = self.is_settled();
        let mut notices = match event {
            Event::Probed { target, outcome, started, timings } => {
                let heard = heard(&outcome, started, timings);
                let took = now.saturating_duration_since(started);
                if let Some(target) = self.targets.get_mut(&target) {
                    target.history.add(&outcome, now, took, timings);
                }
                self.observe(target, &outcome, (heard, took), now)
            }
            Event::Resolved { name, lookup } => self.learn(&name, lookup, now),
            Event::Elapsed => self.elapse(now),
            Event::Released { pool } => self.release(&pool, now),
            Event::Ordered { pool, address, order } => self.order(&pool, address.as_deref(), order, now),
            Event::Reported { pool, address, absence } => {
                self.report(&pool, address.as_deref(), absence, now)
            }
            // Whatever was before, it tells whether all of the new world is known.
            Event::Replaced { world, orders } => return self.replace(*world, orders, now),
            Event::Secrets { cookies } => {
                let table = self.published.load().with_cookies(cookies);
                table.into_iter().map(|table| self.publish(table)).collect()
            }
        };
        if !was_settled && self.is_settled() {
            notices.push(Notice::Settled);
        }
        notices
    }

    /// What earlier plans have left behind that nobody reads any more, to be dropped where that delays
    /// nothing; `None`: there is nothing.
    pub fn take_remains(&mut self) -> Option<Remains> {
        self.let_go_of_tables();
        self.remains.take()
    }

    fn let_go_of_tables(&mut self) {
        let is_read = |table: &Arc<RoutingTable>| Arc::strong_count(table) > 1;
        let current = self.published.load();
        let unread = self.retired.extract_if(.., |table| !is_read(table));
        self.remains.tables.extend(unread.filter(|table| !table.shares_world(&current)));
    }

    /// What is believed of everything, and what is served.
    pub fn status(&self, now: Instant) -> Status {
        let table = self.published.load();
        Status::new(self.known(&table, now), self.network.isolated())
    }

    /// What is believed of the pool of this name; `None`: there is none.
    pub fn pool_status(&self, name: &str, now: Instant) -> Option<PoolStatus> {
        let (id, _) = self.pool_of(name)?;
        Some(self.known(&self.published.load(), now).pool(id))
    }

    /// At most `limit` pools behind the one named `after`; from the first on without it.
    pub fn pool_page(&self, after: Option<&str>, limit: usize, now: Instant) -> Page<PoolStatus> {
        self.known(&self.published.load(), now).pools(after, limit)
    }

    /// The domain of this name; `None`: there is none.
    pub fn domain_status(&self, name: &Name, now: Instant) -> Option<DomainStatus> {
        let table = self.published.load();
        let domain = table.plan().domains.iter().find(|domain| domain.name == *name)?;
        Some(self.known(&table, now).domain(domain))
    }

    /// At most `limit` domains behind the one named `after`; from the first on without it.
    pub fn domain_page(&self, after: Option<&Name>, limit: usize, now: Instant) -> Page<DomainStatus> {
        self.known(&self.published.load(), now).domains(after, limit)
    }

    fn known<'k>(&'k self, table: &'k RoutingTable, now: Instant) -> Known<'k> {
        Known { table, pools: &self.pools, targets: &self.targets, names: &self.names, now }
    }

    /// What the last probes of an address found.
    ///
    /// # Errors
    ///
    /// If there is no such pool or address.
    pub fn history(&self, pool: &str, address: &str, now: Instant) -> Result<HistoryStatus, NoSuch> {
        let (id, state) = self.pool_of(pool).ok_or_else(|| NoSuch::Pool(pool.to_owned()))?;
        let table = self.published.load();
        let mut resolved = table.pool(id).resolved.iter();
        if !state.has_address(address) && !resolved.any(|resolved| resolved.address.name == address) {
            return Err(NoSuch::Address(pool.to_owned(), address.to_owned()));
        }
        let target = state.target_of(address).and_then(|id| self.targets.get(&id));
        let history = target.map(|target| &target.history);
        Ok(HistoryStatus {
            pool: pool.to_owned(),
            address: address.to_owned(),
            outcomes: history.map(|history| history.outcomes(now)).unwrap_or_default(),
            transitions: history.map(|history| history.transitions(now)).unwrap_or_default(),
        })
    }

    fn observe(
        &mut self,
        id: TargetId,
        outcome: &Outcome,
        (heard, took): (Option<Heard>, Duration),
        now: Instant,
    ) -> Vec<Notice> {
        if let Some(heard) = heard {
            self.network.hear(id, heard);
        }
        let is_doubted = self.network.is_doubted();
        // A probe may have been under way while its target left the plan; and a canary is none.
        let Some(target) = self.targets.get_mut(&id) else {
            return self.inquire(now);
        };
        let had_told = target.has_told();
        let signs = |target: &Target| (target.flip_is_near(), target.failure_from_the_start().is_some());
        let before = signs(target);
        let observed = target.observe(outcome, (heard, took), is_doubted, now);
        let is_news = !had_told || signs(target) != before;
        let (owner, watch) = (target.owner, target.watch.clone());
        self.untold -= usize::from(!had_told);
        let mut notices = match observed {
            Observed::Turned(transition) => told(self.follow(owner, !had_told, now), watch, transition),
            Observed::Heard(true) => {
                self.forgive(id);
                self.follow(owner, false, now)
            }
            Observed::Heard(false) => self.believe(id, now),
            Observed::Doubted(since) => {
                let mut notices = self.follow(owner, !had_told, now);
                notices.append(&mut self.doubt(id, !had_told, since, now));
                notices
            }
            Observed::Nothing if is_news => self.follow(owner, !had_told, now),
            Observed::Nothing => Vec::new(),
        };
        notices.append(&mut self.inquire(now));
        notices
    }

    fn elapse(&mut self, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        // It ends: whatever was observed at `now` is due later than that, if at all.
        while let Some(pool) = self.deadlines.due(now) {
            notices.append(&mut self.refresh(pool, now));
        }
        notices.append(&mut self.inquire(now));
        notices
    }

    fn release(&mut self, name: &str, now: Instant) -> Vec<Notice> {
        let Some((id, _)) = self.pool_of(name) else { return Vec::new() };
        self.pools[id.index()].release(now);
        self.refresh(id, now)
    }

    fn pool_of(&self, name: &str) -> Option<(PoolId, &PoolState)> {
        let id = self.index.pool(name)?;
        Some((id, &self.pools[id.index()]))
    }

    /// Goes over to another plan. What is believed of an address stays as long as the address
    /// does: a changed interval or path is no reason to forget that a site is down. So does what
    /// is believed of a pool as long as its name does.
    fn replace(
        &mut self,
        world: Prepared,
        orders: Vec<(String, Option<String>, Order)>,
        now: Instant,
    ) -> Vec<Notice> {
        let Prepared { compiled, lineups, calm_limits, order, conditions, places, index } = world;
        let plan = Arc::clone(compiled.plan());
        let isolated_since = self.network.isolated().map(|isolated| isolated.since);
        let mut rewatching = self.replace_network(&plan);
        // The next failure of each brings up the doubt anew.
        for target in self.targets.values_mut() {
            // What was found while nothing could be heard says nothing.
            if isolated_since.is_some() {
                target.forgive()
            } else {
                target.retract()
            };
        }
        self.names = std::mem::take(&mut self.names).for_plan(&plan);
        let mut before: Vec<Option<PoolState>> =
            std::mem::take(&mut self.pools).into_iter().map(Some).collect();
        self.pools.reserve(lineups.len());
        for (id, (lineup, limit)) in (0..).map(PoolId).zip(lineups.into_iter().zip(calm_limits)) {
            let known = self.index.pool(&lineup.pool.name).and_then(|id| before[id.index()].take());
            let watched = known.as_ref().map_or(Vec::new(), PoolState::watched);
            self.remains.lineups.extend(known.as_ref().map(|known| Arc::clone(&known.lineup)));
            let mut state = PoolState::new(Arc::clone(&lineup), limit, known);
            let lineup = match lineup.pool.resolved.is_empty() {
                true => lineup,
                false => Arc::new(Lineup::new(&plan, self.resolved(&lineup.pool, &state.leaving))),
            };
            let targets = self.rewatch(Owner::Pool(id), watched, &lineup.watches, &mut rewatching);
            let awaits_names = self.names.awaits(&lineup.pool);
            state.go_over(lineup, targets, awaits_names);
            self.pools.push(state);
        }
        for gone in before.into_iter().flatten() {
            gone.watched().into_iter().for_each(|target| self.unwatch(target, &mut rewatching));
            self.remains.pools.push(gone);
        }
        self.replace_conditions(conditions, &places, &mut rewatching);
        self.index = index;
        for (pool, address, order) in orders {
            let Some(id) = self.index.pool(&pool) else { continue };
            let ttl = Duration::from_secs(self.index.ttl(id).into());
            self.pools[id.index()].orders.order(address.as_deref(), order, ttl, now);
        }
        let mut notices = Vec::new();
        self.deadlines = Deadlines::new(self.pools.len());
        for id in order {
            let dependence = self.dependence(&plan, id, now);
            let pool = &mut self.pools[id.index()];
            pool.dependence = dependence;
            notices.append(&mut pool.observe(&mut self.targets, now));
            self.deadlines.set(id, pool.next(&self.targets, now));
        }
        let table = compiled.with_states(|id| {
            let state = &self.pools[id.index()];
            (Arc::clone(&state.lineup.pool), state.health(&self.targets, now))
        });
        let following = table.following(&self.published.load());
        let Rewatching { started, stopped } = rewatching;
        notices.splice(..0, [self.publish(following), Notice::Rewatch { started, stopped }]);
        let ended = isolated_since.map(|since| now.saturating_duration_since(since));
        notices.extend(ended.map(|after| Notice::Reconnected { after }));
        if self.is_settled() {
            notices.push(Notice::Settled);
        }
        notices
    }

    /// Goes over to what `plan` says of the network, and tells what of it is watched now.
    fn replace_network(&mut self, plan: &Plan) -> Rewatching {
        let mut before: HashSet<TargetId> = self.network.watches().map(|(id, _)| id).collect();
        let mut next_target = self.next_target;
        let next_id = || {
            next_target += 1;
            TargetId(next_target)
        };
        self.network = std::mem::take(&mut self.network).with_rules(plan.isolation.as_ref(), next_id);
        self.next_target = next_target;
        let new = self.network.watches().filter(|(id, _)| !before.remove(id));
        let started = new.map(|(id, watch)| (id, Arc::clone(watch), Verdict::Unknown.into())).collect();
        Rewatching { started, stopped: before.into_iter().collect() }
    }

    /// Goes over to `conditions`, each with what is known of the place of the one of its name.
    fn replace_conditions(
        &mut self,
        conditions: Conditions,
        places: &[Option<Arc<Watch>>],
        rewatching: &mut Rewatching,
    ) {
        let before = std::mem::replace(&mut self.conditions, conditions).targets;
        let name = |target: TargetId| self.targets[&target].watch.address.clone();
        let mut known: HashMap<String, TargetId> =
            before.into_iter().flatten().map(|target| (name(target), target)).collect();
        for (id, watch) in (0..).map(ConditionId).zip(places) {
            let Some(watch) = watch else { continue };
            let known = known.remove(&watch.address).into_iter().collect();
            let watched = self.rewatch(Owner::Condition(id), known, std::slice::from_ref(watch), rewatching);
            self.conditions.targets[id.index()] = watched.first().copied();
        }
        known.into_values().for_each(|gone| self.unwatch(gone, rewatching));
    }

    /// Observes `pool` and publishes what has changed of it.
    fn refresh(&mut self, pool: PoolId, now: Instant) -> Vec<Notice> {
        let plan = Arc::clone(self.published.load().plan());
        let dependence = self.dependence(&plan, pool, now);
        let state = &mut self.pools[pool.index()];
        state.dependence = dependence;
        let mut notices = state.observe(&mut self.targets, now);
        self.deadlines.set(pool, state.next(&self.targets, now));
        let health = state.health(&self.targets, now);
        let table = self.published.load();
        if *table.health(pool) != health {
            let table = table.with_pool(pool, health);
            notices.insert(0, self.publish(table));
        }
        notices.append(&mut self.refresh_dependents(pool, now));
        notices
    }

    fn publish(&mut self, table: RoutingTable) -> Notice {
        let generation = table.generation();
        let table = table.with_decided(self.decided);
        self.retired.push(self.published.swap(Arc::new(table)));
        Notice::Published { generation }
    }

    fn next_id(&mut self) -> TargetId {
        self.next_target += 1;
        TargetId(self.next_target)
    }
}

/// What was published comes first, then why.
fn told(mut notices: Vec<Notice>, watch: Arc<Watch>, transition: Transition) -> Vec<Notice> {
    let published = notices.iter().take_while(|notice| matches!(notice, Notice::Published { .. }));
    let position = published.count();
    notices.insert(position, Notice::Turned { watch, transition });
    notices
}

/// What a probe has heard of the address; `None`: nothing follows for the network from what it found.
///
/// Over a connection that was kept, silence is not told from slowness: that counts as silence.
fn heard(outcome: &Outcome, started: Instant, timings: Timings) -> Option<Heard> {
    let answered = match outcome {
        Outcome::Pass => true,
        Outcome::Fail(Failure::Local(_)) => return None,
        // What a resolver or a script on this host says has not come from the address.
        Outcome::Fail(
            Failure::Unresolved
            | Failure::Exit { .. }
            | Failure::Killed { .. }
            | Failure::TimedOut { phase: Phase::Resolve | Phase::Script, .. },
        ) => return None,
        Outcome::Fail(Failure::TimedOut { .. }) => timings.connect.is_some(),
        Outcome::Fail(failure) => !failure.is_silent(),
    };
    Some(Heard { started, answered })
}

#[cfg(test)]
mod tests;
