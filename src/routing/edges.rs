//! Which pools each domain may take, numbered, so that a worker counts each by one store.

use std::sync::Arc;

use crate::plan::{Domain, DomainId, Plan, PoolId};

/// The most that are counted: 8 MiB for each thread that answers. Beyond, nothing is.
pub const MAX_EDGES: usize = 1 << 20;

/// The pools of all domains, one behind the other: those of a domain's choices, each as often as it
/// is named, and those that it falls back to.
pub(super) struct Edges {
    plan: Arc<Plan>,
    /// By domain: the first of its own. No two domains have the same.
    firsts: Box<[u32]>,
    /// How many there are; 0: too many to be counted.
    count: usize,
}

impl Edges {
    /// Those of `plan`.
    pub(super) fn of(plan: &Arc<Plan>) -> Self {
        let mut count = 0;
        let firsts = plan.domains.iter().map(|domain| {
            let first = count;
            count += pools(domain).count().max(1);
            first as u32
        });
        let firsts: Box<[u32]> = firsts.collect();
        if count > MAX_EDGES {
            // One each, so that domains can still be told apart.
            return Edges { plan: plan.clone(), firsts: (0..plan.domains.len() as u32).collect(), count: 0 };
        }
        Edges { plan: plan.clone(), firsts, count }
    }

    /// How many there are; 0: none, or too many to be counted.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether they are counted.
    pub(super) fn are_counted(&self) -> bool {
        self.count > 0 || self.plan.domains.is_empty()
    }

    /// The first of a domain's own.
    pub(super) fn first(&self, domain: DomainId) -> u32 {
        self.firsts[domain.index()]
    }

    /// The domain whose first this is.
    pub(super) fn domain(&self, first: u32) -> DomainId {
        DomainId(self.firsts.partition_point(|other| *other < first) as u32)
    }

    /// The domains, in order.
    pub(super) fn domains(&self) -> impl Iterator<Item = (DomainId, &Domain)> {
        (0..).map(DomainId).zip(&self.plan.domains)
    }

    /// The pool of each of a domain's own, by name; a pool that is named more than once comes as often.
    pub(super) fn of_domain(&self, domain: DomainId) -> impl Iterator<Item = (u32, &str)> {
        let pools = pools(&self.plan.domains[domain.index()]);
        (self.first(domain)..).zip(pools.map(|pool| &self.plan.pools[pool.index()].name[..]))
    }
}

/// In the order in which a steering numbers them.
fn pools(domain: &Domain) -> impl Iterator<Item = PoolId> {
    let chosen = domain.choices().flat_map(|choice| &choice.pools).map(|weighted| weighted.pool);
    chosen.chain(domain.fallbacks())
}
