//! A policy over pools.

use smallvec::SmallVec;

use super::decrees::Decrees;
use super::recorder::{Finding, Reason, Recorder};
use super::select::Choices;
use super::whereabouts::Whereabouts;
use crate::geo::UnitVector;
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
            Family::Any => Family::V4.is_in(choices) || Family::V6.is_in(choices) || choices.cname.is_some(),
        }
    }
}

/// A policy over a list of pools, shared by all domains that have the same.
pub(super) struct Steering {
    pub(super) policy: DomainPolicy,
    /// Whether one of the pools answers with names.
    pub(super) has_names: bool,
    /// Whether one of the pools has a place: without one, distances decide nothing.
    pub(super) has_places: bool,
    /// In the operator's order. A usual number of them lies in the steering itself.
    pub(super) candidates: SmallVec<[Candidate; 4]>,
    /// What the pools' `serves` say, if any says something.
    pub(super) decrees: Option<Box<Decrees>>,
}

/// A pool that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) pool: PoolId,
    pub(super) position: Option<UnitVector>,
}

impl Steering {
    pub(super) fn compile(policy: DomainPolicy, pools: &[PoolId], plan: &[Pool]) -> Self {
        let pools_of = || pools.iter().map(|pool| &plan[pool.index()]);
        Steering {
            policy,
            has_names: pools_of().any(|pool| matches!(pool.addresses, Addresses::Cname(_))),
            has_places: pools_of().any(|pool| pool.coordinates.is_some()),
            candidates: pools
                .iter()
                .zip(pools_of())
                .map(|(id, pool)| Candidate { pool: *id, position: pool.coordinates.map(UnitVector::from) })
                .collect(),
            decrees: Decrees::compile(pools_of()).map(Box::new),
        }
    }

    /// The pool that a client gets among those that `admits` lets pass.
    pub(super) fn choose<R: Recorder>(
        &self,
        admits: impl Fn(PoolId) -> bool,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut R,
    ) -> Option<PoolId> {
        let mut admitted = 0;
        let mut first = None;
        for candidate in &self.candidates {
            if !admits(candidate.pool) {
                recorder.candidate(candidate.pool, Finding::NothingToGive);
                continue;
            }
            admitted += 1;
            if first.is_none() {
                first = Some(candidate.pool);
                if self.policy == DomainPolicy::Priority {
                    recorder.taken(candidate.pool, Reason::First);
                    return first;
                }
            }
        }
        let first = first?;
        if admitted == 1 {
            // Wherever the client is, there is nothing to choose.
            recorder.taken(first, Reason::Only);
            return Some(first);
        }
        let (pool, reason) = self.nearest(first, admits, whereabouts, recorder);
        recorder.taken(pool, reason);
        Some(pool)
    }
}
