//! Batched datagrams: `recvmmsg` and `sendmmsg` over buffers allocated once.
#![allow(unsafe_code, reason = "no safe crate offers recvmmsg and sendmmsg with control messages")]

use std::io;
use std::mem::{self, offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use libc::{c_int, c_uint, socklen_t};

/// Datagrams per system call. Past a dozen the cost of the call itself is spread thin, while the first reply of a batch
/// waits for the last to be written. Less than half of what `net.core.skb_defer_max` is by default (64): once so many buffers
/// are to be given back to the core that they belong to, Linux interrupts it, which costs up to a tenth (bench/README.md).
pub(super) const BATCH: usize = 24;

/// Octets of the longest query that is read. Queries with every EDNS option in use stay under
/// 1,000; what is longer than the customary EDNS maximum is not meant for an authoritative server.
pub(super) const MAX_QUERY: usize = 4096;

/// Octets of the longest reply: what fits the minimum MTU of IPv6 (1,280) after the headers of
/// IPv6 (40) and UDP (8), so that no reply is ever fragmented (RFC 9715).
pub(super) const MAX_REPLY: usize = 1232;

/// Whether a receive call waits for a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For the first one, as long as the socket's receive timeout.
    ForOne,
    /// Not at all.
    Never,
}

/// A received datagram, and the room for its reply.
pub(super) struct Message<'a> {
    pub(super) source: IpAddr,
    pub(super) source_port: u16,
    /// The control message that came with it, if any, as the kernel has written it.
    control: &'a [u8],
    pub(super) query: &'a [u8],
    /// The query was longer than [`MAX_QUERY`] and is cut.
    pub(super) truncated: bool,
    pub(super) reply: &'a mut [u8; MAX_REPLY],
}

impl Message<'_> {
    /// The address that was asked, of a socket that was told to [`tell_asked_address`].
    pub(super) fn asked(&self) -> Option<IpAddr> {
        let number = |at: usize| Some(c_int::from_ne_bytes(*self.control.get(at..)?.first_chunk()?));
        let level = number(offset_of!(libc::cmsghdr, cmsg_level))?;
        let kind = number(offset_of!(libc::cmsghdr, cmsg_type))?;
        // The data is aligned as a length is (CMSG_DATA).
        let data = self.control.get(size_of::<libc::cmsghdr>().next_multiple_of(size_of::<usize>())..)?;
        match (level, kind) {
            // What replies leave from, which `ipi_addr` need not be (ip(7)).
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let octets: &[u8; 4] =
                    data.get(offset_of!(libc::in_pktinfo, ipi_spec_dst)..)?.first_chunk()?;
                Some(IpAddr::from(*octets))
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let octets: &[u8; 16] =
                    data.get(offset_of!(libc::in6_pktinfo, ipi6_addr)..)?.first_chunk()?;
                Some(IpAddr::from(*octets))
            }
            _ => None,
        }
    }
}

/// What became of the replies of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) taken: usize,
    pub(super) refused: usize,
}

/// The buffers of one worker: [`BATCH`] datagrams and their replies.
pub(super) struct Batch {
    /// [`BATCH`] slots, owned; raw because the headers point into them.
    slots: NonNull<Slot>,
    incoming: Box<[libc::mmsghdr]>,
    outgoing: Box<[libc::mmsghdr]>,
    received: usize,
    queued: usize,
}

struct Slot {
    source: libc::sockaddr_storage,
    control: Control,
    query_vector: libc::iovec,
    reply_vector: libc::iovec,
    query: [u8; MAX_QUERY],
    reply: [u8; MAX_REPLY],
}

/// Room for the one control message that is ever enabled, the asked address: 40 octets with
/// IPv6, 32 with IPv4.
#[repr(C, align(8))]
struct Control([u8; 64]);

// SAFETY: a batch owns its slots alone, and the pointers in its headers point into them or are
// null; nothing about it is tied to the thread that made it.
unsafe impl Send for Batch {}

