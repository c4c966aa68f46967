//! What earlier plans have left behind.

use std::fmt;
use std::sync::Arc;

use super::pool::PoolState;
use super::prepared::Lineup;
use crate::routing::RoutingTable;

/// What earlier plans have left behind and nobody reads any more. With many names, or a large map,
/// it takes long to free: to be dropped where that delays nothing.
#[derive(Default)]
pub struct Remains {
    /// Those of another plan than the one in force.
    pub(super) tables: Vec<Arc<RoutingTable>>,
    pub(super) pools: Vec<PoolState>,
    pub(super) lineups: Vec<Arc<Lineup>>,
}

impl Remains {
    /// All of it; `None`: there is nothing.
    pub(super) fn take(&mut self) -> Option<Remains> {
        let Remains { tables, pools, lineups } = self;
        let is_empty = tables.is_empty() && pools.is_empty() && lineups.is_empty();
        (!is_empty).then(|| std::mem::take(self))
    }
}

impl fmt::Debug for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remains").finish_non_exhaustive()
    }
}
