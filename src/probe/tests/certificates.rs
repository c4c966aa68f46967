//! Certificates of both sides, for checks of types `https` and `tls`.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CertifiedKey, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::https::certificate;
use super::*;
use crate::plan::{Certificates, Identity};
use crate::probe::tls::{Alpn, TlsProbe};

const DAY: Duration = Duration::from_secs(24 * 3600);

type Authority = CertifiedIssuer<'static, KeyPair>;
type Certified = CertifiedKey<KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate of `authority` for web.example that expires in `days`.
fn issued(authority: &Authority, days: i64) -> Certified {
    let mut params = CertificateParams::new(["web.example".to_owned()]).expect("a good name");
    let midnight = date_time_ymd(1970, 1, 1);
    let today = u64::try_from(crate::probe::wall_clock()).expect("it is past 1970");
    let shift = DAY * u32::try_from(days.abs()).expect("a few days");
    let today = midnight + Duration::from_secs(today);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = if days < 0 { today - shift } else { today + shift };
    let signing_key = KeyPair::generate().expect("a key");
    let cert = params.signed_by(&signing_key, authority).expect("a certificate");
    CertifiedKey { cert, signing_key }
}

fn roots_of(authority: &Authority) -> Trust {
    Trust::Roots(Certificates::new(vec![authority.der().clone()]))
}

fn key_of(certified: &Certified) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key")
}

fn identity_of(certified: &Certified) -> Identity {
    Identity {
        chain: Certificates::new(vec![certified.cert.der().clone()]),
        key: Arc::new(key_of(certified)),
    }
}

fn server_config(
    certified: &Certified,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("ring has cipher suites for TLS 1.2 and 1.3");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).expect("a certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("there is a root"))
        }
    };
    builder
        .with_single_cert(vec![certified.cert.der().clone()], key_of(certified))
        .expect("the key belongs to the certificate")
}

