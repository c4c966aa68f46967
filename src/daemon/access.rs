//! Who may use the admin API: its sockets, its certificate and its tokens.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::takeover::Given;
use super::{ADMIN_DRAIN, DaemonError};
use crate::admin::{self, Access, Listener, Socket, Tls};
use crate::config::{AdminSettings, FilesRead, Tokens, UnreadTokens, read_tokens};

/// The admin API's door, as it stands at the start.
pub(super) struct Door {
    pub(super) listeners: Vec<Listener>,
    pub(super) keys: Keys,
}

/// What of it is read again at a reload.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) access: Arc<Access>,
    token_file: Option<PathBuf>,
    tls: Option<Arc<Tls>>,
}

impl Door {
    /// Opens what `settings` name, for the process as it is, and for `user` if it becomes another; with
    /// those sockets of `given` that fit.
    ///
    /// # Errors
    ///
    /// If something cannot be had, or read, or has a mistake.
    pub(super) async fn open(
        settings: &AdminSettings,
        user: Option<&str>,
        given: &mut Given,
    ) -> Result<Self, DaemonError> {
        let AdminSettings { listen, token_file, tls, socket } = settings;
        let tokens = match token_file {
            Some(path) => Some(read_tokens(path).map_err(|error| DaemonError::Tokens(path.clone(), error))?),
            None => None,
        };
        if tokens.is_some() && tls.is_none() && !listen.ip().is_loopback() {
            tracing::warn!(%listen, "the admin API has no `tls`: whoever is in between reads the tokens");
        }
        let tls = match tls {
            Some(files) => Some(Arc::new(Tls::start(files.clone()).map_err(DaemonError::Certificate)?)),
            None => None,
        };
        let tcp = match given.take_admin_tcp(*listen) {
            Some(listener) => adopt(listener),
            None => TcpListener::bind(listen).await,
        };
        let tcp = tcp.map_err(|error| DaemonError::Admin(*listen, error))?;
        let mut listeners = vec![Listener::Tcp(tcp, tls.clone())];
        if let Some(settings) = socket {
            let socket = match given.take_admin_unix(&settings.path) {
                Some((listener, is_managers)) => Socket::adopt(listener, settings, user, is_managers),
                None => Socket::bind(settings, user),
            };
            let socket = socket.map_err(|error| DaemonError::Socket(settings.path.clone(), error))?;
            listeners.push(Listener::Unix(socket));
        }
        let keys = Keys { access: Arc::new(Access::new(tokens)), token_file: token_file.clone(), tls };
        Ok(Door { listeners, keys })
    }
}

impl Door {
    /// Where it is served over TCP: at `configured`, but for a port that the system has chosen.
    pub(super) fn address(&self, configured: SocketAddr) -> io::Result<SocketAddr> {
        self.tcp().map_or(Ok(configured), TcpListener::local_addr)
    }

    /// What listens there.
    pub(super) fn tcp(&self) -> Option<&TcpListener> {
        self.listeners.iter().find_map(|listener| match listener {
            Listener::Tcp(listener, _) => Some(listener),
            Listener::Unix(_) => None,
        })
    }

    /// The Unix socket, if there is one.
    pub(super) fn socket(&self) -> Option<&Socket> {
        self.listeners.iter().find_map(|listener| match listener {
            Listener::Unix(socket) => Some(socket),
            Listener::Tcp(..) => None,
        })
    }
}

impl Keys {
    /// Adds the tokens, as this process can read them, to the files that a reload reads.
    pub(super) fn note_tokens(&self, files: &mut FilesRead) {
        if let Some(path) = &self.token_file {
            // What is wrong with them is told by whoever needs them.
            let _ = files.read(path);
        }
    }

    /// Reads the tokens anew; `None`: there are none, or it is not for this process to read them
    /// again, which has given up its privileges. So is the certificate, of which no mistake is one
    /// of the configuration: it stays, and the log says so.
    ///
    /// # Errors
    ///
    /// In words, if the file has mistakes or cannot be read.
    pub(super) fn read_anew(&self) -> Result<Option<Tokens>, String> {
        if let Some(tls) = &self.tls {
            tls.read_anew();
        }
        let Some(path) = &self.token_file else { return Ok(None) };
        match read_tokens(path) {
            Ok(tokens) => Ok(Some(tokens)),
            Err(UnreadTokens::Unreadable(error)) if error.kind() == ErrorKind::PermissionDenied => {
                tracing::warn!(path = %path.display(), "cannot read the tokens again: they stay");
                Ok(None)
            }
            Err(error @ UnreadTokens::Unreadable(_)) => Err(format!("{}: {error}", path.display())),
            Err(error @ UnreadTokens::Mistaken(_)) => Err(error.to_string()),
        }
    }
}

fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves the admin API until `stopped`, and a little longer for those who are not done.
pub(super) async fn run_admin(
    listeners: Vec<Listener>,
    context: admin::Context,
    mut stopped: watch::Receiver<bool>,
) {
    let served = admin::serve(listeners, context, stopped.clone());
    let overdue = async move {
        // An error means that the daemon is gone, which is a stop as well.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        tokio::time::sleep(ADMIN_DRAIN).await;
    };
    tokio::select! {
        () = served => {}
        () = overdue => {}
    }
}
