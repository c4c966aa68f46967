//! `[resolver]`

use std::net::{IpAddr, SocketAddr};

use super::reader::{Value, list, string};
use super::report::Report;
use super::source::Located;
use super::unique::Unique;
use crate::plan::is_connectable;

/// `[resolver]`: who is asked for the addresses of the names in pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverSettings {
    /// Recursive resolvers, without repeats; empty: those of the system.
    pub servers: Vec<SocketAddr>,
}

/// The port of DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

/// `[resolver]` as written.
#[derive(Default)]
pub(super) struct ResolverSpec {
    servers: Option<Located<Vec<Located<SocketAddr>>>>,
}

impl ResolverSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = ResolverSpec { servers: table.optional("servers", list(server)) };
        table.finish();
        Some(spec)
    }

    /// Checks that no server is there twice.
    pub(super) fn convert(self, report: &Report) -> ResolverSettings {
        let servers = self.servers.map_or(Vec::new(), |servers| servers.value);
        let mut unique = Unique::new("server");
        for server in &servers {
            unique.note(&server.value, server.place, report);
        }
        ResolverSettings { servers: servers.into_iter().map(|server| server.value).collect() }
    }
}

/// An IP address, with a port if it is not the usual one.
fn server(value: Value<'_>) -> Option<SocketAddr> {
    let text = string(value)?;
    let read = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT)));
    match read {
        Ok(server) if is_connectable(server.ip()) && server.port() > 0 => Some(server),
        Ok(server) => value.refuse(format!("no resolver can be at `{server}`"), None),
        Err(_) => value.refuse(
            format!("`{text}` is not an IP address"),
            "write it as in \"192.0.2.1\", \"192.0.2.1:5353\" or \"[2001:db8::1]:5353\"".to_owned(),
        ),
    }
}
