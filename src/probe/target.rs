//! The probes of one target: of its address, or of all that its name resolves to.

use std::future::pending;
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use tokio::sync::mpsc::UnboundedSender;

use super::attempt::{Attempt, Check};
use super::budget::Budget;
use super::http::Session;
use super::resolve::Lookup;
use super::schedule::Schedule;
use super::shared::Shared;
use super::tripwire::Tripwire;
use super::{Report, now};
use crate::health::{Belief, Failure, LocalFailure, Outcome, TargetId, Timings};
use crate::plan::{Endpoint, Watch};

/// Probes `target`, of which something is believed, until nobody receives the reports any more; the first
/// time in this `part` of the time over which first probes are spread.
pub(super) async fn run(
    target: TargetId,
    watch: Arc<Watch>,
    (belief, part): (Belief, Range<f64>),
    shared: Arc<Shared>,
    reports: UnboundedSender<Report>,
) {
    // Before the first slot, because reading root certificates may take longer than a probe's
    // timeout.
    let mut probe = Probe::new(Arc::unwrap_or_clone(watch), &shared).await;
    let mut schedule = Schedule::new(&probe.check.watch.check, belief, part, target.0, now());
    let mut tripwire = Tripwire::new(&probe.check.watch, now());
    loop {
        let (due, trigger) = schedule.due();
        tokio::select! {
            biased;
            () = probe.idle() => {
                if tripwire.kept_has_ended(now()) {
                    schedule.trip(now());
                }
                continue;
            }
            () = tripwire.ended() => {
                schedule.trip(now());
                continue;
            }
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let Ok(turn) = shared.turns.acquire().await else { return };
        let started = now();
        let had_connection = probe.has_kept();
        // Boxed so that the kilobytes of a probe under way are not also held between two.
        let probed = AssertUnwindSafe(Box::pin(probe.run(started))).catch_unwind().await;
        let (outcome, timings) = probed.unwrap_or_else(|_| {
            // It must not end the task, or the target would stay for ever what it was.
            let failure = LocalFailure::System("the probe has panicked, which the log tells of".to_owned());
            (Outcome::Fail(Failure::Local(failure)), Timings::default())
        });
        let finished = now();
        drop(turn);
        schedule.ended(&outcome, started, finished);
        tripwire.probed(trigger, &outcome, schedule.is_up(), finished);
        // The end of the kept connection was met by the probe itself.
        let has_gone = matches!(outcome, Outcome::Fail(Failure::Refused | Failure::Reset | Failure::Closed));
        if had_connection && has_gone && tripwire.kept_has_ended(finished) {
            schedule.trip(finished);
        }
        if matches!(outcome, Outcome::Fail(Failure::Local(_))) && !probe.can_ask() {
            // What it lacks, the host's root certificates for one, may be there by now.
            probe = Probe::new(probe.check.watch.clone(), &shared).await;
        }
        let lateness = started.saturating_duration_since(due);
        let report = Report { target, trigger, outcome, timings, lateness, started, finished };
        if reports.send(report).is_err() {
            return;
        }
    }
}

/// The probes of one target, and what one leaves to the next.
pub(super) struct Probe {
    pub(super) check: Arc<Check>,
    lookup: Lookup,
    kept: Option<Session>,
    shared: Arc<Shared>,
    /// Whether the last timeout was forgiven, because the process had stood still.
    was_stalled: bool,
}

impl Probe {
    pub(super) async fn new(watch: Watch, shared: &Arc<Shared>) -> Self {
        let check = Arc::new(Check::new(watch, shared).await);
        Probe { check, lookup: Lookup::default(), kept: None, shared: Arc::clone(shared), was_stalled: false }
    }

    /// Probes once. Takes no longer than the check's timeout, counted from `started`.
    pub(super) async fn run(&mut self, started: Instant) -> (Outcome, Timings) {
        let watch = &self.check.watch;
        let mut budget = Budget::new(started, watch.check.timeout);
        // What has no port is not asked at one.
        let port = watch.port.unwrap_or_default();
        let kept = self.kept.take().filter(Session::is_reusable);
        let Attempt { result, kept, timings } = match &watch.endpoint {
            Endpoint::Ip(ip) => self.check.attempt(SocketAddr::new(*ip, port), kept, budget).await,
            Endpoint::Name(name) => match self.lookup.addresses(name, port, &mut budget).await {
                Ok(addresses) => self.check.any_of(addresses, kept, budget).await,
                Err(failure) => Attempt { result: Err(failure), kept: None, timings: budget.spent() },
            },
        };
        self.kept = kept;
        let outcome = match result {
            Ok(()) => {
                self.was_stalled = false;
                Outcome::Pass
            }
            Err(failure @ Failure::TimedOut { .. }) => {
                let standstill = self.shared.pulse.standstill(started, now(), watch.check.timeout);
                // Once: where the process stands still again and again, an address that is gone
                // would never be called down.
                let standstill = standstill.filter(|_| !self.was_stalled);
                self.was_stalled = standstill.is_some();
                Outcome::Fail(
                    standstill.map_or(failure, |still| Failure::Local(LocalFailure::Stalled(still))),
                )
            }
            Err(failure) => Outcome::Fail(failure),
        };
        (outcome, timings)
    }

    /// Whether it has all that it takes to ask.
    fn can_ask(&self) -> bool {
        self.check.is_usable()
    }

    /// Whether a connection is kept for the next probe, as far as is known.
    pub(super) fn has_kept(&self) -> bool {
        self.kept.is_some()
    }

    #[cfg(test)]
    pub(super) fn keeps_connection(&self) -> bool {
        self.kept.as_ref().is_some_and(Session::is_reusable)
    }

    /// Looks after the kept connection between two probes: drains it, and closes it when the other
    /// side does, which is when this returns. To be dropped when the next probe is due.
    pub(super) async fn idle(&mut self) {
        if let Some(session) = &mut self.kept {
            session.linger().await;
            let was_ended = session.is_over();
            self.kept = None;
            if was_ended {
                return;
            }
        }
        pending().await
    }
}
