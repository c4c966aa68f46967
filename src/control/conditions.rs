//! What pools depend on besides their own addresses.

use std::sync::Arc;
use std::time::Instant;

use super::target::Owner;
use super::{Controller, Notice};
use crate::health::{TargetId, Verdict};
use crate::plan::{Condition, ConditionId, ConditionRule, Endpoint, Member, Plan, PoolId};

/// Who has to be looked at again when something has changed.
#[derive(Default)]
pub(super) struct Conditions {
    /// By condition: what watches its place, if it has one.
    pub(super) targets: Vec<Option<TargetId>>,
    /// By pool: those whose condition looks at it.
    of_pool: Vec<Vec<PoolId>>,
    /// By condition: the pools whose condition is this one, or is made of it.
    of_condition: Vec<Vec<PoolId>>,
}

/// Whether what a pool depends on is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependence {
    /// `None`: nothing is known yet.
    pub(super) holds: Option<bool>,
    /// Why it does not hold, in an operator's words; empty while it does.
    pub(super) reason: String,
}

impl Conditions {
    /// Those of `plan`, of which nothing is watched yet.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut conditions = Conditions {
            targets: vec![None; plan.conditions.len()],
            of_pool: vec![Vec::new(); plan.pools.len()],
            of_condition: vec![Vec::new(); plan.conditions.len()],
        };
        for (id, pool) in (0..).map(PoolId).zip(&plan.pools) {
            let Some(condition) = pool.condition else { continue };
            let (pools, below) = plan.below(condition);
            pools.into_iter().for_each(|pool| conditions.of_pool[pool.index()].push(id));
            below.into_iter().for_each(|below| conditions.of_condition[below.index()].push(id));
        }
        conditions
    }
}

/// Every pool of `plan`, none before those that its condition looks at.
pub(super) fn in_order(plan: &Plan) -> Vec<PoolId> {
    fn visit(plan: &Plan, pool: PoolId, seen: &mut [bool], order: &mut Vec<PoolId>) {
        if std::mem::replace(&mut seen[pool.index()], true) {
            return;
        }
        if let Some(condition) = plan.pools[pool.index()].condition {
            plan.below(condition).0.into_iter().for_each(|below| visit(plan, below, seen, order));
        }
        order.push(pool);
    }
    let mut seen = vec![false; plan.pools.len()];
    let mut order = Vec::with_capacity(plan.pools.len());
    for pool in (0..).map(PoolId).take(plan.pools.len()) {
        visit(plan, pool, &mut seen, &mut order);
    }
    order
}

impl Controller {
    /// Puts into effect what is news of an address, or of the place of a condition.
    pub(super) fn follow(&mut self, owner: Owner, is_first: bool, now: Instant) -> Vec<Notice> {
        match owner {
            Owner::Pool(pool) if is_first && self.let_go(pool) => self.refit(pool, now),
            Owner::Pool(pool) => self.refresh(pool, now),
            Owner::Condition(condition) => {
                let dependents = self.conditions.of_condition[condition.index()].clone();
                self.refresh_if_changed(dependents, now)
            }
        }
    }

    /// Looks again at those that depend on `pool`.
    pub(super) fn refresh_dependents(&mut self, pool: PoolId, now: Instant) -> Vec<Notice> {
        let dependents = self.conditions.of_pool[pool.index()].clone();
        self.refresh_if_changed(dependents, now)
    }

    fn refresh_if_changed(&mut self, pools: Vec<PoolId>, now: Instant) -> Vec<Notice> {
        if pools.is_empty() {
            return Vec::new();
        }
        let plan = Arc::clone(self.published.load().plan());
        let mut notices = Vec::new();
        for pool in pools {
            // It ends: no pool depends on itself.
            if self.dependence(&plan, pool, now) != self.pools[pool.index()].dependence {
                notices.append(&mut self.refresh(pool, now));
            }
        }
        notices
    }

    /// Whether what `pool` of `plan` depends on is there; `None`: it depends on nothing.
    pub(super) fn dependence(&self, plan: &Plan, pool: PoolId, now: Instant) -> Option<Dependence> {
        let condition = plan.pools[pool.index()].condition?;
        let holds = self.holds(plan, condition, now);
        let reason = match holds {
            Some(false) => format!("its condition does not hold: {}", self.why_not(plan, condition, now)),
            Some(true) | None => String::new(),
        };
        Some(Dependence { holds, reason })
    }

    /// Whether `condition` holds; `None`: that depends on what is not known yet.
    pub(super) fn holds(&self, plan: &Plan, condition: ConditionId, now: Instant) -> Option<bool> {
        match &plan.conditions[condition.index()].rule {
            ConditionRule::Check { .. } => {
                let target =
                    self.conditions.targets[condition.index()].and_then(|id| self.targets.get(&id))?;
                match target.machine().verdict() {
                    Verdict::Up => Some(true),
                    Verdict::Down => Some(false),
                    // Its first probe could not be carried out: nothing speaks against it.
                    Verdict::Unknown => target.has_told().then_some(true),
                }
            }
            ConditionRule::Of { quorum, members } => {
                quorum.is_reached(members.iter().map(|member| self.is_well(plan, member, now)))
            }
        }
    }

    fn is_well(&self, plan: &Plan, member: &Member, now: Instant) -> Option<bool> {
        match member {
            Member::Condition(condition) => self.holds(plan, *condition, now),
            Member::Pool(pool) => self.pools[pool.index()].serves(&self.targets, now),
            Member::Address(pool, address) => self.pools[pool.index()].gives(address, &self.targets, now),
        }
    }

    /// What speaks against `condition`, which does not hold, in an operator's words.
    fn why_not(&self, plan: &Plan, condition: ConditionId, now: Instant) -> String {
        let Condition { name, rule } = &plan.conditions[condition.index()];
        match rule {
            ConditionRule::Check { endpoint, .. } => {
                let endpoint = match endpoint {
                    Endpoint::Ip(ip) => ip.to_string(),
                    Endpoint::Name(host) => host.to_string(),
                };
                format!("`{name}` at {endpoint} is down")
            }
            ConditionRule::Of { members, .. } => {
                let state = |member: &Member| match self.is_well(plan, member, now) {
                    Some(true) => "well",
                    Some(false) => "down",
                    None => "unknown",
                };
                let told = |member: &Member| format!("{} is {}", plan.member_name(member), state(member));
                format!("`{name}`: {}", members.iter().map(told).collect::<Vec<_>>().join(", "))
            }
        }
    }
}
