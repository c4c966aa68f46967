//! One attempt: what is asked of one address of a target.
//!
//! A type of check has a file of its own, with what is prepared for all its probes and with what
//! one of them does.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::budget::Budget;
use super::dns::DnsProbe;
use super::grpc::GrpcProbe;
use super::http::{HttpProbe, Session};
use super::shared::Shared;
use super::tls::{Alpn, TlsProbe, endpoint_name};
use super::{tcp, udp};
use crate::health::{Failure, LocalFailure, Timings};
use crate::plan::{CheckKind, IcmpCheck, ScriptCheck, TcpCheck, UdpCheck, Watch};

/// What is asked of the target's addresses.
pub(super) struct Check {
    pub(super) watch: Watch,
    /// An error of our own side that was met on the way fails every probe.
    kind: Result<Kind, LocalFailure>,
    shared: Arc<Shared>,
}

/// What one probe does, made ready.
enum Kind {
    Dns(DnsProbe),
    Icmp(IcmpCheck),
    Script(ScriptCheck),
    /// Boxed, as the next is, because these are ten times as large as the others.
    Grpc(Box<GrpcProbe>),
    Http(Box<HttpProbe>),
    Tcp(TcpCheck),
    Tls(TlsProbe),
    Udp(UdpCheck),
}

/// What came of one address.
pub(super) struct Attempt {
    pub(super) result: Result<(), Failure>,
    /// The connection, if it is to be kept.
    pub(super) kept: Option<Session>,
    pub(super) timings: Timings,
}

impl Check {
    /// Makes ready what all probes of the target share.
    pub(super) async fn new(watch: Watch, shared: &Arc<Shared>) -> Self {
        let kind = match &watch.check.kind {
            CheckKind::Dns(dns) => DnsProbe::new(dns).map(Kind::Dns),
            CheckKind::Grpc(grpc) => {
                GrpcProbe::new(&watch, grpc, &shared.tls).await.map(Box::new).map(Kind::Grpc)
            }
            CheckKind::Icmp(icmp) => Ok(Kind::Icmp(*icmp)),
            CheckKind::Script(script) => Ok(Kind::Script(script.clone())),
            CheckKind::Tcp(check) => Ok(Kind::Tcp(check.clone())),
            CheckKind::Udp(check) => Ok(Kind::Udp(check.clone())),
            CheckKind::Tls(check) => {
                TlsProbe::new(&shared.tls, check, endpoint_name(&watch), Alpn::Unsaid).await.map(Kind::Tls)
            }
            CheckKind::Http(http) => HttpProbe::new(&watch, http, None).await.map(Box::new).map(Kind::Http),
            CheckKind::Https { http, tls } => {
                HttpProbe::new(&watch, http, Some((&shared.tls, tls))).await.map(Box::new).map(Kind::Http)
            }
        };
        Check { watch, kind, shared: Arc::clone(shared) }
    }

    /// Probes one address.
    pub(super) async fn attempt(
        &self,
        address: SocketAddr,
        kept: Option<Session>,
        mut budget: Budget,
    ) -> Attempt {
        let (result, kept) = match &self.kind {
            Ok(Kind::Dns(dns)) => (dns.probe(address, &mut budget).await, None),
            Ok(Kind::Grpc(grpc)) => (grpc.probe(address, &mut budget).await, None),
            Ok(Kind::Http(http)) => http.probe(address, kept, &mut budget).await,
            Ok(Kind::Icmp(icmp)) => (self.shared.pinger.probe(address.ip(), *icmp, &mut budget).await, None),
            Ok(Kind::Script(script)) => {
                (self.shared.scripts.probe(&self.watch, script, address, &mut budget).await, None)
            }
            Ok(Kind::Tcp(check)) => (tcp::probe(check, address, &mut budget).await, None),
            Ok(Kind::Tls(tls)) => (tls.probe(address, &mut budget).await, None),
            Ok(Kind::Udp(check)) => (udp::probe(check, address, &mut budget).await, None),
            Err(failure) => (Err(Failure::Local(failure.clone())), None),
        };
        Attempt { result, kept, timings: budget.spent() }
    }

    /// Whether it can be asked at all.
    pub(super) fn is_usable(&self) -> bool {
        self.kind.is_ok()
    }

    /// Probes the addresses of a name; passes as soon as one of them does.
    ///
    /// They are tried in the order of the resolver, the one with a kept connection first. The next one
    /// starts when one fails, or when one has taken its share of the timeout, so that an address which
    /// swallows packets cannot use up the time of the others; nor is it given up, as it may yet answer.
    /// The timings are those of the address that decided.
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
            let (failure, session, timings) = match finished {
                Some(Ok(Attempt { result: Err(failure), kept, timings })) => (failure, kept, timings),
                Some(Ok(passed)) => return passed,
                Some(Err(error)) => {
                    (Failure::Local(LocalFailure::System(error.to_string())), None, budget.spent())
                }
                None => {
                    let (failure, timings) = worst.unwrap_or((Failure::Unresolved, budget.spent()));
                    return Attempt { result: Err(failure), kept, timings };
                }
            };
            kept = session.or(kept);
            worst = Some(worse(worst, (failure, timings)));
        }
    }
}

/// What the failures of two addresses say of the name they belong to.
///
/// Where this side is at fault nothing is said, with one exception: an address that this host has
/// no way to connect from, as IPv6 ones often are, leaves the word to the others.
fn worse<T>(first: Option<(Failure, T)>, second: (Failure, T)) -> (Failure, T) {
    let rank = |failure: &Failure| match failure {
        Failure::Local(LocalFailure::NoSourceAddress) => 0,
        Failure::Local(_) => 2,
        _ => 1,
    };
    match first {
        Some(first) if rank(&first.0) > rank(&second.0) => first,
        _ => second,
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
            assert_eq!(worse(Some((first, ())), (second, ())), (expected, ()));
        }
    }
}
