//! The end of a daemon: what was asked is finished, and what is to last is written.

use std::sync::PoisonError;
use std::time::Duration;

use super::takeover::Ask;
use super::{DRAIN, Daemon, edits, incidents};

/// How long the last records of the audit log may take, on a disk that works.
const AUDIT_DRAIN: Duration = Duration::from_secs(1);

/// How long of that those may take who have made a change and not noted it yet: all that they need is a turn,
/// and what is noted needs the rest.
const NOTING: Duration = Duration::from_millis(500);

/// How long the last records of the query log may take.
const QUERY_LOG_DRAIN: Duration = Duration::from_secs(2);

/// How long the last spans may take to whoever collects them.
const TRACES_DRAIN: Duration = Duration::from_secs(1);

/// Why a daemon ends.
pub(super) enum End {
    /// It was told to.
    Stopped,
    /// Another process has taken over.
    Taken,
}

impl Daemon {
    /// Stops: queued datagrams and TCP queries under way are answered first.
    pub async fn shutdown(self) {
        self.end(End::Stopped).await;
    }

    /// Ends, whether it is stopped or another process has taken over.
    pub(super) async fn end(self, end: End) {
        let Daemon {
            dns: _,
            admin: _,
            holding,
            offer,
            audit,
            requests: _,
            ready,
            asks,
            front,
            stop,
            feed,
            notifier,
            mut tasks,
            serving,
            vitals: _,
            queries,
            traces,
            log,
        } = self;
        // Whoever balances load by it should look elsewhere from here on.
        ready.send_replace(false);
        // The copies of the sockets, which would go on accepting.
        if let Some(offer) = offer {
            offer.withdraw().await;
        }
        let is_done = match end {
            End::Stopped => serving.shutdown(DRAIN).await,
            End::Taken => {
                // What comes in from here on is for the other process.
                let _ = asks.send(Ask::Leave).await;
                // What is left to be told is; what happens from here on the other process tells.
                notifier.replace(Vec::new());
                feed.end();
                front.send_replace(true);
                // Health is followed to the end: whoever is still connected gets right answers.
                serving.hand_over(DRAIN).await
            }
        };
        if !is_done {
            tracing::warn!(after = ?DRAIN, "cut off TCP clients that were not done");
        }
        // What it has to write for that, and whoever reads it, is no reason to stay.
        let ended = tokio::task::spawn_blocking(move || queries.end(QUERY_LOG_DRAIN));
        notifier.tell(incidents::daemon("the daemon stops", edits::now()));
        // Those who follow would be waited for.
        feed.end();
        front.send_replace(true);
        stop.send_replace(true);
        // A task that panicked has said so; there is nothing left to stop.
        while tasks.join_next().await.is_some() {}
        notifier.close().await;
        if tokio::time::timeout(AUDIT_DRAIN, audit.settle(NOTING)).await.is_err() {
            tracing::error!("the last changes may be missing in the audit log");
        }
        let told = tokio::task::spawn_blocking(move || traces.end(TRACES_DRAIN));
        // They do not panic; if one did, it has said so.
        let _ = (ended.await, told.await);
        tracing::info!("stopped");
        holding.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(log);
    }
}
