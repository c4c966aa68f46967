//! Where the counters of threads and sockets are gathered for the metrics.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::routing::{Counters, Distribution, Transport};
use crate::serve::{Serving, TableCounters, TcpCounters, UdpCounters, WorkerId};
use crate::store::JOURNAL;
use crate::telemetry::{self, Answers, Notified, Sources};

/// What a worker counts, and what it answers over.
type Counting = (Transport, Arc<Counters>);

/// The counters of everything that answers. Filled while the daemon starts, read at each scrape.
#[derive(Clone, Default)]
pub(super) struct Counted {
    workers: Arc<Mutex<Vec<Counting>>>,
    tables: Arc<Mutex<Vec<Arc<TableCounters>>>>,
    sockets: Arc<OnceLock<Sockets>>,
}

/// The counters of the sockets.
struct Sockets {
    udp: Vec<Arc<UdpCounters>>,
    tcp: Arc<TcpCounters>,
}

impl Counted {
    /// Counters for one more worker.
    pub(super) fn worker(&self, id: WorkerId) -> Arc<Counters> {
        let transport = match id {
            WorkerId::Udp(_) => Transport::Udp,
            WorkerId::Tcp(_) => Transport::Tcp,
        };
        let counters = Arc::<Counters>::default();
        // A list of pointers is whole whatever happened to whoever held the lock.
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.push((transport, counters.clone()));
        counters
    }

    /// Counters for the tables of one more UDP thread. Whoever answers over TCP looks for a table when there is something
    /// to answer, and is behind as long as there is not.
    pub(super) fn tables(&self) -> Arc<TableCounters> {
        let counters = Arc::<TableCounters>::default();
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
        counters
    }

    /// Takes in the counters of the sockets.
    pub(super) fn sockets(&self, serving: &Serving) {
        let udp = serving.udp_counters().iter().map(|(_, counters)| counters.clone()).collect();
        // Sockets are bound once.
        let _ = self.sockets.set(Sockets { udp, tcp: serving.tcp_counters().clone() });
    }

    /// What the metrics are gathered from; `answers` tells where answers went, `notified` what has become of notifications,
    /// `ready` whether there are any answers, and the journal of edits is in `state_dir`.
    pub(super) fn into_sources(
        self,
        answers: impl Fn() -> Answers + Send + Sync + 'static,
        notified: impl Fn() -> Vec<Notified> + Send + Sync + 'static,
        ready: watch::Receiver<bool>,
        state_dir: Option<PathBuf>,
    ) -> Sources {
        let Counted { workers, tables, sockets } = self;
        let journal = state_dir.map(|directory| directory.join(JOURNAL));
        let octets = move || Some(std::fs::metadata(journal.as_ref()?).ok()?.len());
        Sources {
            workers: Box::new(move || workers.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            sockets: Box::new(move || {
                let tables = tables.lock().unwrap_or_else(PoisonError::into_inner).clone();
                sockets.get().map(|sockets| read(sockets, &tables)).unwrap_or_default()
            }),
            answers: Box::new(answers),
            notified: Box::new(notified),
            is_ready: Box::new(move || *ready.borrow()),
            journal: Box::new(octets),
        }
    }
}

const UDP: &str = "rhumb_udp_events_total";
const TCP: &str = "rhumb_tcp_events_total";

fn read(Sockets { udp, tcp }: &Sockets, tables: &[Arc<TableCounters>]) -> telemetry::Sockets {
    let sum = |read: fn(&UdpCounters) -> u64| udp.iter().map(|counters| read(counters)).sum();
    let events = vec![
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
    ];
    telemetry::Sockets {
        events,
        overflowed: sum(|udp| udp.overflowed.read()),
        batches: together(udp.iter().map(|udp| udp.batches.read())),
        answers: together(udp.iter().map(|udp| udp.answers.read())),
        taken_up: together(tables.iter().map(|tables| tables.taken_up.read())),
        oldest_table: tables.iter().map(|tables| tables.generation()).min(),
    }
}

fn together(all: impl Iterator<Item = Distribution>) -> Distribution {
    all.fold(Distribution::default(), |mut sum, one| {
        sum.add(&one);
        sum
    })
}
