//! How addresses are watched.

use std::time::Duration;

mod dns;
mod http;
mod icmp;
mod script;

pub use dns::{DnsCheck, DnsTransport};
pub use http::{HttpCheck, StatusRange};
pub use icmp::IcmpCheck;
pub use script::ScriptCheck;

/// How the addresses of a pool are watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// Its name in the configuration.
    pub name: String,
    /// What one probe does.
    pub kind: CheckKind,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// How long one probe may take, connection and all; never above `interval`.
    pub timeout: Duration,
    /// Failures in a row until an address is down, at least 1.
    pub fall: u32,
    /// Passes in a row until an address is up again, at least 1.
    pub rise: u32,
    /// When an address is held down for flipping too often; `None`: never.
    pub damping: Option<Damping>,
}

/// When an address is held down for flipping too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Damping {
    /// As many flips within the window are borne, at least 1.
    pub flips: u32,
    /// How far back flips count.
    pub window: Duration,
    /// How long the address is held down after its last flip.
    pub hold: Duration,
}

/// What one probe does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CheckKind {
    /// Asks a name server.
    Dns(DnsCheck),
    /// Sends ICMP echo requests.
    Icmp(IcmpCheck),
    /// Runs a program.
    Script(ScriptCheck),
    /// Connects.
    Tcp,
    /// Connects, asks with HTTP/1.1 and reads the status.
    Http(HttpCheck),
    /// The same inside TLS.
    Https {
        /// The request.
        http: HttpCheck,
        /// Whether the certificate must be valid for the host.
        verify: bool,
    },
}

impl HealthCheck {
    /// The port that a probe connects to where an address names none: the scheme's, if it has one.
    /// `None` where the check has no use for a port, or an address has to name one.
    pub fn default_port(&self) -> Option<u16> {
        match self.kind {
            CheckKind::Icmp(_) | CheckKind::Script(_) | CheckKind::Tcp => None,
            CheckKind::Dns(_) => Some(53),
            CheckKind::Http(_) => Some(80),
            CheckKind::Https { .. } => Some(443),
        }
    }
}
