//! What the sockets count: everything that happens before a query is read or after its reply is
//! written. What the queries said is counted by `routing`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::routing::Counter;

/// What one UDP thread has counted since it started.
///
/// Aligned to two cache lines, as [`crate::routing::Counters`] and for the same reason.
#[derive(Default, Debug)]
#[repr(align(128))]
pub struct UdpCounters {
    /// Datagrams received.
    pub received: Counter,
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

/// What all TCP connections have counted since the server started.
#[derive(Default, Debug)]
pub struct TcpCounters {
    /// Connections accepted, refused ones included.
    pub accepted: Tally,
    /// Connections closed at once, since there was no room for any.
    pub refused: Tally,
    /// Connections closed to make room for new ones: idle, or long in asking or in reading.
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
