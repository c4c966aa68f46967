//! When this host suspects its own network.

use std::net::SocketAddr;
use std::time::Duration;

use super::{CheckKind, Endpoint, HealthCheck, TcpCheck, Watch};

/// How often a canary is probed, which decides how long a doubt about it may last: as often as
/// addresses are by default.
const CANARY_INTERVAL: Duration = Duration::from_secs(1);

/// Half of that: whoever takes longer is no help in telling whether the network works.
const CANARY_TIMEOUT: Duration = Duration::from_millis(500);

/// When this host suspects its own network rather than the addresses that are silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Isolation {
    /// The share of the addresses believed to be up that has to be silent, above 0 and up to 1.
    pub share: f64,
    /// Places beyond the own network that answer a connection, with whatever: one that does
    /// proves that the network works.
    pub canaries: Vec<SocketAddr>,
}

impl Isolation {
    /// How the canaries are watched.
    pub fn watches(&self) -> impl Iterator<Item = Watch> {
        self.canaries.iter().map(|canary| Watch {
            pool: None,
            address: format!("canary {canary}"),
            endpoint: Endpoint::Ip(canary.ip()),
            resolved_from: None,
            port: Some(canary.port()),
            check: HealthCheck {
                name: "canary".to_owned(),
                kind: CheckKind::Tcp(TcpCheck::default()),
                interval: CANARY_INTERVAL,
                timeout: CANARY_TIMEOUT,
                fall: 1,
                rise: 1,
                fast_interval: CANARY_INTERVAL,
                initial: crate::health::Verdict::Unknown,
                tripwire: false,
                damping: None,
            },
        })
    }
}
