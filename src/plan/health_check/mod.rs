//! How addresses are watched.

use std::time::Duration;

use crate::health::Verdict;

mod dns;
mod exchange;
mod grpc;
mod http;
mod icmp;
mod script;
mod tls;

pub use dns::{DnsCheck, DnsTransport};
pub use exchange::{TcpCheck, UdpCheck};
pub use grpc::GrpcCheck;
pub use http::{HttpCheck, HttpVersion, Pattern, StatusRange};
pub use icmp::IcmpCheck;
pub use script::ScriptCheck;
pub use tls::{Certificates, Identity, TlsCheck, Trust};

/// How the addresses of a pool are watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// Its name in the configuration.
    pub name: String,
    /// What one probe does.
    pub kind: CheckKind,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// The same while a change is to be confirmed; never above `interval`.
    pub fast_interval: Duration,
    /// How long one probe may take, connection and all; never above `interval`.
    pub timeout: Duration,
    /// Failures in a row until an address is down, at least 1.
    pub fall: u32,
    /// Passes in a row until an address is up again, at least 1.
    pub rise: u32,
    /// What is believed of an address before its first probe, unless something is remembered of it; unless
    /// unknown, it takes `fall` or `rise` outcomes to turn it.
    pub initial: Verdict,
    /// Whether an idle connection is held beside the probes, whose end has them confirm at once that
    /// the address is still there.
    pub tripwire: bool,
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
    /// Asks a gRPC server for the health of a service.
    Grpc(GrpcCheck),
    /// Sends ICMP echo requests.
    Icmp(IcmpCheck),
    /// Runs a program.
    Script(ScriptCheck),
    /// Connects, and may say something and expect something.
    Tcp(TcpCheck),
    /// Sends a datagram and expects an answer.
    Udp(UdpCheck),
    /// Connects and makes a TLS handshake.
    Tls(TlsCheck),
    /// Connects, asks with HTTP and judges the response.
    Http(HttpCheck),
    /// The same inside TLS.
    Https {
        /// The request.
        http: HttpCheck,
        /// What it is asked inside of.
        tls: TlsCheck,
    },
}

impl CheckKind {
    /// Whether it is carried by TCP, so that there can be a connection which shows by its end that
    /// the server has gone.
    pub fn is_over_tcp(&self) -> bool {
        match self {
            CheckKind::Tcp(_)
            | CheckKind::Tls(_)
            | CheckKind::Grpc(_)
            | CheckKind::Http(_)
            | CheckKind::Https { .. } => true,
            // What a connection to a name server, or a script's, is for is their own business.
            CheckKind::Dns(_) | CheckKind::Icmp(_) | CheckKind::Script(_) | CheckKind::Udp(_) => false,
        }
    }

    /// Whether one connection is kept for all probes of an address.
    pub fn keeps_connection(&self) -> bool {
        match self {
            CheckKind::Http(http) | CheckKind::Https { http, .. } => http.reuse,
            CheckKind::Dns(_)
            | CheckKind::Grpc(_)
            | CheckKind::Icmp(_)
            | CheckKind::Script(_)
            | CheckKind::Tcp(_)
            | CheckKind::Udp(_)
            | CheckKind::Tls(_) => false,
        }
    }
}

impl HealthCheck {
    /// The port that a probe connects to where an address names none: the scheme's, if it has one.
    /// `None` where the check has no use for a port, or an address has to name one.
    pub fn default_port(&self) -> Option<u16> {
        match self.kind {
            CheckKind::Grpc(_) | CheckKind::Icmp(_) | CheckKind::Script(_) => None,
            CheckKind::Dns(_) => Some(53),
            CheckKind::Tcp(_) | CheckKind::Udp(_) | CheckKind::Tls(_) => None,
            CheckKind::Http(_) => Some(80),
            CheckKind::Https { .. } => Some(443),
        }
    }
}
