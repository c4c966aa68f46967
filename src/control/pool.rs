//! A pool, and what follows from its addresses and from time.

use std::collections::HashMap;
use std::mem::discriminant;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Notice;
use super::conditions::Dependence;
use super::orders::{Absence, Away, Forced, Orders, Passed};
use super::prepared::Lineup;
use super::target::{Change, Target};
use crate::dns::Name;
use crate::health::{Calm, Comeback, ComebackRules, Stage, Strength, TargetId};
use crate::plan::{Addresses, Failback, MinAvailable, RESOLVED, ServiceRules};
use crate::routing::{PoolHealth, Share, Standing};

/// A pool, and how far it has come on its way back.
pub(super) struct PoolState {
    pub(super) name: String,
    /// What is said of its addresses.
    pub(super) orders: Orders,
    /// The addresses that it has.
    pub(super) lineup: Arc<Lineup>,
    /// By position of the address: what it is by what is said of it, when it was last observed.
    forced: Vec<Option<Forced>>,
    /// By position of the address: what watches it.
    pub(super) targets: Vec<Option<TargetId>>,
    /// What else it depends on, as it was when it was last observed.
    pub(super) dependence: Option<Dependence>,
    /// Whether another domain stands in for its addresses.
    is_nested: bool,
    /// Whether nothing is known yet of a name that it has addresses of.
    pub(super) awaits_names: bool,
    /// By name: addresses that it does not have any more, and that are given until one of those
    /// that it has now has been probed.
    pub(super) leaving: HashMap<Name, Vec<IpAddr>>,
    min_available: MinAvailable,
    comeback: Comeback,
    /// How long the share of an address that returns grows.
    slow_start: Duration,
    /// `None`: no domain asks for how long it has been calm.
    calm: Option<Calm>,
    /// The last stage that was told.
    told: Stage,
    /// Why its check looks wrong, as it was told.
    suspicion: Option<String>,
}

/// What is known of a pool that outlives the process.
#[derive(Clone, Debug)]
pub(super) struct KnownPool {
    pub(super) name: String,
    pub(super) stage: Stage,
    /// Whether a flip is near, and when one was last.
    pub(super) calm: Option<(bool, Option<Instant>)>,
    /// What its site has reported of its addresses; `None`: of all the others.
    pub(super) absences: Vec<(Option<String>, Away)>,
}

impl PoolState {
    /// The state of the pool of `lineup`, which has yet to [go over](Self::go_over) to its addresses,
    /// with what is known of the pool of its name that was `before`. `calm_limit`: the longest calm
    /// that counts, 0: none does.
    pub(super) fn new(lineup: Arc<Lineup>, calm_limit: u32, before: Option<PoolState>) -> Self {
        let pool = &lineup.pool;
        let ServiceRules { min_available, failback, hold_down, slow_start } = pool.service;
        let rules = ComebackRules { manual: failback == Failback::Manual, hold_down, slow_start };
        let (comeback, calm, told, leaving, orders) = match before {
            Some(PoolState { comeback, calm, told, mut leaving, orders, .. }) => {
                let is_resolved = |name: &Name| pool.resolved.iter().any(|it| it.address.target == *name);
                // Without a check nothing is ever probed that could take over.
                leaving.retain(|name, _| pool.health_check.is_some() && is_resolved(name));
                (comeback.with_rules(rules), calm, told, leaving, orders)
            }
            None => (Comeback::new(rules), None, Stage::InService, HashMap::new(), Orders::default()),
        };
        let calm = calm.map_or(Calm::new(calm_limit), |calm| calm.with_limit(calm_limit));
        PoolState {
            name: pool.name.clone(),
            orders,
            forced: Vec::new(),
            targets: Vec::new(),
            dependence: None,
            is_nested: matches!(pool.addresses, Addresses::Domain(_)),
            awaits_names: false,
            leaving,
            min_available,
            comeback,
            slow_start: Duration::ZERO,
            calm: (calm_limit > 0).then_some(calm),
            told,
            suspicion: None,
            lineup,
        }
    }

    /// What of it outlives the process; `None`: nothing is to be said of it.
    pub(super) fn known(&self) -> Option<KnownPool> {
        let stage = self.comeback.stage();
        let calm = self.calm.map(|calm| (calm.is_near(), calm.since())).filter(|calm| *calm != (false, None));
        let absences = self.orders.absences().map(|(address, away)| (address.clone(), away.clone()));
        let absences: Vec<_> = absences.collect();
        let is_plain = stage == Stage::InService && calm.is_none() && absences.is_empty();
        (!is_plain).then(|| KnownPool { name: self.name.clone(), stage, calm, absences })
    }

