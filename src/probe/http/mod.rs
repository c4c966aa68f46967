//! Checks of types `http` and `https`.

use std::net::SocketAddr;

use hyper::Request;
use memchr::memmem::Finder;

use super::budget::Budget;
use super::tcp;
use super::tls::{Alpn, Expiry, Tls, TlsProbe, endpoint_name};
use crate::health::{Failure, LocalFailure, Phase};
use crate::plan::{HttpCheck, HttpVersion, Pattern, StatusRange, TlsCheck, Watch};

mod http1;
mod http2;
mod request;
mod session;

pub(super) use request::{bare_host, request};
use session::Fault;
pub(super) use session::{Session, Stream};

/// A check of type `http` or `https`, made ready for one target.
pub(super) struct HttpProbe {
    request: Request<()>,
    version: HttpVersion,
    expect_status: Vec<StatusRange>,
    expect_body: Option<Finder<'static>>,
    expect_body_regex: Option<Pattern>,
    reuse: bool,
    tls: Option<TlsProbe>,
}

impl HttpProbe {
    /// Makes ready what `check` asks of what is watched, inside TLS if there is a second check.
    ///
    /// # Errors
    ///
    /// [`LocalFailure::BadRequest`] if some part of it cannot stand in a request, or what
    /// [`TlsProbe::new`] fails with.
    pub(super) async fn new(
        watch: &Watch,
        check: &HttpCheck,
        inside: Option<(&Tls, &TlsCheck)>,
    ) -> Result<Self, LocalFailure> {
        let request = request(watch, check, inside.is_some())?;
        let tls = match inside {
            None => None,
            Some((tls, inside)) => {
                let host = bare_host(check).or_else(|| endpoint_name(watch));
                let alpn = match check.version {
                    HttpVersion::Http1 => Alpn::Http1,
                    HttpVersion::Http2 => Alpn::Http2,
                };
                Some(TlsProbe::new(tls, inside, host, alpn).await?)
            }
        };
        Ok(HttpProbe {
            request,
            version: check.version,
            expect_status: check.expect_status.clone(),
            expect_body: check.expect_body.as_ref().map(|text| Finder::new(text).into_owned()),
            expect_body_regex: check.expect_body_regex.clone(),
            reuse: check.reuse,
            tls,
        })
    }

    /// Asks `address` and judges what it says. Returns the connection if it is to be kept.
    pub(super) async fn probe(
        &self,
        address: SocketAddr,
        kept: Option<Session>,
        budget: &mut Budget,
    ) -> (Result<(), Failure>, Option<Session>) {
        match self.ask(address, kept, budget).await {
            Ok((status, mut session)) => {
                let judged = match self.judge_status(status) {
                    Ok(()) => self.judge_body(&mut session, budget).await,
                    failed => failed,
                };
                (judged, self.reuse.then_some(session))
            }
            Err(failure) => (Err(failure), None),
        }
    }

    /// Asks over the kept connection if there is one.
    async fn ask(
        &self,
        address: SocketAddr,
        kept: Option<Session>,
        budget: &mut Budget,
    ) -> Result<(u16, Session), Failure> {
        if let Some(mut session) = kept {
            if let Some(tls) = &self.tls {
                tls.judge_expiry(session.expiry())?;
            }
            match session.ask(self.request.clone(), budget).await {
                Ok(status) => return Ok((status, session)),
                // A server may close an idle connection whenever it likes (RFC 9112 section 9.5),
                // also while a request is on its way. Only a fresh connection tells.
                Err(Failure::Closed | Failure::Reset | Failure::Unreachable) => {}
                Err(failure) => return Err(failure),
            }
        }
        let stream = self.connect(address, budget).await?;
        Session::open(address, stream, self.version, self.request.clone(), budget).await
    }

    async fn connect(
        &self,
        address: SocketAddr,
        budget: &mut Budget,
    ) -> Result<(Box<dyn Stream>, Expiry), Failure> {
        let stream = tcp::connect(address, budget).await?;
        Ok(match &self.tls {
            None => (Box::new(stream), None),
            Some(tls) => {
                let (stream, expiry) = tls.handshake(address, stream, budget).await?;
                (Box::new(stream), expiry)
            }
        })
    }

    fn judge_status(&self, status: u16) -> Result<(), Failure> {
        match self.expect_status.iter().any(|range| (range.first..=range.last).contains(&status)) {
            true => Ok(()),
            false => Err(Failure::Status(status)),
        }
    }

    /// Reads as much of the body as it takes to judge it: nothing where nothing is expected of it,
    /// up to a text where that is all. An expression is matched when all is there, because what
    /// follows may undo a match.
    async fn judge_body(&self, session: &mut Session, budget: &mut Budget) -> Result<(), Failure> {
        if self.expect_body.is_none() && self.expect_body_regex.is_none() {
            return Ok(());
        }
        let mut text = self.expect_body.as_ref();
        let mut body = Vec::new();
        let reading = async {
            while text.is_some() || self.expect_body_regex.is_some() {
                let Some(chunk) = session.chunk().await else { break };
                // The text may have begun in what came before.
                let seen = body.len();
                body.extend(chunk?);
                text = text.filter(|text| {
                    let start = seen.saturating_sub(text.needle().len() - 1);
                    text.find(&body[start..]).is_none()
                });
            }
            Ok::<(), Fault>(())
        };
        budget.spend(Phase::Body, reading).await?;
        let matches = self.expect_body_regex.as_ref().is_none_or(|regex| regex.0.is_match(&body));
        match text.is_none() && matches {
            true => Ok(()),
            false => Err(Failure::Body { whole: session.is_body_whole() }),
        }
    }
}
