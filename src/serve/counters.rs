//! What the sockets count: everything that happens before a query is read or after its reply is
//! written. What the queries said is counted by `routing`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::mmsg::BATCH;
use crate::routing::{Counter, Histogram, RoutingTable, STAGE_BOUNDS};

/// Upper bounds of batches, in datagrams. The last one is a full batch.
const BATCH_BOUNDS: [u64; 6] = [1, 2, 4, 8, 16, BATCH as u64];

/// Upper bounds of the time that an answer takes, in nanoseconds: from the time that it should take to a hundred
/// microseconds, for which a thread is away only if the machine has something else to do.
const ANSWER_BOUNDS: [u64; 10] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// What one UDP thread has counted since it started.
///
/// Aligned to two cache lines, as [`crate::routing::Counters`] and for the same reason.
#[derive(Debug)]
#[repr(align(128))]
pub struct UdpCounters {
    /// Datagrams received.
    pub received: Counter,
    /// Datagrams that the kernel has dropped before they were received, for want of room in the socket's buffer. As
    /// it was when the thread last looked.
    pub overflowed: Counter,
    /// How many datagrams each receive call brought.
    pub batches: Histogram<6>,
    /// How long answers took, in nanoseconds; of one batch in [64](super::udp::TIMED_EACH).
    pub answers: Histogram<10>,
    /// Replies that the kernel took.
    pub sent: Counter,
    /// Datagrams that the answerer chose not to answer.
    pub dropped: Counter,
    /// Datagrams longer than any query that is read; not answered.
    pub oversized: Counter,
    /// Datagrams from port 0, to which nothing can be sent.
    pub unanswerable: Counter,
    /// Replies that the kernel refused: no route, a firewall, no room to send.
    pub send_errors: Counter,
    /// Receive calls that failed.
    pub receive_errors: Counter,
    /// Panics caught while answering: each is a defect, and costs one batch.
    pub panics: Counter,
    /// Times that the thread has come back from its socket in good order, with datagrams or without:
    /// ten a second at the least, unless it is stuck.
    pub rounds: Counter,
}

impl Default for UdpCounters {
    fn default() -> Self {
        UdpCounters {
            received: Counter::default(),
            overflowed: Counter::default(),
            batches: Histogram::new(&BATCH_BOUNDS),
            answers: Histogram::new(&ANSWER_BOUNDS),
            sent: Counter::default(),
            dropped: Counter::default(),
            oversized: Counter::default(),
            unanswerable: Counter::default(),
            send_errors: Counter::default(),
            receive_errors: Counter::default(),
            panics: Counter::default(),
            rounds: Counter::default(),
        }
    }
}

/// What one thread tells of the tables that it has answered from.
#[derive(Debug)]
#[repr(align(128))]
pub struct TableCounters {
    generation: AtomicU64,
    /// How long after the deciding probe had ended the first replies were sent from a table that follows from it, in
    /// nanoseconds.
    pub taken_up: Histogram<{ STAGE_BOUNDS.len() }>,
}

impl Default for TableCounters {
    fn default() -> Self {
        TableCounters { generation: AtomicU64::new(0), taken_up: Histogram::new(&STAGE_BOUNDS) }
    }
}

impl TableCounters {
    /// The generation of the table that the thread answers from.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// From now on the thread answers from `table`; only the owning thread may call this.
    pub(super) fn uses(&self, table: &RoutingTable) {
        self.generation.store(table.generation(), Ordering::Relaxed);
    }
}

/// What all TCP connections have counted since the server started.
#[derive(Default, Debug)]
pub struct TcpCounters {
    /// Connections accepted, refused ones included.
    pub accepted: Tally,
    /// Connections closed at once, since there was no room for any.
    pub refused: Tally,
    /// Connections closed to make room for new ones, or for want of descriptors.
    pub evicted: Tally,
    /// Connections that have ended, refused ones included: `accepted - closed` are open.
    pub closed: Tally,
    /// Connections closed because a time limit passed while a query or a reply was under way.
    pub timed_out: Tally,
    /// Connections closed for a message too short to be one.
    pub malformed: Tally,
    /// Accept calls that failed.
    pub accept_errors: Tally,
    /// Messages received.
    pub queries: Tally,
    /// Replies handed to the kernel or about to be.
    pub replies: Tally,
}

/// A number that many tasks write and any may read.
#[derive(Default, Debug)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The current value.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
