//! Health services of tonic, and servers that answer with what they should not.

use std::future::pending;

use hyper::Response as HttpResponse;
use hyper::header::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::Server as TonicServer;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use super::super::now;
use super::*;
use crate::plan::{CheckKind, HealthCheck, TlsCheck, Trust};

/// Longer than anything here takes on the slowest machine.
const AMPLE: Duration = Duration::from_secs(60);

/// A server, until it is dropped.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listener(bind: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(bind).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    (listener, address)
}

/// A server of tonic's with `routes`.
async fn tonic(bind: &str, routes: Routes) -> Server {
    let (listener, address) = listener(bind).await;
    let serving = TonicServer::builder().add_routes(routes).serve_with_incoming(TcpIncoming::from(listener));
    Server { address, task: tokio::spawn(async move { serving.await.expect("it serves") }) }
}

/// Its health service: one service is up, one is not.
async fn healthy(bind: &str) -> Server {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("shop.Up", ServingStatus::Serving).await;
    reporter.set_service_status("shop.Down", ServingStatus::NotServing).await;
    reporter.set_service_status("shop.New", ServingStatus::Unknown).await;
    tonic(bind, Routes::new(health)).await
}

/// A server that does with each connection what `converse` does.
async fn server<F>(converse: impl Fn(TcpStream) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listener("127.0.0.1:0").await;
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream));
        }
    });
    Server { address, task }
}

/// Answers the first request of a connection with these headers, this body and these trailers.
async fn answer(
    stream: TcpStream,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    trailers: &'static [(&'static str, &'static str)],
) {
    let mut connection = h2::server::handshake(stream).await.expect("a client of HTTP/2");
    let (request, mut respond) = connection.accept().await.expect("a request").expect("a sound one");
    assert_eq!((request.uri().path(), request.method()), (PATH, &Method::POST));
    let map = |list: &[(&'static str, &'static str)]| -> HeaderMap {
        let pairs = list
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    };
    let mut head = HttpResponse::new(());
    *head.status_mut() = StatusCode::from_u16(status).expect("a status");
    *head.headers_mut() = map(headers);
    let is_all = body.is_empty() && trailers.is_empty();
    let mut stream = respond.send_response(head, is_all).expect("the client is there");
    if !is_all {
        stream.send_data(body.into(), trailers.is_empty()).expect("the client is there");
    }
    if !trailers.is_empty() {
        stream.send_trailers(map(trailers)).expect("the client is there");
    }
    // Until the client has gone.
    while connection.accept().await.is_some() {}
}

async fn probe(address: SocketAddr, service: &str, timeout: Duration) -> Result<(), Failure> {
    let check = GrpcCheck { service: service.into(), host: None, tls: None };
    GrpcProbe::new(&watch(address, &check), &check, &Tls::default())
        .await
        .expect("it can be asked")
        .probe(address, &mut Budget::new(now(), timeout))
        .await
}

fn watch(address: SocketAddr, check: &GrpcCheck) -> Watch {
    Watch {
        pool: Some("pool".into()),
        address: "address".into(),
        endpoint: Endpoint::Ip(address.ip()),
        resolved_from: None,
        port: Some(address.port()),
        check: HealthCheck {
            name: "check".into(),
            kind: CheckKind::Grpc(check.clone()),
            interval: AMPLE,
            timeout: AMPLE,
            fall: 2,
            rise: 2,
            fast_interval: AMPLE,
            initial: crate::health::Verdict::Unknown,
            tripwire: false,
            damping: None,
        },
    }
}

fn grpc(status: &str, said: &str) -> Result<(), Failure> {
    Err(Failure::Grpc { status: status.into(), said: said.into() })
}

#[tokio::test]
async fn a_health_service_is_believed() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let server = healthy(bind).await;
        for (service, expected) in [
            ("", Ok(())),
            ("shop.Up", Ok(())),
            ("shop.Down", Err(Failure::NotServing("NOT_SERVING"))),
            ("shop.New", Err(Failure::NotServing("UNKNOWN"))),
            ("shop.Nowhere", grpc("NOT_FOUND", "service not registered")),
        ] {
            assert_eq!(probe(server.address, service, AMPLE).await, expected, "{service}");
        }
    }
}

#[tokio::test]
async fn a_server_without_a_health_service_fails() {
    let server = tonic("127.0.0.1:0", Routes::default()).await;
    assert_eq!(probe(server.address, "", AMPLE).await, grpc("UNIMPLEMENTED", ""));
}

const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");
const DONE: (&str, &str) = ("grpc-status", "0");
const SERVING: [u8; 7] = [0, 0, 0, 0, 2, 8, 1];

