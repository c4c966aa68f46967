//! What all targets share.

use super::icmp::Pinger;
use super::tls::Tls;

/// What is opened, read or counted once for all targets.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) tls: Tls,
    pub(super) pinger: Pinger,
}
