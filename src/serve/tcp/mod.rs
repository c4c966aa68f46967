//! DNS over TCP (RFC 7766, RFC 9210): accepting, limits, and who answers.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time;

use super::Phase;
use super::answerer::{Answerer, WorkerId};
use super::counters::TcpCounters;
use super::now;

mod connection;
mod crowd;
#[cfg(test)]
mod tests;

use connection::Connection;
use crowd::Crowd;

/// At most this many answerers for all TCP connections. Each keeps rotation state as large as the
/// number of pools, which is too much for every connection to have its own.
const MAX_SEATS: usize = 4;

/// How often answerers that nobody asks are made to look for a new table, lest they keep an old
/// one in memory. Their next query would refresh them in any case.
const IDLE_REFRESH: Duration = Duration::from_secs(1);

/// How long the acceptor waits when there is no descriptor or memory for one more connection:
/// time for the one that was told to leave to close, while the backlog holds the newcomers.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(20);

/// How many connections that wait for their clients are closed if that has not helped. One each
/// time would let in no more than 50 clients a second, and connections that someone opens and
/// forgets would keep all others waiting.
const SHED: usize = 16;

/// What a TCP client may take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections open at once, over all addresses.
    pub max_connections: usize,
    /// How long a connection stays open without a query.
    pub idle_timeout: Duration,
    /// How long a query may take from its first octet to its last.
    pub query_timeout: Duration,
    /// How long the client may take to accept the replies that are ready.
    pub write_timeout: Duration,
    /// How long a connection may last, however busy.
    pub lifetime: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        TcpLimits {
            // Half of the usual soft limit of descriptors; probes and the API need the rest.
            max_connections: 512,
            // RFC 7766, section 6.2.3: a few seconds. Knot, BIND and Unbound wait 10 to 30.
            idle_timeout: Duration::from_secs(10),
            // A query is one segment. Longer than one retransmission after a loss (1 s, then 2 s).
            query_timeout: Duration::from_secs(5),
            // Two retransmissions on a slow path, and little memory held by who never reads.
            write_timeout: Duration::from_secs(5),
            // So that clients spread anew over a set of servers that has changed.
            lifetime: Duration::from_secs(600),
        }
    }
}

/// What all acceptors and connections share.
pub(super) struct Server<A> {
    limits: TcpLimits,
    crowd: Arc<Crowd>,
    seats: Box<[Mutex<Seat<A>>]>,
    counters: Arc<TcpCounters>,
}

/// An answerer and the buffer that it writes to. Connections take turns: a lock is held for the
/// queries that one connection has ready, microseconds, and never across an await. Only UDP has to
/// do without locks.
struct Seat<A> {
    answerer: A,
    reply: Box<[u8; MAX_MESSAGE]>,
}

/// Octets of the longest message: what its length of two octets can say.
const MAX_MESSAGE: usize = 65_535;

impl<A: Answerer> Server<A> {
    pub(super) fn new(
        limits: TcpLimits,
        workers: usize,
        answerer: &mut impl FnMut(WorkerId) -> A,
        counters: Arc<TcpCounters>,
    ) -> Arc<Self> {
        let seat =
            |n| Mutex::new(Seat { answerer: answerer(WorkerId::Tcp(n)), reply: Box::new([0; MAX_MESSAGE]) });
        let seats = (0..workers.clamp(1, MAX_SEATS)).map(seat).collect();
        Arc::new(Server { limits, crowd: Crowd::new(limits.max_connections), seats, counters })
    }

    /// Spawns an acceptor for each listener. Every task keeps a clone of `holder` while it lives.
    pub(super) fn start(
        self: Arc<Self>,
        listeners: Vec<TcpListener>,
        phase: &watch::Sender<Phase>,
        holder: &mpsc::Sender<Infallible>,
    ) {
        for listener in listeners {
            tokio::spawn(Arc::clone(&self).accept_all(listener, phase.subscribe(), holder.clone()));
        }
        tokio::spawn(self.refresh_idle(phase.subscribe()));
    }

    async fn accept_all(
        self: Arc<Self>,
        listener: TcpListener,
        mut phase: watch::Receiver<Phase>,
        holder: mpsc::Sender<Infallible>,
    ) {
        let mut number = 0;
        let mut exhausted = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = Phase::Leaving.reached(&mut phase) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, client)) => {
                    exhausted = false;
                    number += 1;
                    self.admit(stream, client, number, phase.clone(), holder.clone());
                }
                Err(error) => {
                    self.counters.accept_errors.add(1);
                    if passes(&error) {
                        continue;
                    }
                    // The kernel reports it even when nobody waits to be accepted. At the first
                    // failure the newest may have come this moment: who took the last descriptor
                    // is answered before anyone is closed.
                    if exhausted {
                        let shed = (0..SHED).take_while(|_| self.crowd.evict(now())).count();
                        self.counters.evicted.add(shed as u64);
                    }
                    exhausted = true;
                    time::sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
    }

    fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        number: usize,
        mut phase: watch::Receiver<Phase>,
        holder: mpsc::Sender<Infallible>,
    ) {
        self.counters.accepted.add(1);
        let Some((place, evicting)) = self.crowd.enter(client.ip(), now()) else {
            self.counters.refused.add(1);
            self.counters.closed.add(1);
            return;
        };
        if evicting {
            self.counters.evicted.add(1);
        }
        // Replies are written whole; to hold one back for the client's acknowledgement gains
        // nothing. Where it cannot be set, replies are slower and still right.
        let _ = stream.set_nodelay(true);
        // Once for each connection; the listener may be bound to all addresses.
        let ends = (client, stream.local_addr().ok());
        let connection = Connection::new(stream, ends, number, Arc::clone(self), place, phase.clone());
        tokio::spawn(async move {
            let _holder = holder;
            tokio::select! {
                () = connection.serve() => {}
                () = Phase::Cut.reached(&mut phase) => {}
            }
        });
    }

    /// The seat of the `number`th connection, for as short as possible.
    fn seat(&self, number: usize) -> MutexGuard<'_, Seat<A>> {
        // A panic while answering has left nothing behind that harms the next query.
        self.seats[number % self.seats.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh_idle(self: Arc<Self>, mut phase: watch::Receiver<Phase>) {
        let mut due = time::interval(IDLE_REFRESH);
        let mut is_leaving = false;
        loop {
            let next = if is_leaving { Phase::Draining } else { Phase::Leaving };
            tokio::select! {
                () = next.reached(&mut phase) => {
                    if is_leaving {
                        return;
                    }
                    is_leaving = true;
                    for number in 0..self.seats.len() {
                        self.seat(number).answerer.leave();
                    }
                }
                _ = due.tick() => {}
            }
            for number in 0..self.seats.len() {
                self.seat(number).answerer.refresh();
            }
        }
    }
}

/// Whether an accept error passes by itself: it tells of the one connection that failed, which is
/// gone with it, since the client has left or the network has failed it (accept(2), "Error
/// handling"), or of a signal. All others (descriptors or memory exhausted) would come again at once.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
        )
    )
}
