//! The order that takes the subject out. It stands for seconds only and is renewed while the drill
//! lives, so that nothing stays out because a drill has died.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::subject::Subject;
use crate::cli::Failed;
use crate::cli::client::Endpoint;
use crate::cli::drill::clock::Clock;
use crate::control::{PoolStatus, Status};

/// How long the order outlives the drill at most: long enough that a renewal may be late.
pub(super) const LEASE: Duration = Duration::from_millis(4_500);

/// From one renewal to the next, and what a reply of the admin API may take.
const RENEWAL: Duration = Duration::from_millis(1_500);

/// From one attempt to bring the subject back to the next.
const AGAIN: Duration = Duration::from_millis(250);

/// The admin API, as far as the subject is concerned.
pub(super) struct Desk {
    pub(super) endpoint: Endpoint,
    pub(super) subject: Subject,
    /// The reason of our order, by which it is known for ours.
    pub(super) reason: String,
}

impl Desk {
    /// Orders by a reason of its own.
    pub(super) fn new(endpoint: Endpoint, subject: Subject) -> Self {
        Desk { endpoint, subject, reason: format!("drill {:08x}", fastrand::u32(..)) }
    }

    /// The state of everything.
    pub(super) async fn status(&self) -> Result<Status, Failed> {
        self.in_time(self.endpoint.get("/v1/status")).await
    }

    /// The subject's pool.
    pub(super) async fn pool(&self) -> Result<PoolStatus, Failed> {
        self.in_time(self.endpoint.get(&crate::cli::order::path(&self.subject.pool, None))).await
    }

    /// Takes the subject out, or keeps it out.
    async fn take_out(&self) -> Result<(), Failed> {
        let expires = humantime::format_duration(LEASE).to_string();
        let order = json!({ "state": "down", "reason": self.reason, "expires": expires });
        let _: serde_json::Value = self.in_time(self.endpoint.patch(&self.subject.path(), &order)).await?;
        Ok(())
    }

    /// Takes the order back. What others have ordered since stands.
    async fn bring_back(&self) -> Result<(), Failed> {
        if self.is_ours(&self.pool().await?) {
            let order = json!({ "state": "auto" });
            let _: serde_json::Value =
                self.in_time(self.endpoint.patch(&self.subject.path(), &order)).await?;
        }
        Ok(())
    }

    fn is_ours(&self, pool: &PoolStatus) -> bool {
        let order = self.subject.order(pool);
        order.is_some_and(|order| order.state == "down" && order.reason.as_ref() == Some(&self.reason))
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let late = |_| Err(Failed::new("the admin API did not answer in time"));
        timeout(RENEWAL, asked).await.unwrap_or_else(late)
    }
}

/// An order that is kept standing.
pub(super) struct Lease {
    desk: Arc<Desk>,
    stop: watch::Sender<()>,
    lost: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Takes the subject out. If that fails it is brought back, since an order may have arrived
    /// whose reply did not.
    pub(super) async fn take(desk: Arc<Desk>, clock: Clock) -> Result<Self, Failed> {
        if let Err(error) = desk.take_out().await {
            give_back(&desk, clock).await?;
            return Err(error);
        }
        let (stop, stopped) = watch::channel(());
        let (tell, lost) = watch::channel(None);
        let task = tokio::spawn(renew(desk.clone(), stopped, tell));
        Ok(Lease { desk, stop, lost, task })
    }

    /// Waits until the order can no longer be relied on, and says why.
    pub(super) async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| "the order is no longer renewed".to_owned())
    }

    /// Brings the subject back.
    pub(super) async fn give_back(self, clock: Clock) -> Result<(), Failed> {
        let Lease { desk, stop, lost: _, task } = self;
        // A renewal under way ends first: it must not arrive after what ends the order.
        drop(stop);
        let _ = task.await;
        give_back(&desk, clock).await
    }
}

/// Tries until it is done, or the order has ended by itself.
async fn give_back(desk: &Desk, clock: Clock) -> Result<(), Failed> {
    let deadline = clock.elapsed() + LEASE;
    loop {
        let Err(Failed(reason)) = desk.bring_back().await else { return Ok(()) };
        if clock.elapsed() >= deadline {
            let lease = humantime::format_duration(LEASE);
            return Err(Failed(format!(
                "{reason}\nhint: {} could not be brought back by order; the daemon does so {lease} after the last renewal",
                desk.subject
            )));
        }
        sleep(AGAIN).await;
    }
}

/// Renews the order until `stopped`, or until it cannot, or is not ours any more.
async fn renew(desk: Arc<Desk>, mut stopped: watch::Receiver<()>, lost: watch::Sender<Option<String>>) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = sleep(RENEWAL) => {}
        }
        let renewed = match desk.pool().await {
            Ok(pool) if desk.is_ours(&pool) => desk.take_out().await,
            Ok(pool) => Err(Failed(match desk.subject.order(&pool) {
                Some(order) => format!("somebody else has ordered {}", order.state),
                None => "somebody else has taken the order back, or the daemon was restarted".to_owned(),
            })),
            Err(error) => Err(error),
        };
        if let Err(Failed(reason)) = renewed {
            let reason = reason.strip_prefix("error: ").unwrap_or(&reason);
            lost.send_replace(Some(reason.lines().next().unwrap_or_default().to_owned()));
            return;
        }
    }
}
