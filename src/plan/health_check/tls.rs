//! Checks of type `tls`, and what TLS is to those of types `https` and `grpc`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A TLS handshake and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsCheck {
    /// The name for SNI and for the certificate; `None`: the host that is asked for.
    pub sni: Option<String>,
    /// Whose certificates are good.
    pub trust: Trust,
    /// What the check shows for itself, where it is asked.
    pub identity: Option<Identity>,
    /// How long the server's certificate must still be valid; `None`: however short.
    pub min_lifetime: Option<Duration>,
}

/// Whose certificates are good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Anyone's: nothing is verified.
    Anyone,
    /// Those that lead to a root certificate of the host.
    HostRoots,
    /// Those that lead to one of these.
    Roots(Certificates),
}

/// Certificates out of a file, at least one. Clones share them.
#[derive(Clone, Debug)]
pub struct Certificates {
    list: Arc<[CertificateDer<'static>]>,
    /// Stands for the list in hashes: every address that is watched has it, and it may be long.
    digest: u64,
}

/// A certificate with its chain, and the key to it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, then those that lead to its root.
    pub chain: Certificates,
    /// The key, which is never shown.
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl Certificates {
    /// Holds `list`.
    pub fn new(list: Vec<CertificateDer<'static>>) -> Self {
        let mut hasher = DefaultHasher::new();
        list.hash(&mut hasher);
        Certificates { list: list.into(), digest: hasher.finish() }
    }

    /// The certificates, in the order of their file.
    pub fn list(&self) -> &[CertificateDer<'static>] {
        &self.list
    }
}

impl PartialEq for Certificates {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.list, &other.list) || (self.digest == other.digest && self.list == other.list)
    }
}

impl Eq for Certificates {}

impl Hash for Certificates {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && self.key == other.key
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.chain.hash(state);
    }
}
