//! Configurations of TLS, shared by the targets that want the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use super::any_certificate::AnyCertificate;
use crate::health::LocalFailure;
use crate::plan::{Identity, TlsCheck, Trust};

/// What is spoken inside TLS, as it is agreed on in the handshake (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Alpn {
    /// Nothing is said of it.
    Unsaid,
    Http1,
    Http2,
}

/// What makes one configuration differ from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    trust: Trust,
    identity: Option<Identity>,
    alpn: Alpn,
}

/// The configurations in use: many targets share few, and root certificates take megabytes.
#[derive(Default)]
pub(in super::super) struct Tls {
    host_roots: OnceCell<Arc<RootCertStore>>,
    configs: Mutex<HashMap<Key, Weak<ClientConfig>>>,
}

impl Tls {
    /// The configuration for `check`. The host's root certificates are read once, and only if
    /// something is to be verified with them.
    ///
    /// # Errors
    ///
    /// [`LocalFailure::NoRoots`] if there are none to verify with.
    pub(in super::super) async fn config(
        &self,
        check: &TlsCheck,
        alpn: Alpn,
    ) -> Result<Arc<ClientConfig>, LocalFailure> {
        let key = Key { trust: check.trust.clone(), identity: check.identity.clone(), alpn };
        let host_roots = match key.trust {
            Trust::HostRoots => Some(self.host_roots.get_or_try_init(host_roots).await?.clone()),
            Trust::Anyone | Trust::Roots(_) => None,
        };
        // Nothing panics while it is locked.
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(&key).and_then(Weak::upgrade) {
            return Ok(config);
        }
        configs.retain(|_, config| config.strong_count() > 0);
        let config = Arc::new(configured(&key, host_roots)?);
        configs.insert(key, Arc::downgrade(&config));
        Ok(config)
    }

    /// Verifies with `roots` instead of the host's.
    #[cfg(test)]
    pub(in super::super) fn with_roots(roots: RootCertStore) -> Self {
        let tls = Tls::default();
        tls.host_roots.set(Arc::new(roots)).expect("is set once");
        tls
    }
}

async fn host_roots() -> Result<Arc<RootCertStore>, LocalFailure> {
    let loading = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    match loading.await {
        Ok(roots) if !roots.is_empty() => Ok(Arc::new(roots)),
        Ok(_) => Err(LocalFailure::NoRoots),
        Err(error) => Err(LocalFailure::System(error.to_string())),
    }
}

fn configured(key: &Key, host_roots: Option<Arc<RootCertStore>>) -> Result<ClientConfig, LocalFailure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3");
    let roots = match &key.trust {
        Trust::Anyone => None,
        Trust::HostRoots => Some(host_roots.ok_or(LocalFailure::NoRoots)?),
        Trust::Roots(certificates) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates.list().iter().cloned());
            Some(Arc::new(roots))
        }
    };
    let builder = match roots {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
    };
    let mut config = match &key.identity {
        None => builder.with_no_client_auth(),
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain.list().to_vec(), key.clone_key())
            .map_err(|error| LocalFailure::BadRequest(error.to_string()))?,
    };
    config.alpn_protocols = match key.alpn {
        Alpn::Unsaid => Vec::new(),
        Alpn::Http1 => vec![b"http/1.1".to_vec()],
        Alpn::Http2 => vec![b"h2".to_vec()],
    };
    // A resumed session shows no certificate, and one that has expired would go unnoticed.
    config.resumption = Resumption::disabled();
    Ok(config)
}
