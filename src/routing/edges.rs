//! Which pools each domain may take, numbered, so that a worker counts each by one store.

use std::sync::Arc;

use crate::dns::Name;
use crate::plan::{Domain, DomainId, Plan, PoolId};

/// More pools of domains than these are not counted. Half a mebibyte of counters stays in a core's second-level
/// cache; with 300,000 of them, met at random, an answer waited another 130 ns for memory.
pub const MAX_EDGES: usize = 1 << 16;

/// Queries are counted for each of so many zones, the first of the configuration, and for all others together: each is
/// 8 octets for each worker, and a time series.
pub const MAX_ZONES: usize = 1000;

/// The pools of all domains, one behind the other: those of a domain's choices, each as often as it
/// is named, and those that it falls back to.
#[derive(PartialEq)]
pub(super) struct Edges {
    /// The first [`MAX_ZONES`] zones, in order.
    zones: Box<[Name]>,
    /// By domain: the first of its own. No two domains have the same.
    firsts: Box<[u32]>,
    /// How many there are; 0: too many to be counted.
    count: usize,
    pools: Pools,
}

/// Where the pools of domains are looked up.
enum Pools {
    /// Not in the plan, which would stay in memory as long as these, and they may outlast many.
    Counted {
        /// The domains, in order.
        domains: Box<[Name]>,
        /// By edge, which of the names it is; of what leads nowhere, as of a domain without pools, [`NO_POOL`].
        edges: Box<[u32]>,
        /// Those that are taken, as they come.
        names: Box<[Box<str>]>,
    },
    /// Too many to have them twice.
    Planned(Arc<Plan>),
}

const NO_POOL: u32 = u32::MAX;

impl PartialEq for Pools {
    /// What is not counted is not compared: nothing is won by it.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Pools::Counted { domains, edges, names },
                Pools::Counted { domains: other_domains, edges: other_edges, names: other_names },
            ) => domains == other_domains && edges == other_edges && names == other_names,
            _ => false,
        }
    }
}

impl Edges {
    /// Those of `plan`.
    pub(super) fn of(plan: &Arc<Plan>) -> Self {
        let zones = plan.zones.iter().map(|zone| zone.name.clone()).take(MAX_ZONES).collect();
        let mut count = 0;
        let firsts = plan.domains.iter().map(|domain| {
            let first = count;
            count += pools(domain).count().max(1);
            first as u32
        });
        let firsts: Box<[u32]> = firsts.collect();
        if count > MAX_EDGES {
            // One each, so that domains can still be told apart.
            let firsts = (0..plan.domains.len() as u32).collect();
            return Edges { zones, firsts, count: 0, pools: Pools::Planned(plan.clone()) };
        }
        Edges { zones, firsts, count, pools: Pools::counted(plan, count) }
    }

    /// How many there are; 0: none, or too many to be counted.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether they are counted.
    pub(super) fn are_counted(&self) -> bool {
        self.count > 0 || self.firsts.is_empty()
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
    pub(super) fn domains(&self) -> impl Iterator<Item = (DomainId, &Name)> {
        let (counted, planned) = match &self.pools {
            Pools::Counted { domains, .. } => (Some(domains), None),
            Pools::Planned(plan) => (None, Some(plan.domains.iter().map(|domain| &domain.name))),
        };
        (0..).map(DomainId).zip(counted.into_iter().flatten().chain(planned.into_iter().flatten()))
    }

    /// The zones whose queries are counted apart, in order.
    pub(super) fn zones(&self) -> &[Name] {
        &self.zones
    }

    /// The pool of each of a domain's own, by name; a pool that is named more than once comes as often.
    pub(super) fn of_domain(&self, domain: DomainId) -> impl Iterator<Item = (u32, &str)> {
        let first = self.first(domain);
        let (counted, planned) = match &self.pools {
            Pools::Counted { edges, names, .. } => {
                let end = self.firsts.get(domain.index() + 1).map_or(self.count, |end| *end as usize);
                // What leads nowhere has no name.
                let own = edges[first as usize..end].iter();
                (Some(own.filter_map(|pool| names.get(*pool as usize)).map(|name| &**name)), None)
            }
            Pools::Planned(plan) => {
                let own = pools(&plan.domains[domain.index()]);
                (None, Some(own.map(|pool| &plan.pools[pool.index()].name[..])))
            }
        };
        (first..).zip(counted.into_iter().flatten().chain(planned.into_iter().flatten()))
    }
}

impl Pools {
    fn counted(plan: &Plan, count: usize) -> Self {
        let mut places = vec![NO_POOL; plan.pools.len()];
        let (mut edges, mut names) = (Vec::with_capacity(count), Vec::new());
        for domain in &plan.domains {
            let first = edges.len();
            for pool in pools(domain) {
                let place = &mut places[pool.index()];
                if *place == NO_POOL {
                    *place = names.len() as u32;
                    names.push(plan.pools[pool.index()].name[..].into());
                }
                edges.push(*place);
            }
            if edges.len() == first {
                edges.push(NO_POOL);
            }
        }
        let domains = plan.domains.iter().map(|domain| domain.name.clone()).collect();
        Pools::Counted { domains, edges: edges.into(), names: names.into() }
    }
}

/// In the order in which a steering numbers them.
fn pools(domain: &Domain) -> impl Iterator<Item = PoolId> {
    let chosen = domain.choices().flat_map(|choice| &choice.pools).map(|weighted| weighted.pool);
    chosen.chain(domain.fallbacks())
}
