//! The names of pools to addresses, in the background.
//!
//! Every name has a task of its own: it asks the resolvers of the system, or those that are
//! configured, and asks again when the TTL of the answer is over. What it finds leaves as an
//! [`Answer`]; nothing is judged or kept here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::control::Lookup;
use crate::dns::Name;

mod client;
mod pace;

#[cfg(test)]
mod tests;

use client::Client;
use pace::Pace;

/// What was found of a name, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was looked up.
    pub name: Name,
    /// What was found.
    pub lookup: Lookup,
    /// When it was known.
    pub finished: Instant,
}

/// Looks up a set of names, each again when its answer runs out, until it is dropped.
pub struct Resolver {
    answers: UnboundedSender<Answer>,
    runtime: Handle,
    client: Arc<Client>,
    running: HashMap<Name, Running>,
}

/// A name's task, which ends with this value.
struct Running(JoinHandle<()>);

impl Resolver {
    /// A resolver that looks up nothing yet and will ask `servers`, or without any those in
    /// /etc/resolv.conf. Its tasks run on `runtime`, whose I/O and time drivers must be enabled, and
    /// send to `answers`; they end when nobody receives any more.
    pub fn new(servers: Vec<SocketAddr>, answers: UnboundedSender<Answer>, runtime: Handle) -> Self {
        Resolver { answers, runtime, client: Arc::new(Client::new(servers)), running: HashMap::new() }
    }

    /// Looks up exactly `names` from now on: starts with those that are new, stops with those that
    /// are gone, and leaves the others as they are.
    ///
    /// An answer of a name that is gone may still be on its way; its receiver drops it.
    pub fn resolve<'n>(&mut self, names: impl IntoIterator<Item = &'n Name>) {
        let mut before = std::mem::take(&mut self.running);
        for name in names {
            let running = before.remove(name).unwrap_or_else(|| self.start(name.clone()));
            self.running.insert(name.clone(), running);
        }
    }

    fn start(&self, name: Name) -> Running {
        let (client, answers) = (Arc::clone(&self.client), self.answers.clone());
        Running(self.runtime.spawn(async move {
            let mut pace = Pace::default();
            loop {
                let (lookup, ttl) = client.look_up(&name).await;
                let wait = pace.next(&lookup, ttl);
                if answers.send(Answer { name: name.clone(), lookup, finished: now() }).is_err() {
                    return;
                }
                tokio::time::sleep(wait).await;
            }
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[allow(clippy::disallowed_methods, reason = "resolver/ is an I/O floor")]
fn now() -> Instant {
    Instant::now()
}