impl Batch {
    pub(super) fn new() -> Self {
        // SAFETY: slots and headers are integers, arrays of them, and raw pointers: all zeroes
        // is a valid value.
        let slots: Box<[Slot]> = (0..BATCH).map(|_| unsafe { mem::zeroed() }).collect();
        let headers = || -> Box<[libc::mmsghdr]> {
            // SAFETY: as above.
            (0..BATCH).map(|_| unsafe { mem::zeroed() }).collect()
        };
        let slots = NonNull::new(Box::into_raw(slots).cast::<Slot>()).expect("a box is never null");
        let mut batch = Batch { slots, incoming: headers(), outgoing: headers(), received: 0, queued: 0 };
        for index in 0..BATCH {
            let slot = batch.slot(index);
            // SAFETY: `slot` points to a live slot of this batch, to which no reference exists.
            unsafe {
                (*slot).query_vector =
                    libc::iovec { iov_base: (&raw mut (*slot).query).cast(), iov_len: MAX_QUERY };
                (*slot).reply_vector = libc::iovec { iov_base: (&raw mut (*slot).reply).cast(), iov_len: 0 };
                let incoming = &mut batch.incoming[index].msg_hdr;
                incoming.msg_name = (&raw mut (*slot).source).cast();
                incoming.msg_iov = &raw mut (*slot).query_vector;
                incoming.msg_iovlen = 1;
                incoming.msg_control = (&raw mut (*slot).control).cast();
                let outgoing = &mut batch.outgoing[index].msg_hdr;
                outgoing.msg_iovlen = 1;
            }
        }
        batch.received = BATCH;
        batch
    }

    /// Receives up to [`BATCH`] datagrams, forgetting those received before, and returns how
    /// many came.
    ///
    /// # Errors
    ///
    /// Those of `recvmmsg`; `WouldBlock` when none came in time.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, wait: Wait) -> io::Result<usize> {
        // The kernel has written the lengths of what it received into the headers. One more is
        // reset, since a call that ends in an error may have begun to write the next.
        for header in &mut self.incoming[..(self.received + 1).min(BATCH)] {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as socklen_t;
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
            header.msg_hdr.msg_flags = 0;
        }
        self.received = 0;
        self.queued = 0;
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::Never => libc::MSG_DONTWAIT,
        };
        // SAFETY: `incoming` holds BATCH headers, whose name, vector and control pointers point
        // into the slots with the lengths of those fields. No reference into the slots exists,
        // since `answer_each` borrows the batch. The timeout may be null.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.as_mut_ptr(),
                BATCH as c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// The datagrams that were received, cut where they are too long.
    pub(super) fn queries(&self) -> impl Iterator<Item = &[u8]> {
        self.incoming[..self.received].iter().enumerate().map(|(index, header)| {
            let slot = self.slot(index);
            // SAFETY: `slot` points to a live slot, to which nothing is written while the batch is borrowed.
            let query = unsafe { &(*slot).query };
            &query[..(header.msg_len as usize).min(MAX_QUERY)]
        })
    }

    /// Hands each received datagram to `answer` and queues the reply that it wrote, if the
    /// returned length is not 0.
    pub(super) fn answer_each(&mut self, mut answer: impl FnMut(Message<'_>) -> usize) {
        self.queued = 0;
        for index in 0..self.received {
            let slot = self.slot(index);
            let header = &self.incoming[index];
            // SAFETY: `slot` points to a live slot, whose fields no other reference touches; the
            // kernel has filled those that are read, and the references end with this turn of
            // the loop.
            let (source, control, query, reply) =
                unsafe { (source(&(*slot).source), &(*slot).control.0, &(*slot).query, &mut (*slot).reply) };
            let Some((source, source_port)) = source else { continue };
            let written: usize = header.msg_hdr.msg_controllen as _;
            let length = answer(Message {
                source,
                source_port,
                control: &control[..written.min(control.len())],
                query: &query[..(header.msg_len as usize).min(MAX_QUERY)],
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                reply,
            });
            if length > 0 {
                self.queue(index, length.min(MAX_REPLY));
            }
        }
    }

    /// Sends what is queued. A message that the kernel refuses (no route, a firewall, no room)
    /// is skipped: the client asks again, and waiting would make all others wait.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>) -> Sent {
        let mut sent = Sent::default();
        while sent.taken + sent.refused < self.queued {
            let rest = &mut self.outgoing[sent.taken + sent.refused..self.queued];
            // SAFETY: each header of `rest` was filled by `queue`: its pointers point into the
            // slot of the datagram that it answers, with lengths that fit.
            let taken = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match taken {
                1.. => sent.taken += taken as usize,
                // The error is that of the first message; those after it are yet untried.
                _ if taken == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => {
                    sent.refused += 1;
                }
                _ => {}
            }
        }
        self.queued = 0;
        sent
    }

    /// Queues the first `length` octets of a slot's reply to its source.
    fn queue(&mut self, index: usize, length: usize) {
        let slot = self.slot(index);
        let incoming = &self.incoming[index].msg_hdr;
        // SAFETY: `slot` points to a live slot, to which no reference exists. `return_address`
        // reads the control message that the kernel wrote for this header.
        unsafe {
            (*slot).reply_vector.iov_len = length;
            let outgoing = &mut self.outgoing[self.queued].msg_hdr;
            outgoing.msg_name = (&raw mut (*slot).source).cast();
            outgoing.msg_namelen = incoming.msg_namelen;
            outgoing.msg_iov = &raw mut (*slot).reply_vector;
            outgoing.msg_controllen = return_address(incoming) as _;
            outgoing.msg_control = match outgoing.msg_controllen {
                0 => ptr::null_mut(),
                _ => (&raw mut (*slot).control).cast(),
            };
        }
        self.queued += 1;
    }

    fn slot(&self, index: usize) -> *mut Slot {
        assert!(index < BATCH);
        // SAFETY: `slots` points to BATCH slots in one allocation.
        unsafe { self.slots.as_ptr().add(index) }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let slots = ptr::slice_from_raw_parts_mut(self.slots.as_ptr(), BATCH);
        // SAFETY: this is the box that `new` took apart, with its length, and nothing uses the
        // headers that point into it any more.
        drop(unsafe { Box::from_raw(slots) });
    }
}

