//! Sockets of health checks.
//!
//! Every watched address has a task of its own, with its own schedule and timeout: a slow one
//! delays no other, and ending the task closes its sockets. What a probe finds leaves as a
//! [`Report`]; nothing is judged here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::health::{Cadence, Outcome, TargetId, Timings};
use crate::plan::Watch;

mod attempt;
mod budget;
mod cause;
mod dns;
mod grpc;
mod http;
mod icmp;
mod resolve;
mod script;
mod shared;
mod target;
mod tcp;
mod tls;
mod udp;
mod unguessable;
mod words;

#[cfg(test)]
mod tests;

use shared::Shared;
use target::Probe;

/// What one probe found, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was probed.
    pub target: TargetId,
    /// What was found.
    pub outcome: Outcome,
    /// How long its phases took.
    pub timings: Timings,
    /// When the probe started.
    pub started: Instant,
    /// When the outcome was known.
    pub finished: Instant,
}

/// Probes a set of targets, each on its own schedule, until it is dropped.
pub struct Prober {
    reports: UnboundedSender<Report>,
    runtime: Handle,
    shared: Arc<Shared>,
    running: HashMap<TargetId, Running>,
}

/// A target's task, which ends with this value.
struct Running(JoinHandle<()>);

impl Prober {
    /// A prober that watches nothing yet. Its tasks run on `runtime`, whose I/O and time drivers
    /// must be enabled, and send to `reports`; they end when nobody receives any more. At most
    /// `max_scripts` of the operator's scripts run at the same time.
    pub fn new(reports: UnboundedSender<Report>, runtime: Handle, max_scripts: usize) -> Self {
        Prober { reports, runtime, shared: Arc::new(Shared::new(max_scripts)), running: HashMap::new() }
    }

    /// Watches exactly `targets` from now on: starts those whose id is new, stops those that are
    /// gone, and leaves the others as they are.
    ///
    /// A report of a target that is gone may still be on its way; its receiver drops it.
    pub fn watch(&mut self, targets: impl IntoIterator<Item = (TargetId, Watch)>) {
        let mut before = std::mem::take(&mut self.running);
        for (target, watch) in targets {
            let running = before.remove(&target).unwrap_or_else(|| self.start(target, watch));
            self.running.insert(target, running);
        }
    }

    /// Stops to watch `stopped` and starts to watch `started`, whose ids are new. See
    /// [`watch`](Self::watch).
    pub fn rewatch(&mut self, started: Vec<(TargetId, Watch)>, stopped: &[TargetId]) {
        for target in stopped {
            self.running.remove(target);
        }
        for (target, watch) in started {
            let running = self.start(target, watch);
            self.running.insert(target, running);
        }
    }

    fn start(&self, target: TargetId, watch: Watch) -> Running {
        let (shared, reports) = (Arc::clone(&self.shared), self.reports.clone());
        Running(self.runtime.spawn(async move {
            // Before the first slot, because reading root certificates may take longer than a
            // probe's timeout.
            let mut probe = Probe::new(watch, &shared).await;
            let mut cadence = Cadence::new(probe.interval(), target.0, now());
            loop {
                tokio::select! {
                    biased;
                    never = probe.idle() => match never {},
                    () = tokio::time::sleep_until(cadence.due().into()) => {}
                }
                let started = now();
                // Boxed so that the kilobytes of a probe under way are not also held between two.
                let (outcome, timings) = Box::pin(probe.run(started)).await;
                let finished = now();
                if reports.send(Report { target, outcome, timings, started, finished }).is_err() {
                    return;
                }
                cadence.advance(started, finished);
            }
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[allow(clippy::disallowed_methods, reason = "probe/ is an I/O floor")]
fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, by which certificates expire.
#[allow(clippy::disallowed_methods, reason = "probe/ is an I/O floor")]
fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
