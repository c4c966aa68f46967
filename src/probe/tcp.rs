//! TCP connections that end with the probe, and checks of type `tcp`.

use std::io;
use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::budget::Budget;
use crate::health::{Failure, Phase};
use crate::plan::TcpCheck;

/// As many octets are looked through for what is expected: what a server says first is shorter,
/// and each probe under way may hold this much.
const MAX_ANSWER: usize = 64 * 1024;

/// Connects, says what there is to say, and looks for what is expected.
pub(super) async fn probe(check: &TcpCheck, address: SocketAddr, budget: &mut Budget) -> Result<(), Failure> {
    let mut stream = connect(address, budget).await?;
    let Some(expected) = &check.expect else { return Ok(()) };
    let mut answer = Vec::new();
    let asking = async {
        if let Some(question) = &check.send {
            stream.write_all(question).await?;
        }
        stream.read_buf(&mut answer).await
    };
    let came = budget.spend(Phase::Response, asking).await?;
    if came == 0 {
        return Err(Failure::Closed);
    }
    let mut is_found = memmem::find(&answer, expected).is_some();
    let reading = async {
        while !is_found && answer.len() < MAX_ANSWER {
            // It may have begun in what came before.
            let start = (answer.len() + 1).saturating_sub(expected.len());
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
            answer.truncate(MAX_ANSWER);
            is_found = memmem::find(&answer[start..], expected).is_some();
        }
        Ok::<(), io::Error>(())
    };
    let end = budget.spend(Phase::Body, reading).await;
    match end {
        _ if is_found => Ok(()),
        // What came is an answer, if not the expected one, whether or not more would have come.
        Ok(()) | Err(Failure::TimedOut { .. }) => Err(Failure::Unexpected),
        Err(failure) => Err(failure),
    }
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
