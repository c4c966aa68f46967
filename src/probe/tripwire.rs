//! Connections that show by their end that a server has gone.

use std::future::pending;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::budget::Budget;
use super::schedule::Trigger;
use super::{now, tcp};
use crate::health::{Failure, LocalFailure, Outcome};
use crate::plan::{Endpoint, Watch};

/// As many ends of a connection in a row that meant nothing are a habit of the server.
const HABIT: u32 = 3;

/// For as long a server with such a habit is left alone: it may have got another configuration since.
const REST: Duration = Duration::from_secs(3600);

/// The first pause after an end that meant nothing; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// An idle connection shows a sign of life as often. It keeps firewalls and translators from
/// forgetting the connection, of which many do after a few minutes, and costs next to nothing. To notice
/// that an address is cut off is up to the probes, which are far oftener.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// More than any greeting. Who says more is not idle, and is left alone.
const MAX_GREETING: usize = 16 * 1024;

type Connecting = Pin<Box<dyn Future<Output = Result<TcpStream, Failure>> + Send>>;

/// The connection of one target whose end is news. It is not believed: it has the target probed.
///
/// Where the probes keep a connection, it is that one; otherwise one more, which sends nothing. It is
/// held only while the target is believed to be up.
pub(super) struct Tripwire {
    kind: Kind,
    habits: Habits,
    is_up: bool,
    /// Whether the last probe failed as if the connection of its own were in the way of it.
    is_suspect: bool,
    /// How often in a row that was so, and the next probe, without it, passed.
    in_the_way: u32,
    /// How often that may be: a failure more has to be borne by the thresholds.
    tolerance: u32,
}

enum Kind {
    /// There is none.
    None,
    /// That of the probes.
    Kept,
    /// One of its own.
    Own { address: SocketAddr, timeout: Duration, state: State },
}

enum State {
    Apart,
    Connecting(Connecting),
    Held(TcpStream),
}

impl Tripwire {
    /// That of `watch`. One of its own goes to an IP address only: which of the addresses of a name
    /// a probe will ask is not known beforehand.
    pub(super) fn new(watch: &Watch, now: Instant) -> Self {
        let kind = match &watch.endpoint {
            _ if !watch.check.tripwire => Kind::None,
            _ if watch.check.kind.keeps_connection() => Kind::Kept,
            Endpoint::Ip(ip) => Kind::Own {
                // Each check over TCP has one.
                address: SocketAddr::new(*ip, watch.port.unwrap_or_default()),
                timeout: watch.check.timeout,
                state: State::Apart,
            },
            Endpoint::Name(_) => Kind::None,
        };
        let tolerance = if watch.check.fall > 1 { HABIT } else { 1 };
        Tripwire { kind, habits: Habits::new(now), is_up: false, is_suspect: false, in_the_way: 0, tolerance }
    }

    /// The kept connection was ended by the server: returns whether that is news.
    pub(super) fn kept_has_ended(&mut self, now: Instant) -> bool {
        self.is_kept() && self.is_up && now >= self.habits.next
    }

