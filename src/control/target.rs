//! A watched address, and what is believed of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::history::History;
use crate::health::{
    Damping, DampingRules, Failure, HealthMachine, Heard, Hold, Outcome, Past, Ramp, Thresholds, Transition,
    Verdict,
};
use crate::plan::{ConditionId, HealthCheck, PoolId, Watch};

/// A watched address.
pub(super) struct Target {
    pub(super) watch: Arc<Watch>,
    pub(super) owner: Owner,
    machine: HealthMachine,
    damping: Damping,
    pub(super) history: History,
    /// Whether a probe has ended, whatever its outcome; or what was known before this process is of today.
    has_told: bool,
    has_passed: bool,
    /// When it was last observed, so that something followed for the verdict.
    observed: Option<Instant>,
    /// When an outcome last spoke for the verdict.
    confirmed: Option<Instant>,
    heard: Option<Heard>,
    /// When the silence began that all failures since the last pass were part of.
    silent_since: Option<Instant>,
    /// That it is to be called down, which nobody has been told yet.
    withheld: Option<Box<Withheld>>,
    /// Whether it is up or down by what is said of it, whatever probes find.
    forced: Option<bool>,
    /// What it was when it was last looked at.
    seen: Seen,
}

/// What an address is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// To be given to clients.
    Pool(PoolId),
    /// For what others make of it.
    Condition(ConditionId),
}

/// A verdict that is not told yet, and what would be believed without it.
struct Withheld {
    machine: HealthMachine,
    transition: Transition,
}

/// What an outcome has led to.
#[derive(Debug)]
pub(super) enum Observed {
    /// To nothing that is new.
    Nothing,
    /// The verdict has changed.
    Turned(Transition),
    /// It would be down, if its silence since this moment is its own.
    Doubted(Instant),
    /// It was doubted for its silence, and something has come from it. Whether it passed.
    Heard(bool),
}

/// An address as the rules that take time see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether clients might be given it; `None`: nothing was known.
    pub(super) is_up: Option<bool>,
    /// When it came up again, while its share grows.
    pub(super) returned: Option<Instant>,
    pub(super) is_damped: bool,
}

/// What is known of an address that outlives the process.
#[derive(Clone, Debug)]
pub(super) struct KnownTarget {
    pub(super) past: Past,
    /// When it was last observed, so that something followed for the verdict.
    pub(super) observed: Instant,
    pub(super) has_passed: bool,
    /// Whether it has been silent since its last pass.
    pub(super) is_silent: bool,
    /// The latest flips, and the hold for them.
    pub(super) flips: Vec<Instant>,
    pub(super) hold: Option<Hold>,
    pub(super) seen: Seen,
    pub(super) transitions: Arc<VecDeque<Transition>>,
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
    /// An address that has not been probed.
    pub(super) fn new(watch: Arc<Watch>, owner: Owner) -> Self {
        Target {
            machine: HealthMachine::believing(watch.check.initial, thresholds(&watch.check)),
            damping: Damping::new(damping_rules(&watch.check)),
            watch,
            owner,
            history: History::default(),
            has_told: false,
            has_passed: false,
            observed: None,
            confirmed: None,
            heard: None,
            silent_since: None,
            withheld: None,
            forced: None,
            seen: Seen::default(),
        }
    }

    /// What of it outlives the process; `None`: nothing is known of it.
    pub(super) fn known(&self) -> Option<KnownTarget> {
        let machine = self.machine();
        let observed = self.observed.filter(|_| machine.verdict() != Verdict::Unknown)?;
        Some(KnownTarget {
            past: Past {
                verdict: machine.verdict(),
                since: machine.since(),
                passing: machine.passing(),
                streak: machine.streak(),
                last_failure: machine.last_failure().cloned(),
            },
            observed,
            has_passed: self.has_passed,
            is_silent: self.silent_since.is_some(),
            flips: self.damping.recent().collect(),
            hold: self.damping.last_hold(),
            seen: self.seen,
            transitions: Arc::clone(self.history.turns()),
        })
    }

    /// Takes in at `now`, before its first probe, what another process has known of it. `is_fresh`: a change since
    /// then would not have been noticed yet. Otherwise its first probe decides alone.
    pub(super) fn recall(&mut self, known: KnownTarget, is_fresh: bool, now: Instant) {
        let KnownTarget { past, observed, has_passed, is_silent, flips, hold, seen, transitions } = known;
        let machine = HealthMachine::resuming(past, thresholds(&self.watch.check));
        self.machine = if is_fresh { machine } else { machine.grown_old() };
        self.damping = Damping::resuming(damping_rules(&self.watch.check), flips, hold, now);
        self.history = History::resuming(transitions);
        self.has_told = is_fresh;
        self.has_passed = has_passed;
        self.observed = Some(observed);
        // Of the others nothing was heard before now, by which its silence could be judged.
        self.silent_since = is_silent.then_some(now);
        self.seen = seen;
    }

    /// The same address watched in another way.
    pub(super) fn watched(mut self, watch: Arc<Watch>) -> Self {
        self.retract();
        Target {
            machine: match self.observed.is_some() || self.has_told {
                true => self.machine.with_thresholds(thresholds(&watch.check)),
                false => HealthMachine::believing(watch.check.initial, thresholds(&watch.check)),
            },
            damping: self.damping.with_rules(damping_rules(&watch.check)),
            watch,
            ..self
        }
    }

    /// The same address where its pool, or its condition, stands now.
    pub(super) fn within(self, owner: Owner) -> Self {
        Target { owner, ..self }
    }

