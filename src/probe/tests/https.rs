//! Checks of type `https`.

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};

use super::*;

/// A certificate for web.example and 127.0.0.1, signed by itself.
pub(super) fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["web.example".to_owned(), "127.0.0.1".to_owned()])
        .expect("the names are good")
}

pub(super) async fn server(certificate: &CertifiedKey<KeyPair>) -> Server {
    let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .expect("the key belongs to the certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Server::start_at("127.0.0.1:0", Script::Reply(OK), Some(TlsAcceptor::from(Arc::new(config)))).await
}

fn trusting(certificate: &CertifiedKey<KeyPair>) -> Arc<Shared> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).expect("a certificate");
    Arc::new(Shared { tls: Tls::with_roots(roots), ..Shared::default() })
}

fn https(host: Option<&str>, verify: bool) -> CheckKind {
    https_check(HttpCheck { host: host.map(str::to_owned), ..http_check() }, verify)
}

#[tokio::test]
async fn certificates_count_where_they_are_verified() {
    let ours = certificate();
    let server = server(&ours).await;
    for (what, roots, host, verify, passes) in [
        ("trusted", &ours, Some("web.example"), true, true),
        ("trusted, by address", &ours, None, true, true),
        ("for another host", &ours, Some("other.example"), true, false),
        ("untrusted", &certificate(), Some("web.example"), true, false),
        ("untrusted, not verified", &certificate(), Some("web.example"), false, true),
        ("for another host, not verified", &ours, Some("other.example"), false, true),
    ] {
        let watch = watch(server.address, https(host, verify));
        let outcome = Probe::new(watch, &trusting(roots)).await.run(now()).await.0;
        match passes {
            true => assert_eq!(outcome, Outcome::Pass, "{what}"),
            false => assert!(matches!(outcome, Outcome::Fail(Failure::Tls(_))), "{what}: {outcome}"),
        }
    }
}

#[tokio::test]
async fn the_server_sees_the_host_as_sni() {
    let certificate = certificate();
    for (host, sni) in [(Some("web.example:8443"), Some("web.example".to_owned())), (None, None)] {
        let mut server = server(&certificate).await;
        assert_eq!(probe(watch(server.address, https(host, false))).await, Outcome::Pass);
        assert_eq!(server.next_seen().await, Seen::Handshake { sni, full: true });
    }
}

#[tokio::test]
async fn a_server_without_tls_fails_the_handshake() {
    let server = Server::start_at("127.0.0.1:0", Script::Banner("220 mail.example\r\n"), None).await;
    let outcome = probe(watch(server.address, https(None, false))).await;
    assert!(matches!(outcome, Outcome::Fail(Failure::Tls(_))), "{outcome}");
}

#[tokio::test]
async fn a_kept_connection_makes_one_handshake() {
    let certificate = certificate();
    let mut server = server(&certificate).await;
    let check = HttpCheck { reuse: true, ..http_check() };
    let watch = watch(server.address, https_check(check, false));
    let mut probe = Probe::new(watch, &Arc::default()).await;
    assert_eq!(probe.run(now()).await.0, Outcome::Pass);
    assert_eq!(probe.run(now()).await.0, Outcome::Pass);
    assert!(matches!(server.next_seen().await, Seen::Handshake { .. }));
    for _ in 0..2 {
        assert!(matches!(server.next_seen().await, Seen::Request(_)));
    }
}

#[tokio::test]
async fn every_connection_shows_its_certificate_anew() {
    let certificate = certificate();
    let mut server = server(&certificate).await;
    let mut probe = Probe::new(watch(server.address, https(None, true)), &trusting(&certificate)).await;
    for _ in 0..3 {
        assert_eq!(probe.run(now()).await.0, Outcome::Pass);
        assert_eq!(server.next_seen().await, Seen::Handshake { sni: None, full: true });
        server.until_end_of_connection().await;
    }
}
