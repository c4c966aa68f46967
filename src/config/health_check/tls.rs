//! Checks of type `tls`, and what TLS is to those of types `https` and `grpc`.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::super::name::host_name;
use super::super::reader::{Table, boolean, duration};
use super::super::report::Report;
use super::super::settings::path;
use super::super::source::{Located, Place};
use crate::plan::{Certificates, CheckKind, Identity, TlsCheck, Trust};

/// The keys of a check of type `tls`.
pub(super) const KEYS: &[&str] =
    &["sni", "verify", "ca_file", "client_certificate", "client_key", "min_certificate_lifetime"];

/// Certificates are made for minutes where machines renew them, and for ten years where nobody
/// thought of it; a year is 365.25 days here.
const LIFETIMES: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(10 * 31_557_600);

/// The handshake and what is expected of it, as written.
pub(super) struct TlsSpec {
    sni: Option<Located<String>>,
    verify: Option<Located<bool>>,
    ca_file: Option<Located<String>>,
    client_certificate: Option<Located<String>>,
    client_key: Option<Located<String>>,
    has_certificate_and_key: [bool; 2],
    min_lifetime: Option<Located<Duration>>,
    /// Where a key stands that is missing.
    place: Place,
}

impl TlsSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        TlsSpec {
            has_certificate_and_key: ["client_certificate", "client_key"].map(|key| table.has(key)),
            sni: table.optional("sni", host_name),
            verify: table.optional("verify", boolean),
            ca_file: table.optional("ca_file", path),
            client_certificate: table.optional("client_certificate", path),
            client_key: table.optional("client_key", path),
            min_lifetime: table.optional("min_certificate_lifetime", duration(LIFETIMES)),
            place: table.place,
        }
    }

    /// Fills in the defaults and reads the files; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> Option<CheckKind> {
        self.check(base_dir, report).map(CheckKind::Tls)
    }

    /// The same within a check that is more than a handshake.
    pub(super) fn check(self, base_dir: &Path, report: &Report) -> Option<TlsCheck> {
        let TlsSpec { sni, verify, ca_file, client_certificate, client_key, min_lifetime, .. } = self;
        let verifies = verify.is_none_or(|verify| verify.value);
        let trust = match ca_file {
            Some(file) if !verifies => {
                report.error(file.place, "`ca_file` does not apply where `verify = false`");
                None
            }
            Some(file) => roots(&file, base_dir, report).map(Trust::Roots),
            None if verifies => Some(Trust::HostRoots),
            None => Some(Trust::Anyone),
        };
        let missing = match self.has_certificate_and_key {
            [true, false] => Some("client_key"),
            [false, true] => Some("client_certificate"),
            _ => None,
        };
        if let Some(key) = missing {
            report.error(self.place, format!("missing key `{key}`"));
        }
        let identity = match (client_certificate, client_key) {
            (Some(certificate), Some(key)) => identity(&certificate, &key, base_dir, report).map(Some),
            _ => Some(None),
        };
        Some(TlsCheck {
            sni: sni.map(|sni| sni.value),
            trust: trust?,
            identity: identity?,
            min_lifetime: min_lifetime.map(|lifetime| lifetime.value),
        })
    }
}

/// The root certificates in `file`.
pub(in super::super) fn roots(
    file: &Located<String>,
    base_dir: &Path,
    report: &Report,
) -> Option<Certificates> {
    let list = certificates(file, base_dir, report)?;
    let mut store = RootCertStore::empty();
    for (certificate, number) in list.iter().zip(1..) {
        if let Err(reason) = store.add(certificate.clone()) {
            let reason = reason.to_string();
            // The words are those for what a server shows.
            let reason = reason.trim_start_matches("invalid peer certificate: ");
            report
                .error(file.place, format!("certificate {number} of `{}` is no root: {reason}", file.value));
            return None;
        }
    }
    Some(Certificates::new(list))
}

/// The certificate and the key in two files, which have to belong together.
fn identity(
    certificate: &Located<String>,
    key: &Located<String>,
    base_dir: &Path,
    report: &Report,
) -> Option<Identity> {
    let chain = certificates(certificate, base_dir, report);
    let octets = octets_of(key, base_dir, report);
    let private_key = octets.and_then(|octets| match PrivateKeyDer::from_pem_slice(&octets) {
        Ok(key) => Some(key),
        Err(reason) => {
            report.error(key.place, format!("no private key can be read from `{}`: {reason}", key.value));
            None
        }
    });
    let (chain, private_key) = (chain?, private_key?);
    let provider = rustls::crypto::ring::default_provider();
    if let Err(reason) = CertifiedKey::from_der(chain.clone(), private_key.clone_key(), &provider) {
        report.error(
            key.place,
            format!("`{}` is no key to the certificate in `{}`: {reason}", key.value, certificate.value),
        );
        return None;
    }
    Some(Identity { chain: Certificates::new(chain), key: Arc::new(private_key) })
}

/// The certificates in `file`, at least one.
fn certificates(
    file: &Located<String>,
    base_dir: &Path,
    report: &Report,
) -> Option<Vec<CertificateDer<'static>>> {
    let octets = octets_of(file, base_dir, report)?;
    let message = match CertificateDer::pem_slice_iter(&octets).collect::<Result<Vec<_>, _>>() {
        Ok(list) if list.is_empty() => format!("there is no certificate in `{}`", file.value),
        Ok(list) => return Some(list),
        Err(reason) => format!("no certificates can be read from `{}`: {reason}", file.value),
    };
    report.error(file.place, message);
    None
}

fn octets_of(file: &Located<String>, base_dir: &Path, report: &Report) -> Option<Vec<u8>> {
    match report.read_kept(&base_dir.join(&file.value)) {
        Ok(octets) => Some(octets),
        Err(reason) => {
            report.error(file.place, format!("cannot read `{}`: {reason}", file.value));
            None
        }
    }
}
