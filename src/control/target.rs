//! A watched address, and what is believed of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::health::{
    Damping, DampingRules, HealthMachine, Hold, Outcome, Ramp, Thresholds, Transition, Verdict,
};
use crate::plan::{HealthCheck, PoolId, Watch};

/// A watched address.
pub(super) struct Target {
    pub(super) watch: Arc<Watch>,
    pub(super) pool: PoolId,
    machine: HealthMachine,
    damping: Damping,
    /// Whether a probe has ended, whatever its outcome.
    has_told: bool,
    /// Whether it is up or down by what is said of it, whatever probes find.
    forced: Option<bool>,
    /// What it was when it was last looked at.
    seen: Seen,
}

/// An address as the rules that take time see it.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Whether clients might be given it; `None`: nothing was known.
    is_up: Option<bool>,
    /// When it came up again, while its share grows.
    returned: Option<Instant>,
    is_damped: bool,
}

/// What a look at an address has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It turned up or down for clients.
    Flipped,
    /// It is held down from now on.
    Damped(Hold),
    /// It is held down no longer.
    Undamped,
}

impl Target {
    /// An address of which nothing is known.
    pub(super) fn new(watch: Watch, pool: PoolId) -> Self {
        Target {
            machine: HealthMachine::new(thresholds(&watch.check)),
            damping: Damping::new(damping_rules(&watch.check)),
            watch: Arc::new(watch),
            pool,
            has_told: false,
            forced: None,
            seen: Seen::default(),
        }
    }

    /// The same address watched in another way.
    pub(super) fn watched(self, watch: Watch) -> Self {
        Target {
            machine: self.machine.with_thresholds(thresholds(&watch.check)),
            damping: self.damping.with_rules(damping_rules(&watch.check)),
            watch: Arc::new(watch),
            ..self
        }
    }

    /// The same address where its pool stands now.
    pub(super) fn within(self, pool: PoolId) -> Self {
        Target { pool, ..self }
    }

    /// Takes in the outcome of a probe at `now`; says so if the verdict changes by it.
    pub(super) fn observe(&mut self, outcome: &Outcome, now: Instant) -> Option<Transition> {
        self.has_told = true;
        let transition = self.machine.observe(outcome, now);
        // A first verdict is no flip.
        if transition.as_ref().is_some_and(|transition| transition.from != Verdict::Unknown) {
            self.damping.flip(now);
        }
        transition
    }

    /// From now on it is up or down by what is said of it; `None`: by its health.
    pub(super) fn force(&mut self, forced: Option<bool>) {
        self.forced = forced;
    }

    /// Looks at the address at `now` and tells what has changed since the last look.
    pub(super) fn look(&mut self, slow_start: Duration, now: Instant) -> Vec<Change> {
        let hold = self.damping.hold(now);
        let is_up = self.is_up(now);
        let known = self.is_known().then_some(is_up);
        let before = self.seen;
        self.seen = Seen { is_up: known, is_damped: hold.is_some(), ..before };
        let mut changes = Vec::new();
        match (before.is_damped, hold) {
            (false, Some(hold)) => changes.push(Change::Damped(hold)),
            (true, None) => changes.push(Change::Undamped),
            _ => {}
        }
        match (before.is_up, known) {
            (Some(false), Some(true)) => self.seen.returned = Some(now),
            (_, Some(true)) => {}
            _ => self.seen.returned = None,
        }
        if self.ramp(slow_start).is_some_and(|ramp| ramp.end() <= now) {
            self.seen.returned = None;
        }
        // The first that is known of it is no flip.
        if before.is_up.is_some() && before.is_up != known {
            changes.push(Change::Flipped);
        }
        changes
    }

    /// From now on it takes all of its weight.
    pub(super) fn take_full_share(&mut self) {
        self.seen.returned = None;
    }

    /// The part of its weight that it takes at `now`; 0: it is down.
    pub(super) fn share(&self, slow_start: Duration, now: Instant) -> f64 {
        match self.ramp(slow_start) {
            _ if self.seen.is_up != Some(true) => 0.0,
            Some(ramp) => ramp.share(now),
            None => 1.0,
        }
    }

    /// Whether a few more outcomes like the last one will change what clients are given.
    pub(super) fn flip_is_near(&self) -> bool {
        self.machine.flip_is_near() && !self.seen.is_damped && self.forced.is_none()
    }

    /// When something changes next by time alone.
    pub(super) fn next(&self, slow_start: Duration, now: Instant) -> Option<Instant> {
        let step = self.ramp(slow_start).and_then(|ramp| ramp.next(now));
        self.damping.hold(now).map(|hold| hold.until).into_iter().chain(step).min()
    }

    /// What is believed of it.
    pub(super) fn machine(&self) -> &HealthMachine {
        &self.machine
    }

    /// The hold that it is under at `now`.
    pub(super) fn hold(&self, now: Instant) -> Option<Hold> {
        self.damping.hold(now)
    }

    /// Whether it is known to be up or down, or will never be probed with effect.
    pub(super) fn is_known(&self) -> bool {
        self.has_told || self.forced.is_some()
    }

    /// Whether a probe has ended.
    pub(super) fn has_told(&self) -> bool {
        self.has_told
    }

    /// Before its first probe has ended nothing is known, and it has to wait. When that probe
    /// could not be carried out, for a reason of our own, it counts as up: nothing speaks against it.
    fn is_up(&self, now: Instant) -> bool {
        match self.machine.verdict() {
            _ if self.forced.is_some() => self.forced == Some(true),
            _ if self.damping.hold(now).is_some() => false,
            Verdict::Up => true,
            Verdict::Down => false,
            Verdict::Unknown => self.has_told,
        }
    }

    fn ramp(&self, slow_start: Duration) -> Option<Ramp> {
        self.seen.returned.map(|returned| Ramp::new(returned, slow_start))
    }
}

fn thresholds(check: &HealthCheck) -> Thresholds {
    Thresholds { fall: check.fall, rise: check.rise }
}

fn damping_rules(check: &HealthCheck) -> Option<DampingRules> {
    let crate::plan::Damping { flips, window, hold } = check.damping?;
    Some(DampingRules { flips, window, hold })
}
