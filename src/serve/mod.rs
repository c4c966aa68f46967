//! The sockets of DNS: UDP in batches on threads of its own, TCP on the tokio runtime.
//!
//! Binding and serving are apart, so that a daemon can take its ports as root, drop its
//! privileges, load its tables, and only then answer. What to answer comes from an [`Answerer`];
//! [`TableAnswerer`] is the one in service.
//!
//! UDP has a plain thread for each socket: it sleeps in `recvmmsg` and shares nothing with others
//! but the kernel, which divides the clients among the sockets of an address, or gives each of them
//! what its core receives. TCP is the rare path (truncated replies, resolvers that prefer it), and its
//! clients hold on to connections for a long time; there a task each is cheap and a short lock is
//! affordable.

use std::convert::Infallible;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::Socket;
use tokio::sync::{mpsc, watch};

mod answerer;
mod bind;
mod counters;
mod mmsg;
mod tap;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use answerer::{Answerer, TableAnswerer, WorkerId};
use bind::Endpoint;
pub use bind::{BindError, Bound};
pub use counters::{TableCounters, Tally, TcpCounters, UdpCounters};
pub use tap::{Exchange, Tap};
pub use tcp::TcpLimits;
use udp::Overflow;

/// How long those connections have for their next answer that have not paused while they could: who
/// asks less often has paused.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Bound sockets that nobody serves yet; the kernel already queues what arrives.
pub struct Listeners {
    endpoints: Vec<Endpoint>,
    workers: usize,
    socket_affinity: bool,
}

impl Listeners {
    /// Binds UDP and TCP on each of `addresses`, with `workers` UDP sockets each (0: one for
    /// each core that this process may use). With port 0 the kernel chooses, and UDP and TCP
    /// get the same port.
    ///
    /// # Errors
    ///
    /// If one socket cannot be had; the others are closed again.
    pub fn bind(addresses: &[SocketAddr], workers: usize) -> Result<Listeners, BindError> {
        Listeners::bind_beside(addresses, workers, &mut Vec::new())
    }

    /// The same with those sockets of `given` that fit an address, which are taken out of it. Of an
    /// address with fewer UDP sockets than workers, several workers share one.
    ///
    /// # Errors
    ///
    /// If one socket cannot be had or does not do what is needed.
    pub fn bind_beside(
        addresses: &[SocketAddr],
        workers: usize,
        given: &mut Vec<Bound>,
    ) -> Result<Listeners, BindError> {
        let workers = match workers {
            // Counts what a container's quota leaves, which the cores alone do not tell.
            0 => thread::available_parallelism().map_or(1, NonZero::get),
            workers => workers,
        };
        let endpoints = addresses
            .iter()
            .map(|address| Endpoint::beside(*address, workers, given))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Listeners { endpoints, workers, socket_affinity: false })
    }

    /// The same, of which each UDP thread is given what its core receives, if there is a thread [for each
    /// core](Listeners::has_thread_for_each_core). Without, the kernel divides the clients among them.
    pub fn with_socket_affinity(self, socket_affinity: bool) -> Self {
        Listeners { socket_affinity, ..self }
    }

    /// Whether every address is going to have a UDP thread for each core that this process may use, with a socket of its
    /// own. Then each thread stays on its core.
    pub fn has_thread_for_each_core(&self) -> bool {
        let cores = udp::allowed_cores().len();
        self.endpoints.iter().all(|endpoint| endpoint.udp.len() == cores) && self.workers <= cores
    }

    /// Each of the sockets once more, for another process.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left.
    pub fn copies(&self) -> io::Result<Vec<Bound>> {
        let copies: Vec<_> = self.endpoints.iter().map(Endpoint::copies).collect::<Result<_, _>>()?;
        Ok(copies.into_iter().flatten().collect())
    }

    /// The addresses in the order given to [`Listeners::bind`], with the ports chosen.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.endpoints.iter().map(|endpoint| endpoint.address).collect()
    }

    /// How many UDP threads an address has at most, among which the kernel divides the queries.
    pub fn workers(&self) -> usize {
        self.endpoints.iter().map(|endpoint| endpoint.udp.len()).fold(self.workers, usize::max)
    }

    /// Begins to answer: UDP on new threads, TCP on the current tokio runtime. `answerer` is
    /// called once for each thread and for each of the few answerers that TCP shares.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started or the runtime cannot watch a listener; then all is
    /// stopped and closed again.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start<A: Answerer>(
        self,
        limits: TcpLimits,
        mut answerer: impl FnMut(WorkerId) -> A,
    ) -> io::Result<Serving> {
        let (cores, workers) = (udp::allowed_cores(), self.workers());
        let prefers_cores = self.socket_affinity && self.has_thread_for_each_core();
        let (holder, released) = mpsc::channel(1);
        let mut serving = Serving {
            stop: Arc::default(),
            phase: watch::Sender::new(Phase::Serving),
            released,
            threads: Vec::new(),
            udp: Vec::new(),
            tcp: Arc::default(),
        };

        let mut listeners = Vec::new();
        for endpoint in self.endpoints {
            for listener in endpoint.tcp {
                listeners.push(tokio::net::TcpListener::from_std(listener)?);
            }
            let given = endpoint.udp.len();
            let shared = (given..self.workers).map(|worker| endpoint.udp[worker % given].try_clone());
            let shared = shared.collect::<io::Result<Vec<_>>>()?;
            for (worker, socket) in endpoint.udp.into_iter().chain(shared).enumerate() {
                let id = WorkerId::Udp(serving.threads.len());
                // Fewer threads than cores are better left to the scheduler.
                let core = if cores.len() == workers { cores.get(worker).copied() } else { None };
                let preferred = core.filter(|_| prefers_cores);
                // Whoever has made it may have preferred one.
                if preferred.is_some() || endpoint.is_given {
                    mmsg::prefer_core(socket.as_fd(), preferred)?;
                }
                let overflow = (worker < given).then(|| match endpoint.is_given {
                    true => Overflow::from_now(socket.as_fd()),
                    false => Overflow::default(),
                });
                let thread = UdpThread {
                    socket,
                    overflow,
                    answerer: answerer(id),
                    counters: Arc::default(),
                    stop: Arc::clone(&serving.stop),
                    core,
                    _holder: holder.clone(),
                };
                serving.udp.push((id, Arc::clone(&thread.counters)));
                serving
                    .threads
                    .push(thread::Builder::new().name(id.to_string()).spawn(move || thread.run())?);
            }
        }
        let server = tcp::Server::new(limits, workers, &mut answerer, Arc::clone(&serving.tcp));
        server.start(listeners, &serving.phase, &holder);
        Ok(serving)
    }
}

