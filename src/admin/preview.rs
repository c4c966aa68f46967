//! What edits would come to, before they are made.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Context, Problem};
use crate::config::{Change, Desired, Object};
use crate::control::PoolStatus;
use crate::plan::{AddressState, Plan, Pool, PoolId, RESOLVED};
use crate::routing::{self, Move, PoolHealth, RoutingTable, Share};

impl Context {
    /// Whose answers would move if `desired` were in force, in which the states of some things are
    /// others: `ordered`.
    pub(super) async fn moves(
        &self,
        desired: Desired,
        ordered: BTreeSet<Object>,
    ) -> Result<Vec<Move>, Problem> {
        let mut believed = Vec::new();
        for name in ordered.iter().filter_map(Object::pool).collect::<BTreeSet<_>>() {
            // One that is new is not there yet, and nothing is believed of it.
            believed.extend(self.pool_status(name).await.ok());
        }
        let before = self.published.load_full();
        let work = move || {
            let plan = Arc::new(measured(desired.plan(), before.plan()));
            let after = obeying(before.as_if(plan), &desired, &ordered, &believed);
            routing::compare(&before, &after, before.geo().clients())
        };
        self.insight.work(work).await
    }
}

/// `plan` with the latencies of `current`, as far as it has their pools.
fn measured(plan: &Plan, current: &Plan) -> Plan {
    let ids: HashMap<&str, PoolId> =
        plan.pools.iter().zip(0..).map(|(pool, id)| (&pool.name[..], PoolId(id))).collect();
    let mut latencies = current.latencies.clone();
    latencies.retain_mut(|measurement| {
        let pool = ids.get(&current.pools[measurement.pool.index()].name[..]);
        pool.is_some_and(|pool| {
            measurement.pool = *pool;
            true
        })
    });
    Plan { latencies, ..plan.clone() }
}

/// `table` with the pools of `ordered` as what stands in `desired` has them.
fn obeying(
    table: RoutingTable,
    desired: &Desired,
    ordered: &BTreeSet<Object>,
    believed: &[PoolStatus],
) -> RoutingTable {
    let pools: BTreeSet<&str> = ordered.iter().filter_map(Object::pool).collect();
    let ids: Vec<(PoolId, Arc<Pool>)> = (0..)
        .map(PoolId)
        .zip(&table.plan().pools)
        .filter(|(_, pool)| pools.contains(&pool.name[..]))
        .map(|(id, _)| (id, Arc::clone(table.pool(id))))
        .collect();
    ids.into_iter().fold(table, |table, (id, pool)| {
        let status = believed.iter().find(|status| status.name == pool.name);
        let health = forced(table.health(id), &pool, desired, status);
        table.with_settled(id, health)
    })
}

fn forced(before: &PoolHealth, pool: &Pool, desired: &Desired, status: Option<&PoolStatus>) -> PoolHealth {
    let state_of = |object: Object| {
        // The last one lies over those before.
        let mut standing = desired.edits().iter().filter(|standing| standing.edit.object == object);
        let standing = standing.rfind(|standing| matches!(standing.edit.change, Change::State(_)));
        standing.and_then(|standing| match standing.edit.change {
            Change::State(state) => Some(state),
            _ => None,
        })
    };
    let of_all = state_of(Object::Pool(pool.name.clone()));
    let mut health = before.clone();
    let mut withdrawn = vec![false; health.shares.len()];
    for (at, name) in pool.addresses.names().into_iter().enumerate() {
        let of = |name: &str| state_of(Object::Address { pool: pool.name.clone(), name: name.to_owned() });
        // An address that a name resolves to obeys what is ordered of the name.
        let own = of(name).or_else(|| name.split_once(RESOLVED).and_then(|(written, _)| of(written)));
        let was = status.and_then(|status| status.addresses.iter().find(|address| address.name == name));
        let Some(share) = health.shares.get_mut(at) else { continue };
        match own.or(of_all) {
            Some(AddressState::Drain | AddressState::Down) => {
                *share = Share::NONE;
                withdrawn[at] = true;
            }
            Some(AddressState::Up) => *share = Share::FULL,
            // Its order is taken back: what was observed meanwhile counts.
            Some(AddressState::Auto) | None if was.is_some_and(|was| was.state != "auto") => {
                let is_down = was.is_some_and(|was| was.health == "down" || was.away.is_some());
                *share = if is_down { Share::NONE } else { Share::FULL };
            }
            Some(AddressState::Auto) | None => {}
        }
    }
    health.withdrawn = withdrawn.contains(&true).then(|| withdrawn.into());
    health
}
