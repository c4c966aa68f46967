//! The signals that end a command which runs until told otherwise.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failed;

/// Listens for SIGINT, SIGTERM, SIGHUP and SIGQUIT, none of which then ends the process by itself:
/// so it can put back what it has changed.
pub(super) struct Stop([Signal; 4]);

impl Stop {
    /// Starts to listen.
    pub(super) fn listen() -> Result<Self, Failed> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failed::new(format_args!("cannot wait for signals: {error}")))
        };
        Ok(Stop([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
            listen(SignalKind::quit())?,
        ]))
    }

    /// Waits for the next of them.
    pub(super) async fn requested(&mut self) {
        let Stop([interrupt, terminate, hangup, quit]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}
