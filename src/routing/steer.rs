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
    wanted: Family,
    whereabouts: &mut Whereabouts<'_>,
    recorder: &mut impl Recorder,
) -> Decision {
    let world = &table.world;
    let steering = &world.steerings[node.steering as usize];
    let family = if steering.has_names { Family::Any } else { wanted };
    recorder.domain(node.domain, steering.policy);
    if let Some(pool) = steering.choose(|pool| table.is_available(family, pool), whereabouts, recorder) {
        return Decision::Healthy(pool);
    }
    let when_all_down = world.plan.domains[node.domain as usize].when_all_down;
    let configured = &world.configured[family as usize];
    let has_any =
        |is_in: &dyn Fn(PoolId) -> bool| steering.candidates.iter().any(|candidate| is_in(candidate.pool));
    // What no pool has cannot be down. But where nothing at all is up, a fallback pool of names
    // answers every type: its CNAME stands alone (RFC 1034 section 3.6.2).
    if !has_any(&|pool| configured.has(pool))
        && (!falls_back_to_names(table, when_all_down)
            || has_any(&|pool| table.is_available(Family::Any, pool)))
    {
        return Decision::Nodata;
    }
    recorder.all_down(when_all_down);
    match when_all_down {
        WhenAllDown::ServeAll => steering
            .choose(|pool| configured.has(pool), whereabouts, recorder)
            .map_or(Decision::Nodata, Decision::Any),
        WhenAllDown::Fallback(pool) => {
            recorder.taken(pool, Reason::Fallback);
            let has_wanted = world.configured[wanted as usize].has(pool);
            let family = if has_wanted { wanted } else { Family::Any };
            let has_healthy = table.is_available(family, pool);
            if has_healthy { Decision::Healthy(pool) } else { Decision::Any(pool) }
        }
        WhenAllDown::Nodata => Decision::Nodata,
        WhenAllDown::Servfail => Decision::Servfail,
    }
}

/// Whether the answer is a CNAME when all is down.
pub(super) fn falls_back_to_names(table: &RoutingTable, when_all_down: WhenAllDown) -> bool {
    matches!(when_all_down, WhenAllDown::Fallback(pool) if table.world.all[pool.index()].cname.is_some())
}
