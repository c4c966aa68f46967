//! What all targets share.

use super::icmp::Pinger;
use super::script::Scripts;
use super::tls::Tls;

/// What is opened, read or counted once for all targets.
pub(super) struct Shared {
    pub(super) tls: Tls,
    pub(super) pinger: Pinger,
    pub(super) scripts: Scripts,
}

impl Shared {
    /// Lets `max_scripts` scripts run at the same time.
    pub(super) fn new(max_scripts: usize) -> Self {
        Shared { tls: Tls::default(), pinger: Pinger::default(), scripts: Scripts::new(max_scripts) }
    }
}

#[cfg(test)]
impl Default for Shared {
    /// With a place for one script.
    fn default() -> Self {
        Shared::new(1)
    }
}
