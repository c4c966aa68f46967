//! What the sockets ask for replies: the routing table in service, the tests' own in tests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Cache};

use super::counters::TableCounters;
use super::tap::{Exchange, Tap};
use crate::routing::{self, Client, RoutingTable, Turns, Worker};

/// Turns queries into replies for one thread or one TCP seat. Bytes in, length out: the sockets
/// know no DNS beyond the framing of TCP, the answerer knows no sockets.
pub trait Answerer: Send + 'static {
    /// Called once before each batch of queries, and at least once a second when there are
    /// none: the moment to look at the clock, to notice a new table and to let go of the old one.
    fn refresh(&mut self);

    /// Called when replies to a batch of datagrams were handed to the kernel.
    fn sent(&mut self) {}

    /// Called when connections are to end, though they are answered: clients that ask are told so.
    fn leave(&mut self) {}

    /// Called with queries that are going to be answered next: the moment to have fetched from memory what that takes.
    fn look_ahead<'q>(&mut self, queries: impl Iterator<Item = &'q [u8]>) {
        let _ = queries;
    }

    /// Writes the reply to `query` into `reply` and returns its length; 0 means: send nothing.
    ///
    /// `reply` holds 1,232 octets for UDP and 65,535 for TCP.
    fn answer(&mut self, client: Client, query: &[u8], reply: &mut [u8]) -> usize;

    /// Whether it is to be told what came of each [`Answerer::answer`] until the next refresh: what
    /// need not be told need not be found out.
    fn is_watched(&self) -> bool {
        false
    }

    /// Called after each [`Answerer::answer`] with what came of it, if that is watched.
    fn answered(&mut self, exchange: Exchange<'_>) {
        let _ = exchange;
    }
}

/// Which answerer of a server: the name of its thread and the label of its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerId {
    /// The nth UDP thread. Addresses follow one another: with two workers, 0 and 1 serve the
    /// first address.
    Udp(usize),
    /// The nth of the few that all TCP connections share.
    Tcp(usize),
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerId::Udp(n) => write!(f, "udp-{n}"),
            WorkerId::Tcp(n) => write!(f, "tcp-{n}"),
        }
    }
}

/// For how long an answer from a new table is waited for. One that is sent later says how long
/// nobody asked.
const AWAITED: Duration = Duration::from_secs(1);

/// A table that no answer was sent from yet.
struct Unused {
    /// When the probe ended that it follows from.
    decided: Instant,
    /// When it was found, since 1970: the clock that each refresh looks at.
    found: Duration,
}

/// Answers from the published routing table.
pub struct TableAnswerer {
    published: Cache<Arc<ArcSwap<RoutingTable>>, Arc<RoutingTable>>,
    /// The table that the worker is prepared for. Not read through the cache, which may move on
    /// in the middle of a batch to one that the worker has made no room for.
    table: Arc<RoutingTable>,
    worker: Worker,
    counters: Option<Arc<TableCounters>>,
    unused: Option<Unused>,
    tap: Option<Box<dyn Tap>>,
    /// Whether the tap wants to be shown the queries of this batch.
    is_tapped: bool,
}

impl TableAnswerer {
    /// Answers from what `published` holds at each refresh, keeping rotation in `worker`.
    pub fn new(published: Arc<ArcSwap<RoutingTable>>, mut worker: Worker) -> Self {
        let mut published = Cache::new(published);
        let table = Arc::clone(published.load());
        worker.prepare(&table);
        worker.tick(seconds(since_1970()));
        TableAnswerer { published, table, worker, counters: None, unused: None, tap: None, is_tapped: false }
    }

    /// The same answerer, which tells `counters` of the tables that it answers from.
    pub fn with_counters(mut self, counters: Arc<TableCounters>) -> Self {
        counters.uses(&self.table);
        self.counters = Some(counters);
        self
    }

    /// The same, which goes on in its rotations where `turns` says that another stood, `further` turns on. To be called
    /// before the first answer.
    pub fn going_on(mut self, turns: &Turns, further: u32) -> Self {
        self.worker.go_on(&self.table, turns, further);
        self
    }

    /// The same, which shows `tap` what it is asked and answers.
    pub fn with_tap(mut self, tap: Box<dyn Tap>) -> Self {
        self.tap = Some(tap);
        self
    }

