//! Sockets that the service manager has bound (sd_listen_fds(3)).

use std::io;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::SockRef;

use super::Given;
use crate::config::Settings;
use crate::routing::Transport;
use crate::serve::Bound;

/// Sockets that nothing here is served on, by their addresses.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service manager has given sockets that fit nothing of the configuration: {}\nhint: each has to be in `[server] listen`, or what `[admin]` listens on",
    .0.join(", ")
)]
pub struct Unfitting(pub(super) Vec<String>);

impl Given {
    /// What this process was given at its start. Afterwards its environment says nothing of it, so that
    /// no program that it starts takes them for its own.
    pub(super) fn activated(settings: &Settings) -> io::Result<Self> {
        let mut descriptors = ListenFd::from_env();
        let mut given = Given { is_activated: true, ..Given::default() };
        for index in 0..descriptors.len() {
            // An error means that it is something else, and it is still there.
            if let Ok(Some(socket)) = descriptors.take_udp_socket(index) {
                let address = socket.local_addr()?;
                given.dns.push(Bound { address, transport: Transport::Udp, socket: socket.into() });
            } else if let Ok(Some(socket)) = descriptors.take_tcp_listener(index) {
                need_listening(SockRef::from(&socket))?;
                let address = socket.local_addr()?;
                match settings.admin.listen == address {
                    true => given.admin_tcp.push((address, socket)),
                    false => {
                        let socket = OwnedFd::from(socket);
                        given.dns.push(Bound { address, transport: Transport::Tcp, socket });
                    }
                }
            } else {
                let socket = descriptors.take_unix_listener(index)?;
                let Some(socket) = socket else { continue };
                need_listening(SockRef::from(&socket))?;
                let address = socket.local_addr()?;
                let path = address.as_pathname().map(Into::into).unwrap_or_default();
                given.admin_unix.push((path, socket, true));
            }
        }
        Ok(given)
    }
}

/// That it is not one connection, as with `Accept=yes`.
fn need_listening(socket: SockRef<'_>) -> io::Result<()> {
    if socket.is_listener()? {
        return Ok(());
    }
    Err(io::Error::other("the service manager has given a connection where a listener is needed (Accept=no)"))
}
