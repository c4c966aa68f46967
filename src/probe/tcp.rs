//! TCP connections that end with the probe.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

use super::budget::Budget;
use crate::health::{Failure, Phase};

/// Connects, and no more.
pub(super) async fn probe(address: SocketAddr, budget: &mut Budget) -> Result<(), Failure> {
    connect(address, budget).await.map(drop)
}

/// Connects to `address`.
///
/// The connection will end with a reset and not with a FIN. The prober closes first, and the side
/// that does so holds the connection in TIME_WAIT for a minute: at ten probes per second that is
/// 600 local ports per address, and with some hundred addresses more than the kernel keeps. After
/// a reset there is nothing to wait for, here, at the address or in a firewall between. Nothing is
/// lost by it, as the probe has read all it wants to know.
pub(super) async fn connect(address: SocketAddr, budget: &mut Budget) -> Result<TcpStream, Failure> {
    let connecting = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_zero_linger()?;
        socket.set_nodelay(true)?;
        let stream = socket.connect(address).await?;
        if is_own_end(&stream, address)? {
            return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        }
        Ok(stream)
    };
    budget.spend(Phase::Connect, connecting).await
}

/// Whether the connection leads back to this very socket. TCP lets a socket connect to itself
/// (RFC 9293 section 3.5, simultaneous open), and where the address is this host's and nobody
/// listens, the kernel sooner or later picks the port that is being connected to.
fn is_own_end(stream: &TcpStream, address: SocketAddr) -> io::Result<bool> {
    let local = stream.local_addr()?;
    Ok(local.port() == address.port() && local.ip() == address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_met_itself_is_noticed() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = socket.local_addr().expect("is bound");
        let stream = socket.connect(address).await.expect("simultaneous open");
        assert!(is_own_end(&stream, address).expect("is connected"));
    }
}
