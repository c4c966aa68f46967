//! HTTP/1.1 over a connection of our own.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use super::budget::Budget;
use super::{tcp, tls};
use crate::health::{Failure, LocalFailure, Phase};
use crate::plan::{Endpoint, HttpCheck, StatusRange, Watch};

/// A response's head may be this long, in octets: servers and proxies accept 8 to 16 KiB
/// themselves, and each probe under way may hold this much.
const MAX_HEAD: usize = 16 * 1024;

/// A body up to this long, in octets, is read to keep the connection; behind a longer one it is
/// cheaper to connect anew.
const MAX_BODY: usize = 64 * 1024;

/// A check of type `http` or `https`, made ready for one target.
pub(super) struct HttpProbe {
    request: Request<Empty<Bytes>>,
    expect_status: Vec<StatusRange>,
    reuse: bool,
    /// TLS, and the name it is spoken with.
    tls: Option<(Arc<ClientConfig>, Option<String>)>,
}

impl HttpProbe {
    /// Makes ready what `check` asks of what is watched, inside TLS if there is a configuration.
    ///
    /// # Errors
    ///
    /// [`LocalFailure::BadRequest`] if path or host cannot stand in a request.
    pub(super) fn new(
        watch: &Watch,
        check: &HttpCheck,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, LocalFailure> {
        Ok(HttpProbe {
            request: request(watch, check)?,
            expect_status: check.expect_status.clone(),
            reuse: check.reuse,
            tls: tls.map(|config| (config, server_name(watch, check))),
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
            Ok((status, session)) => (self.judge(status), self.reuse.then_some(session)),
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
            match session.ask(self.request.clone(), budget).await {
                Ok(status) => return Ok((status, session)),
                // A server may close an idle connection whenever it likes (RFC 9112 section 9.5),
                // also while a request is on its way. Only a fresh connection tells.
                Err(Failure::Closed | Failure::Reset | Failure::Unreachable) => {}
                Err(failure) => return Err(failure),
            }
        }
        let stream = self.connect(address, budget).await?;
        let mut session = Session::open(address, stream, budget).await?;
        let status = session.ask(self.request.clone(), budget).await?;
        Ok((status, session))
    }

    async fn connect(&self, address: SocketAddr, budget: &mut Budget) -> Result<Box<dyn Stream>, Failure> {
        let stream = tcp::connect(address, budget).await?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some((config, name)) => {
                Box::new(tls::handshake(Arc::clone(config), name.as_deref(), address, stream, budget).await?)
            }
        })
    }

    fn judge(&self, status: u16) -> Result<(), Failure> {
        match self.expect_status.iter().any(|range| (range.first..=range.last).contains(&status)) {
            true => Ok(()),
            false => Err(Failure::Status(status)),
        }
    }
}

/// What carries HTTP: TCP, or TLS on it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The same with hyper's traits instead of tokio's.
type HyperIo = TokioIo<Box<dyn Stream>>;

/// A connection that speaks HTTP/1.1, pinned to the address it was made to.
///
/// There is no task behind it: it moves only inside [`ask`](Self::ask) and
/// [`linger`](Self::linger), and dropping it closes the socket.
pub(super) struct Session {
    address: SocketAddr,
    sender: SendRequest<Empty<Bytes>>,
    /// Boxed because it is most of a session, which moves about a good deal.
    connection: Box<Connection<HyperIo, Empty<Bytes>>>,
    /// Of the last response, as far as it has not been read.
    body: Option<Incoming>,
    over: bool,
}

