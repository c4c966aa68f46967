//! Checks of type `grpc`.

use std::path::Path;

use super::super::name::host_name;
use super::super::reader::{Table, Value, boolean, string};
use super::super::report::Report;
use super::super::source::Located;
use super::tls::{self, TlsSpec};
use crate::plan::{CheckKind, GrpcCheck};

/// The keys of a check of type `grpc`, but for those of TLS.
pub(super) const KEYS: &[&str] = &["service", "host", "tls"];

/// No name of a service is longer: it is one of packages and a service, with dots between.
const MAX_SERVICE: usize = 255;

/// A service, as written.
pub(super) struct GrpcSpec {
    service: Option<Located<String>>,
    host: Option<Located<String>>,
    /// `None`: it is asked for without TLS.
    tls: Option<TlsSpec>,
}

impl GrpcSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        // Where it cannot be read, what depends on it is none of the mistakes.
        let unsaid = !table.has("tls");
        let tls = table.optional("tls", boolean);
        if unsaid || tls.as_ref().is_some_and(|tls| !tls.value) {
            table.inapplicable(tls::KEYS, "to a check of type `grpc` without `tls = true`");
        }
        let inside = TlsSpec::read(table);
        GrpcSpec {
            service: table.optional("service", service),
            host: table.optional("host", host_name),
            tls: tls.filter(|tls| tls.value).map(|_| inside),
        }
    }

    /// Fills in the defaults and reads the files; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> Option<CheckKind> {
        let GrpcSpec { service, host, tls } = self;
        let tls = match tls {
            None => None,
            Some(tls) => Some(tls.check(base_dir, report)?),
        };
        Some(CheckKind::Grpc(GrpcCheck {
            service: service.map_or(String::new(), |service| service.value),
            host: host.map(|host| host.value),
            tls,
        }))
    }
}

fn service(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    match text.len() > MAX_SERVICE {
        true => value.refuse(format!("the name of a service is at most {MAX_SERVICE} octets long"), None),
        false => Some(text),
    }
}