/// The address and port that a datagram came from; none if it is of neither family.
fn source(storage: &libc::sockaddr_storage) -> Option<(IpAddr, u16)> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which type it is, and a sockaddr_storage is at least as
            // large and as aligned as any of them.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some((IpAddr::V4(ip), u16::from_be(address.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some((IpAddr::V6(ip), u16::from_be(address.sin6_port)))
        }
        _ => None,
    }
}

/// Turns the control message that names the asked address into the one that sends the reply
/// from it, in place, and returns its length; 0 if there is none.
///
/// # Safety
///
/// `header` must be as `recvmmsg` left it, and no reference to its control buffer may exist.
unsafe fn return_address(header: &libc::msghdr) -> usize {
    const V4: c_uint = size_of::<libc::in_pktinfo>() as c_uint;
    const V6: c_uint = size_of::<libc::in6_pktinfo>() as c_uint;
    // SAFETY: the control buffer is aligned for a control message header, the kernel has written
    // `msg_controllen` octets of whole messages into it, and the length of the message is compared
    // before its data is touched.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        if message.is_null() {
            return 0;
        }
        let length = (*message).cmsg_len as c_uint;
        match ((*message).cmsg_level, (*message).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if length >= libc::CMSG_LEN(V4) => {
                // The source is taken from `ipi_spec_dst`, where the kernel put the asked
                // address. The route decides the interface: the way back need not be the way
                // the query came.
                let info = libc::CMSG_DATA(message).cast::<libc::in_pktinfo>();
                (*info).ipi_ifindex = 0;
                libc::CMSG_SPACE(V4) as usize
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if length >= libc::CMSG_LEN(V6) => {
                // A link-local address means nothing without its interface.
                let info = libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>();
                if !Ipv6Addr::from((*info).ipi6_addr.s6_addr).is_unicast_link_local() {
                    (*info).ipi6_ifindex = 0;
                }
                libc::CMSG_SPACE(V6) as usize
            }
            _ => 0,
        }
    }
}

