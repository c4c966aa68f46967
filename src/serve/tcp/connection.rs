//! One TCP connection: messages in, each with its length of two octets, and replies out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::crowd::Place;
use super::{Phase, Seat, Server};
use crate::routing::{Client, Transport};
use crate::serve::answerer::Answerer;
use crate::serve::now;
use crate::serve::tap::Exchange;

/// Octets of a message's header; what is shorter is no DNS message.
const HEADER: usize = 12;

/// Octets of input that an idle connection keeps room for: one query.
const IDLE_INPUT: usize = 512;

/// Octets of replies after which no more queries are answered until the client has taken them.
/// One reply may go over it: a connection holds at most this and one message.
const OUTPUT_BOUND: usize = 65_536;

/// How long a connection that is to close waits for a query that may be on its way. A client that
/// has just asked cannot know that the server is leaving.
const LINGER: Duration = Duration::from_millis(50);

/// How long a connection pauses before it is closed that another process will serve when it is opened
/// again: long enough that a client who asks often is not cut off in between.
const PAUSE: Duration = Duration::from_secs(1);

/// Longer than any time limit need be, and short enough to be added to any instant.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// A stream of queries and what is under way on it.
///
/// It alternates: answer all complete queries, write all replies, read. While the client does not
/// take its replies nothing is read, so its own queries fill its own buffers.
pub(super) struct Connection<S, A> {
    stream: S,
    client: Client,
    /// The client's port.
    port: u16,
    /// The end of the server.
    local: Option<SocketAddr>,
    number: usize,
    server: Arc<Server<A>>,
    place: Place,
    phase: watch::Receiver<Phase>,
    /// Octets read and not yet answered: less than one message when waiting for more. It grows as
    /// octets arrive, whatever length they announce.
    input: Vec<u8>,
    output: Vec<u8>,
    has_answered: bool,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client closed or reset it, or it was idle for long enough, or the server is leaving.
    Done,
    /// A message too short to be one: who is out of step with the framing never gets back into it.
    Malformed,
    /// A time limit passed with a query or a reply under way.
    TimedOut,
}

/// What answering has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No complete query is left.
    NeedsInput,
    /// The replies have to be written before more queries are answered.
    NeedsWrite,
    /// A message shorter than a header follows.
    Malformed,
}

impl<S: AsyncRead + AsyncWrite + Unpin, A: Answerer> Connection<S, A> {
    pub(super) fn new(
        stream: S,
        (client, local): (SocketAddr, Option<SocketAddr>),
        number: usize,
        server: Arc<Server<A>>,
        place: Place,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let port = client.port();
        let client = Client { address: client.ip(), transport: Transport::Tcp };
        let (input, output) = (Vec::new(), Vec::new());
        let has_answered = false;
        Connection { stream, client, port, local, number, server, place, phase, input, output, has_answered }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(mut self) {
        let _closed = CountClosed(Arc::clone(&self.server));
        let end = self.run().await;
        match end {
            End::Done => {}
            End::Malformed => self.server.counters.malformed.add(1),
            End::TimedOut => self.server.counters.timed_out.add(1),
        }
    }

    async fn run(&mut self) -> End {
        let last = from_now(self.server.limits.lifetime);
        // When the query that is only in part here must have come in full.
        let mut query_due = None;
        loop {
            let before = self.input.len();
            let progress = self.answer_complete();
            if self.input.len() < before {
                query_due = None;
            }
            if let Err(end) = self.write(last).await {
                return end;
            }
            match progress {
                Progress::NeedsInput => {}
                Progress::NeedsWrite => continue,
                Progress::Malformed => return End::Malformed,
            }
            let read = if self.input.is_empty() {
                self.await_query(last).await
            } else {
                let due = *query_due.get_or_insert_with(|| from_now(self.server.limits.query_timeout));
                self.read_on(due.min(last)).await
            };
            if let Err(end) = read {
                return end;
            }
        }
    }

    /// Answers complete queries until none is left or there is enough to write. A query that is
    /// not to be answered is passed over and the connection stays: others on it may be honest.
    fn answer_complete(&mut self) -> Progress {
        if let Framed::Partial = first_message(&self.input) {
            return Progress::NeedsInput;
        }
        let mut seat = self.server.seat(self.number);
        let Seat { answerer, reply } = &mut *seat;
        answerer.refresh();
        let (mut queries, mut replies) = (0, 0);
        let mut rest = &self.input[..];
        let progress = loop {
            let (query, after) = match first_message(rest) {
                Framed::Partial => break Progress::NeedsInput,
                _ if self.output.len() >= OUTPUT_BOUND => break Progress::NeedsWrite,
                Framed::Malformed => break Progress::Malformed,
                Framed::Query(query, after) => (query, after),
            };
            rest = after;
            queries += 1;
            let length = answerer.answer(self.client, query, &mut reply[..]).min(reply.len());
            if answerer.is_watched() {
                let Connection { client, port, local, .. } = *self;
                answerer.answered(Exchange { client, port, local, query, reply: &reply[..length] });
            }
            if length > 0 {
                replies += 1;
                // The buffer has 65,535 octets, so the length fits.
                self.output.extend_from_slice(&(length as u16).to_be_bytes());
                self.output.extend_from_slice(&reply[..length]);
            }
        };
        drop(seat);
        let answered = self.input.len() - rest.len();
        self.input.drain(..answered);
        self.server.counters.queries.add(queries);
        self.server.counters.replies.add(replies);
        progress
    }

    /// Writes all replies, in one go if the client takes them.
    async fn write(&mut self, last: Instant) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        // Before the client can know: its next connection must find this one as busy as it was. Who
        // was told to leave is given what it takes at once.
        let stays = self.place.renew(now());
        let due = from_now(self.server.limits.write_timeout).min(last);
        let Connection { stream, output, place, .. } = self;
        let written = tokio::select! {
            biased;
            written = timeout_at(due, async {
                stream.write_all(output).await?;
                stream.flush().await
            }) => written,
            () = place.told_to_leave() => return Err(End::Done),
        };
        match written {
            Ok(Ok(())) => {
                output.clear();
                self.has_answered = true;
            }
            Ok(Err(_)) => return Err(End::Done),
            Err(_) => return Err(End::TimedOut),
        }
        if stays { Ok(()) } else { Err(End::Done) }
    }

