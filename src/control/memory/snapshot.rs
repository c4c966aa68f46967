//! What is believed, copied in a moment.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{
    AbsenceMemory, AddressMemory, CalmMemory, HoldMemory, Memory, Moment, NameMemory, PoolMemory,
    StageMemory, TransitionMemory,
};
use crate::control::Controller;
use crate::control::names::KnownName;
use crate::control::pool::{KnownPool, PoolState};
use crate::control::target::KnownTarget;
use crate::health::{Stage, Transition};
use crate::plan::Watch;

/// What is believed at a moment: little more than pointers, because verdicts wait while it is taken.
pub struct Snapshot {
    taken: Moment,
    targets: Vec<(Arc<Watch>, KnownTarget)>,
    pools: Vec<KnownPool>,
    names: Vec<KnownName>,
}

impl Controller {
    /// What is believed at `moment`, for a [`Memory`] to be made of it where nothing waits.
    pub fn snapshot(&self, moment: Moment) -> Snapshot {
        let known = self.targets.values().filter_map(|target| Some((&target.watch, target.known()?)));
        let targets = known.map(|(watch, known)| (Arc::clone(watch), known)).collect();
        let pools = self.pools.iter().filter_map(PoolState::known).collect();
        Snapshot { taken: moment, targets, pools, names: self.names.known() }
    }

    /// What is believed at `moment`, for [`recall`](Self::recall).
    pub fn memory(&self, moment: Moment) -> Memory {
        self.snapshot(moment).into_memory()
    }
}

impl Snapshot {
    /// The same by the wall clock.
    pub fn into_memory(self) -> Memory {
        let Snapshot { taken, targets, pools, names } = self;
        Memory {
            taken: taken.wall,
            addresses: targets.into_iter().map(|(watch, known)| address(&watch, known, taken)).collect(),
            pools: pools.into_iter().map(|known| pool(known, taken)).collect(),
            names: names.into_iter().map(|known| name(known, taken)).collect(),
        }
    }
}

/// A number that is another where something else is asked of an address. Another build of the program
/// may have another for the same, which does no harm: what is recalled then is no more than believed.
pub(super) fn fingerprint(watch: &Watch) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&watch.check.kind, &watch.resolved_from).hash(&mut hasher);
    hasher.finish()
}

fn address(watch: &Watch, known: KnownTarget, taken: Moment) -> AddressMemory {
    let KnownTarget { past, observed, has_passed, is_silent, flips, hold, seen, transitions } = known;
    let wall = |at| taken.wall_of(at);
    AddressMemory {
        pool: watch.pool.clone(),
        address: watch.address.clone(),
        endpoint: watch.endpoint.to_string(),
        port: watch.port,
        check: fingerprint(watch),
        verdict: past.verdict,
        since: past.since.map(wall),
        observed: wall(observed),
        passing: past.passing,
        streak: past.streak,
        last_failure: past.last_failure,
        has_passed,
        is_silent,
        flips: flips.into_iter().map(wall).collect(),
        hold: hold.map(|hold| HoldMemory { flips: hold.flips, until: wall(hold.until) }),
        is_up: seen.is_up,
        returned: seen.returned.map(wall),
        is_damped: seen.is_damped,
        transitions: transitions.iter().map(|turned| transition(turned, taken)).collect(),
    }
}

fn transition(turned: &Transition, taken: Moment) -> TransitionMemory {
    let Transition { from, to, at, streak, needed, reason, took, confirmed: _ } = turned.clone();
    TransitionMemory { from, to, at: taken.wall_of(at), streak, needed, reason, took }
}

fn pool(known: KnownPool, taken: Moment) -> PoolMemory {
    let KnownPool { name, stage, calm, absences } = known;
    let wall = |at| taken.wall_of(at);
    let absences = absences.into_iter().map(|(address, away)| AbsenceMemory {
        address,
        reason: away.reason,
        until: wall(away.until),
    });
    PoolMemory {
        name,
        stage: match stage {
            Stage::InService => StageMemory::InService,
            Stage::Returning { since } => StageMemory::Returning { since: wall(since) },
            Stage::Out => StageMemory::Out,
            Stage::Held { since } => StageMemory::Held { since: wall(since) },
            Stage::AwaitsRelease => StageMemory::AwaitsRelease,
        },
        calm: calm.map(|(is_near, since)| CalmMemory { is_near, since: since.map(wall) }),
        absences: absences.collect(),
    }
}

fn name(known: KnownName, taken: Moment) -> NameMemory {
    let KnownName { name, v4, v6, answered, changed, denied } = known;
    let wall = |at| taken.wall_of(at);
    NameMemory {
        name: name.to_string(),
        addresses: v4.into_iter().chain(v6).collect(),
        answered: answered.map(wall),
        changed: changed.map(wall),
        denied: denied.map(wall),
    }
}
