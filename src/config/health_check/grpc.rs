//! Checks of type `grpc`.

use super::super::name::host_name;
use super::super::reader::{Table, Value, string};
use super::super::source::Located;
use crate::plan::{CheckKind, GrpcCheck};

/// The keys of a check of type `grpc`.
pub(super) const KEYS: &[&str] = &["service", "host"];

/// No name of a service is longer: it is one of packages and a service, with dots between.
const MAX_SERVICE: usize = 255;

/// A service, as written.
pub(super) struct GrpcSpec {
    service: Option<Located<String>>,
    host: Option<Located<String>>,
}

impl GrpcSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        GrpcSpec { service: table.optional("service", service), host: table.optional("host", host_name) }
    }

    /// Fills in the defaults.
    pub(super) fn convert(self) -> CheckKind {
        let GrpcSpec { service, host } = self;
        CheckKind::Grpc(GrpcCheck {
            service: service.map_or(String::new(), |service| service.value),
            host: host.map(|host| host.value),
        })
    }
}

fn service(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    match text.len() > MAX_SERVICE {
        true => value.refuse(format!("the name of a service is at most {MAX_SERVICE} octets long"), None),
        false => Some(text),
    }
}
