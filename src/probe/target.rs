//! The probes of one target: of its address, or of all that its name resolves to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::{Attempt, Check};
use super::budget::Budget;
use super::http::Session;
use super::resolve::Lookup;
use super::shared::Shared;
use crate::health::{Outcome, Timings};
use crate::plan::{Endpoint, Watch};

/// The probes of one target, and what one leaves to the next.
pub(super) struct Probe {
    pub(super) check: Arc<Check>,
    lookup: Lookup,
    kept: Option<Session>,
}

impl Probe {
    pub(super) async fn new(watch: Watch, shared: &Arc<Shared>) -> Self {
        Probe { check: Arc::new(Check::new(watch, shared).await), lookup: Lookup::default(), kept: None }
    }

    pub(super) fn interval(&self) -> Duration {
        self.check.watch.check.interval
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
            Ok(()) => Outcome::Pass,
            Err(failure) => Outcome::Fail(failure),
        };
        (outcome, timings)
    }

    #[cfg(test)]
    pub(super) fn keeps_connection(&self) -> bool {
        self.kept.as_ref().is_some_and(Session::is_reusable)
    }

    /// Looks after the kept connection between two probes: drains it, and closes it when the other
    /// side does. To be dropped when the next probe is due.
    pub(super) async fn idle(&mut self) -> Infallible {
        if let Some(session) = &mut self.kept {
            session.linger().await;
            self.kept = None;
        }
        std::future::pending().await
    }
}
