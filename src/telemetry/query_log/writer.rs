//! The thread that empties the rings.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::super::clock::now;
use super::recorder::{Ring, Share};
use super::sink::Sink;
use super::{Counts, Destination, Format, Place, dnstap, json};

/// How often the rings are looked at: whoever puts something in does not say so, since that would be
/// a system call for each query. It is what a record waits at most on its way to the reader.
const LOOK: Duration = Duration::from_millis(10);

/// How long it is until something is tried again that has failed, and between two looks whether a
/// file was moved away.
const AGAIN: Duration = Duration::from_secs(1);

/// Octets that are encoded before they are written: enough to make system calls rare.
const PORTION: usize = 256 * 1024;

/// Portions that are written before anything else is looked at.
const PORTIONS: usize = 16;

/// What the thread is asked.
pub(super) enum Ask {
    /// To empty this ring as well.
    Empty(Ring),
    /// To write there from now on.
    Direct(Option<Destination>),
    /// To stay with the file that is open, wherever its path leads, or no longer to.
    Stay(bool),
    /// To look whether there is something to do again.
    Look,
    /// To write what there is, say so, and end.
    End(Sender<()>),
}

/// Takes records from rings to where they go.
pub(super) struct Writer {
    asked: Receiver<Ask>,
    share: Arc<Share>,
    counts: Arc<Counts>,
    rings: Vec<Ring>,
    destination: Option<Destination>,
    encoder: dnstap::Encoder,
    sink: Option<Sink>,
    /// Whether the path is another process's.
    stays: bool,
    pending: Pending,
    /// When to try again what has failed, and to look whether the file was moved.
    due: Instant,
}

/// Records that are encoded and not written, or in part.
#[derive(Default)]
struct Pending {
    octets: Vec<u8>,
    /// How much of it is written.
    done: usize,
    /// Where the records end that are not all written.
    ends: VecDeque<usize>,
    /// Where the first of them starts.
    start: usize,
}

impl Pending {
    /// Notes that so many octets were written, and returns how many records are with that.
    fn advance(&mut self, octets: usize) -> u64 {
        self.done += octets;
        let mut records = 0;
        while let Some(end) = self.ends.front().copied().filter(|end| *end <= self.done) {
            self.start = end;
            self.ends.pop_front();
            records += 1;
        }
        if self.ends.is_empty() {
            // The memory stays for the next.
            self.octets.clear();
            (self.done, self.start) = (0, 0);
        }
        records
    }

    /// Has the record that is written in part be written as a whole.
    fn rewind(&mut self) {
        self.done = self.start;
    }

    fn is_within_record(&self) -> bool {
        self.done != self.start
    }
}

impl Writer {
    pub(super) fn new(asked: Receiver<Ask>, share: Arc<Share>, counts: Arc<Counts>) -> Self {
        Writer {
            asked,
            share,
            counts,
            rings: Vec::new(),
            destination: None,
            encoder: dnstap::Encoder::new(""),
            sink: None,
            stays: false,
            pending: Pending::default(),
            due: now(),
        }
    }

    /// Runs until it is asked to end, or nobody is left to ask.
    pub(super) fn run(mut self) {
        let mut has_more = false;
        loop {
            let ask = if has_more {
                self.asked.try_recv().ok()
            } else if self.is_idle() {
                match self.asked.recv() {
                    Ok(ask) => Some(ask),
                    Err(_) => return self.close(),
                }
            } else {
                match self.asked.recv_timeout(LOOK) {
                    Ok(ask) => Some(ask),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return self.close(),
                }
            };
            match ask {
                Some(Ask::Empty(ring)) => self.rings.push(ring),
                Some(Ask::Direct(destination)) => self.direct(destination),
                Some(Ask::Stay(stays)) => self.stays = stays,
                Some(Ask::End(done)) => {
                    while self.write() {}
                    self.close();
                    // Whoever asked may have lost patience.
                    let _ = done.send(());
                    return;
                }
                Some(Ask::Look) | None => {}
            }
            has_more = self.write();
        }
    }

    /// Whether nothing can come but what is asked.
    fn is_idle(&self) -> bool {
        let is_quiet = self.destination.is_none() || self.share.is_none();
        is_quiet && self.pending.ends.is_empty() && self.rings.iter().all(Ring::is_empty)
    }

