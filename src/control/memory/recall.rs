//! Beliefs made again of what another process has known.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::snapshot::fingerprint;
use super::{
    AddressMemory, CalmMemory, Memory, Moment, NameMemory, PoolMemory, StageMemory, TransitionMemory,
};
use crate::control::conditions::in_order;
use crate::control::deadlines::Deadlines;
use crate::control::names::{GONE_AFTER, KnownName};
use crate::control::orders::Away;
use crate::control::pool::KnownPool;
use crate::control::target::{KnownTarget, Seen};
use crate::control::{Controller, Notice};
use crate::health::{Hold, Past, Stage, Transition};
use crate::plan::{HealthCheck, PoolId, Watch};

/// So long after a stop the first lookup of a name is not awaited: resolvers have answers that are older,
/// and what it finds is in the answers as soon as it is there.
const NAMES_ARE_FRESH: Duration = Duration::from_secs(60);

/// What has come of a [`Memory`].
#[derive(Debug, Default)]
pub struct Recalled {
    /// Addresses that are known as if this process had watched them.
    pub known: usize,
    /// Addresses that are believed until their first probe has ended.
    pub believed: usize,
    /// Addresses that it says nothing of, or nothing that is still believed.
    pub unknown: usize,
    /// Pools that are not simply in service.
    pub pools: usize,
    /// What time has changed meanwhile, to be told.
    pub notices: Vec<Notice>,
}

/// By what an address is found again: as at a reload, its name within its pool does not matter.
type Subject = (Option<String>, String, String, Option<u16>);

fn subject(pool: Option<&str>, address: &str, endpoint: String, port: Option<u16>) -> Subject {
    let of_condition = if pool.is_none() { address } else { "" };
    (pool.map(str::to_owned), of_condition.to_owned(), endpoint, port)
}

impl Controller {
    /// Believes at `moment` what `memory` says, as far as it is of what is watched now. To be called before
    /// anything of what [`watches`](Self::watches) says is probed, and before anything is resolved.
    ///
    /// An address that was observed so short ago that a change could not have been noticed yet, within
    /// `fall` x `interval` + `timeout`, is known; if all are, the controller [is settled](Self::is_settled). What
    /// is older, or was found by another check, is believed until the first probe, which decides alone. What is
    /// older than `remember` is not believed at all; without any, nothing is.
    ///
    /// A wall clock that was set back is noticed by the time at which the memory was taken: then everything is
    /// as old as it was at that time, and nothing is known.
    pub fn recall(&mut self, memory: Memory, remember: Duration, moment: Moment) -> Recalled {
        let Memory { taken, addresses, pools, names } = memory;
        let mut recalled = Recalled { unknown: self.targets.len(), ..Recalled::default() };
        if remember.is_zero() {
            return recalled;
        }
        let view = View {
            base: Moment { now: moment.now, wall: moment.wall.max(taken) },
            remember,
            away: Duration::from_millis(moment.wall.saturating_sub(taken)),
            is_clock_behind: moment.wall < taken,
        };
        self.latest = self.latest.max(moment.now);
        self.recall_names(names, &view);
        self.recall_addresses(addresses, &view, &mut recalled);
        for known in pools {
            let known = view.pool(known);
            if let Some(id) = self.index.pool(&known.name) {
                let state = &mut self.pools[id.index()];
                state.recall(known, view.away > remember, moment.now);
                recalled.pools += usize::from(state.stage() != Stage::InService);
            }
        }
        self.compile_anew(&mut recalled.notices);
        recalled
    }

    fn recall_names(&mut self, names: Vec<NameMemory>, view: &View) {
        // As long as a name that is gone keeps its addresses.
        if view.away >= GONE_AFTER {
            return;
        }
        let is_fresh = !view.is_clock_behind && view.away <= NAMES_ARE_FRESH;
        let mut having = BTreeSet::new();
        for known in names {
            // A name that cannot be read is not resolved either.
            let Some(known) = view.name(known) else { continue };
            having.extend(self.names.recall(known, is_fresh));
        }
        let plan = Arc::clone(self.published.load().plan());
        for pool in having {
            self.line_up(pool, &plan);
        }
    }

