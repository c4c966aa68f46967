//! Sockets, bound and set up, not yet served.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::{mmsg, udp};
use crate::routing::Transport;

/// Octets asked for a UDP receive buffer; the kernel grants at most `net.core.rmem_max`. It
/// doubles the number and counts at least 768 octets a datagram: room for some 10,900 queries,
/// which one thread answers in about 20 ms. A burst fits; what waits longer has been asked again.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Octets asked for a UDP send buffer, likewise: some 2,700 replies on their way to the card.
const SEND_BUFFER: usize = 1 << 20;

/// Connections that the kernel completes before they are accepted: what comes in while the
/// acceptor is busy for a moment. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// With port 0, how often another port is tried when TCP cannot have the one that UDP was given.
/// One failure is rare; this many in a row have another cause.
const PORT_ATTEMPTS: usize = 16;

/// Why an address cannot be served.
#[derive(Debug)]
pub struct BindError {
    /// The address as configured.
    pub address: SocketAddr,
    /// Which of its two sockets failed.
    pub transport: Transport,
    /// What the kernel said.
    pub cause: io::Error,
}

impl BindError {
    /// What is likely behind it, in words for the operator.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.cause.raw_os_error()? {
            libc::EADDRINUSE => "another server holds this port",
            libc::EACCES => "ports below 1024 need CAP_NET_BIND_SERVICE or root",
            libc::EADDRNOTAVAIL => "no interface of this machine has this address",
            libc::EAFNOSUPPORT => "this machine does not have this version of IP",
            _ => return None,
        })
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        write!(f, "cannot listen on {} ({transport}): {}", self.address, self.cause)?;
        match self.hint() {
            Some(hint) => write!(f, ": {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

/// A socket of DNS that somebody else has bound: the process before this one, or the service manager.
#[derive(Debug)]
pub struct Bound {
    /// Where.
    pub address: SocketAddr,
    /// For which of the two.
    pub transport: Transport,
    /// The socket itself.
    pub socket: OwnedFd,
}

/// The sockets of one address: one of UDP for each worker and one TCP listener, or those that were
/// given.
pub(super) struct Endpoint {
    /// With the port that was chosen, if 0 was asked for.
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<Socket>,
    /// Whether those of UDP were given.
    pub(super) is_given: bool,
    pub(super) tcp: Vec<TcpListener>,
}

impl Endpoint {
    pub(super) fn bind(address: SocketAddr, workers: usize) -> Result<Self, BindError> {
        let failed = |transport| move |cause| BindError { address, transport, cause };
        let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            let (bound, udp) = bind_udp(address, workers).map_err(failed(Transport::Udp))?;
            match bind_tcp(bound) {
                Ok(tcp) => return Ok(Endpoint { address: bound, udp, is_given: false, tcp: vec![tcp] }),
                Err(cause) if attempts > 0 && cause.kind() == io::ErrorKind::AddrInUse => {}
                Err(cause) => return Err(failed(Transport::Tcp)(cause)),
            }
        }
    }

    /// The same with those of `given` that fit, which are taken out of it; what is missing is bound.
    ///
    /// All that are given are served, whatever the number of workers: the kernel goes on handing each
    /// of them its share of the clients.
    pub(super) fn beside(
        address: SocketAddr,
        workers: usize,
        given: &mut Vec<Bound>,
    ) -> Result<Self, BindError> {
        let mut take = |transport| {
            let is_wanted = |bound: &mut Bound| bound.transport == transport && bound.address == address;
            given.extract_if(.., is_wanted).collect::<Vec<Bound>>()
        };
        let (udp, tcp) = (take(Transport::Udp), take(Transport::Tcp));
        if udp.is_empty() && tcp.is_empty() {
            return Endpoint::bind(address, workers);
        }
        let failed = |transport| move |cause| BindError { address, transport, cause };
        let is_given = !udp.is_empty();
        let udp = match &udp[..] {
            [] => bind_udp(address, workers).map(|(_, sockets)| sockets),
            _ => udp.into_iter().map(|udp| given_udp(udp.socket, address)).collect(),
        };
        let udp = udp.map_err(failed(Transport::Udp))?;
        let tcp: io::Result<Vec<TcpListener>> = match &tcp[..] {
            [] => bind_tcp(address).map(|listener| vec![listener]),
            _ => tcp.into_iter().map(|tcp| given_tcp(tcp.socket)).collect(),
        };
        Ok(Endpoint { address, udp, is_given, tcp: tcp.map_err(failed(Transport::Tcp))? })
    }

    /// Each of its sockets once more.
    pub(super) fn copies(&self) -> io::Result<Vec<Bound>> {
        let bound = |transport, socket| Bound { address: self.address, transport, socket };
        let udp =
            self.udp.iter().map(|socket| Ok(bound(Transport::Udp, socket.as_fd().try_clone_to_owned()?)));
        let tcp =
            self.tcp.iter().map(|socket| Ok(bound(Transport::Tcp, socket.as_fd().try_clone_to_owned()?)));
        udp.chain(tcp).collect()
    }
}

/// Binds `workers` sockets to one address, among which the kernel divides the clients.
///
/// The first is bound before it is opened to sharing: so it fails if anyone else holds the
/// port, even one who would share it. Two daemons would each get a part of the queries and
/// neither would notice.
fn bind_udp(mut address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let first = udp_socket(address)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let bound = first.local_addr()?.as_socket();
    address.set_port(bound.expect("an internet socket has an internet address").port());

    let mut sockets = vec![first];
    for _ in 1..workers {
        let socket = udp_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket);
    }
    Ok((address, sockets))
}

fn udp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    set_up_udp(&socket, address)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    Ok(socket)
}

/// What each UDP socket needs, whoever has made it.
fn set_up_udp(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.ip().is_unspecified() {
        mmsg::tell_asked_address(socket.as_fd(), address.ip())?;
    }
    mmsg::ignore_path_mtu(socket.as_fd(), address.ip())?;
    socket.set_read_timeout(Some(udp::IDLE_WAKE))
}

fn given_udp(socket: OwnedFd, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::from(socket);
    // Nobody can change it any more.
    if address.is_ipv6() && address.ip().is_unspecified() && !socket.only_v6()? {
        return Err(io::Error::other(
            "the socket that was given is for IPv4 as well (BindIPv6Only=ipv6-only)",
        ));
    }
    // A thread sleeps in it.
    socket.set_nonblocking(false)?;
    set_up_udp(&socket, address)?;
    // Whoever has bound it may have been allowed more than the kernel grants to this process.
    let granted = udp_socket(address)?;
    if socket.recv_buffer_size()? < granted.recv_buffer_size()? {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    if socket.send_buffer_size()? < granted.send_buffer_size()? {
        socket.set_send_buffer_size(SEND_BUFFER)?;
    }
    Ok(socket)
}

fn given_tcp(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart need not wait for the connections that the last process closed.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
