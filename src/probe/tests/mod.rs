//! Probes against real servers on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::http::Stream;
use super::shared::Shared;
use super::target::Probe;
use super::tls::Tls;
use super::{Limits, Report, now};
use crate::health::{Failure, Outcome, TargetId, Verdict};
use crate::plan::{
    CheckKind, Endpoint, HealthCheck, HttpCheck, HttpVersion, StatusRange, TcpCheck, TlsCheck, Trust, Watch,
};

mod body;
mod certificates;
mod grpc;
mod http;
mod http2;
mod https;
mod schedule;
mod tcp;
mod timings;
mod tripwire;
mod udp;

/// Longer than anything here takes on the slowest machine.
const AMPLE: Duration = Duration::from_secs(60);

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Script {
    /// Answers, and waits for the next one.
    Reply(&'static str),
    /// Answers, and closes the connection without having announced it.
    ReplyAndClose(&'static str),
    /// Answers the first request of a connection and closes it at the second.
    ReplyOnce(&'static str),
    /// Answers the first request of a connection, and no other.
    ReplyFirst(&'static str),
    /// Never answers.
    Hang,
    /// Closes the connection.
    Close,
    /// Speaks first, then hangs.
    Banner(&'static str),
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What a server saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// A TLS handshake: the server name, and whether it was a full one.
    Handshake { sni: Option<String>, full: bool },
    /// A request's head.
    Request(String),
    /// The end of a connection, by either side.
    End,
}

/// An HTTP server that follows a script, until it is dropped.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    seen: UnboundedReceiver<Seen>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(script: Script) -> Self {
        Self::start_at("127.0.0.1:0", script, None).await
    }

    async fn start_at(bind: &str, script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(bind).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("is bound");
        let (saw, seen) = unbounded_channel();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (tls, saw) = (tls.clone(), saw.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, script, &saw).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let _ = saw.send(handshake(stream.get_ref().1));
                                converse(stream, script, &saw).await;
                            }
                        }
                    }
                    let _ = saw.send(Seen::End);
                });
            }
        });
        Server { address, accepted, seen, task }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Stops listening.
    async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    async fn next_seen(&mut self) -> Seen {
        self.seen.recv().await.expect("the server runs")
    }

    async fn until_end_of_connection(&mut self) {
        while self.next_seen().await != Seen::End {}
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn handshake(tls: &rustls::ServerConnection) -> Seen {
    let full = !matches!(tls.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    Seen::Handshake { sni: tls.server_name().map(str::to_owned), full }
}

/// Serves one connection to its end.
async fn converse(mut stream: impl Stream, script: Script, saw: &UnboundedSender<Seen>) {
    if let Script::Banner(text) = script {
        let _ = stream.write_all(text.as_bytes()).await;
    }
    let mut input = Vec::new();
    for request in 1.. {
        while !input.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let _ = saw.send(Seen::Request(String::from_utf8_lossy(&input).into_owned()));
        input.clear();
        match script {
            Script::Hang | Script::Banner(_) => {}
            Script::Close => return,
            Script::ReplyOnce(_) if request > 1 => return,
            Script::ReplyFirst(_) if request > 1 => {}
            Script::Reply(text)
            | Script::ReplyFirst(text)
            | Script::ReplyOnce(text)
            | Script::ReplyAndClose(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        }
        if let Script::ReplyAndClose(_) = script {
            return;
        }
    }
}

/// A port of loopback that refuses connections: bound, so that nobody else gets it, and not
/// listening.
struct Refusing(TcpSocket);

impl Refusing {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a free port");
        Refusing(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("is bound")
    }
}

fn http_check() -> HttpCheck {
    HttpCheck {
        version: HttpVersion::Http1,
        method: "GET".into(),
        path: "/health".into(),
        host: None,
        headers: Vec::new(),
        expect_body: None,
        expect_body_regex: None,
        expect_status: vec![StatusRange { first: 200, last: 299 }],
        reuse: false,
    }
}

fn tls_check(verify: bool) -> TlsCheck {
    let trust = if verify { Trust::HostRoots } else { Trust::Anyone };
    TlsCheck { sni: None, trust, identity: None, min_lifetime: None }
}

fn https_check(http: HttpCheck, verify: bool) -> CheckKind {
    CheckKind::Https { http, tls: tls_check(verify) }
}

fn tcp_check() -> CheckKind {
    CheckKind::Tcp(TcpCheck::default())
}

fn reusing() -> CheckKind {
    CheckKind::Http(HttpCheck { reuse: true, ..http_check() })
}

fn watch(address: SocketAddr, kind: CheckKind) -> Watch {
    Watch {
        pool: Some("pool".into()),
        address: "address".into(),
        endpoint: Endpoint::Ip(address.ip()),
        resolved_from: None,
        port: Some(address.port()),
        check: HealthCheck {
            name: "check".into(),
            kind,
            interval: Duration::from_millis(50),
            timeout: AMPLE,
            fall: 2,
            rise: 2,
            fast_interval: Duration::from_millis(50),
            initial: Verdict::Unknown,
            tripwire: false,
            damping: None,
        },
    }
}

async fn probe(watch: Watch) -> Outcome {
    Probe::new(watch, &Arc::default()).await.run(now()).await.0
}