    /// Takes in at `now`, before the first probes, what another process has known of it. `is_old`: from too
    /// long ago to be believed. What waits for the operator waits for ever, and what lasts for a time lasts
    /// until that is over.
    pub(super) fn recall(&mut self, known: KnownPool, is_old: bool, now: Instant) {
        let KnownPool { name: _, stage, calm, absences } = known;
        let rules = self.comeback.rules();
        if !(is_old && stage == Stage::Out && !rules.manual) {
            self.comeback = Comeback::resuming(rules, stage);
            self.told = stage;
        }
        if let (Some(own), Some((is_near, since))) = (self.calm, calm) {
            self.calm = Some(Calm::resuming(own.limit(), is_near, since));
        }
        for (address, Away { reason, until }) in absences {
            let lasts = until.saturating_duration_since(now);
            if !lasts.is_zero() {
                self.orders.report(address.as_deref(), Some(Absence { reason, lasts }), now);
            }
        }
    }

    /// Goes over to the addresses of `lineup`, which are watched by `targets`. `awaits_names`: of a
    /// name that it has more of, nothing is known.
    pub(super) fn go_over(&mut self, lineup: Arc<Lineup>, targets: Vec<TargetId>, awaits_names: bool) {
        self.targets = targets.into_iter().map(Some).collect();
        self.targets.resize(lineup.names.len(), None);
        self.forced = vec![None; lineup.names.len()];
        self.awaits_names = awaits_names;
        // An address that is alone has nobody to share with while it returns.
        let is_alone = lineup.weights.iter().filter(|weight| **weight > 0).count() <= 1;
        self.slow_start = if is_alone { Duration::ZERO } else { lineup.pool.service.slow_start };
        self.lineup = lineup;
    }

    /// What watches its addresses, in order.
    pub(super) fn watched(&self) -> Vec<TargetId> {
        self.targets.iter().flatten().copied().collect()
    }

    /// Takes in what its addresses are at `now`, and what the time that has passed changes.
    pub(super) fn observe(&mut self, targets: &mut HashMap<TargetId, Target>, now: Instant) -> Vec<Notice> {
        let mut notices = self.obey(targets, now);
        let mut has_flipped = false;
        let mut flip_is_near = false;
        let was_in_service = self.is_in_service(now);
        for id in self.targets.iter().flatten() {
            let target = targets.get_mut(id).expect("a pool's targets are watched");
            for change in target.look(self.slow_start, now) {
                let watch = target.watch.clone();
                match change {
                    Change::Flipped => has_flipped = true,
                    Change::Damped(hold) => notices.push(Notice::Damped { watch, hold }),
                    Change::Undamped => notices.push(Notice::Undamped { watch }),
                }
            }
            flip_is_near |= target.flip_is_near();
        }
        self.comeback.observe(self.strength(targets, now), now);
        if !(was_in_service && self.is_in_service(now)) {
            // What grows when the pool comes back is its share as a whole.
            for id in self.targets.iter().flatten() {
                targets.get_mut(id).expect("a pool's targets are watched").take_full_share();
            }
        }
        let stage = self.comeback.stage();
        if discriminant(&stage) != discriminant(&self.told) {
            self.told = stage;
            has_flipped = true;
            let (pool, reason) = (self.name.clone(), self.reason(targets, now));
            let standing = self.standing(self.up(targets, now) > 0);
            notices.push(Notice::Moved { pool, stage, standing, reason });
        }
        let suspicion = self.find_suspicion(targets);
        // Once: the words of a failure may differ from one probe to the next.
        if suspicion.is_some() != self.suspicion.is_some() {
            self.suspicion = suspicion;
            let pool = || self.name.clone();
            notices.extend(self.suspicion.clone().map(|reason| Notice::Suspected { pool: pool(), reason }));
        }
        if let Some(calm) = &mut self.calm {
            calm.observe(flip_is_near, has_flipped, now);
        }
        notices
    }

    /// Why its check looks wrong, in an operator's words.
    pub(super) fn suspicion(&self) -> Option<&str> {
        self.suspicion.as_deref()
    }

    /// What all its addresses do wrong in the same way, and have done since they are watched.
    fn find_suspicion(&self, targets: &HashMap<TargetId, Target>) -> Option<String> {
        let mut failures = self.targets.iter().flatten().map(|id| targets.get(id)?.failure_from_the_start());
        let first = failures.next()??;
        failures
            .all(|failure| failure.is_some_and(|failure| failure.label() == first.label()))
            .then(|| format!("no probe of it has ever passed: {first}"))
    }