/// Has the kernel tell with each datagram which address was asked, so that the reply leaves from
/// it: a socket bound to the wildcard address would otherwise send from the route's choice, and
/// the client would not know the reply for its own.
pub(super) fn tell_asked_address(socket: BorrowedFd<'_>, bound: IpAddr) -> io::Result<()> {
    match bound {
        IpAddr::V4(_) => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        IpAddr::V6(_) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Has the kernel ignore path MTUs that it was told by ICMP. A forged message could otherwise
/// make it fragment replies, and fragments can be replaced by an attacker who sees none of the
/// traffic (RFC 9715). Replies fit the minimum MTU of IPv6 without fragmenting.
pub(super) fn ignore_path_mtu(socket: BorrowedFd<'_>, bound: IpAddr) -> io::Result<()> {
    match bound {
        IpAddr::V4(_) => set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
        IpAddr::V6(_) => {
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
        }
    }
}

/// Of the sockets that share an address, has the kernel give this one what it receives on `core`; without one, its part of
/// the clients (`SO_INCOMING_CPU`, socket(7); among sockets of `SO_REUSEPORT` since Linux 6.2).
pub(super) fn prefer_core(socket: BorrowedFd<'_>, core: Option<usize>) -> io::Result<()> {
    const NO_CORE: c_int = -1;
    let core = core.map_or(NO_CORE, |core| core as c_int);
    set_option(socket, libc::SOL_SOCKET, libc::SO_INCOMING_CPU, core)
}

fn set_option(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open while it is borrowed, and the option's value is a c_int that
    // outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How many datagrams the kernel has dropped that were meant for `socket`, modulo 2^32: those for which there was no room in
/// its buffer, and those whose checksum was wrong.
pub(super) fn overflowed(socket: BorrowedFd<'_>) -> io::Result<u32> {
    /// What `SO_MEMINFO` brings, and which of it is the count of drops (linux/sock_diag.h).
    const MEMINFO: usize = 9;
    const DROPS: usize = 8;
    let mut values = [0_u32; MEMINFO];
    let mut length = size_of_val(&values) as socklen_t;
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes at most `length` octets to `values`, all
    // patterns of which are numbers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            (&raw mut values).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(values[DROPS]) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    /// A server socket that tells the asked address, and a batch of `count` datagrams received
    /// on it, all of them to be returned.
    fn queued(wildcard: &str, loopback: &str, count: usize) -> (UdpSocket, UdpSocket, Batch) {
        let server = UdpSocket::bind((wildcard, 0)).unwrap();
        let bound = server.local_addr().unwrap();
        tell_asked_address(server.as_fd(), bound.ip()).unwrap();
        ignore_path_mtu(server.as_fd(), bound.ip()).unwrap();
        let client = UdpSocket::bind((loopback, 0)).unwrap();
        client.connect((loopback, bound.port())).unwrap();
        for octet in 0..count {
            client.send(&[octet as u8; 20]).unwrap();
        }
        // Loopback delivers within the call that sends.
        let mut batch = Batch::new();
        assert_eq!(batch.receive(server.as_fd(), Wait::Never).unwrap(), count);
        let ahead: Vec<Vec<u8>> = batch.queries().map(<[u8]>::to_vec).collect();
        let mut ahead = ahead.iter();
        batch.answer_each(|message| {
            assert_eq!(ahead.next().map(Vec::as_slice), Some(message.query));
            assert_eq!(message.source, client.local_addr().unwrap().ip());
            assert_eq!(message.source_port, client.local_addr().unwrap().port());
            assert_eq!(message.asked(), Some(loopback.parse().unwrap()));
            message.reply[..message.query.len()].copy_from_slice(message.query);
            message.query.len()
        });
        (server, client, batch)
    }

    #[test]
    fn replies_carry_the_asked_address() {
        for (wildcard, loopback, control) in [("0.0.0.0", "127.0.0.1", 32), ("::", "::1", 40)] {
            let (server, client, mut batch) = queued(wildcard, loopback, 1);
            assert_eq!(batch.outgoing[0].msg_hdr.msg_controllen, control);
            assert_eq!(batch.send(server.as_fd()), Sent { taken: 1, refused: 0 });
            let mut reply = [0; 64];
            assert_eq!(client.recv(&mut reply).unwrap(), 20);
        }
    }

    #[test]
    fn a_refused_message_is_skipped_wherever_it_stands() {
        for refused in [vec![], vec![0], vec![2], vec![4], vec![0, 1, 3], vec![0, 1, 2, 3, 4]] {
            let (server, client, mut batch) = queued("0.0.0.0", "127.0.0.1", 5);
            for index in &refused {
                let slot = batch.slot(*index);
                // SAFETY: the slot is live, no reference to it exists, and its source is an IPv4
                // address. Broadcasts are refused unless the socket asks for them.
                unsafe { (*(&raw mut (*slot).source).cast::<libc::sockaddr_in>()).sin_addr.s_addr = !0 };
            }
            let taken = 5 - refused.len();
            assert_eq!(batch.send(server.as_fd()), Sent { taken, refused: refused.len() });
            for index in (0..5).filter(|index| !refused.contains(index)) {
                let mut reply = [0; 64];
                assert_eq!(client.recv(&mut reply).unwrap(), 20);
                assert_eq!(usize::from(reply[0]), index);
            }
        }
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let server = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        // The kernel makes it a few kilobytes.
        server.set_recv_buffer_size(1).unwrap();
        server.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let server = UdpSocket::from(server);
        let client = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(overflowed(server.as_fd()).unwrap(), 0);
        const SENT: u32 = 100;
        for _ in 0..SENT {
            client.send(&[0; 512]).unwrap();
        }
        let dropped = overflowed(server.as_fd()).unwrap();
        server.set_nonblocking(true).unwrap();
        let received = std::iter::from_fn(|| server.recv(&mut [0; 512]).ok()).count() as u32;
        assert!(dropped > 0 && received + dropped == SENT, "{received} received, {dropped} dropped");
    }

    #[test]
    fn a_batch_is_used_again_and_again() {
        let (server, client, mut batch) = queued("0.0.0.0", "127.0.0.1", BATCH);
        assert_eq!(batch.send(server.as_fd()).taken, BATCH);
        assert_eq!(batch.send(server.as_fd()), Sent::default(), "nothing is sent twice");
        let nothing = batch.receive(server.as_fd(), Wait::Never).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        batch.answer_each(|_| panic!("nothing was received"));

        client.send(&[1; MAX_QUERY]).unwrap();
        client.send(&[2; MAX_QUERY + 1]).unwrap();
        client.send(&[]).unwrap();
        assert_eq!(batch.receive(server.as_fd(), Wait::ForOne).unwrap(), 3);
        let ahead: Vec<usize> = batch.queries().map(<[u8]>::len).collect();
        assert_eq!(ahead, [MAX_QUERY, MAX_QUERY, 0], "what is received, and nothing of before");
        let mut seen = Vec::new();
        batch.answer_each(|mut message| {
            // However much of it there is.
            let whole = message.control;
            for length in 0..whole.len() {
                message.control = &whole[..length];
                let _ = message.asked();
            }
            message.control = &[];
            assert_eq!(message.asked(), None);
            seen.push((message.query.len(), message.truncated));
            usize::MAX
        });
        assert_eq!(seen, [(MAX_QUERY, false), (MAX_QUERY, true), (0, false)]);
        assert_eq!(batch.send(server.as_fd()).taken, 3);
        let mut reply = [0; 2 * MAX_REPLY];
        for _ in 0..BATCH {
            assert_eq!(client.recv(&mut reply).unwrap(), 20);
        }
        assert_eq!(client.recv(&mut reply).unwrap(), MAX_REPLY, "a length past the buffer is cut");
    }
}