/// A server that answers. Dropping it cuts TCP off and lets UDP end on its own within 100 ms;
/// [`Serving::shutdown`] finishes what has been asked and waits for it.
pub struct Serving {
    stop: Arc<AtomicBool>,
    phase: watch::Sender<Phase>,
    /// Ends when every thread and task has released its sender.
    released: mpsc::Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
    udp: Vec<(WorkerId, Arc<UdpCounters>)>,
    tcp: Arc<TcpCounters>,
}

impl Serving {
    /// The counters of each UDP thread.
    pub fn udp_counters(&self) -> &[(WorkerId, Arc<UdpCounters>)] {
        &self.udp
    }

    /// The counters of all TCP connections together.
    pub fn tcp_counters(&self) -> &Arc<TcpCounters> {
        &self.tcp
    }

    /// Leaves the sockets to another process that has them as well, and answers there already. What is
    /// queued in them is for whoever reads it first. Connections are answered until they pause; clients
    /// that ask how long they may keep theirs are told to close it (RFC 7828 section 3.2.2). After
    /// `at_most` those that are left end with their next answer. Returns whether all did.
    pub async fn hand_over(mut self, at_most: Duration) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.phase.send_replace(Phase::Leaving);
        if tokio::time::timeout(at_most, self.released.recv()).await.is_ok() {
            return true;
        }
        self.phase.send_replace(Phase::Parting);
        tokio::time::timeout(LAST_ANSWERS, self.released.recv()).await.is_ok()
    }

    /// Accepts no more connections, answers the datagrams that are queued and the TCP queries
    /// that have begun to arrive, and closes all sockets. Waits for `at_most`; connections that
    /// are not done then are cut. Returns whether everything was done.
    pub async fn shutdown(mut self, at_most: Duration) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.phase.send_replace(Phase::Draining);
        let done = tokio::time::timeout(at_most, self.released.recv()).await.is_ok();
        if done {
            for thread in mem::take(&mut self.threads) {
                // It has released its sender, which is the last thing that it does. The panics of
                // answering were caught and counted.
                let _ = thread.join();
            }
        }
        done
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.phase.send_replace(Phase::Cut);
    }
}

/// How far the TCP side has come on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    Serving,
    /// No new connections; those that there are end when they pause.
    Leaving,
    /// No new connections; those that there are end with their next answer: a client that sees the end
    /// behind its answer asks elsewhere the next time, and loses nothing.
    Parting,
    /// No new connections; those that there are end after their last answer.
    Draining,
    /// Whoever is still connected is cut off.
    Cut,
}

impl Phase {
    /// Waits until the server is in this phase or past it. A server that is gone is past all.
    async fn reached(self, now: &mut watch::Receiver<Phase>) {
        let _ = now.wait_for(|now| *now >= self).await;
    }
}

/// For spans: nobody sets it. Tokio's, which is the system's but in tests that let time pass as they like.
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

struct UdpThread<A> {
    socket: Socket,
    overflow: Option<Overflow>,
    answerer: A,
    counters: Arc<UdpCounters>,
    stop: Arc<AtomicBool>,
    core: Option<usize>,
    /// The last field, dropped when the socket is closed.
    _holder: mpsc::Sender<Infallible>,
}

impl<A: Answerer> UdpThread<A> {
    fn run(mut self) {
        if let Some(core) = self.core {
            udp::pin_to(core);
        }
        udp::serve(&self.socket, self.overflow, &mut self.answerer, &self.counters, &self.stop);
    }
}
