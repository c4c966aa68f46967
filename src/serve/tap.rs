//! What was asked and answered, for whoever wants to see it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::routing::Client;

/// A query and what was sent back.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'m> {
    /// Who has asked.
    pub client: Client,
    /// From which port.
    pub port: u16,
    /// Which of the server's addresses was asked, and answers; `None`: the kernel has not told.
    pub local: Option<SocketAddr>,
    /// The query as it came.
    pub query: &'m [u8],
    /// The reply; empty: there was none.
    pub reply: &'m [u8],
}

/// Is shown what one answerer has been asked and has answered, after each answer and before it is
/// sent. It must not wait, and whatever it does, the next client waits for.
pub trait Tap: Send + 'static {
    /// Tells the time, since the beginning of 1970, for all that is shown until it is told again.
    /// Returns whether it wants to be shown anything until then.
    fn tick(&mut self, now: Duration) -> bool;

    /// Shows an exchange.
    fn show(&mut self, exchange: Exchange<'_>);
}
