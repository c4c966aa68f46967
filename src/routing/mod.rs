//! Plan and verdicts to answers: the compiled table and the one function that reads it.

use std::net::IpAddr;
use std::sync::Arc;

mod counters;
pub use counters::Counters;

/// Everything that a query reads, compiled; swapped as a whole and never changed in place.
#[derive(Default)]
pub struct RoutingTable {}

/// How a query came, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: the reply is cut to what the client can take.
    Udp,
    /// A stream: the reply may have up to 65,535 octets.
    Tcp,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The source address of the query.
    pub address: IpAddr,
    /// How the query came.
    pub transport: Transport,
}

/// What one thread that answers keeps between queries: rotation, randomness and its counters.
pub struct Worker {
    counters: Arc<Counters>,
}

impl Worker {
    /// A worker whose random choices follow from `seed`.
    pub fn new(seed: u64, counters: Arc<Counters>) -> Self {
        let _ = seed;
        Worker { counters }
    }

    /// Makes room for what `table` rotates; to be called whenever the worker sees a new table,
    /// so that `answer` need not allocate.
    pub fn prepare(&mut self, table: &RoutingTable) {
        let _ = table;
    }
}

/// Answers `query` into `reply` and returns the reply's length; 0 means: send nothing.
///
/// `reply` holds at least 1,232 octets for UDP and 65,535 for TCP.
pub fn answer(
    table: &RoutingTable,
    worker: &mut Worker,
    client: Client,
    query: &[u8],
    reply: &mut [u8],
) -> usize {
    let _ = (table, client, query, reply, &worker.counters);
    0
}
