//! Domain to pool: whose addresses are given.

use super::names::Node;
use super::recorder::{Reason, Recorder};
use super::steering::Family;
use super::table::RoutingTable;
use super::whereabouts::Whereabouts;
use crate::plan::{PoolId, WhenAllDown};

/// What a domain answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Addresses of this pool that are up.
    Healthy(PoolId),
    /// Addresses of this pool, whether they are up or not.
    Any(PoolId),
    /// Nothing of the kind asked for.
    Nodata,
    /// An error on purpose.
    Servfail,
}

/// What the domain at `node` answers a client that can take `family`.
pub(super) fn steer(
    table: &RoutingTable,
    node: &Node,
    family: Family,
    whereabouts: &mut Whereabouts<'_>,
    recorder: &mut impl Recorder,
) -> Decision {
    let world = &table.world;
    let steering = &world.steerings[node.steering as usize];
    let family = if steering.has_names { Family::Any } else { family };
    recorder.domain(node.domain, steering.policy);
    if let Some(pool) = steering.choose(|pool| table.is_available(family, pool), whereabouts, recorder) {
        return Decision::Healthy(pool);
    }
    let configured = &world.configured[family as usize];
    if !steering.candidates.iter().any(|candidate| configured.has(candidate.pool)) {
        return Decision::Nodata;
    }
    let when_all_down = world.plan.domains[node.domain as usize].when_all_down;
    recorder.all_down(when_all_down);
    match when_all_down {
        WhenAllDown::ServeAll => steering
            .choose(|pool| configured.has(pool), whereabouts, recorder)
            .map_or(Decision::Nodata, Decision::Any),
        WhenAllDown::Fallback(pool) => {
            recorder.taken(pool, Reason::Fallback);
            let has_healthy = table.is_available(Family::Any, pool);
            if has_healthy { Decision::Healthy(pool) } else { Decision::Any(pool) }
        }
        WhenAllDown::Nodata => Decision::Nodata,
        WhenAllDown::Servfail => Decision::Servfail,
    }
}