    /// [`Answerer::refresh`] at `now`, since 1970.
    fn refresh_at(&mut self, now: Duration) {
        self.worker.tick(seconds(now));
        self.is_tapped = self.tap.as_mut().is_some_and(|tap| tap.tick(now));
        // A clock that was set says nothing of how long it was.
        if self.unused.as_ref().is_some_and(|unused| now.abs_diff(unused.found) > AWAITED) {
            self.unused = None;
        }
        let published = self.published.load();
        if !Arc::ptr_eq(published, &self.table) {
            self.worker.prepare(published);
            self.table = Arc::clone(published);
            if let Some(counters) = &self.counters {
                counters.uses(&self.table);
                let unused = self.table.decided().map(|decided| Unused { decided, found: now });
                self.unused = unused.or(self.unused.take());
            }
        }
    }
}

impl Answerer for TableAnswerer {
    fn refresh(&mut self) {
        self.refresh_at(since_1970());
    }

    fn sent(&mut self) {
        if let Some(Unused { decided, .. }) = self.unused.take()
            && let Some(counters) = &self.counters
        {
            let span = crate::serve::now().into_std().saturating_duration_since(decided);
            counters.taken_up.record_span(span);
        }
    }

    fn leave(&mut self) {
        self.worker.leave();
    }

    fn look_ahead<'q>(&mut self, queries: impl Iterator<Item = &'q [u8]>) {
        routing::look_ahead(&self.table, queries);
    }

    fn answer(&mut self, client: Client, query: &[u8], reply: &mut [u8]) -> usize {
        routing::answer(&self.table, &mut self.worker, client, query, reply)
    }

    fn is_watched(&self) -> bool {
        self.is_tapped
    }

    fn answered(&mut self, exchange: Exchange<'_>) {
        if let Some(tap) = &mut self.tap {
            tap.show(exchange);
        }
    }
}

/// The time since 1970. The clock of the calendar, since other servers judge the timestamps in our
/// cookies.
#[allow(clippy::disallowed_methods, reason = "the one look at the clock, once per batch of queries")]
fn since_1970() -> Duration {
    // Before 1970 no cookie would be in its time anyway.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whole seconds, modulo 2^32.
fn seconds(since: Duration) -> u32 {
    since.as_secs() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Counters;

    #[test]
    fn a_refresh_takes_the_new_table_and_releases_the_old() {
        let old = Arc::new(RoutingTable::default());
        let published = Arc::new(ArcSwap::new(Arc::clone(&old)));
        let mut answerer = TableAnswerer::new(published.clone(), Worker::new(0, Arc::<Counters>::default()));

        let new = Arc::new(RoutingTable::default());
        published.store(Arc::clone(&new));
        assert!(Arc::ptr_eq(&answerer.table, &old), "a table never changes within a batch");
        answerer.refresh();
        assert!(Arc::ptr_eq(&answerer.table, &new));
        assert_eq!(Arc::strong_count(&old), 1);
    }

    #[test]
    fn of_a_table_that_follows_from_a_probe_it_is_told_how_long_the_first_answer_took() {
        let published = Arc::new(ArcSwap::from_pointee(RoutingTable::default()));
        let counters = Arc::<TableCounters>::default();
        let mut answerer = TableAnswerer::new(published.clone(), Worker::new(0, Arc::<Counters>::default()))
            .with_counters(counters.clone());
        let next = |decided| RoutingTable::default().following(&published.load()).with_decided(decided);

        let told = || (counters.generation(), counters.taken_up.read().count());

        published.store(Arc::new(next(None)));
        answerer.refresh();
        answerer.sent();
        assert_eq!(told(), (1, 0), "no probe has led to it");
        let of_a_probe = || published.store(Arc::new(next(Some(crate::serve::now().into_std()))));
        of_a_probe();
        answerer.refresh();
        assert_eq!(told(), (2, 0), "it is there, and nobody was answered from it");
        answerer.refresh();
        answerer.sent();
        answerer.sent();
        assert_eq!(told(), (2, 1));
        // One that follows it at once, of a reload, has the change in it as well.
        of_a_probe();
        answerer.refresh();
        published.store(Arc::new(next(None)));
        answerer.refresh();
        answerer.sent();
        assert_eq!(told(), (4, 2));
        // Batches of which none was answered may follow one another in no time.
        of_a_probe();
        let now = since_1970();
        (0..1000).for_each(|_| answerer.refresh_at(now));
        answerer.refresh_at(now + AWAITED);
        answerer.sent();
        assert_eq!(told(), (5, 3));
        of_a_probe();
        answerer.refresh_at(now);
        answerer.refresh_at(now + AWAITED + Duration::from_millis(1));
        answerer.sent();
        assert_eq!(told(), (6, 3), "nobody has waited for it");
    }
}