#[tokio::test]
async fn responses_are_judged_by_all_they_say() {
    let serving = server(|stream| answer(stream, 200, &[GRPC], SERVING.to_vec(), &[DONE])).await;
    assert_eq!(probe(serving.address, "", AMPLE).await, Ok(()));

    let failed = server(|stream| {
        answer(
            stream,
            200,
            &[GRPC],
            SERVING.to_vec(),
            &[("grpc-status", "14"), ("grpc-message", "gone\tnow")],
        )
    });
    assert_eq!(probe(failed.await.address, "", AMPLE).await, grpc("UNAVAILABLE", r"gone\tnow"));

    let at_once = server(|stream| answer(stream, 200, &[GRPC, ("grpc-status", "99")], Vec::new(), &[]));
    assert_eq!(probe(at_once.await.address, "", AMPLE).await, grpc("99", ""));

    let proxy =
        server(|stream| answer(stream, 503, &[("content-type", "text/html")], b"sorry".to_vec(), &[]));
    assert_eq!(probe(proxy.await.address, "", AMPLE).await, Err(Failure::Status(503)));
}

#[tokio::test]
async fn what_is_no_grpc_is_malformed() {
    for (what, server) in [
        (
            "a page",
            server(|stream| answer(stream, 200, &[("content-type", "text/html")], b"hi".to_vec(), &[DONE]))
                .await,
        ),
        ("no status", server(|stream| answer(stream, 200, &[GRPC], SERVING.to_vec(), &[])).await),
        ("no message", server(|stream| answer(stream, 200, &[GRPC, DONE], vec![], &[])).await),
        ("an endless message", server(|stream| answer(stream, 200, &[GRPC], vec![0; 60_000], &[DONE])).await),
        (
            "HTTP/1.1",
            server(|mut stream: TcpStream| async move {
                let reply = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(reply).await.expect("the client is there");
                let _ = stream.read_to_end(&mut Vec::new()).await;
            })
            .await,
        ),
    ] {
        assert_eq!(probe(server.address, "", AMPLE).await, Err(Failure::Malformed), "{what}");
    }
}

#[tokio::test]
async fn who_hangs_or_hangs_up_is_told_apart() {
    let after = Duration::from_millis(100);
    let timed_out = Err(Failure::TimedOut { phase: Phase::Response, after });
    let hangs = server(|stream: TcpStream| async move {
        let _stream = stream;
        pending().await
    });
    assert_eq!(probe(hangs.await.address, "", after).await, timed_out);

    let half = server(|stream: TcpStream| async move {
        let mut connection = h2::server::handshake(stream).await.expect("a client of HTTP/2");
        let request = connection.accept().await;
        // Kept, and not answered.
        let _request = request.expect("a request").expect("a sound one");
        while connection.accept().await.is_some() {}
    });
    assert_eq!(probe(half.await.address, "", after).await, timed_out);

    let closes = server(|mut stream: TcpStream| async move {
        // Everything that the client says at first, so that the end is one in good order.
        let mut read = [0; 4096];
        let _ = stream.read(&mut read).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    assert_eq!(probe(closes.await.address, "", AMPLE).await, Err(Failure::Closed));

    let (listener, address) = listener("127.0.0.1:0").await;
    drop(listener);
    assert_eq!(probe(address, "", AMPLE).await, Err(Failure::Refused));
}

#[tokio::test]
async fn the_connection_ends_with_the_probe() {
    let (listener, address) = listener("127.0.0.1:0").await;
    let probing = tokio::spawn(async move { probe(address, "", AMPLE).await });
    let (mut stream, _) = listener.accept().await.expect("the probe connects");
    stream.read_u8().await.expect("it speaks");
    probing.abort();
    let error = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.expect_err("it is reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn requests_say_who_is_asked_and_for_how_long() {
    let name = || Some("api.example.net".parse().expect("a name"));
    let address = SocketAddr::from(([192, 0, 2, 1], 50051));
    let unverified = TlsCheck { sni: None, trust: Trust::Anyone, identity: None, min_lifetime: None };
    for (host, resolved_from, endpoint, tls, expected) in [
        (Some("api.example.com"), name(), "192.0.2.1", None, "http://api.example.com"),
        (None, name(), "192.0.2.1", None, "http://api.example.net:50051"),
        (None, None, "192.0.2.1", None, "http://192.0.2.1:50051"),
        (None, None, "2001:db8::1", None, "http://[2001:db8::1]:50051"),
        (None, name(), "192.0.2.1", Some(unverified), "https://api.example.net:50051"),
    ] {
        let check = GrpcCheck { service: String::new(), host: host.map(str::to_owned), tls };
        let endpoint = Endpoint::Ip(endpoint.parse().expect("an address"));
        let watch = Watch { resolved_from, endpoint, ..watch(address, &check) };
        let probe = GrpcProbe::new(&watch, &check, &Tls::default()).await.expect("it can be asked");
        assert_eq!(probe.request.uri().to_string(), format!("{expected}{PATH}"));
        assert_eq!(probe.request.headers()[GRPC_TIMEOUT], "60000m");
        assert_eq!(probe.request.headers()[TE], "trailers");
    }
}
