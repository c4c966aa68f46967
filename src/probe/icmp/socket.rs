//! The sockets that ICMP goes through.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::super::cause;
use super::super::unguessable;
use super::message::{self, Echo, Family, Message};
use crate::health::{Failure, LocalFailure};

/// Replies to ten thousand requests that come at once, at some 800 octets of kernel memory each.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// A request is tried so often. An error that came in for another one is told to whoever sends
/// next (sk_err of Linux holds the last of them): only one that persists is of this request.
const TRIES: u32 = 4;

/// A socket that sends echo requests of one IP version.
///
/// Where the system lets this process's group have one (net.ipv4.ping_group_range), it is of the
/// kind that needs no privilege: it can send nothing but echo requests, and is told of nothing but
/// what becomes of them. Otherwise it is a raw one, which needs CAP_NET_RAW.
pub(super) struct Socket {
    /// A datagram socket to tokio, whatever datagrams are to the kernel.
    socket: UdpSocket,
    family: Family,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The kernel chooses the identifier and gives us only what has it.
    Unprivileged,
    /// All ICMP of the host comes by; ours has this identifier.
    Raw { identifier: u16 },
}

impl Socket {
    /// Opens a socket of the kind that can be had.
    ///
    /// # Errors
    ///
    /// [`LocalFailure::NoIcmp`] if neither can.
    pub(super) fn open(family: Family) -> Result<Self, LocalFailure> {
        let unprivileged = Self::open_as(family, Kind::Unprivileged);
        let opened = unprivileged.or_else(|_| {
            let identifier = unguessable::number() as u16;
            Self::open_as(family, Kind::Raw { identifier })
        });
        opened.map_err(|error| match (error.kind(), cause::failure(&error)) {
            (ErrorKind::PermissionDenied, _) => LocalFailure::NoIcmp,
            (_, Some(Failure::Local(reason))) => reason,
            _ => LocalFailure::System(error.to_string()),
        })
    }

    pub(super) fn open_as(family: Family, kind: Kind) -> io::Result<Self> {
        let (domain, protocol) = match family {
            Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
            Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket_type = match kind {
            Kind::Unprivileged => Type::DGRAM,
            Kind::Raw { .. } => Type::RAW,
        };
        let socket = socket2::Socket::new(domain, socket_type, Some(protocol))?;
        socket.set_nonblocking(true)?;
        // Less is what the system allows then.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        if kind == Kind::Unprivileged {
            // Errors come in a queue of their own, with what they are about. A raw socket is given
            // the messages themselves.
            match family {
                Family::V4 => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
                Family::V6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
            }
        }
        Ok(Socket { socket: UdpSocket::from_std(socket.into())?, family, kind })
    }

    #[cfg(test)]
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether that is the identifier of what is sent here.
    pub(super) fn is_own(&self, identifier: u16) -> bool {
        match self.kind {
            Kind::Unprivileged => true,
            Kind::Raw { identifier: own } => identifier == own,
        }
    }

    /// Sends a request. False: the kernel has no room for it at the moment.
    pub(super) fn send(&self, ip: IpAddr, sequence: u16, token: u64) -> Result<bool, Failure> {
        let identifier = match self.kind {
            Kind::Unprivileged => 0,
            Kind::Raw { identifier } => identifier,
        };
        let request = message::request(self.family, Echo { identifier, sequence, token });
        let mut failure = Failure::Unreachable;
        for _ in 0..TRIES {
            match self.socket.try_send_to(&request, SocketAddr::new(ip, 0)) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => failure = cause::failure(&error).unwrap_or(Failure::Unreachable),
            }
        }
        Err(failure)
    }

    /// The next message, and whom it is from; `None` if what has come says nothing.
    pub(super) async fn receive(&self) -> Option<(IpAddr, Message)> {
        let interest = Interest::READABLE | Interest::ERROR;
        let ready = self.socket.ready(interest).await.ok()?;
        if ready.is_error()
            && let Ok(undelivered) = self.socket.try_io(Interest::ERROR, || self.read_error())
        {
            return undelivered;
        }
        // What it is about ends with the token, be it an answer or an error behind two headers.
        let mut buffer = [0; 256];
        let (length, from) = self.socket.try_recv_from(&mut buffer).ok()?;
        let has_header = self.family == Family::V4 && self.kind != Kind::Unprivileged;
        Some((from.ip(), message::parse(self.family, has_header, &buffer[..length])?))
    }

    /// The next of the queue of errors, whose content is the request that did not arrive.
    fn read_error(&self) -> io::Result<Option<(IpAddr, Message)>> {
        let mut buffer = [0; 256];
        let mut content = [IoSliceMut::new(&mut buffer)];
        let mut control = cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        let flags = MsgFlags::MSG_ERRQUEUE;
        let error =
            recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut content, Some(&mut control), flags)?;
        let is_undelivered = error.cmsgs()?.any(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _) => {
                error.ee_origin == libc::SO_EE_ORIGIN_ICMP
                    && message::is_undelivered(self.family, error.ee_type, error.ee_code)
            }
            ControlMessageOwned::Ipv6RecvErr(error, _) => {
                error.ee_origin == libc::SO_EE_ORIGIN_ICMP6
                    && message::is_undelivered(self.family, error.ee_type, error.ee_code)
            }
            _ => false,
        });
        let destination = error.address.and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        });
        let length = error.bytes;
        let numbers = message::request_numbers(self.family, &buffer[..length]);
        Ok(match (is_undelivered, destination, numbers) {
            (true, Some(destination), Some((identifier, sequence))) => {
                Some((destination, Message::Undelivered { destination, identifier, sequence }))
            }
            _ => None,
        })
    }
}
