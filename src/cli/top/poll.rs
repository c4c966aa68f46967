//! What the daemon is asked for, again and again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::model::{Flow, Order, Update};
use crate::cli::Failed;
use crate::cli::client::Endpoint;
use crate::cli::clock::Clock;
use crate::cli::order::path;

/// As many histories are fetched at a look. More would make of a large screen more requests than the
/// rest together.
const HISTORIES: usize = 8;

/// Until the stream of events is asked for again after it has ended.
const PAUSE: Duration = Duration::from_secs(2);

/// One who asks.
pub(super) struct Poller {
    endpoint: Endpoint,
    clock: Clock,
}

impl Poller {
    /// Asks at `endpoint`.
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Poller { endpoint, clock: Clock::start() }
    }

    /// What there is to see now, but for histories and events.
    pub(super) async fn look(&self) -> Result<Vec<Update>, Failed> {
        let status = Box::new(self.endpoint.get("/v1/status").await?);
        let flow: Option<Flow> = self.endpoint.find("/v1/flow").await?;
        let metrics = self.endpoint.get_text("/metrics").await?;
        let replies = Update::Replies(replies(&metrics), self.clock.elapsed());
        Ok(vec![Update::Status(status), Update::Flow(flow), replies])
    }

    /// What the last probes of an address found.
    pub(super) async fn history(&self, pool: &str, address: &str) -> Result<Update, Failed> {
        let path = path(pool, Some(address)) + "/history";
        let history = self.endpoint.find(&path).await?;
        // Nothing watches it.
        Ok(Update::History(history.unwrap_or_else(|| crate::control::HistoryStatus {
            pool: pool.to_owned(),
            address: address.to_owned(),
            outcomes: Vec::new(),
            transitions: Vec::new(),
        })))
    }

    /// The events that the daemon has kept.
    pub(super) async fn kept_events(&self) -> Result<Vec<Update>, Failed> {
        let mut stream = self.endpoint.follow("/v1/events?since=0&follow=false", None).await?;
        let mut updates = Vec::new();
        while let Some(event) = stream.next().await {
            updates.push(Update::Event(event));
        }
        Ok(updates)
    }
}

/// The sum of all replies, of what a scrape brings.
fn replies(metrics: &str) -> f64 {
    let samples = metrics.lines().filter(|line| line.starts_with("rhumb_dns_replies_total"));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Looks every `interval`, and at the histories of what is `visible`, until nobody takes it.
pub(super) async fn keep_looking(
    poller: Arc<Poller>,
    interval: Duration,
    mut visible: watch::Receiver<Vec<(String, String)>>,
    updates: mpsc::Sender<Update>,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = HashMap::new();
    let mut round = 0_u64;
    loop {
        // What has come into sight has nothing to show yet.
        let is_tick = tokio::select! {
            _ = ticks.tick() => true,
            changed = visible.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
        };
        let mut found = match is_tick {
            true => poller.look().await.unwrap_or_else(|failed| vec![failure(failed)]),
            false => Vec::new(),
        };
        round += 1;
        let mut oldest = visible.borrow_and_update().clone();
        oldest.sort_by_key(|subject| looked.get(subject).copied().unwrap_or(0));
        for subject in oldest.into_iter().take(HISTORIES) {
            // A daemon that is gone is told of already.
            found.extend(poller.history(&subject.0, &subject.1).await.ok());
            looked.insert(subject, round);
        }
        for update in found {
            if updates.send(update).await.is_err() {
                return;
            }
        }
    }
}

/// Follows what happens, until nobody takes it.
pub(super) async fn keep_following(poller: Arc<Poller>, updates: mpsc::Sender<Update>) {
    let mut last: Option<String> = None;
    loop {
        // That a daemon is gone, or knows no events, is no news here: its status tells.
        if let Ok(mut stream) = poller.endpoint.follow("/v1/events?since=0", last.as_deref()).await {
            while let Some(event) = stream.next().await {
                last = event.id.clone().or(last);
                if updates.send(Update::Event(event)).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Gives an order, and tells what came of it and what is then.
pub(super) async fn order(poller: Arc<Poller>, order: Order, updates: mpsc::Sender<Update>) {
    let Order { pool, address, state, reason } = order;
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    let content = json!({ "state": state.to_string(), "reason": reason });
    let subject = address.as_ref().map_or(pool.clone(), |address| format!("{pool}/{address}"));
    let given = poller
        .endpoint
        .patch::<serde_json::Value>(&path(&pool, address.as_deref()), &content)
        .await
        .map(|_| format!("{subject}: {state}"))
        .map_err(|Failed(reason)| first_line(&reason));
    // Whoever asked may have left.
    let _ = updates.send(Update::Ordered(given)).await;
    for update in poller.look().await.unwrap_or_default() {
        let _ = updates.send(update).await;
    }
}

fn failure(Failed(reason): Failed) -> Update {
    Update::Failed(first_line(&reason))
}

fn first_line(reason: &str) -> String {
    reason.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_of_all_codes() {
        let metrics = "# TYPE rhumb_dns_replies_total counter\nrhumb_dns_replies_total{rcode=\"NOERROR\"} 40\n\
            rhumb_dns_replies_total{rcode=\"NXDOMAIN\"} 2\nrhumb_dns_dropped_total 7\n";
        assert_eq!(replies(metrics), 42.0);
    }
}
