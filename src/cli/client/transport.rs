//! The ways to a daemon's admin API: HTTP, HTTPS and a Unix socket.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::{Authority, Scheme};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// How long it may take until there is somebody to talk to: a lost SYN is sent again after one
/// second and after three, and whoever has not answered then is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whatever requests go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where an admin API is, as `--admin` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Address {
    text: String,
    way: Way,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// A Unix socket at this path.
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
        is_tls: bool,
        /// As the request repeats it.
        authority: Authority,
        /// What stands in front of every path, where a proxy has the API below some other.
        prefix: String,
    },
}

/// Why an address is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write it as in `http://127.0.0.1:8053`, `https://ns1.example.com:8053` or `unix:/run/rhumb/admin.sock`"
)]
pub(in crate::cli) struct NoAddress;

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let way = match text.strip_prefix("unix:") {
            // `unix:///run/...` is how others write it.
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                let way = Way::Unix(path.into());
                Some(way).filter(|_| path.len() > 1 && !path.ends_with('/'))
            }
            None => text.parse().ok().and_then(|uri: Uri| tcp(&uri)),
        };
        Ok(Address { text: text.to_owned(), way: way.ok_or(NoAddress)? })
    }
}

fn tcp(uri: &Uri) -> Option<Way> {
    let is_tls = match uri.scheme()? {
        scheme if *scheme == Scheme::HTTP => false,
        scheme if *scheme == Scheme::HTTPS => true,
        _ => return None,
    };
    let authority = uri.authority()?.clone();
    if uri.query().is_some() || authority.as_str().contains('@') {
        return None;
    }
    Some(Way::Tcp {
        host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        is_tls,
        authority,
        prefix: uri.path().trim_end_matches('/').to_owned(),
    })
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Address {
    /// What the `Host` header of a request says.
    pub(super) fn host(&self) -> &str {
        match &self.way {
            Way::Unix(_) => "localhost",
            Way::Tcp { authority, .. } => authority.as_str(),
        }
    }

    /// `path`, which starts with `/`, as it is to be asked for here.
    pub(super) fn path(&self, path: &str) -> String {
        match &self.way {
            Way::Unix(_) => path.to_owned(),
            Way::Tcp { prefix, .. } => format!("{prefix}{path}"),
        }
    }

    /// Connects; `ca`: the file of the certificates that are trusted instead of the host's.
    ///
    /// # Errors
    ///
    /// In words, if nobody is there or it is somebody else.
    pub(super) async fn connect(&self, ca: Option<&Path>) -> Result<Box<dyn Stream>, String> {
        let connected = tokio::time::timeout(PATIENCE, self.connect_at_leisure(ca)).await;
        connected.map_err(|_| format!("not connected after {PATIENCE:?}"))?
    }

    async fn connect_at_leisure(&self, ca: Option<&Path>) -> Result<Box<dyn Stream>, String> {
        match &self.way {
            Way::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(text)?)),
            Way::Tcp { host, port, is_tls, .. } => {
                let config = match is_tls {
                    true => Some((server_name(host)?, client_config(ca)?)),
                    false => None,
                };
                let stream = TcpStream::connect((&host[..], *port)).await.map_err(text)?;
                let Some((name, config)) = config else { return Ok(Box::new(stream)) };
                let connector = TlsConnector::from(Arc::new(config));
                Ok(Box::new(connector.connect(name, stream).await.map_err(text)?))
            }
        }
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|error| format!("`{host}`: {error}"))
}

fn client_config(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(text)?
        .with_root_certificates(roots(ca)?)
        .with_no_client_auth();
    Ok(config)
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this host trusts no certificates; name those to trust with --ca".to_owned());
        }
        return Ok(roots);
    };
    let of_file = |error: &dyn std::fmt::Display| format!("--ca {}: {error}", file.display());
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| of_file(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| of_file(&error))?;
        roots.add(certificate).map_err(|error| of_file(&error))?;
    }
    if roots.is_empty() {
        return Err(of_file(&"there is no certificate in it"));
    }
    Ok(roots)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<Address>().map(|address| address.way);
        let tcp = |host: &str, port, is_tls, authority: &'static str, prefix: &str| {
            let authority = Authority::from_static(authority);
            Ok(Way::Tcp { host: host.to_owned(), port, is_tls, authority, prefix: prefix.to_owned() })
        };
        assert_eq!(read("http://127.0.0.1:8053"), tcp("127.0.0.1", 8053, false, "127.0.0.1:8053", ""));
        assert_eq!(read("http://ns1/"), tcp("ns1", 80, false, "ns1", ""));
        assert_eq!(read("https://ns1/dns/"), tcp("ns1", 443, true, "ns1", "/dns"));
        assert_eq!(read("https://[::1]:8053"), tcp("::1", 8053, true, "[::1]:8053", ""));
        for socket in ["unix:/run/admin.sock", "unix:///run/admin.sock"] {
            assert_eq!(read(socket), Ok(Way::Unix("/run/admin.sock".into())));
        }
        assert_eq!(read("unix:admin.sock"), Ok(Way::Unix("admin.sock".into())));
        for wrong in [
            "",
            "ns1",
            "127.0.0.1:8053",
            "ftp://ns1",
            "unix:",
            "unix:/",
            "http://me:secret@ns1",
            "http://ns1/?a",
        ] {
            assert_eq!(read(wrong), Err(NoAddress), "{wrong}");
        }
    }
}