    fn direct(&mut self, destination: Option<Destination>) {
        if self.destination != destination {
            // What was recorded for the old place goes there, if that can be now.
            self.write();
            self.close();
            let format = destination.as_ref().map(|destination| destination.format);
            if self.destination.as_ref().map(|destination| destination.format) != format {
                self.discard_pending();
            }
            self.encoder =
                dnstap::Encoder::new(destination.as_ref().map_or("", |destination| &destination.identity));
            self.destination = destination;
            *self.counts.problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.follow_path();
        self.due = now();
    }

    /// Writes what is in the rings. Returns whether there is more.
    fn write(&mut self) -> bool {
        if self.destination.is_none() {
            self.discard();
            return false;
        }
        let now = now();
        // Who has nothing to write leaves the path to others: to the process that takes over, too.
        let has_records = !self.pending.ends.is_empty() || self.rings.iter().any(|ring| !ring.is_empty());
        let has_work = self.sink.is_none() || has_records;
        if has_work && now >= self.due {
            self.due = now + AGAIN;
            self.follow_path();
            self.open();
        }
        for _ in 0..PORTIONS {
            if !self.flush() {
                return false;
            }
            if !self.fill() {
                self.rings.retain(|ring| !ring.is_over());
                return false;
            }
        }
        true
    }

    /// Lets go of a file that is not what its path leads to any more.
    fn follow_path(&mut self) {
        if !self.stays && self.sink.as_ref().is_some_and(Sink::has_moved) {
            self.close();
        }
    }

    /// Sees to it that there is something to write to.
    fn open(&mut self) {
        let Some(destination) = self.destination.as_ref().filter(|_| self.sink.is_none()) else { return };
        match Sink::open(destination) {
            Ok(sink) => self.sink = Some(sink),
            Err(error) => self.fail(&error),
        }
    }

    /// Encodes a portion of what is in the rings. Returns whether there was anything.
    fn fill(&mut self) -> bool {
        let Writer { rings, destination, encoder, pending, .. } = self;
        let Some(Destination { format, .. }) = destination else { return false };
        // Each ring in its turn, so that none is full while others are emptied.
        let share = PORTION / rings.len().max(1);
        for ring in rings {
            let start = pending.octets.len();
            while pending.octets.len() - start < share
                && let Some(record) = ring.take()
            {
                match format {
                    Format::Json => json::encode(&record, &mut pending.octets),
                    Format::Dnstap => encoder.encode(&record, &mut pending.octets),
                }
                pending.ends.push_back(pending.octets.len());
            }
        }
        !pending.ends.is_empty()
    }

    /// Writes what is encoded. Returns whether all of it is written.
    fn flush(&mut self) -> bool {
        let Writer { sink: Some(sink), pending, .. } = self else { return false };
        if pending.ends.is_empty() {
            return true;
        }
        match sink.write(&pending.octets[pending.done..]) {
            Ok(written) => {
                let records = pending.advance(written);
                self.counts.written.fetch_add(records, Ordering::Relaxed);
                let is_done = self.pending.ends.is_empty();
                // Not at each octet that a full disk has room for.
                if is_done {
                    self.tell(None);
                }
                is_done
            }
            Err(error) => {
                // A disk may have room again, and then goes on where it was.
                if !sink.is_lasting() {
                    self.sink = None;
                    self.pending.rewind();
                    self.due = now() + AGAIN;
                }
                self.fail(&error);
                false
            }
        }
    }

    /// Lets go of what is written to.
    fn close(&mut self) {
        // The end of a stream is no part of a record.
        if let Some(sink) = self.sink.take()
            && !self.pending.is_within_record()
        {
            sink.close();
        }
        self.pending.rewind();
    }

    /// Drops what is in the rings, and counts it.
    fn discard(&mut self) {
        let mut records = 0;
        for ring in &mut self.rings {
            while ring.take().is_some() {
                records += 1;
            }
        }
        self.rings.retain(|ring| !ring.is_over());
        self.counts.discarded.fetch_add(records, Ordering::Relaxed);
        self.discard_pending();
    }

    fn discard_pending(&mut self) {
        let Pending { ends, .. } = std::mem::take(&mut self.pending);
        self.counts.discarded.fetch_add(ends.len() as u64, Ordering::Relaxed);
    }

    fn fail(&mut self, error: &io::Error) {
        self.tell(Some(error.to_string()));
    }

    /// Tells what is in the way, or that nothing is any more, once.
    fn tell(&mut self, problem: Option<String>) {
        let mut known = self.counts.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == problem {
            return;
        }
        let place = match self.destination.as_ref().map(|destination| &destination.place) {
            Some(Place::File(path) | Place::Socket(path)) => path.display().to_string(),
            None => String::new(),
        };
        match &problem {
            Some(problem) => tracing::warn!(place, "the query log cannot be written: {problem}"),
            None => tracing::info!(place, "the query log is written again"),
        }
        *known = problem;
    }
}
