//! What is measured while a drill goes on: a client makes requests, and an observer asks the name
//! server beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, interval_at};

use super::client::Client;
use super::clock::{self, Clock};
use super::recording::{Lookup, Request};
use super::upstream::Upstream;
use crate::cli::Failed;

/// A measurement that goes on. It ends when dropped.
pub(super) struct Measurement {
    /// Closed when the measurement is to end.
    stop: watch::Sender<()>,
    seen: mpsc::UnboundedReceiver<Seen>,
    tasks: JoinSet<()>,
    requests: Vec<Request>,
    lookups: Vec<Lookup>,
}

/// How often it is measured.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    /// From one request of the client to the next.
    pub(super) interval: Duration,
    /// From one question of the observer to the next.
    pub(super) observing: Duration,
}

enum Seen {
    Request(Request),
    Lookup(Lookup),
}

impl Measurement {
    /// Starts to measure at `rate`.
    pub(super) fn start(client: Client, observer: Upstream, clock: Clock, rate: Rate) -> Self {
        let (stop, stopped) = watch::channel(());
        let (tell, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(send_requests(client, rate.interval, stopped.clone(), tell.clone()));
        tasks.spawn(observe(observer, clock, rate.observing, stopped, tell));
        Measurement { stop, seen, tasks, requests: Vec::new(), lookups: Vec::new() }
    }

    /// Waits for the end of the next request. Nothing is lost if the wait is given up.
    pub(super) async fn next_request(&mut self) -> Option<&Request> {
        while let Some(seen) = self.seen.recv().await {
            match seen {
                Seen::Request(request) => {
                    self.requests.push(request);
                    return self.requests.last();
                }
                Seen::Lookup(lookup) => self.lookups.push(lookup),
            }
        }
        None
    }

    /// What the name server has answered so far, as far as requests have been waited for.
    pub(super) fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// Ends it, and returns all requests, by when they started, and all answers.
    pub(super) async fn finish(mut self) -> Result<(Vec<Request>, Vec<Lookup>), Failed> {
        // Nobody but the tasks holds the other end: when they are done there is no next request.
        self.stop.send_replace(());
        while self.next_request().await.is_some() {}
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| Failed::new(format_args!("the drill broke off: {error}")))?;
        }
        self.requests.sort_by_key(|request| request.started);
        Ok((self.requests, self.lookups))
    }
}

/// Sends a request at every interval, however long those before it take, until `stopped`.
async fn send_requests(
    client: Client,
    period: Duration,
    mut stopped: watch::Receiver<()>,
    tell: mpsc::UnboundedSender<Seen>,
) {
    let client = Arc::new(client);
    let mut under_way = JoinSet::new();
    // Off the states' beat by half an interval: at a long interval a request at the very moment
    // of a change would see sometimes the one state, sometimes the other.
    let mut ticks = interval_at((clock::now() + period / 2).into(), period);
    loop {
        tokio::select! {
            biased;
            _ = stopped.changed() => break,
            _ = ticks.tick() => {
                let (client, tell) = (client.clone(), tell.clone());
                under_way.spawn(async move {
                    // Nobody listens any more if the drill has been given up.
                    let _ = tell.send(Seen::Request(client.request().await));
                });
            }
            Some(_) = under_way.join_next() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// Asks the name server time and again, without a cache, until `stopped`.
async fn observe(
    upstream: Upstream,
    clock: Clock,
    period: Duration,
    mut stopped: watch::Receiver<()>,
    tell: mpsc::UnboundedSender<Seen>,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopped.changed() => return,
            _ = ticks.tick() => {}
        }
        let asked = clock.elapsed();
        let resolution = upstream.resolve().await;
        let answered = clock.elapsed();
        let (addresses, ttl) = resolution.map(|answer| (answer.addresses, answer.ttl)).unwrap_or_default();
        let lookup = Lookup { asked, answered, addresses: addresses.into_iter().collect(), ttl };
        if tell.send(Seen::Lookup(lookup)).is_err() {
            return;
        }
    }
}
