//! Checks of type `grpc` inside TLS, of a health service behind what ends TLS for it.

use tokio::net::TcpStream;
use tonic::transport::Server as TonicServer;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use super::certificates::acceptor;
use super::https::certificate;
use super::*;
use crate::plan::{Certificates, GrpcCheck};

/// A health service of tonic's behind `tls`, and the handshakes that are made with it.
async fn server(tls: TlsAcceptor) -> (SocketAddr, UnboundedReceiver<Seen>) {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("shop.Down", ServingStatus::NotServing).await;
    let inner = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let inside = inner.local_addr().expect("is bound");
    let serving = TonicServer::builder().add_service(health).serve_with_incoming(TcpIncoming::from(inner));
    tokio::spawn(serving);

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    let (saw, seen) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, saw) = (tls.clone(), saw.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else { return };
                let _ = saw.send(handshake(stream.get_ref().1));
                let mut inner = TcpStream::connect(inside).await.expect("the service listens");
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
            });
        }
    });
    (address, seen)
}

fn check(service: &str, host: Option<&str>, tls: Option<TlsCheck>) -> CheckKind {
    CheckKind::Grpc(GrpcCheck { service: service.into(), host: host.map(str::to_owned), tls })
}

#[tokio::test]
async fn a_health_service_is_asked_inside_tls() {
    let (ours, others) = (certificate(), certificate());
    let (address, mut seen) = server(acceptor(&ours, &[b"h2"])).await;
    let trusting = |certificate: &rcgen::CertifiedKey<rcgen::KeyPair>| TlsCheck {
        trust: Trust::Roots(Certificates::new(vec![certificate.cert.der().clone()])),
        ..tls_check(true)
    };
    let host = Some("web.example");
    for (service, expected) in
        [("", Outcome::Pass), ("shop.Down", Outcome::Fail(Failure::NotServing("NOT_SERVING")))]
    {
        let kind = check(service, host, Some(trusting(&ours)));
        assert_eq!(probe(watch(address, kind)).await, expected, "{service}");
        let sni = Some("web.example".to_owned());
        assert_eq!(seen.recv().await, Some(Seen::Handshake { sni, full: true }), "by its host");
    }
    let named = TlsCheck { sni: Some("other.example".into()), ..tls_check(false) };
    assert_eq!(probe(watch(address, check("", host, Some(named)))).await, Outcome::Pass);
    let sni = Some("other.example".to_owned());
    assert_eq!(seen.recv().await, Some(Seen::Handshake { sni, full: true }), "by a name of its own");

    for (what, host, tls) in
        [("untrusted", host, trusting(&others)), ("for another host", Some("other.example"), trusting(&ours))]
    {
        let outcome = probe(watch(address, check("", host, Some(tls)))).await;
        assert!(matches!(outcome, Outcome::Fail(Failure::Tls(_))), "{what}: {outcome}");
    }
    let lasting =
        TlsCheck { min_lifetime: Some(Duration::from_secs(u64::from(u32::MAX) * 1000)), ..trusting(&ours) };
    let outcome = probe(watch(address, check("", host, Some(lasting)))).await;
    assert!(matches!(outcome, Outcome::Fail(Failure::Certificate { .. })), "{outcome}");

    let outcome = probe(watch(address, check("", host, None))).await;
    assert!(matches!(outcome, Outcome::Fail(_)), "without TLS: {outcome}");
}

#[tokio::test]
async fn a_server_that_does_not_agree_to_http2_fails() {
    let (address, _seen) = server(acceptor(&certificate(), &[])).await;
    let outcome = probe(watch(address, check("", None, Some(tls_check(false))))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Tls("the server did not agree to HTTP/2".into())));
}
