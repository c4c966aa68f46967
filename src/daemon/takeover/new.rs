//! The process that takes over.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::protocol::{LONGEST, LONGEST_MEMORY, LONGEST_TURNS, Message, PROTOCOL, Use, VERSION, WireError};
use super::wire::Peer;
use super::{Ask, FILE};
use crate::daemon::edits::Journal;
use crate::store::Claim;

/// How long the old process may take to hand over its sockets, or to say farewell: it has to wait for
/// nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to let go: it finishes the changes that were asked for before, and a large
/// configuration takes seconds to read.
const RELEASE: Duration = Duration::from_secs(120);

/// How long this process may take to end what it writes, when the other one is to go on.
const QUIET: Duration = Duration::from_secs(10);

/// Why nothing comes of it.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The old process cannot be reached.
    #[error("cannot reach the running daemon by {path}: {error}", path = .0.display(), error = .1)]
    Unreachable(PathBuf, io::Error),
    /// It does not want to.
    #[error("the running daemon refuses: {0}")]
    Refused(String),
    /// What it says is not what was expected.
    #[error("takeover: {0}")]
    Wire(#[from] WireError),
}

/// The daemon that has run so far.
pub(in crate::daemon) struct Predecessor {
    peer: Peer,
    /// As it numbers itself.
    pid: u32,
    /// Whether it says whose turn it is.
    tells_turns: bool,
}

/// What it says when it has let go of what only one process can have.
pub(in crate::daemon) struct Released {
    /// What it believes of addresses.
    pub(in crate::daemon) memory: Value,
    /// How long ago it has begun to read its configuration anew, at the most; `None`: it never has.
    pub(in crate::daemon) since_reload: Option<Duration>,
}

impl Predecessor {
    /// Asks the daemon whose state is in `directory` for its sockets; `None`: there is none.
    ///
    /// # Errors
    ///
    /// If it is out of reach or does not hand them over.
    pub(super) async fn meet(directory: &Path) -> Result<Option<(Self, Vec<(Use, OwnedFd)>)>, TakeoverError> {
        let path = directory.join(FILE);
        let stream = match UnixStream::connect(&path).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(TakeoverError::Unreachable(path, error)),
        };
        let mut peer = Peer(stream);
        let hello =
            Message::Hello { protocol: PROTOCOL.to_owned(), version: VERSION, pid: std::process::id() };
        // If it has been refused already, the reason is there to be read.
        let said = peer.say(&hello, &[]).await;
        let mut sockets = Vec::new();
        loop {
            match peer.hear(LONGEST, PATIENCE).await {
                Ok((Message::Sockets { sockets: uses, more, pid }, descriptors)) => {
                    sockets.extend(uses.into_iter().zip(descriptors));
                    if !more {
                        return Ok(Some((Predecessor { peer, pid, tells_turns: false }, sockets)));
                    }
                }
                Ok((Message::Refused { reason }, _)) => return Err(TakeoverError::Refused(reason)),
                Ok((other, _)) => return Err(WireError::Unexpected(other.name()).into()),
                Err(error) => return Err(said.err().unwrap_or(error).into()),
            }
        }
    }

    /// As it numbers itself.
    pub(in crate::daemon) fn pid(&self) -> u32 {
        self.pid
    }

    /// Has it let go of what only one process can have; `None`: it has died, and this is a start as after a crash.
    ///
    /// # Errors
    ///
    /// If it does not let go.
    pub(in crate::daemon) async fn prepare(&mut self) -> Result<Option<Released>, TakeoverError> {
        let released = self.ask(&Message::Prepare, LONGEST_MEMORY, RELEASE, |message| match message {
            Message::Released { memory, tells_turns, since_reload } => {
                let since_reload = since_reload.map(Duration::from_millis);
                Ok((tells_turns, Released { memory, since_reload }))
            }
            other => Err(other),
        });
        let released = released.await?;
        self.tells_turns = released.as_ref().is_some_and(|(tells_turns, _)| *tells_turns);
        Ok(released.map(|(_, released)| released))
    }

    /// Whose turn it is there, at this moment; nothing where it does not know, or is gone. What is wrong with it comes
    /// to light when it is [relieved](Self::relieve).
    pub(in crate::daemon) async fn turns(&mut self) -> Option<Value> {
        if !self.tells_turns {
            return None;
        }
        let told = self.ask(&Message::Rotation, LONGEST_TURNS, PATIENCE, |message| match message {
            Message::Turns { turns } => Ok(turns),
            other => Err(other),
        });
        match told.await {
            Ok(turns) => turns,
            Err(error) => {
                tracing::warn!(process = self.pid, "rotations begin anywhere: {error}");
                None
            }
        }
    }

    /// Has it leave, now that this process answers.
    ///
    /// # Errors
    ///
    /// If it goes on instead.
    pub(in crate::daemon) async fn relieve(mut self) -> Result<(), TakeoverError> {
        let farewell = self.ask(&Message::Serving, LONGEST, PATIENCE, |message| match message {
            Message::Farewell => Ok(()),
            other => Err(other),
        });
        if farewell.await?.is_none() {
            tracing::warn!(process = self.pid, "the process before this one has died instead of leaving");
        }
        Ok(())
    }

    async fn ask<T>(
        &mut self,
        message: &Message,
        longest: usize,
        within: Duration,
        expected: impl FnOnce(Message) -> Result<T, Message>,
    ) -> Result<Option<T>, TakeoverError> {
        // Where nobody hears it any more, there may still be the reason to be read.
        match self.peer.say(message, &[]).await {
            Ok(()) | Err(WireError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        match self.peer.hear(longest, within).await {
            Ok((Message::Refused { reason }, _)) => Err(TakeoverError::Refused(reason)),
            Ok((heard, _)) => match expected(heard) {
                Ok(answer) => Ok(Some(answer)),
                Err(other) => Err(WireError::Unexpected(other.name()).into()),
            },
            Err(WireError::Closed) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Lets go of the state for the process that goes on, and waits for it: from here on this one, which answers for a
/// moment longer, writes nothing any more. `asks` is the way to its control loop.
pub(in crate::daemon) async fn give_back(
    asks: &mpsc::Sender<Ask>,
    estate: Option<(PathBuf, Journal)>,
    claim: Option<Claim>,
) {
    let (reply, suspended) = oneshot::channel();
    let quiet = async {
        // Without a control loop there is nobody who would write.
        let _ = asks.send(Ask::Suspend(reply)).await;
        suspended.await
    };
    // Longer than a disk that works takes; what is under way then finds the journal closed.
    let _ = timeout(QUIET, quiet).await;
    if let Some((_, journal)) = estate {
        // It waits for whoever writes to it.
        let _ = tokio::task::spawn_blocking(move || journal.suspend()).await;
    }
    drop(claim);
}
