//! One probe: of the target's address, or of all that its name resolves to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::task::JoinSet;

use super::budget::Budget;
use super::http::{self, Session, Stream};
use super::resolve::Lookup;
use super::tcp;
use super::tls::{self, Tls};
use crate::health::{Failure, LocalFailure, Outcome};
use crate::plan::{CheckKind, Endpoint, HttpCheck, Watch};

/// The probes of one target, and what one leaves to the next.
pub(super) struct Probe {
    pub(super) check: Arc<Check>,
    lookup: Lookup,
    kept: Option<Session>,
}

/// What is asked of the target's addresses.
pub(super) struct Check {
    watch: Watch,
    tls: Option<Result<Arc<ClientConfig>, LocalFailure>>,
}

/// What one address said, and the connection if it is to be kept.
pub(super) type Attempt = (Result<(), Failure>, Option<Session>);

impl Probe {
    pub(super) async fn new(watch: Watch, tls: &Tls) -> Self {
        let tls = match watch.check.kind {
            CheckKind::Https { verify, .. } => Some(tls.config(verify).await),
            CheckKind::Tcp | CheckKind::Http(_) => None,
        };
        Probe { check: Arc::new(Check { watch, tls }), lookup: Lookup::default(), kept: None }
    }

    pub(super) fn interval(&self) -> Duration {
        self.check.watch.check.interval
    }

    /// Probes once. Takes no longer than the check's timeout, counted from `started`.
    pub(super) async fn run(&mut self, started: Instant) -> Outcome {
        let watch = &self.check.watch;
        let budget = Budget::new(started, watch.check.timeout);
        let kept = self.kept.take().filter(Session::is_reusable);
        let (result, kept) = match &watch.endpoint {
            Endpoint::Ip(ip) => self.check.attempt(SocketAddr::new(*ip, watch.port), kept, budget).await,
            Endpoint::Name(name) => match self.lookup.addresses(name, watch.port, budget).await {
                Ok(addresses) => self.check.any_of(addresses, kept, budget).await,
                Err(failure) => (Err(failure), None),
            },
        };
        self.kept = kept;
        match result {
            Ok(()) => Outcome::Pass,
            Err(failure) => Outcome::Fail(failure),
        }
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

impl Check {
    /// Probes the addresses of a name; passes as soon as one of them does.
    ///
    /// They are tried in the order of the resolver, the one with a kept connection first. The next one
    /// starts when one fails, or when one has taken its share of the timeout, so that an address which
    /// swallows packets cannot use up the time of the others; nor is it given up, as it may yet answer.
    pub(super) async fn any_of(
        self: &Arc<Self>,
        mut addresses: Vec<SocketAddr>,
        kept: Option<Session>,
        budget: Budget,
    ) -> Attempt {
        let mut kept = kept.filter(|session| addresses.contains(&session.address()));
        let kept_address = kept.as_ref().map(Session::address);
        addresses.sort_by_key(|&address| Some(address) != kept_address);
        // At most eight, see `resolve`.
        let share = budget.whole() / (addresses.len() as u32 + 1);

        let mut waiting = addresses.into_iter();
        let mut attempts = JoinSet::new();
        let mut worst = None;
        loop {
            if let Some(address) = waiting.next() {
                let check = Arc::clone(self);
                let kept = kept.take_if(|session| session.address() == address);
                attempts.spawn(async move { check.attempt(address, kept, budget).await });
            }
            let finished = tokio::select! {
                finished = attempts.join_next() => finished,
                () = tokio::time::sleep(share), if waiting.len() > 0 => continue,
            };
            let (failure, session) = match finished {
                Some(Ok((Ok(()), session))) => return (Ok(()), session),
                Some(Ok((Err(failure), session))) => (failure, session),
                Some(Err(error)) => (Failure::Local(LocalFailure::System(error.to_string())), None),
                None => return (Err(worst.unwrap_or(Failure::Unresolved)), kept),
            };
            kept = session.or(kept);
            worst = Some(worse(worst, failure));
        }
    }

    /// Probes one address.
    async fn attempt(&self, address: SocketAddr, kept: Option<Session>, budget: Budget) -> Attempt {
        match &self.watch.check.kind {
            CheckKind::Tcp => (tcp::connect(address, budget).await.map(drop), None),
            CheckKind::Http(http) | CheckKind::Https { http, .. } => {
                match self.ask(http, address, kept, budget).await {
                    Ok((status, session)) => (judge(http, status), http.reuse.then_some(session)),
                    Err(failure) => (Err(failure), None),
                }
            }
        }
    }

    /// Asks for the check's path, over the kept connection if there is one.
    async fn ask(
        &self,
        http: &HttpCheck,
        address: SocketAddr,
        kept: Option<Session>,
        budget: Budget,
    ) -> Result<(u16, Session), Failure> {
        let request = http::request(&self.watch, http).map_err(Failure::Local)?;
        if let Some(mut session) = kept {
            match session.ask(request.clone(), budget).await {
                Ok(status) => return Ok((status, session)),
                // A server may close an idle connection whenever it likes (RFC 9112 section 9.5),
                // also while a request is on its way. Only a fresh connection tells.
                Err(Failure::Closed | Failure::Reset | Failure::Unreachable) => {}
                Err(failure) => return Err(failure),
            }
        }
        let stream = self.connect(http, address, budget).await?;
        let mut session = Session::open(address, stream, budget).await?;
        let status = session.ask(request, budget).await?;
        Ok((status, session))
    }

    async fn connect(
        &self,
        http: &HttpCheck,
        address: SocketAddr,
        budget: Budget,
    ) -> Result<Box<dyn Stream>, Failure> {
        let config = self.tls.clone().transpose().map_err(Failure::Local)?;
        let stream = tcp::connect(address, budget).await?;
        Ok(match config {
            None => Box::new(stream),
            Some(config) => {
                let name = http::server_name(&self.watch, http);
                Box::new(tls::handshake(config, name.as_deref(), address, stream, budget).await?)
            }
        })
    }
}

/// What the failures of two addresses say of the name they belong to.
///
/// Where this side is at fault nothing is said, with one exception: an address that this host has
/// no way to connect from, as IPv6 ones often are, leaves the word to the others.
fn worse(first: Option<Failure>, second: Failure) -> Failure {
    let rank = |failure: &Failure| match failure {
        Failure::Local(LocalFailure::NoSourceAddress) => 0,
        Failure::Local(_) => 2,
        _ => 1,
    };
    match first {
        Some(first) if rank(&first) > rank(&second) => first,
        _ => second,
    }
}

fn judge(http: &HttpCheck, status: u16) -> Result<(), Failure> {
    match http.expect_status.iter().any(|range| (range.first..=range.last).contains(&status)) {
        true => Ok(()),
        false => Err(Failure::Status(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_failure_speaks_for_no_name() {
        let starved = || Failure::Local(LocalFailure::OutOfDescriptors);
        let no_source = || Failure::Local(LocalFailure::NoSourceAddress);
        for (first, second, expected) in [
            (Failure::Refused, Failure::Reset, Failure::Reset),
            (Failure::Refused, starved(), starved()),
            (starved(), Failure::Refused, starved()),
            (no_source(), Failure::Refused, Failure::Refused),
            (Failure::Refused, no_source(), Failure::Refused),
            (no_source(), no_source(), no_source()),
        ] {
            assert_eq!(worse(Some(first), second), expected);
        }
    }
}
