//! Sockets of health checks.
//!
//! Every watched address has a task of its own, with its own schedule and timeout: a slow one
//! delays no other, and ending the task closes its sockets. What a probe finds leaves as a
//! [`Report`]; what follows from it is decided elsewhere. A task keeps a belief of its own only to know
//! when to look more closely. All of them run on one [`ProbeThread`].

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::health::{Belief, Outcome, TargetId, Timings};
use crate::plan::Watch;

mod attempt;
mod budget;
mod cause;
mod dns;
mod grpc;
mod http;
mod icmp;
mod pulse;
mod resolve;
mod schedule;
mod script;
mod shared;
mod target;
mod tcp;
mod thread;
mod tls;
mod tripwire;
mod udp;
mod unguessable;
mod words;

#[cfg(test)]
mod tests;

pub use schedule::Trigger;
pub use shared::Limits;
pub use thread::ProbeThread;

use pulse::Beating;
use shared::Shared;

/// What one probe found, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was probed.
    pub target: TargetId,
    /// Why.
    pub trigger: Trigger,
    /// What was found.
    pub outcome: Outcome,
    /// How long its phases took.
    pub timings: Timings,
    /// How much later than it was due the probe started.
    pub lateness: Duration,
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
    /// While something is watched.
    beating: Option<Beating>,
}

/// A target's task, which ends with this value.
struct Running(JoinHandle<()>);

impl Prober {
    /// A prober that watches nothing yet. Its tasks run on `runtime`, whose I/O and time drivers
    /// must be enabled, and send to `reports`; they end when nobody receives any more. At most
    /// as much is done at once as `limits` say.
    pub fn new(reports: UnboundedSender<Report>, runtime: Handle, limits: Limits) -> Self {
        let shared = Arc::new(Shared::new(limits));
        Prober { reports, runtime, shared, running: HashMap::new(), beating: None }
    }

    /// Watches exactly `targets` from now on, of which something is believed: starts those whose id
    /// is new, stops those that are gone, and leaves the others as they are.
    ///
    /// A report of a target that is gone may still be on its way; its receiver drops it.
    pub fn watch<W: Into<Arc<Watch>>, B: Into<Belief>>(
        &mut self,
        targets: impl IntoIterator<Item = (TargetId, W, B)>,
    ) {
        let mut before = std::mem::take(&mut self.running);
        let mut new = Vec::new();
        for (target, watch, belief) in targets {
            match before.remove(&target) {
                Some(running) => drop(self.running.insert(target, running)),
                None => new.push((target, watch.into(), belief.into())),
            }
        }
        drop(before);
        self.start_all(new);
        self.rest_if_idle();
    }

    /// Stops to watch `stopped` and starts to watch `started`, whose ids are new. See
    /// [`watch`](Self::watch).
    pub fn rewatch(&mut self, started: Vec<(TargetId, Arc<Watch>, Belief)>, stopped: &[TargetId]) {
        for target in stopped {
            self.running.remove(target);
        }
        self.start_all(started);
        self.rest_if_idle();
    }

    /// How many targets are watched.
    pub fn watched(&self) -> usize {
        self.running.len()
    }

    /// How many probes are under way.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight()
    }

    /// Starts those of which nothing of today is known before the others, whose verdicts can wait for so long.
    fn start_all(&mut self, targets: Vec<(TargetId, Arc<Watch>, Belief)>) {
        let awaited = targets.iter().filter(|(_, _, belief)| belief.is_awaited()).count();
        // As many are due at a time as if nobody went first.
        let share = awaited as f64 / targets.len().max(1) as f64;
        for (target, watch, belief) in targets {
            let part = if belief.is_awaited() { 0.0..share } else { share..1.0 };
            self.start(target, watch, (belief, part));
        }
    }

    fn start(&mut self, target: TargetId, watch: Arc<Watch>, belief: (Belief, Range<f64>)) {
        let Prober { reports, runtime, shared, running, beating } = self;
        beating.get_or_insert_with(|| shared.pulse.beat(runtime));
        let task = target::run(target, watch, belief, Arc::clone(shared), reports.clone());
        running.insert(target, Running(runtime.spawn(task)));
    }

    fn rest_if_idle(&mut self) {
        if self.running.is_empty() {
            self.beating = None;
        }
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
