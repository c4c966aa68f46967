//! Where answers go: kept together while configurations come and go.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::routing::{Flow, MAX_EDGES, RoutingTable};
use crate::telemetry::Answers;

/// More pools of domains, those included that domains have lost, are no metrics: each would be a time series.
const MAX_SERIES: usize = 1000;

/// The counts of all that answers, and the word that there is something to take in.
#[derive(Clone)]
pub(super) struct Counting {
    pub(super) flow: Arc<Flow>,
    changed: Arc<Notify>,
}

impl Counting {
    /// Nothing is counted yet.
    pub(super) fn new() -> Self {
        let changed = Arc::<Notify>::default();
        let notify = changed.clone();
        Counting { flow: Arc::new(Flow::new(move || notify.notify_one())), changed }
    }

    /// Takes in what was counted in configurations that are gone, until `stopped` says so or is gone.
    pub(super) async fn run(self, published: Arc<ArcSwap<RoutingTable>>, mut stopped: watch::Receiver<bool>) {
        let mut is_told = false;
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            let (_, is_counted) = published.load().edges();
            if !is_counted && !is_told {
                tracing::warn!(
                    "where answers go is not counted: the domains name more than {MAX_EDGES} pools"
                );
            }
            is_told = !is_counted;
            let flow = self.flow.clone();
            // A panic has been told of, and took nothing away but counts.
            let _ = tokio::task::spawn_blocking(move || flow.fold()).await;
        }
    }

    /// What the metrics tell of it.
    pub(super) fn answers(&self, table: &RoutingTable) -> Answers {
        let (_, is_counted) = table.edges();
        let domains = if is_counted { self.flow.read_few(table, MAX_SERIES) } else { Vec::new() };
        Answers { is_counted, domains, zones: self.flow.zones(table) }
    }
}
