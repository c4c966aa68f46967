//! Checks of type `udp`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use memchr::memmem;
use tokio::net::UdpSocket;

use super::budget::Budget;
use crate::health::{Failure, Phase};
use crate::plan::UdpCheck;

/// No datagram is longer.
const MAX_DATAGRAM: usize = 65_535;

/// Sends a datagram to `address` and judges the first that comes back. The socket is connected:
/// nothing else than the address's own datagrams is taken, and its ICMP port unreachable is heard.
pub(super) async fn probe(check: &UdpCheck, address: SocketAddr, budget: &mut Budget) -> Result<(), Failure> {
    let exchange = async {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        // Where nobody listens, the kernel may have picked the very port that is asked.
        let local = socket.local_addr()?;
        if (local.ip(), local.port()) == (address.ip(), address.port()) {
            return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        }
        socket.send(&check.send).await?;
        let mut answer = Vec::with_capacity(MAX_DATAGRAM);
        socket.recv_buf(&mut answer).await?;
        Ok(answer)
    };
    let answer = budget.spend(Phase::Reply, exchange).await?;
    match memmem::find(&answer, &check.expect) {
        Some(_) => Ok(()),
        None => Err(Failure::Unexpected),
    }
}