impl Session {
    pub(super) async fn open(
        address: SocketAddr,
        stream: Box<dyn Stream>,
        budget: &mut Budget,
    ) -> Result<Self, Failure> {
        let opening = Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream));
        let (sender, connection) = budget.spend(Phase::Response, opening).await?;
        Ok(Session { address, sender, connection: Box::new(connection), body: None, over: false })
    }

    /// What it is connected to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether another request may be sent: the last body is read and nobody has closed.
    pub(super) fn is_reusable(&self) -> bool {
        self.body.is_none() && !self.over && !self.sender.is_closed()
    }

    /// Sends `request` and returns the status of the response as soon as its head is there.
    pub(super) async fn ask(
        &mut self,
        request: Request<Empty<Bytes>>,
        budget: &mut Budget,
    ) -> Result<u16, Failure> {
        let Session { sender, connection, over, .. } = self;
        let response = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let answered = async {
            tokio::pin!(response);
            loop {
                tokio::select! {
                    biased;
                    response = &mut response => return response,
                    // How it ended is what the response fails with.
                    _ = &mut *connection, if !*over => *over = true,
                }
            }
        };
        let response = budget.spend(Phase::Response, answered).await?;
        let status = response.status().as_u16();
        self.body = Some(response.into_body()).filter(|body| !body.is_end_stream());
        Ok(status)
    }

    /// Reads the rest of the last response, then waits. Returns when the connection has ended or
    /// is not worth keeping; may be dropped and called again at any time.
    pub(super) async fn linger(&mut self) {
        let mut room = MAX_BODY;
        while !self.over {
            let Some(body) = &mut self.body else {
                let _ = (&mut self.connection).await;
                self.over = true;
                return;
            };
            tokio::select! {
                biased;
                frame = body.frame() => match frame {
                    None => self.body = None,
                    Some(Err(_)) => return,
                    Some(Ok(frame)) => {
                        let length = frame.data_ref().map_or(0, Bytes::len);
                        match room.checked_sub(length) {
                            Some(rest) => room = rest,
                            None => return,
                        }
                    }
                },
                _ = &mut self.connection => self.over = true,
            }
        }
    }
}

/// The request that `check` asks for.
///
/// # Errors
///
/// [`LocalFailure::BadRequest`] if path or host cannot stand in a request.
pub(super) fn request(watch: &Watch, check: &HttpCheck) -> Result<Request<Empty<Bytes>>, LocalFailure> {
    let bad = |what: &str| LocalFailure::BadRequest(format!("{what:?} cannot stand in a request"));
    let path = Uri::try_from(&check.path[..]).map_err(|_| bad(&check.path))?;
    let host = host_header(watch, check);
    let host = HeaderValue::try_from(&host[..]).map_err(|_| bad(&host))?;

    let mut request = Request::new(Empty::new());
    *request.uri_mut() = path;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static("rhumb"));
    if !check.reuse {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(request)
}

/// The check's host as it is written; without one the name that was resolved, or the endpoint, with
/// its port unless it is the scheme's (RFC 9110 section 7.2).
fn host_header(watch: &Watch, check: &HttpCheck) -> String {
    if let Some(host) = &check.host {
        return host.clone();
    }
    let host = match (&watch.resolved_from, &watch.endpoint) {
        (Some(name), _) => name.to_string(),
        (None, Endpoint::Ip(std::net::IpAddr::V6(ip))) => format!("[{ip}]"),
        (None, endpoint) => endpoint.to_string(),
    };
    match watch.check.default_port() {
        default if default == watch.port => host,
        _ => format!("{host}:{}", watch.port.unwrap_or_default()),
    }
}

/// The host that TLS is spoken with: the check's, without a port, or the name that is resolved;
/// `None` where there is only an address.
pub(super) fn server_name(watch: &Watch, check: &HttpCheck) -> Option<String> {
    match (&check.host, &watch.resolved_from, &watch.endpoint) {
        (Some(host), _, _) => {
            let uri = Uri::try_from(&host[..]).ok();
            let bare = uri.as_ref().and_then(Uri::host).unwrap_or(host);
            Some(bare.trim_start_matches('[').trim_end_matches(']').to_owned())
        }
        (None, Some(name), _) | (None, None, Endpoint::Name(name)) => Some(name.to_string()),
        (None, None, Endpoint::Ip(_)) => None,
    }
}
