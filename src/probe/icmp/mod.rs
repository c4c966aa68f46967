//! Echo requests, and who waits for their replies.
//!
//! All targets of one IP version share one socket, which is opened when the first of them is
//! probed; ten thousand of them take two descriptors. A reply finds its probe by address,
//! sequence number and a token that only the address was sent.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

mod message;
mod socket;
mod waiting;

#[cfg(test)]
mod tests;

use super::budget::Budget;
use super::unguessable;
use crate::health::{Failure, LocalFailure, Phase};
use crate::plan::IcmpCheck;
use message::{Echo, Family, Message};
use socket::Socket;
use waiting::{Heard, Waiting};

/// How long a request waits before it is offered again to a kernel that has no room for it. A
/// packet leaves within microseconds, unless the link is saturated.
const FULL: Duration = Duration::from_millis(1);

/// Sends echo requests for all targets.
#[derive(Default)]
pub(super) struct Pinger {
    v4: Mutex<Option<Open>>,
    v6: Mutex<Option<Open>>,
}

/// A socket, and the task that reads from it, which ends with this value.
struct Open {
    channel: Arc<Channel>,
    reader: JoinHandle<()>,
}

struct Channel {
    socket: Socket,
    waiting: Mutex<Waiting>,
}

impl Pinger {
    /// Sends echo requests to `ip` until so many are answered that `check` passes, or so many lost
    /// that it cannot.
    ///
    /// Each follows when the one before has been answered, or has taken its share of the time: one
    /// disturbance does not take all of them, and the last has time left for its reply.
    pub(super) async fn probe(
        &self,
        ip: IpAddr,
        check: IcmpCheck,
        budget: &mut Budget,
    ) -> Result<(), Failure> {
        let mut requests = Requests::new(self.channel(ip).map_err(Failure::Local)?, ip);
        let share = budget.whole() / (u32::from(check.packets) + 1);
        let mut count = Count::default();
        let exchange = async {
            loop {
                if count.sent < check.packets {
                    requests.send().await?;
                    count.sent += 1;
                }
                let heard = tokio::select! {
                    biased;
                    heard = requests.next() => heard,
                    () = tokio::time::sleep(share), if count.sent < check.packets => continue,
                };
                match heard {
                    Heard::Reply => count.replies += 1,
                    Heard::Undelivered => count.undelivered += 1,
                }
                if count.replies >= check.packets - check.loss {
                    return Ok(());
                }
                if count.undelivered > check.loss {
                    return Err(Failure::Unreachable);
                }
            }
        };
        match budget.spend(Phase::Reply, async { Ok::<_, io::Error>(exchange.await) }).await {
            Ok(result) => result,
            Err(Failure::TimedOut { .. }) if count.replies > 0 => {
                Err(Failure::Lost { lost: check.packets - count.replies, sent: check.packets })
            }
            Err(failure) => Err(failure),
        }
    }

    /// The channel of `ip`'s version, which is opened if it is not yet. What keeps it from being
    /// opened may pass, or be put right by the operator: it is tried anew for each probe.
    fn channel(&self, ip: IpAddr) -> Result<Arc<Channel>, LocalFailure> {
        let family = Family::of(ip);
        let slot = match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = slot.as_ref() {
            return Ok(Arc::clone(&open.channel));
        }
        let channel = Arc::new(Channel { socket: Socket::open(family)?, waiting: Mutex::default() });
        let reader = tokio::spawn({
            let channel = Arc::clone(&channel);
            async move { match channel.read().await {} }
        });
        *slot = Some(Open { channel: Arc::clone(&channel), reader });
        Ok(channel)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What has become of the requests of one probe.
#[derive(Default)]
struct Count {
    sent: u8,
    replies: u8,
    undelivered: u8,
}

impl Channel {
    /// Tells those who wait what comes in.
    async fn read(&self) -> Infallible {
        loop {
            let Some((from, message)) = self.socket.receive().await else { continue };
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match message {
                Message::Reply(Echo { identifier, sequence, token }) => {
                    if self.socket.is_own(identifier) {
                        waiting.reply(from, sequence, token);
                    }
                }
                Message::Undelivered { destination, identifier, sequence } => {
                    if self.socket.is_own(identifier) {
                        waiting.undelivered(destination, sequence);
                    }
                }
            }
        }
    }
}

/// The requests of one probe; dropped, nobody waits for them any more.
struct Requests {
    channel: Arc<Channel>,
    ip: IpAddr,
    sent: Vec<(u16, u64)>,
    tell: UnboundedSender<Heard>,
    told: UnboundedReceiver<Heard>,
}

impl Requests {
    fn new(channel: Arc<Channel>, ip: IpAddr) -> Self {
        let (tell, told) = unbounded_channel();
        Requests { channel, ip, sent: Vec::new(), tell, told }
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let token = unguessable::number();
        let sequence = {
            let mut waiting = self.channel.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.add(self.ip, token, self.tell.clone())
        };
        let sequence = sequence.ok_or(Failure::Local(LocalFailure::OutOfMemory))?;
        self.sent.push((sequence, token));
        while !self.channel.socket.send(self.ip, sequence, token)? {
            tokio::time::sleep(FULL).await;
        }
        Ok(())
    }

    async fn next(&mut self) -> Heard {
        self.told.recv().await.expect("one sender is kept here")
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let mut waiting = self.channel.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for &(sequence, token) in &self.sent {
            waiting.remove(self.ip, sequence, token);
        }
    }
}
