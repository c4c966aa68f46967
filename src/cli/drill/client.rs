//! The client whose view is measured: it resolves through a cache and requests by plain HTTP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::cache::{Cache, Resolution};
use super::clock::Clock;
use super::recording::Request;
use super::upstream::Upstream;

/// A plain client: it takes the first address of the answer and tries no other, and makes a fresh
/// connection for each request.
pub(super) struct Client {
    clock: Clock,
    upstream: Upstream,
    /// Held while the name server is asked: who comes meanwhile waits for that answer, as at a
    /// resolver.
    cache: Mutex<Cache>,
    target: Target,
}

/// What is requested of whatever address is answered.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) port: u16,
    /// The Host header.
    pub(super) host: String,
    /// `None`: nothing is requested of the connection.
    pub(super) path: Option<String>,
    /// For everything: resolution, connection, response.
    pub(super) timeout: Duration,
}

impl Client {
    /// A client with nothing in its cache.
    pub(super) fn new(clock: Clock, upstream: Upstream, target: Target) -> Self {
        Client { clock, upstream, cache: Mutex::default(), target }
    }

    /// Makes one request and tells how it went.
    pub(super) async fn request(&self) -> Request {
        let started = self.clock.elapsed();
        let mut address = None;
        let attempt = async {
            let resolution = self.resolve().await?;
            let first = *resolution.addresses.first().ok_or("the name has no address")?;
            address = Some(first);
            self.fetch(first).await
        };
        let result = timeout(self.target.timeout, attempt).await;
        let failure = result.unwrap_or_else(|_| Err("timed out".to_owned())).err();
        Request { started, ended: self.clock.elapsed(), address, failure }
    }

    async fn resolve(&self) -> Resolution {
        let mut cache = self.cache.lock().await;
        if let Some(resolution) = cache.fresh(self.clock.elapsed()) {
            return resolution.clone();
        }
        let resolution = self.upstream.resolve().await;
        cache.hold(resolution.clone(), self.clock.elapsed());
        resolution
    }

    /// Succeeds when the connection is made, where that is all, or else when a response has arrived whole that is no error (RFC 9110 section 15).
    async fn fetch(&self, address: IpAddr) -> Result<(), String> {
        let Target { port, host, path, timeout: _ } = &self.target;
        let stream = TcpStream::connect(SocketAddr::new(address, *port)).await.map_err(|e| words(&e))?;
        let Some(path) = path else { return Ok(()) };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http_words)?;
        let request = hyper::Request::get(path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("rhumb-drill/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let exchange = async move {
            let response = sender.send_request(request).await?;
            let status = response.status();
            response.into_body().collect().await?;
            Ok(status)
        };
        // The connection ends after the exchange, or before it and then fails it.
        let (status, _) = tokio::join!(exchange, connection);
        match status.map_err(http_words)? {
            status if status.is_success() || status.is_redirection() => Ok(()),
            status => Err(format!("status {}", status.as_u16())),
        }
    }
}

fn http_words(error: hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "connection closed".to_owned();
    }
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    source.map_or_else(|| error.to_string(), words)
}

/// Short, so that like failures are counted together.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable".to_owned(),
        _ => error.to_string(),
    }
}
