//! TLS on a connection of our own, and checks of type `tls`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::budget::Budget;
use super::{tcp, wall_clock};
use crate::health::{Failure, LocalFailure, Phase};
use crate::plan::{Endpoint, TlsCheck, Watch};

mod any_certificate;
mod configs;

pub(super) use configs::{Alpn, Tls};

/// TLS made ready for one target.
pub(super) struct TlsProbe {
    config: Arc<ClientConfig>,
    alpn: Alpn,
    /// The name for SNI and, if that is verified, for the certificate; `None` stands for the address.
    name: Option<ServerName<'static>>,
    min_lifetime: Option<Duration>,
}

/// When the certificate of a connection expires, in seconds since 1970; `None` where nobody asks.
pub(super) type Expiry = Option<i64>;

impl TlsProbe {
    /// Makes ready what `check` asks for; `host` is who is spoken to, if the check does not say.
    ///
    /// # Errors
    ///
    /// What [`Tls::config`] fails with, or [`LocalFailure::BadRequest`] if the name is none for TLS.
    pub(super) async fn new(
        tls: &Tls,
        check: &TlsCheck,
        host: Option<String>,
        alpn: Alpn,
    ) -> Result<Self, LocalFailure> {
        let name = check.sni.clone().or(host).map(|name| {
            ServerName::try_from(name)
                .map_err(|error| LocalFailure::BadRequest(format!("not a name for TLS: {error}")))
        });
        Ok(TlsProbe {
            config: tls.config(check, alpn).await?,
            alpn,
            name: name.transpose()?,
            min_lifetime: check.min_lifetime,
        })
    }

    /// Connects and makes a handshake, and no more.
    ///
    /// In TLS 1.3 the client's part ends before the server has looked at the client's certificate:
    /// one that it does not accept goes unnoticed (RFC 8446 section 4.6.2).
    pub(super) async fn probe(&self, address: SocketAddr, budget: &mut Budget) -> Result<(), Failure> {
        let stream = tcp::connect(address, budget).await?;
        self.handshake(address, stream, budget).await.map(drop)
    }

    /// Makes the handshake over `stream`, and looks at the certificate.
    pub(super) async fn handshake(
        &self,
        address: SocketAddr,
        stream: TcpStream,
        budget: &mut Budget,
    ) -> Result<(TlsStream<TcpStream>, Expiry), Failure> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::from(address.ip()));
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = budget.spend(Phase::Tls, connector.connect(name, stream)).await?;
        let (_, connection) = stream.get_ref();
        // A server that does not know ALPN would take what follows for HTTP/1.1 (RFC 9113 section 3.2).
        if self.alpn == Alpn::Http2 && connection.alpn_protocol() != Some(b"h2") {
            return Err(Failure::Tls("the server did not agree to HTTP/2".to_owned()));
        }
        let expiry = match self.min_lifetime {
            None => None,
            Some(_) => {
                let certificate = connection.peer_certificates().and_then(<[_]>::first);
                let expiry = certificate.and_then(|certificate| expiry(certificate));
                Some(expiry.ok_or_else(|| Failure::Tls("the certificate cannot be read".to_owned()))?)
            }
        };
        self.judge_expiry(expiry)?;
        Ok((stream, expiry))
    }

    /// Whether a certificate that expires then is valid for as long as it should be.
    pub(super) fn judge_expiry(&self, expiry: Expiry) -> Result<(), Failure> {
        let (Some(expiry), Some(wanted)) = (expiry, self.min_lifetime) else { return Ok(()) };
        let left = expiry.saturating_sub(wall_clock());
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        if left < wanted { Err(Failure::Certificate { left, wanted }) } else { Ok(()) }
    }
}

/// Who is spoken to where the check does not say: the name that the address was resolved from, or
/// that is resolved; `None` where there is only an address.
pub(super) fn endpoint_name(watch: &Watch) -> Option<String> {
    match (&watch.resolved_from, &watch.endpoint) {
        (Some(name), _) | (None, Endpoint::Name(name)) => Some(name.to_string()),
        (None, Endpoint::Ip(_)) => None,
    }
}

/// The end of a certificate's validity, in seconds since 1970.
fn expiry(certificate: &[u8]) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}