/// Takes connections that agree to one of `protocols`.
pub(super) fn acceptor(certified: &Certified, protocols: &[&[u8]]) -> TlsAcceptor {
    let mut config = server_config(certified, None, rustls::ALL_VERSIONS);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn server(config: ServerConfig) -> Server {
    Server::start_at("127.0.0.1:0", Script::Reply(OK), Some(TlsAcceptor::from(Arc::new(config)))).await
}

/// The same certificate looked at by either type of check.
fn kinds(tls: &TlsCheck) -> [CheckKind; 2] {
    let http = HttpCheck { host: Some("site.example".into()), ..http_check() };
    [CheckKind::Tls(tls.clone()), CheckKind::Https { http, tls: tls.clone() }]
}

fn checking(authority: &Authority, sni: &str) -> TlsCheck {
    TlsCheck { sni: Some(sni.into()), trust: roots_of(authority), identity: None, min_lifetime: None }
}

#[tokio::test]
async fn certificates_are_verified_by_the_roots_and_the_name_of_the_check() {
    let (ours, other) = (authority("ours"), authority("another"));
    let fresh = server(server_config(&issued(&ours, 90), None, rustls::ALL_VERSIONS)).await;
    let expired = server(server_config(&issued(&ours, -1), None, rustls::ALL_VERSIONS)).await;
    for (what, server, check, words) in [
        ("good", &fresh, checking(&ours, "web.example"), None),
        ("wrong authority", &fresh, checking(&other, "web.example"), Some("UnknownIssuer")),
        ("wrong name", &fresh, checking(&ours, "other.example"), Some("not valid for name")),
        ("expired", &expired, checking(&ours, "web.example"), Some("expired")),
        ("expired, trusted", &expired, tls_check(false), None),
    ] {
        for kind in kinds(&check) {
            match (words, probe(watch(server.address, kind)).await) {
                (None, outcome) => assert_eq!(outcome, Outcome::Pass, "{what}"),
                (Some(words), Outcome::Fail(Failure::Tls(found))) if found.contains(words) => {}
                (Some(_), outcome) => panic!("{what}: {outcome}"),
            }
        }
    }
}

#[tokio::test]
async fn certificates_have_to_be_valid_for_long_enough() {
    let ours = authority("ours");
    let asked = |tls: TlsCheck, days| TlsCheck { min_lifetime: Some(DAY * days), ..tls };
    for (days, check, passes) in [
        (10, asked(checking(&ours, "web.example"), 7), true),
        (3, asked(checking(&ours, "web.example"), 7), false),
        (3, asked(tls_check(false), 7), false),
        (-1, asked(tls_check(false), 7), false),
    ] {
        let server = server(server_config(&issued(&ours, days), None, rustls::ALL_VERSIONS)).await;
        for kind in kinds(&check) {
            match probe(watch(server.address, kind)).await {
                Outcome::Pass => assert!(passes, "{days} days"),
                Outcome::Fail(Failure::Certificate { left, wanted }) => {
                    let most = DAY * u32::try_from(days.max(0)).expect("a few days");
                    assert!(!passes && wanted == DAY * 7, "{days} days");
                    assert!(left <= most && left + AMPLE >= most, "{left:?} are left of {days} days");
                }
                outcome => panic!("{days} days: {outcome}"),
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_ages_on_a_kept_connection() {
    let tls = TlsCheck { min_lifetime: Some(DAY), ..tls_check(false) };
    let probe = TlsProbe::new(&Tls::default(), &tls, None, Alpn::Unsaid).await.expect("nothing is read");
    let now = crate::probe::wall_clock();
    assert_eq!(probe.judge_expiry(Some(now + 2 * 86_400)), Ok(()));
    let aged = probe.judge_expiry(Some(now + 3600));
    assert!(matches!(aged, Err(Failure::Certificate { wanted: DAY, .. })), "{aged:?}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_checks() {
    let (ours, other) = (authority("ours"), authority("another"));
    let site = issued(&ours, 90);
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let is_old = versions[0].version == rustls::ProtocolVersion::TLSv1_2;
        let server = server(server_config(&site, Some(&ours), versions)).await;
        for (what, identity, passes) in [
            ("ours", Some(identity_of(&issued(&ours, 1))), true),
            ("another's", Some(identity_of(&issued(&other, 1))), false),
            ("none", None, false),
        ] {
            let check = TlsCheck { identity, ..checking(&ours, "web.example") };
            let [tls, https] = kinds(&check);
            let outcome = probe(watch(server.address, https)).await;
            match outcome {
                Outcome::Pass => assert!(passes, "{what}"),
                // The alert may be lost in the reset that follows it.
                Outcome::Fail(Failure::Tls(_)) => assert!(!passes, "{what}"),
                Outcome::Fail(Failure::Reset) => assert!(!passes && !is_old, "{what}"),
                outcome => panic!("{what}: {outcome}"),
            }
            // Of TLS 1.3 a handshake alone does not show it.
            if is_old {
                let outcome = probe(watch(server.address, tls)).await;
                assert_eq!(outcome == Outcome::Pass, passes, "{what}: {outcome}");
            }
        }
    }
}

#[tokio::test]
async fn names_are_told_as_the_check_says() {
    let certificate = certificate();
    let alb = || Some("alb.example".parse().expect("a name"));
    for (resolved_from, host, sni, seen_sni, seen_host) in [
        (alb(), None, None, "alb.example", "alb.example:"),
        (alb(), None, Some("in.example"), "in.example", "alb.example:"),
        (alb(), Some("web.example"), None, "web.example", "web.example"),
        (None, Some("web.example"), Some("in.example"), "in.example", "web.example"),
    ] {
        let mut server = super::https::server(&certificate).await;
        let http = HttpCheck { host: host.map(str::to_owned), ..http_check() };
        let tls = TlsCheck { sni: sni.map(str::to_owned), ..tls_check(false) };
        let watch = Watch { resolved_from, ..watch(server.address, CheckKind::Https { http, tls }) };
        assert_eq!(probe(watch).await, Outcome::Pass);
        let handshake = Seen::Handshake { sni: Some(seen_sni.to_owned()), full: true };
        assert_eq!(server.next_seen().await, handshake);
        let Seen::Request(request) = server.next_seen().await else { panic!("a request comes next") };
        assert!(request.contains(&format!("\r\nhost: {seen_host}")), "{request}");
    }
}

#[tokio::test]
async fn the_addresses_of_a_name_are_asked_for_that_name() {
    let certificate = certificate();
    for (kind, sni) in [
        (https_check(http_check(), false), "localhost"),
        (CheckKind::Tls(tls_check(false)), "localhost"),
        (CheckKind::Tls(TlsCheck { sni: Some("in.example".into()), ..tls_check(false) }), "in.example"),
    ] {
        // Of TLS 1.3 the server's part ends after the client's, which may have closed by then.
        let mut server = server(server_config(&certificate, None, &[&rustls::version::TLS12])).await;
        let endpoint = Endpoint::Name("localhost".parse().expect("a name"));
        let watch = Watch { endpoint, ..watch(server.address, kind) };
        assert_eq!(probe(watch).await, Outcome::Pass);
        assert_eq!(server.next_seen().await, Seen::Handshake { sni: Some(sni.to_owned()), full: true });
    }
}

#[tokio::test]
async fn targets_that_want_the_same_share_a_configuration() {
    let tls = Tls::default();
    let (ours, other) = (authority("ours"), authority("another"));
    let one = tls.config(&checking(&ours, "a.example"), Alpn::Http1).await;
    let same = tls.config(&checking(&ours, "b.example"), Alpn::Http1).await;
    let others = tls.config(&checking(&other, "a.example"), Alpn::Http1).await;
    let newer = tls.config(&checking(&ours, "a.example"), Alpn::Http2).await;
    let address = |config: &Result<Arc<rustls::ClientConfig>, _>| config.as_ref().map(Arc::as_ptr).ok();
    assert_eq!(address(&one), address(&same));
    assert_ne!(address(&one), address(&others));
    assert_ne!(address(&one), address(&newer));
}