    /// Takes in the outcome of a probe, what it heard and how long it took, at `now`. `is_doubted`: silence alone is
    /// not enough to be called down.
    pub(super) fn observe(
        &mut self,
        outcome: &Outcome,
        (heard, took): (Option<Heard>, Duration),
        is_doubted: bool,
        now: Instant,
    ) -> Observed {
        self.has_told = true;
        self.has_passed |= *outcome == Outcome::Pass;
        self.heard = heard.or(self.heard);
        if self.withheld.is_some() {
            return match (heard, outcome) {
                (Some(Heard { answered: true, .. }), outcome) => {
                    self.observed = Some(now);
                    Observed::Heard(*outcome == Outcome::Pass)
                }
                _ => Observed::Nothing,
            };
        }
        let was_stale = self.machine.is_stale();
        let silent = heard.filter(|heard| !heard.answered);
        let before = (is_doubted && silent.is_some() && self.machine.verdict() == Verdict::Up)
            .then(|| self.machine.clone());
        let transition = self.machine.observe(outcome, now);
        let confirmed = self.confirmed;
        let transition = transition.map(|turned| Transition { took: Some(took), confirmed, ..turned });
        if self.machine.passing() == (self.machine.verdict() == Verdict::Up) {
            self.confirmed = Some(now);
        }
        match (silent, self.machine.streak()) {
            _ if heard.is_none() => {}
            (Some(heard), 1) => self.silent_since = Some(heard.started),
            (Some(_), _) => {}
            (None, _) => self.silent_since = None,
        }
        let observed = match outcome {
            Outcome::Fail(Failure::Local(_)) => self.observed,
            _ => Some(now),
        };
        let last = std::mem::replace(&mut self.observed, observed);
        match (transition, before, self.silent_since) {
            (None, ..) => Observed::Nothing,
            (Some(transition), Some(machine), Some(since)) => {
                self.withheld = Some(Box::new(Withheld { machine, transition }));
                self.observed = last;
                Observed::Doubted(since)
            }
            (Some(transition), ..) => {
                self.count(&transition, was_stale, now);
                Observed::Turned(transition)
            }
        }
    }

    /// Calls it down at `now`, if that was withheld.
    pub(super) fn believe(&mut self, now: Instant) -> Option<Transition> {
        let Withheld { transition, machine } = *self.withheld.take()?;
        self.observed = Some(now);
        self.count(&transition, machine.is_stale(), now);
        Some(transition)
    }

    /// Goes back to what was believed of it before it fell silent. Returns whether anything spoke
    /// against that.
    pub(super) fn forgive(&mut self) -> bool {
        let was_withheld = self.retract();
        self.machine.forgive() || was_withheld
    }

    /// Goes back to what was believed before the silence that is doubted, if one is.
    pub(super) fn retract(&mut self) -> bool {
        let withheld = self.withheld.take();
        let was_withheld = withheld.is_some();
        if let Some(withheld) = withheld {
            self.machine = withheld.machine;
        }
        was_withheld
    }

    /// Something has come from it while it was doubted, which speaks for what is believed.
    pub(super) fn confirm(&mut self) {
        self.machine.confirm();
    }

    fn count(&mut self, transition: &Transition, was_stale: bool, now: Instant) {
        self.history.turn(transition);
        // A first verdict is no flip, nor is one that has changed while nobody looked.
        if transition.from != Verdict::Unknown && !was_stale {
            self.damping.flip(now);
        }
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
        (self.machine.flip_is_near() || self.withheld.is_some())
            && !self.seen.is_damped
            && self.forced.is_none()
    }

    /// When something changes next by time alone.
    pub(super) fn next(&self, slow_start: Duration, now: Instant) -> Option<Instant> {
        let step = self.ramp(slow_start).and_then(|ramp| ramp.next(now));
        self.damping.hold(now).map(|hold| hold.until).into_iter().chain(step).min()
    }

    /// What is believed of it.
    pub(super) fn machine(&self) -> &HealthMachine {
        self.withheld.as_ref().map_or(&self.machine, |withheld| &withheld.machine)
    }

    /// Whether it is believed to be up.
    pub(super) fn is_believed_up(&self) -> bool {
        self.machine().verdict() == Verdict::Up
    }

    /// How it has failed ever since it is watched, once it has done so often enough to be down.
    pub(super) fn failure_from_the_start(&self) -> Option<&Failure> {
        let has_failed = !self.machine.passing() && self.machine.streak() >= self.watch.check.fall.max(2);
        self.machine.last_failure().filter(|_| !self.has_passed && has_failed)
    }

    /// What was last heard of it.
    pub(super) fn heard(&self) -> Option<Heard> {
        self.heard
    }

    /// Whether it was held down for flipping too often when it was last looked at.
    pub(super) fn is_held_down(&self) -> bool {
        self.seen.is_damped
    }

    /// The hold that it is under at `now`.
    pub(super) fn hold(&self, now: Instant) -> Option<Hold> {
        self.damping.hold(now)
    }

    /// Whether it is known to be up or down, or will never be probed with effect.
    pub(super) fn is_known(&self) -> bool {
        self.has_told || self.forced.is_some() || self.machine.verdict() != Verdict::Unknown
    }

    /// Whether a probe has ended.
    pub(super) fn has_told(&self) -> bool {
        self.has_told
    }

    /// Before its first probe has ended nothing is known, unless the check says what to believe, and it
    /// has to wait. When that probe
    /// could not be carried out, for a reason of our own, it counts as up: nothing speaks against it.
    fn is_up(&self, now: Instant) -> bool {
        match self.machine().verdict() {
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
