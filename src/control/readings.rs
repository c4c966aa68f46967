//! What metrics tell of everything: little of each, so that it is gathered quickly.

use std::sync::Arc;
use std::time::Instant;

use super::Controller;
use crate::dns::Name;
use crate::health::{HealthMachine, Verdict};
use crate::plan::{PoolId, Watch};
use crate::routing::RoutingTable;

/// The state of everything in numbers. What it is about is read from the table, by whoever has time for it.
#[derive(Clone)]
pub struct Readings {
    /// The table in service.
    pub table: Arc<RoutingTable>,
    /// Whether the daemon takes itself to be cut off from the network.
    pub is_isolated: bool,
    /// By [`PoolId`].
    pub pools: Vec<PoolReadings>,
    /// What is believed of each address of each pool, one behind the other; `None`: nothing watches it.
    pub verdicts: Vec<Option<Verdict>>,
    /// The names that are resolved, and the seconds since each last was; `None`: it never was.
    pub names: Vec<(Name, Option<f64>)>,
    /// Everything that is probed.
    pub watched: Vec<Arc<Watch>>,
}

/// A pool in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolReadings {
    /// The share of its clients that it serves, from 0 to 1.
    pub share: f64,
    /// Whether its check looks wrong.
    pub is_suspected: bool,
    /// How many of its addresses are held down for flipping too often.
    pub damped: usize,
    /// How many addresses it has.
    pub addresses: usize,
}

impl Controller {
    /// The state of everything in numbers: for each address a look-up and no allocation of its own.
    pub fn readings(&self, now: Instant) -> Readings {
        let table = self.published.load_full();
        let mut verdicts = Vec::with_capacity(self.targets.len());
        let pools = (0..).map(PoolId).zip(&self.pools).map(|(id, state)| {
            let addresses = table.pool(id).addresses.len();
            let mut damped = 0;
            for position in 0..addresses {
                let target = state.targets.get(position).copied().flatten();
                let target = target.and_then(|id| self.targets.get(&id));
                damped += usize::from(target.is_some_and(|target| target.hold(now).is_some()));
                verdicts.push(target.map(|target| HealthMachine::verdict(target.machine())));
            }
            let is_suspected = state.suspicion().is_some();
            PoolReadings { share: state.share(now), is_suspected, damped, addresses }
        });
        let pools = pools.collect();
        let names = self.names.iter().map(|name| {
            let answered = self.names.get(name).and_then(|state| state.answered());
            (name.clone(), answered.map(|answered| now.saturating_duration_since(answered).as_secs_f64()))
        });
        let names = names.collect();
        let watched = self.targets.values().map(|target| &target.watch);
        let watched = watched.chain(self.network.watches().map(|(_, watch)| watch)).cloned().collect();
        Readings { table, is_isolated: self.network.isolated().is_some(), pools, verdicts, names, watched }
    }
}
