//! TLS of the admin API: a certificate that is read again when its files change.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::clock;
use crate::config::{AdminTlsSettings, Unfit, read_identity};

/// Between two looks at the files, however many connect: soon enough for whoever renews a
/// certificate, and next to nothing.
const LOOKS: Duration = Duration::from_secs(1);

/// What the admin API shows for itself.
pub struct Tls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
    files: AdminTlsSettings,
    seen: Mutex<Seen>,
}

/// The certificate that is shown from the next handshake on.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

/// The last look at the files.
struct Seen {
    at: Instant,
    stamps: [Option<Stamp>; 2],
}

/// What changes with a file: when it was last changed, and which one and how long it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    changed: (i64, i64),
    modified: (i64, i64),
    file: (u64, u64),
    octets: u64,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or the two do not belong together.
    pub fn start(files: AdminTlsSettings) -> Result<Self, Unfit> {
        // Before they are read: a change in between is then one that was not seen yet.
        let seen = Mutex::new(Seen { at: clock::instant(), stamps: stamps(&files) });
        let shown = Arc::new(Shown(ArcSwap::new(read_identity(&files.certificate, &files.key)?)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), shown, files, seen })
    }

    /// Reads the files again, whether they seem to have changed or not. If they are no good, what was
    /// shown before stays, and the log says why.
    pub fn read_anew(&self) {
        self.seen().stamps = stamps(&self.files);
        match read_identity(&self.files.certificate, &self.files.key) {
            Ok(identity) => {
                let is_new = identity.cert != self.shown.0.load().cert;
                self.shown.0.store(identity);
                if is_new {
                    tracing::info!(
                        certificate = %self.files.certificate.display(),
                        "the admin API shows a new certificate"
                    );
                }
            }
            Err(reason) => {
                tracing::error!("the admin API shows its old certificate on: {reason}");
            }
        }
    }

    /// Makes the handshake, with the certificate as it is now.
    pub(super) async fn accept(self: &Arc<Self>, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        if self.is_to_look(clock::instant()) {
            let tls = Arc::clone(self);
            // A thread that panics leaves what was shown before.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
        self.acceptor.accept(stream).await
    }

    fn is_to_look(&self, now: Instant) -> bool {
        let mut seen = self.seen();
        let is_due = now.saturating_duration_since(seen.at) >= LOOKS;
        if is_due {
            seen.at = now;
        }
        is_due
    }

    fn look(&self) {
        if stamps(&self.files) != self.seen().stamps {
            self.read_anew();
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while it is locked.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &AdminTlsSettings) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key]
        .map(|path: &PathBuf| std::fs::metadata(path).ok().map(|file| stamp(&file)))
}

fn stamp(file: &Metadata) -> Stamp {
    Stamp {
        changed: (file.ctime(), file.ctime_nsec()),
        modified: (file.mtime(), file.mtime_nsec()),
        file: (file.dev(), file.ino()),
        octets: file.len(),
    }
}