    /// Reads the first octets of the next query, giving up the connection if it is long in
    /// coming, if the place is needed or if the server is leaving.
    async fn await_query(&mut self, last: Instant) -> Result<(), End> {
        self.output = Vec::new();
        self.input.shrink_to(IDLE_INPUT);
        self.input.reserve(IDLE_INPUT);
        if !self.place.stays() {
            return Err(End::Done);
        }
        if self.has_answered && *self.phase.borrow() == Phase::Parting {
            return Err(End::Done);
        }
        loop {
            let (patience, next) = match *self.phase.borrow() {
                Phase::Serving => (self.server.limits.idle_timeout, Phase::Leaving),
                Phase::Leaving => (self.server.limits.idle_timeout.min(PAUSE), Phase::Parting),
                Phase::Parting => (self.server.limits.idle_timeout.min(PAUSE), Phase::Draining),
                Phase::Draining | Phase::Cut => (LINGER, Phase::Cut),
            };
            let due = from_now(patience).min(last);
            let read = tokio::select! {
                biased;
                read = timeout_at(due, self.stream.read_buf(&mut self.input)) => read.map_err(|_| End::Done),
                () = self.place.told_to_leave() => Err(End::Done),
                () = next.reached(&mut self.phase) => match next {
                    Phase::Cut => Err(End::Done),
                    _ => continue,
                },
            };
            return self.some(read?);
        }
    }

    /// Reads more of a query that has begun to arrive, giving up the connection if the rest is long
    /// in coming or if the place is needed.
    async fn read_on(&mut self, due: Instant) -> Result<(), End> {
        if !self.place.stays() {
            return Err(End::Done);
        }
        // At least doubles when it is full, so that a long message takes few reads.
        self.input.reserve(IDLE_INPUT / 2);
        let read = tokio::select! {
            biased;
            read = timeout_at(due, self.stream.read_buf(&mut self.input)) => read.map_err(|_| End::TimedOut),
            () = self.place.told_to_leave() => Err(End::Done),
        };
        self.some(read?)
    }

    fn some(&self, read: io::Result<usize>) -> Result<(), End> {
        match read {
            Ok(0) | Err(_) => Err(End::Done),
            Ok(_) => Ok(()),
        }
    }
}

/// Counts a connection as closed, also when its task is cut off.
struct CountClosed<A>(Arc<Server<A>>);

impl<A> Drop for CountClosed<A> {
    fn drop(&mut self) {
        self.0.counters.closed.add(1);
    }
}

/// What stands at the beginning of some input.
enum Framed<'a> {
    /// The beginning of a message, or nothing.
    Partial,
    /// A length that no message can have.
    Malformed,
    /// A query, and what follows it.
    Query(&'a [u8], &'a [u8]),
}

fn first_message(input: &[u8]) -> Framed<'_> {
    let Some((length, after)) = input.split_first_chunk() else { return Framed::Partial };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < HEADER {
        return Framed::Malformed;
    }
    match after.split_at_checked(length) {
        Some((query, after)) => Framed::Query(query, after),
        None => Framed::Partial,
    }
}

fn from_now(duration: Duration) -> Instant {
    now() + duration.min(FAR)
}
