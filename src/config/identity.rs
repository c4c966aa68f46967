//! What the admin API shows for itself: a certificate and its key.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = .path.display())]
pub struct Unfit {
    /// The file that is at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// That it is only this process that may not read it.
    pub is_denied: bool,
}

/// Reads a certificate, with those that lead to its root, and the key to it, both as PEM.
///
/// # Errors
///
/// If one cannot be read, or the two do not belong together.
pub fn read_identity(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, Unfit> {
    let unfit = |path: &Path, reason: String| Unfit { path: path.to_owned(), reason, is_denied: false };
    let chain = CertificateDer::pem_slice_iter(&octets(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unfit(certificate, format!("no certificates can be read from it: {error}")))?;
    if chain.is_empty() {
        return Err(unfit(certificate, "there is no certificate in it".to_owned()));
    }
    let private_key = PrivateKeyDer::from_pem_slice(&Zeroizing::new(octets(key)?))
        .map_err(|error| unfit(key, format!("no private key can be read from it: {error}")))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, private_key, &provider).map(Arc::new).map_err(|error| {
        unfit(key, format!("it is no key to the certificate in {}: {error}", certificate.display()))
    })
}

fn octets(path: &Path) -> Result<Vec<u8>, Unfit> {
    std::fs::read(path).map_err(|error: io::Error| Unfit {
        path: path.to_owned(),
        reason: format!("cannot read the file: {error}"),
        is_denied: error.kind() == ErrorKind::PermissionDenied,
    })
}