    /// Puts into effect what is said of its addresses at `now`.
    fn obey(&mut self, targets: &mut HashMap<TargetId, Target>, now: Instant) -> Vec<Notice> {
        let passed = self.orders.pass(now);
        for (at, address) in self.lineup.names.iter().enumerate() {
            self.forced[at] = self.orders.forced(address);
            if let Some(target) = self.targets[at].and_then(|id| targets.get_mut(&id)) {
                target.force(self.forced[at].map(|forced| forced == Forced::Up));
            }
        }
        let pool = || self.name.clone();
        passed
            .into_iter()
            .map(|passed| match passed {
                Passed::Order(address, state, follows) => {
                    Notice::OrderEnded { pool: pool(), address, state, follows }
                }
                Passed::Absence(address) => Notice::Back { pool: pool(), address },
                Passed::Drained(address) => Notice::Drained { pool: pool(), address },
            })
            .collect()
    }

    /// What watches the address of this name.
    pub(super) fn target_of(&self, address: &str) -> Option<TargetId> {
        let at = self.lineup.names.iter().position(|name| name == address)?;
        self.targets[at]
    }

    /// Whether it has an address that is written under this name.
    pub(super) fn has_address(&self, written: &str) -> bool {
        self.lineup.names.iter().any(|name| name.split(RESOLVED).next() == Some(written) || name == written)
    }

    /// Lets it return if it is kept away.
    pub(super) fn release(&mut self, now: Instant) {
        self.comeback.release(now);
    }

    /// What clients may be given of it at `now`, by what it was when it was last observed.
    pub(super) fn health(&self, targets: &HashMap<TargetId, Target>, now: Instant) -> PoolHealth {
        let shares = (0..self.targets.len()).map(|at| Share::of(self.share_of(at, targets, now))).collect();
        let standing = match self.comeback.stage() {
            Stage::InService => Standing::Full,
            Stage::Returning { .. } => Standing::Returning(Share::of(self.share(now))),
            Stage::Out if self.lacks() => Standing::Unmet,
            // With nothing to give, how it stands decides nothing.
            Stage::Out if self.up(targets, now) == 0 => Standing::Full,
            Stage::Out => Standing::BelowMinimum,
            Stage::Held { .. } => Standing::Held,
            Stage::AwaitsRelease => Standing::AwaitsRelease,
        };
        let is_withdrawn = |forced: &Option<Forced>| *forced == Some(Forced::Withdrawn);
        let has_withdrawn = self.forced.iter().any(is_withdrawn);
        let withdrawn = has_withdrawn.then(|| self.forced.iter().map(is_withdrawn).collect());
        let calm = self.calm.map_or(u32::MAX, |calm| calm.seconds(now));
        PoolHealth { shares, standing, withdrawn, calm }
    }

    /// When something changes next by time alone.
    pub(super) fn next(&self, targets: &HashMap<TargetId, Target>, now: Instant) -> Option<Instant> {
        let watched = self.targets.iter().flatten().filter_map(|id| targets.get(id));
        watched
            .filter_map(|target| target.next(self.slow_start, now))
            .chain(self.comeback.next(now))
            .chain(self.calm.and_then(|calm| calm.next(now)))
            .chain(self.orders.next())
            .min()
    }

    /// How far it has come back.
    pub(super) fn stage(&self) -> Stage {
        self.comeback.stage()
    }

