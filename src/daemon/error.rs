//! Why there is no daemon.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::destinations;
use super::takeover::{TakeoverError, Unfitting};
use crate::config::{Unfit, UnreadSecret, UnreadTokens};
use crate::serve::BindError;
use crate::store::{JournalError, Taken};
use crate::telemetry::NoTraces;

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A DNS socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin API cannot be served there.
    #[error("admin API: cannot listen on {0}: {1}")]
    Admin(SocketAddr, io::Error),
    /// The token file cannot be used.
    #[error("{}", match .1 {
        UnreadTokens::Unreadable(error) => format!("admin API: token file {}: {error}", .0.display()),
        UnreadTokens::Mistaken(mistakes) => format!("admin API: mistakes in the token file\n{mistakes}"),
    })]
    Tokens(PathBuf, UnreadTokens),
    /// The certificate cannot be used.
    #[error("admin API: tls: {0}")]
    Certificate(Unfit),
    /// The Unix socket cannot be had.
    #[error("admin API: socket {path}: {error}", path = .0.display(), error = .1)]
    Socket(PathBuf, io::Error),
    /// The file with the secrets of cookies cannot be used.
    #[error("cookie secret file {path}: {error}", path = .0.display(), error = .1)]
    CookieSecret(PathBuf, io::Error),
    /// Another daemon keeps its state there.
    #[error(transparent)]
    StateTaken(#[from] Taken),
    /// What was ordered of addresses cannot be read.
    #[error("edits: {0}\nhint: --ignore-edits starts without them, and puts the file aside")]
    Edits(#[from] JournalError),
    /// The daemon that runs is not to be taken over from.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// The service manager has given sockets that are not for this daemon.
    #[error(transparent)]
    Unfitting(#[from] Unfitting),
    /// Nobody can be told of the steps of the control path.
    #[error(transparent)]
    Traces(#[from] NoTraces),
    /// Secrets of a destination of notifications cannot be read.
    #[error("notifications: {}", destinations::listed(.0))]
    Notification(Vec<UnreadSecret>),
    /// The user to become is missing, or this process may not become it.
    #[error("cannot become user `{0}`: {1}")]
    User(String, io::Error),
    /// The operating system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A part of the daemon has ended on its own. Without its control loop it would answer for
    /// ever what was true at that moment; whoever watches over it should start it anew.
    #[error("a part of the daemon has ended unexpectedly; the log says which")]
    Ended,
}
