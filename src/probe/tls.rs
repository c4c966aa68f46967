//! TLS on a connection of our own.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::budget::Budget;
use crate::health::{Failure, LocalFailure, Phase};

/// The two configurations that all https checks share, each made when it is first wanted.
#[derive(Default)]
pub(super) struct Tls {
    verifying: OnceCell<Result<Arc<ClientConfig>, LocalFailure>>,
    trusting: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    /// The configuration that verifies certificates, or the one that does not. The host's root
    /// certificates are read once, and only if something is to be verified.
    ///
    /// # Errors
    ///
    /// [`LocalFailure::NoRoots`] if there are none to verify with.
    pub(super) async fn config(&self, verify: bool) -> Result<Arc<ClientConfig>, LocalFailure> {
        if verify {
            self.verifying.get_or_init(verifying).await.clone()
        } else {
            Ok(self.trusting.get_or_init(async || trusting()).await.clone())
        }
    }

    /// Verifies with `roots` instead of the host's.
    #[cfg(test)]
    pub(super) fn with_roots(roots: RootCertStore) -> Self {
        let tls = Tls::default();
        tls.verifying.set(Ok(verifying_with(roots))).expect("is set once");
        tls
    }
}

/// Makes the TLS handshake with `host`, the name for SNI and, if that is verified, for the
/// certificate; `None` stands for the address.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    host: Option<&str>,
    address: SocketAddr,
    stream: TcpStream,
    budget: &mut Budget,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = match host {
        None => ServerName::from(address.ip()),
        Some(host) => ServerName::try_from(host.to_owned()).map_err(|_| {
            Failure::Local(LocalFailure::BadRequest(format!("{host:?} is not a name for TLS")))
        })?,
    };
    budget.spend(Phase::Tls, TlsConnector::from(config).connect(name, stream)).await
}

async fn verifying() -> Result<Arc<ClientConfig>, LocalFailure> {
    let loading = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    match loading.await {
        Ok(roots) if !roots.is_empty() => Ok(verifying_with(roots)),
        Ok(_) => Err(LocalFailure::NoRoots),
        Err(error) => Err(LocalFailure::System(error.to_string())),
    }
}

fn verifying_with(roots: RootCertStore) -> Arc<ClientConfig> {
    configured(|builder| builder.with_root_certificates(roots))
}

fn trusting() -> Arc<ClientConfig> {
    configured(|builder| {
        let verifier = Arc::new(AnyCertificate(Arc::clone(builder.crypto_provider())));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    })
}

type Builder<State> = rustls::ConfigBuilder<ClientConfig, State>;

fn configured(
    verification: impl FnOnce(Builder<rustls::WantsVerifier>) -> Builder<rustls::client::WantsClientCert>,
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3");
    let mut config = verification(builder).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows no certificate, and one that has expired would go unnoticed.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Accepts every certificate, for checks with `verify = false`.
///
/// That gives up knowing who answers, which is what the operator asked for. The server must still
/// prove that it holds the certificate's key: a handshake that is broken in itself fails the check.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