    /// The same in a word of the API; `gives`: one of its addresses could be given.
    pub(super) fn standing(&self, gives: bool) -> &'static str {
        match self.stage() {
            Stage::InService => "in-service",
            Stage::Returning { .. } => "returning",
            Stage::Out if self.lacks() => "unmet",
            Stage::Out if gives => "below-minimum",
            Stage::Out => "down",
            Stage::Held { .. } => "held",
            Stage::AwaitsRelease => "awaits-release",
        }
    }

    /// When the hold ends that it is under.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.comeback.held_until()
    }

    /// The share of the clients that it serves at `now`, from 0 to 1.
    pub(super) fn share(&self, now: Instant) -> f64 {
        self.comeback.share(now).unwrap_or(0.0)
    }

    /// The part of its weight that the address at a position takes at `now`, from 0 to 1. One that
    /// nothing watches counts as up, unless something else is said of it.
    pub(super) fn share_of(&self, at: usize, targets: &HashMap<TargetId, Target>, now: Instant) -> f64 {
        let target = self.targets[at].and_then(|id| targets.get(&id));
        match (target, self.forced[at]) {
            (Some(target), _) => target.share(self.slow_start, now),
            (None, Some(Forced::Withdrawn | Forced::Away)) => 0.0,
            (None, Some(Forced::Up) | None) => 1.0,
        }
    }

    /// Why it is in its stage, in an operator's words.
    pub(super) fn reason(&self, targets: &HashMap<TargetId, Target>, now: Instant) -> String {
        let ComebackRules { hold_down, slow_start, .. } = self.comeback.rules();
        match self.comeback.stage() {
            Stage::InService => "it serves all its clients".to_owned(),
            Stage::Returning { .. } => {
                format!("its share of the clients grows for {}", humantime::format_duration(slow_start))
            }
            Stage::Out if self.lacks() => {
                self.dependence.as_ref().map_or(String::new(), |dependence| dependence.reason.clone())
            }
            Stage::Out => {
                let taking = self.lineup.weights.iter().filter(|weight| **weight > 0).count();
                let withdrawn = self.forced.iter().filter(|it| **it == Some(Forced::Withdrawn)).count();
                match (self.up(targets, now), taking) {
                    (0, 0) => "it has no addresses".to_owned(),
                    (0, _) if withdrawn == self.forced.len() => "it is taken out by order".to_owned(),
                    (0, 1) => "its address is down".to_owned(),
                    (0, _) => format!("none of its {taking} addresses is up"),
                    (up, _) => {
                        format!("{up} of its {taking} addresses up, the minimum is {}", self.min_available)
                    }
                }
            }
            Stage::Held { .. } => {
                format!("it has recovered, and stays away for {}", humantime::format_duration(hold_down))
            }
            Stage::AwaitsRelease => "it has recovered, and stays away until it is released".to_owned(),
        }
    }

    fn strength(&self, targets: &HashMap<TargetId, Target>, now: Instant) -> Strength {
        if self.is_nested {
            return Strength::Enough;
        }
        let is_up = |at| self.share_of(at, targets, now) > 0.0;
        let may_be_up = |at: usize| {
            let target = self.targets[at].and_then(|id| targets.get(&id));
            is_up(at) || target.is_some_and(|target| !target.is_known())
        };
        let holds = self.dependence.as_ref().map_or(Some(true), |dependence| dependence.holds);
        if holds == Some(false) {
            Strength::Short
        } else if self.min_available.is_met(&self.lineup.weights, is_up) {
            // Before what it depends on is known, nothing speaks against it but that.
            if holds.is_some() { Strength::Enough } else { Strength::Undecided }
        } else if self.awaits_names || self.min_available.is_met(&self.lineup.weights, may_be_up) {
            Strength::Undecided
        } else {
            Strength::Short
        }
    }

    /// Whether what it depends on is not there.
    pub(super) fn lacks(&self) -> bool {
        self.dependence.as_ref().is_some_and(|dependence| dependence.holds == Some(false))
    }

    /// Whether it is in service with something to give; `None`: that is not known yet.
    pub(super) fn serves(&self, targets: &HashMap<TargetId, Target>, now: Instant) -> Option<bool> {
        match self.strength(targets, now) {
            Strength::Undecided => None,
            Strength::Enough | Strength::Short => {
                Some(self.is_in_service(now) && (self.is_nested || self.up(targets, now) > 0))
            }
        }
    }

    /// Whether the address that is written under this name is given, or one that it resolves to;
    /// `None`: that is not known yet.
    pub(super) fn gives(
        &self,
        written: &str,
        targets: &HashMap<TargetId, Target>,
        now: Instant,
    ) -> Option<bool> {
        let is_it = |name: &String| name == written || name.split(RESOLVED).next() == Some(written);
        let positions: Vec<usize> =
            (0..self.lineup.names.len()).filter(|at| is_it(&self.lineup.names[*at])).collect();
        if positions.iter().any(|at| self.share_of(*at, targets, now) > 0.0) {
            return Some(true);
        }
        let is_known = |at: &usize| {
            let target = self.targets[*at].and_then(|id| targets.get(&id));
            target.is_none_or(Target::is_known)
        };
        let is_awaited = positions.is_empty() && self.awaits_names;
        (!is_awaited && positions.iter().all(is_known)).then_some(false)
    }

    /// How many addresses that take traffic are up.
    fn up(&self, targets: &HashMap<TargetId, Target>, now: Instant) -> usize {
        let taking = self.lineup.weights.iter().enumerate().filter(|(_, weight)| **weight > 0);
        taking.filter(|(at, _)| self.share_of(*at, targets, now) > 0.0).count()
    }

    fn is_in_service(&self, now: Instant) -> bool {
        self.comeback.share(now).is_some()
    }
}
