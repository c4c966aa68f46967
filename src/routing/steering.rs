//! A policy over pools.

use super::nearest::Nearest;
use super::recorder::{Finding, Reason, Recorder};
use super::select::Choices;
use super::whereabouts::Whereabouts;
use crate::plan::{Addresses, DomainPolicy, Pool, PoolId};

/// What a query can take of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
    /// Anything: where a pool of names is among the choices, the answer may be a CNAME, and the
    /// pool must be the same for every type. A resolver that has the CNAME uses it for all.
    Any,
}

impl Family {
    pub(super) const COUNT: usize = 3;
    pub(super) const ALL: [Family; Family::COUNT] = [Family::V4, Family::V6, Family::Any];

    /// Whether `choices` holds anything of this kind.
    pub(super) fn is_in(self, choices: &Choices) -> bool {
        match self {
            Family::V4 => !choices.v4.is_empty(),
            Family::V6 => !choices.v6.is_empty(),
            Family::Any => !(choices.v4.is_empty() && choices.v6.is_empty() && choices.cname.is_empty()),
        }
    }
}

/// A policy over a list of pools, shared by all domains that have the same.
pub(super) struct Steering {
    pub(super) policy: DomainPolicy,
    pub(super) pools: Box<[PoolId]>,
    nearest: Nearest,
    /// Whether one of the pools answers with names.
    pub(super) has_names: bool,
}

impl Steering {
    pub(super) fn compile(policy: DomainPolicy, pools: &[PoolId], plan: &[Pool]) -> Self {
        let is_of_names = |pool: &PoolId| matches!(plan[pool.index()].addresses, Addresses::Cname(_));
        Steering {
            policy,
            pools: pools.into(),
            nearest: match policy {
                DomainPolicy::Nearest => Nearest::compile(pools, plan),
                DomainPolicy::Priority => Nearest::default(),
            },
            has_names: pools.iter().any(is_of_names),
        }
    }

    /// The pool that a client gets among those that `admits` lets pass.
    pub(super) fn choose(
        &self,
        admits: impl Fn(PoolId) -> bool,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> Option<PoolId> {
        match self.policy {
            DomainPolicy::Nearest => self.nearest.choose(admits, whereabouts, recorder),
            DomainPolicy::Priority => self.pools.iter().copied().find(|&pool| {
                let admitted = admits(pool);
                if admitted {
                    recorder.taken(pool, Reason::First);
                } else {
                    recorder.candidate(pool, Finding::NothingToGive);
                }
                admitted
            }),
        }
    }
}
