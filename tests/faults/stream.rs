//! A query every millisecond, and what was answered when.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::network::Namespace;
use crate::support::{ASK_AGAIN, dns, now};

/// Between two queries. What is measured is not more exact than this.
const PERIOD: Duration = Duration::from_millis(1);
/// A query that has not been answered for this long will not be.
const LOST: Duration = Duration::from_secs(1);

/// Asks one server for one name until it is dropped.
pub(crate) struct Stream {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ends: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Queries without an answer yet, the oldest first.
    waiting: VecDeque<(u16, Instant)>,
    /// Equal answers, one after the other.
    runs: Vec<Run>,
    unanswered: usize,
}

/// Answers in a row that were the same.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// `None`: anything but one address.
    answer: Option<IpAddr>,
    first: Instant,
    last: Instant,
}

impl Stream {
    /// Asks `server` for `name` from the host `from`.
    pub(crate) fn start(from: &Namespace, server: SocketAddr, name: &str) -> Stream {
        let shared = Arc::<Shared>::default();
        let socket = from.within(|| dns::socket_to(server));
        // To look from time to time whether this is the end.
        socket.set_read_timeout(Some(LOST)).expect("it is not zero");
        let other = socket.try_clone().expect("a second handle");
        let query = dns::query(name, RecordType::A).to_vec().expect("it can be encoded");
        let (asking, hearing) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            std::thread::spawn(move || asking.ask(&socket, query)),
            std::thread::spawn(move || hearing.hear(&other)),
        ];
        Stream { shared, threads }
    }

    /// Waits until nothing but `expected` has been answered for `calm`. Returns whether that was
    /// before `deadline`.
    pub(crate) fn await_only(&self, expected: Ipv4Addr, calm: Duration, deadline: Instant) -> bool {
        loop {
            let last = self.shared.lock().runs.last().copied();
            let is_calm = last.is_some_and(|run| {
                run.answer == Some(expected.into()) && run.last.duration_since(run.first) >= calm
            });
            if is_calm || now() > deadline {
                return is_calm;
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// How long after `fault` the last answer came that was not `right`.
    pub(crate) fn wrong_for(&self, fault: Instant, right: Ipv4Addr) -> Duration {
        let seen = self.shared.lock();
        let wrong = seen.runs.iter().filter(|run| run.answer != Some(right.into()));
        wrong.map(|run| run.last.saturating_duration_since(fault)).max().unwrap_or_default()
    }

    /// How often the answer has changed between `from` and now.
    pub(crate) fn changes_since(&self, from: Instant) -> usize {
        self.shared.lock().runs.iter().skip(1).filter(|run| run.first >= from).count()
    }

    /// Queries that were not answered so far.
    pub(crate) fn unanswered(&self) -> usize {
        let mut seen = self.shared.lock();
        seen.give_up(now());
        seen.unanswered
    }

    /// What was answered since `from`, for people.
    pub(crate) fn story(&self, from: Instant) -> String {
        let seen = self.shared.lock();
        let runs = seen.runs.iter().filter(|run| run.last >= from);
        let told = runs.map(|run| {
            let answer = run.answer.map_or_else(|| "nothing".to_owned(), |ip| ip.to_string());
            let [first, last] =
                [run.first, run.last].map(|at| at.saturating_duration_since(from).as_secs_f64());
            format!("{answer} from {first:.3} s to {last:.3} s")
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has said already why it panicked.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, socket: &UdpSocket, mut query: Vec<u8>) {
        let mut next = now();
        for id in (0..=u16::MAX).cycle() {
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            query[..2].copy_from_slice(&id.to_be_bytes());
            self.lock().waiting.push_back((id, now()));
            // What a server that is gone makes of it is not heard here.
            let _ = socket.send(&query);
            next = now().max(next + PERIOD);
            std::thread::sleep(next.saturating_duration_since(now()));
        }
    }

    fn hear(&self, socket: &UdpSocket) {
        let mut buffer = [0; 512];
        while !self.ends.load(Ordering::Relaxed) {
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            let received = now();
            let reply = Message::from_vec(&buffer[..length]).expect("a DNS message");
            let answer = match dns::addresses(&reply)[..] {
                [address] => Some(address),
                _ => None,
            };
            self.lock().note(reply.metadata.id, answer, received);
        }
    }
}

impl Seen {
    fn give_up(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|(_, sent)| now.duration_since(*sent) > LOST) {
            self.waiting.pop_front();
            self.unanswered += 1;
        }
    }

    fn note(&mut self, id: u16, answer: Option<IpAddr>, received: Instant) {
        self.give_up(received);
        let Some(place) = self.waiting.iter().position(|(waiting, _)| *waiting == id) else { return };
        self.waiting.remove(place);
        match self.runs.last_mut() {
            Some(run) if run.answer == answer => run.last = received,
            _ => self.runs.push(Run { answer, first: received, last: received }),
        }
    }
}
