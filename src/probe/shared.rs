//! What all targets share.

use tokio::sync::Semaphore;

use super::icmp::Pinger;
use super::pulse::Pulse;
use super::script::Scripts;
use super::tls::Tls;

/// How much is done at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Probes that are under way, at least 1. One that waits for its turn starts late.
    pub max_in_flight: usize,
    /// Scripts of the operator's that run.
    pub max_scripts: usize,
}

/// What is opened, read or counted once for all targets.
pub(super) struct Shared {
    pub(super) tls: Tls,
    pub(super) pinger: Pinger,
    pub(super) scripts: Scripts,
    pub(super) pulse: Pulse,
    /// As many as there may be probes under way.
    pub(super) turns: Semaphore,
    /// How many that is.
    pub(super) most: usize,
}

impl Shared {
    /// Does no more at the same time than `limits` say.
    pub(super) fn new(limits: Limits) -> Self {
        let most = limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Shared {
            tls: Tls::default(),
            pinger: Pinger::default(),
            scripts: Scripts::new(limits.max_scripts),
            pulse: Pulse::default(),
            turns: Semaphore::new(most),
            most,
        }
    }

    /// How many probes are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.most.saturating_sub(self.turns.available_permits())
    }
}

#[cfg(test)]
impl Default for Shared {
    /// With a place for one script.
    fn default() -> Self {
        Shared::new(Limits { max_in_flight: 1000, max_scripts: 1 })
    }
}
