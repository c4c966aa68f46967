//! Where the counters of threads and sockets are gathered for the metrics.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::routing::Counters;
use crate::serve::{Serving, TcpCounters, UdpCounters};
use crate::telemetry::{Answers, Sources};

/// The counters of everything that answers. Filled while the daemon starts, read at each scrape.
#[derive(Clone, Default)]
pub(super) struct Counted {
    workers: Arc<Mutex<Vec<Arc<Counters>>>>,
    sockets: Arc<OnceLock<Sockets>>,
}

/// The counters of the sockets.
struct Sockets {
    udp: Vec<Arc<UdpCounters>>,
    tcp: Arc<TcpCounters>,
}

impl Counted {
    /// Counters for one more worker.
    pub(super) fn worker(&self) -> Arc<Counters> {
        let counters = Arc::<Counters>::default();
        // A list of pointers is whole whatever happened to whoever held the lock.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
        counters
    }

    /// Takes in the counters of the sockets.
    pub(super) fn sockets(&self, serving: &Serving) {
        let udp = serving.udp_counters().iter().map(|(_, counters)| counters.clone()).collect();
        // Sockets are bound once.
        let _ = self.sockets.set(Sockets { udp, tcp: serving.tcp_counters().clone() });
    }

    /// What the metrics are gathered from; `answers` tells where answers went.
    pub(super) fn into_sources(self, answers: impl Fn() -> Answers + Send + Sync + 'static) -> Sources {
        let Counted { workers, sockets } = self;
        Sources {
            workers: Box::new(move || workers.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            sockets: Box::new(move || sockets.get().map(read).unwrap_or_default()),
            answers: Box::new(answers),
        }
    }
}

const UDP: &str = "rhumb_udp_events_total";
const TCP: &str = "rhumb_tcp_events_total";

fn read(Sockets { udp, tcp }: &Sockets) -> Vec<(&'static str, &'static str, u64)> {
    let sum = |read: fn(&UdpCounters) -> u64| udp.iter().map(|counters| read(counters)).sum();
    vec![
        (UDP, "received", sum(|udp| udp.received.read())),
        (UDP, "sent", sum(|udp| udp.sent.read())),
        (UDP, "dropped", sum(|udp| udp.dropped.read())),
        (UDP, "oversized", sum(|udp| udp.oversized.read())),
        (UDP, "unanswerable", sum(|udp| udp.unanswerable.read())),
        (UDP, "send_error", sum(|udp| udp.send_errors.read())),
        (UDP, "receive_error", sum(|udp| udp.receive_errors.read())),
        (UDP, "panic", sum(|udp| udp.panics.read())),
        (TCP, "accepted", tcp.accepted.read()),
        (TCP, "refused", tcp.refused.read()),
        (TCP, "evicted", tcp.evicted.read()),
        (TCP, "closed", tcp.closed.read()),
        (TCP, "timed_out", tcp.timed_out.read()),
        (TCP, "malformed", tcp.malformed.read()),
        (TCP, "accept_error", tcp.accept_errors.read()),
        (TCP, "query", tcp.queries.read()),
        (TCP, "reply", tcp.replies.read()),
    ]
}
