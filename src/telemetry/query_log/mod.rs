//! The query log: what was asked and answered, as lines of JSON or as dnstap.
//!
//! Whoever answers puts records that are wanted (`filter`) into a ring of their own (`recorder`); a
//! thread empties the rings, encodes what it finds and writes it (`writer`). A record for which there
//! is no room is dropped and counted: nothing that happens to the log, a full disk or a reader that has
//! stopped to read, delays an answer.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use metrics::counter;

mod dnstap;
mod filter;
mod frames;
mod json;
mod recorder;
mod reply;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

pub use filter::Filter;
pub use recorder::Recorder;
use recorder::{Choice, Missed, ring};
use writer::{Ask, Writer};

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Messages of dnstap in Frame Streams.
    Dnstap,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// To the end of this file.
    File(PathBuf),
    /// To whoever listens at this Unix socket.
    Socket(PathBuf),
}

/// What becomes of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How they are written.
    pub format: Format,
    /// Where.
    pub place: Place,
    /// What this server calls itself in dnstap.
    pub identity: String,
}

/// How the query log does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Records that the operating system has taken.
    pub written: u64,
    /// Records for which there was no room.
    pub dropped: u64,
    /// Queries that were sampled and that the filter did not want.
    pub filtered: u64,
    /// Why nothing can be written at the moment; `None`: nothing is known that is in the way.
    pub problem: Option<String>,
}

/// The query log of a process. Whoever has a clone of it may change what it does.
#[derive(Clone)]
pub struct QueryLog {
    asks: Sender<Ask>,
    choice: Choice,
    /// Filters that some recorder may not have let go of yet. Whoever has the last pointer to one
    /// frees all of its names, and that must be nobody who answers.
    replaced: Arc<Mutex<Vec<Arc<Filter>>>>,
    counts: Arc<Counts>,
}

/// What is known of records.
#[derive(Default)]
struct Counts {
    written: AtomicU64,
    /// Dropped by the writer, which had no more use for them.
    discarded: AtomicU64,
    missed: Mutex<Vec<Arc<Missed>>>,
    problem: Mutex<Option<String>>,
}

impl QueryLog {
    /// A log that goes nowhere yet.
    ///
    /// # Errors
    ///
    /// If there can be no thread for it.
    pub fn start() -> io::Result<QueryLog> {
        let (asks, asked) = mpsc::channel();
        let (choice, counts) = (Choice::default(), Arc::<Counts>::default());
        let writer = Writer::new(asked, Arc::clone(&choice.share), Arc::clone(&counts));
        thread::Builder::new().name("query-log".to_owned()).spawn(move || writer.run())?;
        Ok(QueryLog { asks, choice, replaced: Arc::default(), counts })
    }

    /// A recorder for one who answers.
    pub fn recorder(&self) -> Recorder {
        let missed = Arc::<Missed>::default();
        // A list of pointers is whole whatever happened to whoever held the lock.
        self.counts.missed.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&missed));
        let (recorder, ring) = ring(self.choice.clone(), missed);
        self.ask(Ask::Empty(ring));
        recorder
    }

    /// Has records go there from now on; `None`: nowhere. A file that was moved away is opened anew.
    pub fn direct(&self, destination: Option<Destination>) {
        self.ask(Ask::Direct(destination));
    }

    /// Has the log stay with the file that is open, even if its path leads to another by now: to that of a
    /// process that takes over, which would be put aside. `false`: the path is followed again.
    pub fn stay(&self, stays: bool) {
        self.ask(Ask::Stay(stays));
    }

    /// Has this share of the queries be recorded, from 0 to 1.
    pub fn sample(&self, share: f32) {
        self.choice.share.set(f64::from(share));
        self.ask(Ask::Look);
    }

    /// Has only what `filter` wants be recorded, of what is sampled, from the next batch of queries on.
    pub fn filter(&self, filter: Filter) {
        // A list of pointers is whole whatever happened to whoever held the lock.
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.push(self.choice.filter.swap(Arc::new(filter)));
        // Nobody can get hold of one that nobody else has.
        replaced.retain(|filter| Arc::strong_count(filter) > 1);
    }

    /// How it does.
    pub fn health(&self) -> Health {
        let Counts { written, discarded, missed, problem } = &*self.counts;
        let missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
        let lost: u64 = missed.iter().map(|missed| missed.lost.read()).sum();
        Health {
            written: written.load(Ordering::Relaxed),
            dropped: lost + discarded.load(Ordering::Relaxed),
            filtered: missed.iter().map(|missed| missed.filtered.read()).sum(),
            problem: problem.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Has the metrics tell what [`QueryLog::health`] does.
    pub fn publish_counts(&self) {
        let Health { written, dropped, filtered, problem: _ } = self.health();
        counter!("rhumb_query_log_written_total").absolute(written);
        counter!("rhumb_query_log_dropped_total").absolute(dropped);
        counter!("rhumb_query_log_filtered_total").absolute(filtered);
    }

    /// Writes what there is and ends, waiting for `at_most`. It is for a thread that may wait.
    pub fn end(&self, at_most: Duration) {
        self.choice.share.set(0.0);
        let (done, is_done) = mpsc::channel();
        self.ask(Ask::End(done));
        // Whatever is not written then is lost.
        let _ = is_done.recv_timeout(at_most);
    }

    /// The thread ends with the process, or with [`QueryLog::end`].
    fn ask(&self, ask: Ask) {
        let _ = self.asks.send(ask);
    }
}
