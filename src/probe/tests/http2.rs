//! Checks of types `http` and `https` over HTTP/2.

use h2::server::SendResponse;
use hyper::body::Bytes;
use hyper::{Request, Response};

use super::https::certificate;
use super::*;
use crate::probe::tests::certificates::acceptor;

/// What a server sends back: status and body; `None`: nothing.
type Answer = Option<(u16, &'static str)>;

/// A server that speaks HTTP/2 only, and tells of each request and of the end of each connection.
async fn server(tls: Option<TlsAcceptor>, answer: Answer) -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    let (saw, seen) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, saw) = (tls.clone(), saw.clone());
            tokio::spawn(async move {
                let stream: Box<dyn Stream> = match tls {
                    None => Box::new(stream),
                    Some(tls) => Box::new(tls.accept(stream).await.expect("the probe makes a handshake")),
                };
                converse(stream, answer, &saw).await;
                let _ = saw.send("end".to_owned());
            });
        }
    });
    (address, seen)
}

async fn converse(stream: Box<dyn Stream>, answer: Answer, saw: &UnboundedSender<String>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    // What is not answered must not be dropped: that would be a reset.
    let mut waiting = Vec::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let _ = saw.send(told(&request));
        match answer {
            Some((status, body)) => respond_with(respond, status, body),
            None => waiting.push(respond),
        }
    }
}

fn told<T>(request: &Request<T>) -> String {
    let headers = request.headers();
    let mut names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
    names.sort();
    format!("{} {} {}", request.method(), request.uri(), names.join(" "))
}

fn respond_with(mut respond: SendResponse<Bytes>, status: u16, body: &'static str) {
    let response = Response::builder().status(status).body(()).expect("a good status");
    let mut sending = respond.send_response(response, body.is_empty()).expect("the stream is open");
    if !body.is_empty() {
        sending.send_data(Bytes::from_static(body.as_bytes()), true).expect("the stream is open");
    }
}

fn check() -> HttpCheck {
    HttpCheck { version: HttpVersion::Http2, host: Some("web.example".into()), ..http_check() }
}

#[tokio::test]
async fn responses_are_judged() {
    let long: &str = "x".repeat(100_000).leak();
    let text = |text: &str| HttpCheck { expect_body: Some(text.into()), ..check() };
    for (answer, check, expected) in [
        ((200, ""), check(), Outcome::Pass),
        ((200, long), check(), Outcome::Pass),
        ((503, ""), check(), Outcome::Fail(Failure::Status(503))),
        ((200, "ready"), text("read"), Outcome::Pass),
        ((200, "ready"), text("steady"), Outcome::Fail(Failure::Body { whole: true })),
        ((200, ""), text("steady"), Outcome::Fail(Failure::Body { whole: true })),
        ((200, long), text("y"), Outcome::Fail(Failure::Body { whole: false })),
    ] {
        let (address, _seen) = server(None, Some(answer)).await;
        assert_eq!(probe(watch(address, CheckKind::Http(check))).await, expected, "{}", answer.0);
    }
}

#[tokio::test]
async fn requests_say_what_the_check_says() {
    let check = || HttpCheck { method: "POST".into(), headers: vec![("x-a".into(), "b".into())], ..check() };
    let certificate = certificate();
    for (tls, kind, scheme) in [
        (None, CheckKind::Http(check()), "http"),
        (Some(acceptor(&certificate, &[b"h2"])), https_check(check(), false), "https"),
    ] {
        let (address, mut seen) = server(tls, Some((200, ""))).await;
        assert_eq!(probe(watch(address, kind)).await, Outcome::Pass);
        let expected = format!("POST {scheme}://web.example/health content-length user-agent x-a");
        assert_eq!(seen.recv().await, Some(expected));
        assert_eq!(seen.recv().await.as_deref(), Some("end"));
    }
}

#[tokio::test]
async fn one_connection_serves_all_probes() {
    let long: &str = "x".repeat(50_000).leak();
    let (address, mut seen) = server(None, Some((200, long))).await;
    let kind = CheckKind::Http(HttpCheck { reuse: true, ..check() });
    let mut probe = Probe::new(watch(address, kind), &Arc::default()).await;
    for number in 0..5 {
        let (outcome, timings) = probe.run(now()).await;
        assert_eq!((outcome, timings.connect.is_some()), (Outcome::Pass, number == 0));
        super::http::settle(&mut probe).await;
        assert!(seen.recv().await.is_some_and(|seen| seen.starts_with("GET ")));
    }
    drop(probe);
    assert_eq!(seen.recv().await.as_deref(), Some("end"));
}

#[tokio::test]
async fn a_server_that_hangs_fails_after_the_timeout_and_is_let_go() {
    let (address, mut seen) = server(None, None).await;
    let mut watch = watch(address, CheckKind::Http(check()));
    watch.check.timeout = Duration::from_millis(200);
    let failure = Failure::TimedOut { phase: crate::health::Phase::Response, after: watch.check.timeout };
    assert_eq!(probe(watch).await, Outcome::Fail(failure));
    assert!(seen.recv().await.is_some_and(|seen| seen.starts_with("GET ")));
    assert_eq!(seen.recv().await.as_deref(), Some("end"));
}

#[tokio::test]
async fn a_server_of_another_version_fails() {
    let server = Server::start(Script::Banner("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let outcome = probe(watch(server.address, CheckKind::Http(check()))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Malformed));

    let certificate = certificate();
    for protocols in [&[][..], &[&b"http/1.1"[..]]] {
        let tls = Some(acceptor(&certificate, protocols));
        let server = Server::start_at("127.0.0.1:0", Script::Reply(OK), tls).await;
        let outcome = probe(watch(server.address, https_check(check(), false))).await;
        assert!(matches!(outcome, Outcome::Fail(Failure::Tls(_))), "{outcome}");
    }
}

#[tokio::test]
async fn a_server_that_closes_is_told_from_one_that_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the probe connects");
        stream.shutdown().await.expect("is connected");
        // Until the probe has closed, too: what is not read would make it a reset.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let outcome = probe(watch(address, CheckKind::Http(check()))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Closed));
    server.await.expect("the server does not fail");
}
