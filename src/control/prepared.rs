//! A plan made ready to be gone over to: all that follows from it alone.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::conditions::{Conditions, in_order};
use super::longest_ttls::{calm_limits, longest_ttls};
use crate::geo::GeoTable;
use crate::plan::{ConditionId, Plan, Pool, PoolId, Watch};
use crate::routing::Compiled;

/// A plan with its map, made ready for [`Event::Replaced`](super::Event::Replaced): compiled, and
/// whatever else of it takes long. It is made where that delays nothing, because the controller
/// takes in no verdict meanwhile.
pub struct Prepared {
    pub(super) compiled: Compiled,
    /// By [`PoolId`].
    pub(super) lineups: Vec<Arc<Lineup>>,
    /// By [`PoolId`]: see [`calm_limits`].
    pub(super) calm_limits: Vec<u32>,
    /// Every pool, none before those that its condition looks at.
    pub(super) order: Vec<PoolId>,
    pub(super) conditions: Conditions,
    /// By [`ConditionId`]: what watches its place, if it has one.
    pub(super) places: Vec<Option<Arc<Watch>>>,
    pub(super) index: Index,
}

/// What is looked up of the pools of a plan.
#[derive(Default)]
pub(super) struct Index {
    by_name: HashMap<String, PoolId>,
    /// By [`PoolId`]: see [`longest_ttls`].
    ttls: Vec<u32>,
}

/// A pool with the addresses that it has at a time.
pub(super) struct Lineup {
    pub(super) pool: Arc<Pool>,
    /// By position of the address: its name.
    pub(super) names: Vec<String>,
    pub(super) weights: Vec<u16>,
    /// By position of the address, or empty: how it is watched.
    pub(super) watches: Vec<Arc<Watch>>,
}

impl Prepared {
    /// Makes `plan` ready, and compiles it with `geo`.
    pub fn new(plan: Arc<Plan>, geo: Arc<GeoTable>) -> Self {
        let ids = (0..).map(PoolId);
        let conditions = (0..).map(ConditionId).take(plan.conditions.len());
        Prepared {
            lineups: plan.pools.iter().map(|pool| Arc::new(Lineup::new(&plan, Arc::clone(pool)))).collect(),
            calm_limits: calm_limits(&plan),
            order: in_order(&plan),
            conditions: Conditions::new(&plan),
            places: conditions.map(|id| plan.watch_of(id).map(Arc::new)).collect(),
            index: Index {
                by_name: plan.pools.iter().map(|pool| pool.name.clone()).zip(ids).collect(),
                ttls: longest_ttls(&plan),
            },
            compiled: Compiled::new(plan, geo),
        }
    }

    /// What it was made of.
    pub fn plan(&self) -> &Arc<Plan> {
        self.compiled.plan()
    }

    /// The map that it was made with.
    pub fn geo(&self) -> &Arc<GeoTable> {
        self.compiled.geo()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Index {
    /// The pool of this name.
    pub(super) fn pool(&self, name: &str) -> Option<PoolId> {
        self.by_name.get(name).copied()
    }

    /// Seconds for which clients may use what they were given of `pool`.
    pub(super) fn ttl(&self, pool: PoolId) -> u32 {
        self.ttls[pool.index()]
    }
}

impl Lineup {
    /// `pool`, which is one of `plan`'s or such a one with other addresses.
    pub(super) fn new(plan: &Plan, pool: Arc<Pool>) -> Self {
        Lineup {
            names: pool.addresses.names().into_iter().map(str::to_owned).collect(),
            weights: pool.addresses.weights(),
            watches: plan.watches(&pool).into_iter().map(|(_, watch)| Arc::new(watch)).collect(),
            pool,
        }
    }
}
