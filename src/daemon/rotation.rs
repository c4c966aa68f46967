//! Rotations that go on when one process takes over from another.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::routing::{Rotation, RoutingTable, Turns, Worker};
use crate::serve::{TableAnswerer, WorkerId};

/// Whose turn it is with all that answers. Apart by transport: the few who ask over TCP say nothing of the others.
#[derive(Clone)]
pub(super) struct Rotations {
    published: Arc<ArcSwap<RoutingTable>>,
    udp: Arc<Rotation>,
    tcp: Arc<Rotation>,
}

/// Whose turn it was in the process before this one, worker by worker; empty: nobody knows.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HandedOn {
    udp: Vec<Turns>,
    tcp: Vec<Turns>,
}

impl Rotations {
    /// Of nobody so far, by the names in the table that is published.
    pub(super) fn new(published: Arc<ArcSwap<RoutingTable>>) -> Self {
        Rotations { published, udp: Arc::default(), tcp: Arc::default() }
    }

    /// `worker`, which is read from now on.
    pub(super) fn with(&self, id: WorkerId, worker: Worker) -> Worker {
        match id {
            WorkerId::Udp(_) => worker.with_rotation(&self.udp),
            WorkerId::Tcp(_) => worker.with_rotation(&self.tcp),
        }
    }

    /// Whose turn it is now, in `room` octets at the most. What does not fit is left out.
    pub(super) fn told(&self, mut room: usize) -> Value {
        let table = self.published.load_full();
        let udp = self.udp.read(&table, &mut room);
        let tcp = self.tcp.read(&table, &mut room);
        // Numbers by name are all that there is: this does not fail.
        serde_json::to_value(HandedOn { udp, tcp }).unwrap_or_default()
    }
}

impl HandedOn {
    /// What another process has `told`; one of another version may tell it in another way.
    pub(super) fn of(told: Value) -> Self {
        serde_json::from_value(told).unwrap_or_else(|error| {
            tracing::debug!(%error, "rotations begin anywhere: what is told of them is not understood");
            HandedOn::default()
        })
    }

    /// `answerer`, which goes on where one of the other process stood. Where there are more than there were, several
    /// go on from the same, each one turn further than the one before.
    pub(super) fn go_on(&self, id: WorkerId, answerer: TableAnswerer) -> TableAnswerer {
        let (before, number) = match id {
            WorkerId::Udp(number) => (&self.udp, number),
            WorkerId::Tcp(number) => (&self.tcp, number),
        };
        match number.checked_rem(before.len()).and_then(|at| before.get(at)) {
            Some(turns) => {
                let further = u32::try_from(number / before.len()).unwrap_or_default();
                answerer.going_on(turns, further)
            }
            None => answerer,
        }
    }
}