    fn recall_addresses(&mut self, addresses: Vec<AddressMemory>, view: &View, recalled: &mut Recalled) {
        let by_subject = addresses.into_iter().map(|memory| {
            let (pool, endpoint) = (memory.pool.as_deref(), memory.endpoint.clone());
            (subject(pool, &memory.address, endpoint, memory.port), memory)
        });
        let mut by_subject: HashMap<Subject, AddressMemory> = by_subject.collect();
        recalled.unknown = 0;
        for target in self.targets.values_mut() {
            let Watch { pool, address, endpoint, port, .. } = &*target.watch;
            let found = by_subject.remove(&subject(pool.as_deref(), address, endpoint.to_string(), *port));
            let Some(memory) = found.filter(|memory| view.age(memory.observed) <= view.remember) else {
                recalled.unknown += 1;
                continue;
            };
            let is_fresh = view.is_fresh(&memory, &target.watch);
            // One that this process has probed already knows better.
            if target.has_told() {
                continue;
            }
            target.recall(view.address(memory), is_fresh, view.base.now);
            self.untold -= usize::from(is_fresh);
            recalled.known += usize::from(is_fresh);
            recalled.believed += usize::from(!is_fresh);
        }
    }

    /// Publishes what follows from all that is believed now.
    fn compile_anew(&mut self, notices: &mut Vec<Notice>) {
        let now = self.latest;
        let table = self.published.load_full();
        self.deadlines = Deadlines::new(self.pools.len());
        for id in in_order(table.plan()) {
            let dependence = self.dependence(table.plan(), id, now);
            let pool = &mut self.pools[id.index()];
            pool.dependence = dependence;
            notices.append(&mut pool.observe(&mut self.targets, now));
            self.deadlines.set(id, pool.next(&self.targets, now));
        }
        let next = table.with_states(|id: PoolId| {
            let state = &self.pools[id.index()];
            (Arc::clone(&state.lineup.pool), state.health(&self.targets, now))
        });
        self.publish(next);
    }
}

/// From where a memory is looked at.
struct View {
    /// Now, and what the wall clock shows, or showed when the memory was taken if that is later.
    base: Moment,
    remember: Duration,
    /// Since the memory was taken.
    away: Duration,
    is_clock_behind: bool,
}

impl View {
    fn age(&self, wall: u64) -> Duration {
        Duration::from_millis(self.base.wall.saturating_sub(wall))
    }

    fn is_fresh(&self, memory: &AddressMemory, watch: &Watch) -> bool {
        let HealthCheck { interval, timeout, fall, .. } = watch.check;
        let is_of_today = !self.is_clock_behind && memory.observed <= self.base.wall;
        let bound = interval.saturating_mul(fall).saturating_add(timeout);
        is_of_today && self.age(memory.observed) <= bound && memory.check == fingerprint(watch)
    }

    fn address(&self, memory: AddressMemory) -> KnownTarget {
        let past = |wall| self.base.past(wall);
        let transition = |turned: TransitionMemory| {
            let TransitionMemory { from, to, at, streak, needed, reason, took } = turned;
            Transition { from, to, at: past(at), streak, needed, reason, took, confirmed: None }
        };
        KnownTarget {
            past: Past {
                verdict: memory.verdict,
                since: memory.since.map(past),
                passing: memory.passing,
                streak: memory.streak,
                last_failure: memory.last_failure,
            },
            observed: past(memory.observed),
            has_passed: memory.has_passed,
            is_silent: memory.is_silent,
            flips: memory.flips.into_iter().map(past).collect(),
            hold: memory.hold.map(|hold| Hold { flips: hold.flips, until: self.base.any(hold.until) }),
            seen: Seen {
                is_up: memory.is_up,
                returned: memory.returned.map(past),
                is_damped: memory.is_damped,
            },
            transitions: Arc::new(memory.transitions.into_iter().map(transition).collect()),
        }
    }

    fn pool(&self, memory: PoolMemory) -> KnownPool {
        let PoolMemory { name, stage, calm, absences } = memory;
        let past = |wall| self.base.past(wall);
        let stage = match stage {
            StageMemory::InService => Stage::InService,
            StageMemory::Returning { since } => Stage::Returning { since: past(since) },
            StageMemory::Out => Stage::Out,
            StageMemory::Held { since } => Stage::Held { since: past(since) },
            StageMemory::AwaitsRelease => Stage::AwaitsRelease,
        };
        let absences = absences.into_iter().map(|absence| {
            let until = self.base.any(absence.until);
            (absence.address, Away { reason: absence.reason, until })
        });
        let calm = calm.map(|CalmMemory { is_near, since }| (is_near, since.map(past)));
        KnownPool { name, stage, calm, absences: absences.collect() }
    }

    fn name(&self, memory: NameMemory) -> Option<KnownName> {
        let NameMemory { name, addresses, answered, changed, denied } = memory;
        let past = |wall| self.base.past(wall);
        let (v4, v6) = addresses.into_iter().partition(std::net::IpAddr::is_ipv4);
        Some(KnownName {
            name: name.parse().ok()?,
            v4,
            v6,
            answered: answered.map(past),
            changed: changed.map(past),
            denied: denied.map(past),
        })
    }
}
