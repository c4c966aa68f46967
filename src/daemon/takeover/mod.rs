//! A new process takes over from the one that runs, and no query is lost.
//!
//! | new | old |
//! |---|---|
//! | reads its configuration; `Hello` | |
//! | | `Sockets`: each that DNS and the admin API are served on |
//! | binds what it was not given, reads tokens; `Prepare` | |
//! | | finishes changes, lets go of `state_dir`; `Released`, with what it believes |
//! | lays edits over the file, recalls, probes what nothing of today is known of; `Rotation` | goes on answering |
//! | | `Turns`: whose turn it is in each rotation |
//! | goes on from there, answers; `Serving` | goes on answering |
//! | | `Farewell` |
//! | accepts edits; reads its file again if the old process has done so after it had | answers the connections that it has until they pause, and ends |
//!
//! Sockets are shared: what is queued in them is answered by whoever reads it first, and both know what
//! is right. Whatever goes wrong before `Serving`, the old process goes on as if nobody had come: it has
//! its claim and its journal back, and the new one accepted no edit. The claim says who owns the state,
//! and the kernel takes it from whoever dies.
//!
//! Turns are asked for last, since the old process goes on taking them: what it answers in the moment from there to its
//! end, the new one does not know of.
//!
//! Not handed on, since nobody misses it: the accounts of the rate limit, the histories of probes, and what
//! counters have counted.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::oneshot;

use super::DaemonError;
use super::access::Door;
use crate::config::Settings;
use crate::routing::Transport;
use crate::serve::{Bound, Listeners};

mod activation;
mod new;
mod old;
mod protocol;
mod successor;
mod wire;

pub(super) use activation::Unfitting;
pub use new::TakeoverError;
pub(super) use new::{Predecessor, Released, give_back};
pub(super) use old::{Estate, FIRST_ROUND, Holding, Offer};
use protocol::Use;
pub(super) use successor::{Program, hang_up};

/// The name, in the state directory, of the socket by which another process takes over.
const FILE: &str = "takeover.sock";

/// What the control loop is asked.
pub(super) enum Ask {
    /// To finish the changes that were asked for, and have others wait; to tell how things stand then.
    Suspend(oneshot::Sender<Quiet>),
    /// To go on with those that wait.
    Resume,
    /// To refuse them: another process makes changes from now on.
    Leave,
}

/// How things stand when no change is under way.
pub(super) struct Quiet {
    /// What is believed of addresses.
    pub(super) memory: Value,
    /// When the configuration last began to be read anew; `None`: never since the start.
    pub(super) reloaded: Option<Instant>,
}

/// Sockets that somebody else has bound.
#[derive(Default)]
pub(super) struct Given {
    pub(super) dns: Vec<Bound>,
    admin_tcp: Vec<(SocketAddr, TcpListener)>,
    /// With whether the file is the service manager's.
    admin_unix: Vec<(PathBuf, UnixListener, bool)>,
    /// By the service manager, who expects that each is used.
    is_activated: bool,
}

impl Given {
    /// Those of the daemon that runs with the same state, if this is a `takeover` and there is one;
    /// otherwise those of the service manager.
    ///
    /// # Errors
    ///
    /// If the running daemon refuses, or what the manager has given is no socket.
    pub(super) async fn receive(
        settings: &Settings,
        takeover: bool,
    ) -> Result<(Self, Option<Predecessor>), DaemonError> {
        let activated = Given::activated(settings)?;
        if !takeover {
            return Ok((activated, None));
        }
        let Some((predecessor, sockets)) = Predecessor::meet(&settings.server.state_dir).await? else {
            tracing::info!("there is no daemon to take over from: a start like any other");
            return Ok((activated, None));
        };
        tracing::info!(process = predecessor.pid(), sockets = sockets.len(), "taking over");
        let mut given = Given::default();
        for (label, socket) in sockets {
            match label {
                Use::DnsUdp { address } => {
                    given.dns.push(Bound { address, transport: Transport::Udp, socket });
                }
                Use::DnsTcp { address } => {
                    given.dns.push(Bound { address, transport: Transport::Tcp, socket });
                }
                Use::AdminTcp { address } => given.admin_tcp.push((address, socket.into())),
                Use::AdminUnix { path, is_managers } => {
                    given.admin_unix.push((path, socket.into(), is_managers));
                }
                // Closed here; where a later version runs, it has it still.
                Use::Unknown => {}
            }
        }
        Ok((given, Some(predecessor)))
    }

    /// Takes the listener of the admin API that fits `configured`.
    pub(super) fn take_admin_tcp(&mut self, configured: SocketAddr) -> Option<TcpListener> {
        let at = self.admin_tcp.iter().position(|(address, _)| *address == configured)?;
        Some(self.admin_tcp.remove(at).1)
    }

    /// Takes that of its Unix socket at `path`, and whether the file is the service manager's.
    pub(super) fn take_admin_unix(&mut self, path: &Path) -> Option<(UnixListener, bool)> {
        let at = self.admin_unix.iter().position(|(there, ..)| there == path)?;
        let (_, listener, is_managers) = self.admin_unix.remove(at);
        Some((listener, is_managers))
    }

    /// Closes what was not taken.
    ///
    /// # Errors
    ///
    /// If the service manager has given it: somebody waits there for an answer.
    pub(super) fn finish(self) -> Result<(), Unfitting> {
        let dns = self.dns.iter().map(|bound| match bound.transport {
            Transport::Udp => format!("{} (UDP)", bound.address),
            Transport::Tcp => format!("{} (TCP)", bound.address),
        });
        let admin = self.admin_tcp.iter().map(|(address, _)| format!("{address} (TCP)"));
        let unix = self.admin_unix.iter().map(|(path, ..)| path.display().to_string());
        let left: Vec<String> = dns.chain(admin).chain(unix).collect();
        match (left.is_empty(), self.is_activated) {
            (true, _) => Ok(()),
            (false, true) => Err(Unfitting(left)),
            (false, false) => {
                tracing::info!(sockets = left.join(", "), "not served any more");
                Ok(())
            }
        }
    }
}

/// Every socket that the daemon serves, once more, with what it is for.
///
/// # Errors
///
/// If there are no descriptors left.
pub(super) fn copies(listeners: &Listeners, door: &Door) -> io::Result<Vec<(Use, OwnedFd)>> {
    let dns = listeners.copies()?.into_iter().map(|Bound { address, transport, socket }| match transport {
        Transport::Udp => (Use::DnsUdp { address }, socket),
        Transport::Tcp => (Use::DnsTcp { address }, socket),
    });
    let mut sockets: Vec<(Use, OwnedFd)> = dns.collect();
    if let Some(listener) = door.tcp() {
        let address = listener.local_addr()?;
        sockets.push((Use::AdminTcp { address }, listener.as_fd().try_clone_to_owned()?));
    }
    if let Some(socket) = door.socket() {
        let is_managers = socket.file().is_managers();
        let label = Use::AdminUnix { path: socket.path().to_owned(), is_managers };
        sockets.push((label, socket.listener().as_fd().try_clone_to_owned()?));
    }
    Ok(sockets)
}
