//! Connections: where they come in, how many there may be, and how long they may take.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::guard::{From, Peer};
use super::places::{Place, Places};
use super::socket::Socket;
use super::tls::Tls;
use crate::config::Role;

/// Connections that may be open at once. A browser holds six, a script one, each open console one
/// more for as long as it is looked at.
const CONNECTIONS: usize = 256;

/// So many more are told that there are too many, rather than left without a word.
const SPARE: usize = 32;

/// So many of these, and of those, one address may have, or one network of IPv6: nobody alone can
/// keep out the others, or make the daemon look dead to whoever watches over it.
const OF_ONE: [usize; 2] = [64, 4];

/// How long a handshake of TLS may take, the head of a request, and the pause between two.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long somebody may take none of what is sent: as much as a laptop needs that moves from one
/// network to another.
const STANDSTILL: Duration = Duration::from_secs(30);

/// How long whoever has connected and not asked yet has for it when the daemon stops: the request is on
/// its way, and whoever gets no answer to it cannot know what has become of it.
const LINGER: Duration = Duration::from_millis(100);

/// How long it waits where the operating system has no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come in.
pub enum Listener {
    /// Over TCP, and TLS if there is one.
    Tcp(TcpListener, Option<Arc<Tls>>),
    /// By a Unix socket.
    Unix(Socket),
}

/// A connection that has come in.
enum Stream {
    Tcp(TcpStream, IpAddr, Option<Arc<Tls>>),
    Unix(UnixStream, Role),
}

/// Serves what comes in until `stopped`, then ends what is under way.
pub(super) async fn serve(listeners: Vec<Listener>, router: Router, stopped: watch::Receiver<bool>) {
    let places = Places::new(CONNECTIONS, SPARE, OF_ONE);
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(listener, router.clone(), places.clone(), stopped.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

async fn accept(listener: Listener, router: Router, places: Places, stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stop = stopped.clone();
    loop {
        let stream = tokio::select! {
            () = stop_of(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    if !is_of_client(&error) {
                        tracing::warn!(%error, "cannot accept connections to the admin API");
                        tokio::time::sleep(PAUSE).await;
                    }
                    continue;
                }
            },
        };
        let source = match &stream {
            // Whoever is on this host, or behind a proxy on it, comes from there.
            Stream::Tcp(_, address, _) if !address.is_loopback() => Some(*address),
            Stream::Tcp(..) | Stream::Unix(..) => None,
        };
        let Some(place) = places.take(source) else { continue };
        connections.spawn(serve_one(stream, place, router.clone(), stopped.clone()));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn stop_of(stopped: &mut watch::Receiver<bool>) {
    // An error means that the daemon is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Whether a connection was gone before it came in.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl Listener {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                Ok(Stream::Tcp(stream, address.ip().to_canonical(), tls.clone()))
            }
            Listener::Unix(socket) => Ok(Stream::Unix(socket.accept().await?, socket.role())),
        }
    }
}

async fn serve_one(stream: Stream, place: Place, router: Router, stopped: watch::Receiver<bool>) {
    let is_one_too_many = place.is_spare();
    match stream {
        Stream::Tcp(stream, address, tls) => {
            // A connection that is cut already has neither, and ends by itself.
            let _ = stream.set_nodelay(true);
            let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(STANDSTILL));
            let peer = Peer { from: From::Network(address), is_one_too_many };
            let Some(tls) = tls else { return converse(stream, peer, router, stopped).await };
            match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                Ok(Ok(stream)) => converse(stream, peer, router, stopped).await,
                Ok(Err(error)) => tracing::debug!(from = %address, %error, "no handshake of TLS"),
                Err(_) => tracing::debug!(from = %address, "no handshake of TLS in time"),
            }
        }
        Stream::Unix(stream, role) => match super::socket::principal(&stream, role).await {
            Ok(principal) => {
                let peer = Peer { from: From::Socket(principal), is_one_too_many };
                converse(stream, peer, router, stopped).await;
            }
            Err(error) => tracing::warn!(%error, "cannot tell who connects to the admin socket"),
        },
    }
    drop(place);
}

/// Answers the requests of one connection, one after the other.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let is_one_too_many = peer.is_one_too_many;
    let has_asked = Arc::<AtomicBool>::default();
    let asks = Arc::clone(&has_asked);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        asks.store(true, Ordering::Relaxed);
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(!is_one_too_many)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop_of(&mut stopped) => {
            let is_new = !has_asked.load(Ordering::Relaxed);
            let lingering = match is_new {
                true => tokio::time::timeout(LINGER, connection.as_mut()).await.ok(),
                false => None,
            };
            match lingering {
                Some(ended) => ended,
                None => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the admin API has ended");
    }
}