    /// Whether the kept connection is a tripwire.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.kind, Kind::Kept)
    }

    /// Holds the connection; returns when it has ended. May be dropped and called again at any time.
    pub(super) async fn ended(&mut self) {
        let Kind::Own { address, timeout, state } = &mut self.kind else { return pending().await };
        if !self.is_up || self.is_suspect {
            return pending().await;
        }
        loop {
            match state {
                State::Apart => {
                    tokio::time::sleep_until(self.habits.next.into()).await;
                    *state = State::Connecting(Box::pin(connect(*address, *timeout)));
                }
                State::Connecting(connecting) => match connecting.await {
                    Ok(stream) => *state = State::Held(stream),
                    Err(_) => {
                        *state = State::Apart;
                        self.habits.in_vain(now());
                    }
                },
                State::Held(stream) => {
                    let has_ended = until_ended(stream).await;
                    *state = State::Apart;
                    if has_ended {
                        // Until a probe has told what it meant.
                        self.habits.next = now() + PAUSE;
                        return;
                    }
                    self.habits.in_vain(now());
                }
            }
        }
    }

    /// A server that serves one connection after the other has no time for probes while it waits for
    /// a connection that says nothing. Where a probe fails like that the connection is given up; if the
    /// next one passes, and that is so again and again, it is not made again for a long while.
    fn step_aside(&mut self, outcome: &Outcome, now: Instant) {
        let was_suspect = std::mem::take(&mut self.is_suspect);
        match outcome {
            Outcome::Pass if was_suspect => {
                self.in_the_way += 1;
                self.habits.next = now + PAUSE;
                if self.in_the_way >= self.tolerance {
                    self.in_the_way = 0;
                    self.habits.next = now + REST;
                }
            }
            Outcome::Pass if matches!(self.kind, Kind::Own { state: State::Held(_), .. }) => {
                self.in_the_way = 0;
            }
            // Probes need them more.
            Outcome::Fail(Failure::Local(LocalFailure::OutOfDescriptors)) => {
                if let Kind::Own { state, .. } = &mut self.kind {
                    *state = State::Apart;
                    self.habits.next = now + REST;
                }
            }
            Outcome::Fail(Failure::TimedOut { .. } | Failure::Refused | Failure::Reset | Failure::Closed) => {
                if let Kind::Own { state, .. } = &mut self.kind
                    && let State::Held(stream) = state
                    && !is_at_end(stream)
                {
                    *state = State::Apart;
                    self.habits.next = now + PAUSE;
                    self.is_suspect = true;
                }
            }
            _ => {}
        }
    }

    /// A probe has ended, after which the target is believed to be up or not.
    pub(super) fn probed(&mut self, trigger: Trigger, outcome: &Outcome, is_up: bool, now: Instant) {
        if is_up && !self.is_up {
            self.habits = Habits::new(now);
        } else if trigger == Trigger::Tripped && *outcome == Outcome::Pass {
            self.habits.in_vain(now);
        }
        self.step_aside(outcome, now);
        self.is_up = is_up;
        if let (false, Kind::Own { state, .. }) = (is_up, &mut self.kind) {
            *state = State::Apart;
        }
    }
}

/// What a server does to idle connections.
struct Habits {
    /// How many in a row ended, or were not to be had, although the server was there.
    in_vain: u32,
    last: Option<Instant>,
    /// Before that moment no connection is made, and the end of one is no news.
    next: Instant,
}

impl Habits {
    /// Nothing is known of the server.
    fn new(now: Instant) -> Self {
        Habits { in_vain: 0, last: None, next: now }
    }

    /// A connection had ended, or was not to be had, and it meant nothing.
    fn in_vain(&mut self, now: Instant) {
        // A connection that has lasted as long as the rest before it is no part of a habit.
        let is_old = self.last.is_some_and(|last| now.saturating_duration_since(last) > 2 * REST);
        self.in_vain = if is_old { 1 } else { self.in_vain.saturating_add(1) };
        self.last = Some(now);
        let pause = if self.in_vain < HABIT { PAUSE * (1 << (self.in_vain - 1)) } else { REST };
        self.next = now + pause;
    }
}

/// A connection of its own, which asks for nothing and ends with a reset like those of the probes.
async fn connect(address: SocketAddr, timeout: Duration) -> Result<TcpStream, Failure> {
    let stream = tcp::connect(address, &mut Budget::new(now(), timeout)).await?;
    // Without it the connection is still worth something.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    Ok(stream)
}

/// Whether the other side has ended the connection, as far as is known.
fn is_at_end(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; 256]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Waits until the other side has ended the connection, which is true, or has said so much that it
/// is not worth listening to.
async fn until_ended(stream: &TcpStream) -> bool {
    let mut said = 0;
    while said <= MAX_GREETING {
        if stream.readable().await.is_err() {
            return true;
        }
        let mut greeting = [0; 256];
        match stream.try_read(&mut greeting) {
            Ok(0) => return true,
            Ok(length) => said += length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
    false
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_habit_is_respected() {
        let start = Instant::now();
        let mut habits = Habits::new(start);
        let mut now = start;
        let mut pauses = Vec::new();
        // It ends each connection after a minute.
        for _ in 0..5 {
            now = habits.next + secs(60);
            habits.in_vain(now);
            pauses.push((habits.next - now).as_millis());
        }
        assert_eq!(pauses, [200, 400, 3_600_000, 3_600_000, 3_600_000]);
        // It ends them no more but for a restart some days later.
        now += secs(3 * 86_400);
        habits.in_vain(now);
        assert_eq!(habits.next - now, PAUSE);
    }
}
