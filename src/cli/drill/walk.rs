//! The walk through the states, with the client and the observer beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, interval_at, sleep};

use super::breaker::Breaker;
use super::client::Client;
use super::clock::{self, Clock};
use super::recording::{Lookup, Recording, Request, Span, Stage};
use super::upstream::Upstream;
use crate::cli::Failed;
use crate::cli::loopback::Fault;

/// How often the observer asks, which is how finely the first right answer is measured: ten times
/// finer than the quickest health check, at a load that no name server notices.
const OBSERVING: Duration = Duration::from_millis(10);

/// The times of a walk.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// From one request to the next.
    pub(super) interval: Duration,
    /// Of each state.
    pub(super) state_duration: Duration,
}

/// Walks `breaker`'s sites through all states, telling `progress` of each as it begins.
pub(super) async fn walk(
    breaker: &mut Breaker,
    fault: Fault,
    pace: Pace,
    clock: Clock,
    client: Client,
    observer: Upstream,
    mut progress: impl FnMut(Duration, Stage),
) -> Result<Recording, Failed> {
    let (stop, stopped) = watch::channel(());
    let requests = tokio::spawn(send_requests(client, pace.interval, stopped.clone()));
    let lookups = tokio::spawn(observe(observer, clock, stopped));
    let mut begins = Vec::new();
    for stage in Stage::ALL {
        let ordered = clock.elapsed();
        match stage {
            Stage::Baseline => {}
            Stage::PreferredDown => breaker.stop(0, fault).await?,
            Stage::BothDown => breaker.stop(1, fault).await?,
            Stage::OtherBack => breaker.start(1).await?,
            Stage::PreferredBack => breaker.start(0).await?,
        }
        let began = match stage {
            // A site may be down long before the command that stops it returns.
            Stage::Baseline | Stage::PreferredDown | Stage::BothDown => ordered,
            Stage::OtherBack | Stage::PreferredBack => clock.elapsed(),
        };
        progress(began, stage);
        begins.push((stage, began));
        sleep(pace.state_duration).await;
    }
    let ended = clock.elapsed();
    drop(stop);
    let ends = begins.iter().skip(1).map(|(_, began)| *began).chain([ended]);
    let spans =
        begins.iter().zip(ends).map(|(&(stage, began), ended)| Span { stage, began, ended }).collect();
    Ok(Recording { spans, requests: joined(requests).await?, lookups: joined(lookups).await? })
}

async fn joined<T>(task: JoinHandle<T>) -> Result<T, Failed> {
    task.await.map_err(|error| Failed::new(format_args!("the drill broke off: {error}")))
}

/// Sends a request at every interval, however long those before it take, until `stopped`.
async fn send_requests(client: Client, period: Duration, mut stopped: watch::Receiver<()>) -> Vec<Request> {
    let client = Arc::new(client);
    let mut requests = Vec::new();
    let mut under_way = JoinSet::new();
    // Off the states' beat by half an interval: at a long interval a request at the very moment
    // of a change would see sometimes the one state, sometimes the other.
    let mut ticks = interval_at((clock::now() + period / 2).into(), period);
    loop {
        tokio::select! {
            biased;
            _ = stopped.changed() => break,
            _ = ticks.tick() => {
                let client = client.clone();
                under_way.spawn(async move { client.request().await });
            }
            Some(done) = under_way.join_next() => requests.extend(done),
        }
    }
    while let Some(done) = under_way.join_next().await {
        requests.extend(done);
    }
    requests.sort_by_key(|request| request.started);
    requests
}

/// Asks the name server time and again, without a cache, until `stopped`.
async fn observe(upstream: Upstream, clock: Clock, mut stopped: watch::Receiver<()>) -> Vec<Lookup> {
    let mut lookups = Vec::new();
    let mut ticks = interval(OBSERVING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopped.changed() => return lookups,
            _ = ticks.tick() => {}
        }
        let asked = clock.elapsed();
        let resolution = upstream.resolve().await;
        let answered = clock.elapsed();
        let (addresses, ttl) = resolution.map(|answer| (answer.addresses, answer.ttl)).unwrap_or_default();
        lookups.push(Lookup { asked, answered, addresses: addresses.into_iter().collect(), ttl });
    }
}
