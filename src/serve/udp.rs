//! The loop of one UDP thread: receive a batch, answer it, send the replies.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use socket2::Socket;

use super::answerer::Answerer;
use super::counters::UdpCounters;
use super::mmsg::{self, BATCH, Batch, Message, Wait};
use super::now;
use super::tap::Exchange;
use crate::routing::{Client, Transport};

/// How long an idle thread sleeps in its socket before it looks for a new table and for
/// shutdown: short for whoever waits for either, long enough to cost nothing.
pub(super) const IDLE_WAKE: Duration = Duration::from_millis(100);

/// Batches answered after shutdown began: more than a full receive buffer holds (8 MiB as the
/// kernel counts, at least 768 octets a datagram), and an end to it under a flood.
const LAST_BATCHES: usize = (8 << 20) / 768 / BATCH + 1;

/// Of so many batches one is timed. A look at the clock takes some 25 ns and a question to the socket some 300 ns: spread
/// over as many batches they cost no answer more than a nanosecond, even where each batch is of one datagram.
pub(super) const TIMED_EACH: u32 = 64;

/// Receives, answers and sends until `stop` is set and the socket is empty.
///
/// No error ends it, nor a panic of the answerer: a thread that is gone would leave its socket
/// behind, to which the kernel goes on giving its share of the clients.
///
/// Of those who share a socket one has its `overflow`.
pub(super) fn serve(
    socket: &Socket,
    mut overflow: Option<Overflow>,
    answerer: &mut impl Answerer,
    counters: &UdpCounters,
    stop: &AtomicBool,
) {
    let bound = socket.local_addr().ok().and_then(|address| address.as_socket());
    // What the answerer holds between queries is rotation and counts, which a panic cannot leave
    // in a state that harms the next query.
    while catch_unwind(AssertUnwindSafe(|| {
        run((socket.as_fd(), bound), &mut overflow, answerer, counters, stop)
    }))
    .is_err()
    {
        counters.panics.add(1);
    }
}

fn run(
    (socket, bound): (BorrowedFd<'_>, Option<SocketAddr>),
    overflow: &mut Option<Overflow>,
    answerer: &mut impl Answerer,
    counters: &UdpCounters,
    stop: &AtomicBool,
) {
    let mut look = || {
        if let Some(overflow) = overflow {
            overflow.look(socket, counters);
        }
    };
    let mut batch = Batch::new();
    let mut last_batches = LAST_BATCHES;
    let mut failures = 0;
    let mut batches = 0_u32;
    look();
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping {
            if last_batches == 0 {
                return;
            }
            last_batches -= 1;
        }
        match batch.receive(socket, if stopping { Wait::Never } else { Wait::ForOne }) {
            Ok(received) => {
                failures = 0;
                counters.rounds.add(1);
                answerer.refresh();
                counters.received.add(received as u64);
                counters.batches.record(received as u64);
                // The first would have to wait all the same.
                if received > 1 {
                    answerer.look_ahead(batch.queries());
                }
                if batches.is_multiple_of(TIMED_EACH) {
                    answer_timed(&mut batch, bound, answerer, counters);
                    look();
                } else {
                    batch.answer_each(|message| answer(message, bound, answerer, counters));
                }
                batches = batches.wrapping_add(1);
                let sent = batch.send(socket);
                counters.sent.add(sent.taken as u64);
                if sent.taken > 0 {
                    answerer.sent();
                }
                if sent.refused > 0 {
                    counters.send_errors.add(sent.refused as u64);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if stopping {
                    return;
                }
                failures = 0;
                counters.rounds.add(1);
                answerer.refresh();
                look();
            }
            Err(_) => {
                counters.receive_errors.add(1);
                failures += 1;
                if stopping && failures > 1 {
                    return;
                }
                back_off(failures);
            }
        }
    }
}

fn answer(
    message: Message<'_>,
    bound: Option<SocketAddr>,
    answerer: &mut impl Answerer,
    counters: &UdpCounters,
) -> usize {
    if message.truncated {
        counters.oversized.add(1);
        return 0;
    }
    if message.source_port == 0 {
        counters.unanswerable.add(1);
        return 0;
    }
    let client = Client { address: message.source, transport: Transport::Udp };
    let length = answerer.answer(client, message.query, message.reply);
    if answerer.is_watched() {
        let (port, local) = (message.source_port, asked(&message, bound));
        let reply = message.reply.get(..length).unwrap_or(&message.reply[..]);
        answerer.answered(Exchange { client, port, local, query: message.query, reply });
    }
    if length == 0 {
        counters.dropped.add(1);
    }
    length
}

/// Which address was asked, at a socket that is `bound` to one of them or to all.
fn asked(message: &Message<'_>, bound: Option<SocketAddr>) -> Option<SocketAddr> {
    let bound = bound?;
    if bound.ip().is_unspecified() {
        return Some(SocketAddr::new(message.asked()?, bound.port()));
    }
    Some(bound)
}

/// Answers a batch and counts how long each message of it took.
fn answer_timed(
    batch: &mut Batch,
    bound: Option<SocketAddr>,
    answerer: &mut impl Answerer,
    counters: &UdpCounters,
) {
    let mut before = now();
    batch.answer_each(|message| {
        let length = answer(message, bound, answerer, counters);
        let after = now();
        counters.answers.record_span(after.saturating_duration_since(before));
        before = after;
        length
    });
}

/// What the kernel has dropped of a socket, as it was told last.
#[derive(Default)]
pub(super) struct Overflow(u32);

impl Overflow {
    /// Of a socket that had a life before: what was dropped then was counted then, if at all.
    pub(super) fn from_now(socket: BorrowedFd<'_>) -> Self {
        Overflow(mmsg::overflowed(socket).unwrap_or_default())
    }

    fn look(&mut self, socket: BorrowedFd<'_>, counters: &UdpCounters) {
        // Kernels before 4.12 do not tell.
        if let Ok(dropped) = mmsg::overflowed(socket) {
            // The kernel's number has 32 bits and begins anew behind them.
            counters.overflowed.add(u64::from(dropped.wrapping_sub(self.0)));
            self.0 = dropped;
        }
    }
}

/// Waits after the `failures`th error in a row. One error is news of a past datagram and is gone
/// once told; from the second on it may be lasting (no memory), and to ask again at once would
/// take the core from whatever could end it. Never long: queries are waiting.
fn back_off(failures: u32) {
    if failures > 1 {
        thread::sleep(Duration::from_millis(1 << failures.min(5)));
    }
}

/// The cores that this process may run on.
pub(super) fn allowed_cores() -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect()
}

/// Binds the calling thread to `core`, so that its buffers stay in that core's caches. Where this
/// is not permitted, the thread runs wherever it is put.
pub(super) fn pin_to(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}
