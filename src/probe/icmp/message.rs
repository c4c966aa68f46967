//! ICMP and ICMPv6: bytes and their meaning (RFC 792, RFC 4443).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of an echo request: the header and the token.
pub(super) const REQUEST: usize = 16;

/// The version of IP that a message travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// What distinguishes an echo request, and comes back in its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    pub(super) identifier: u16,
    pub(super) sequence: u16,
    pub(super) token: u64,
}

/// A message that says something of an echo request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// It was answered.
    Reply(Echo),
    /// It did not arrive. Of the request there need be no more than identifier and sequence.
    Undelivered { destination: IpAddr, identifier: u16, sequence: u16 },
}

/// The numbers of ICMP of one family.
struct Types {
    request: u8,
    reply: u8,
    unreachable: u8,
    time_exceeded: u8,
}

/// RFC 792.
const V4: Types = Types { request: 8, reply: 0, unreachable: 3, time_exceeded: 11 };
/// RFC 4443.
const V6: Types = Types { request: 128, reply: 129, unreachable: 1, time_exceeded: 3 };
/// Among the codes of unreachability, of ICMPv4 alone: a packet was too large for a link and must
/// not be fragmented. Ours are smaller than any link's limit, and who sends this has other motives.
const FRAGMENTATION_NEEDED: u8 = 4;

/// The protocol numbers (RFC 5237).
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

impl Family {
    pub(super) fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn types(self) -> Types {
        match self {
            Family::V4 => V4,
            Family::V6 => V6,
        }
    }
}

/// An echo request. The checksum of ICMPv6 covers addresses as well: the kernel fills it in.
pub(super) fn request(family: Family, echo: Echo) -> [u8; REQUEST] {
    let mut message = [0; REQUEST];
    message[0] = family.types().request;
    message[4..6].copy_from_slice(&echo.identifier.to_be_bytes());
    message[6..8].copy_from_slice(&echo.sequence.to_be_bytes());
    message[8..].copy_from_slice(&echo.token.to_be_bytes());
    if family == Family::V4 {
        let checksum = checksum(&message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    message
}

/// Reads a message as it comes from a socket; `has_header`: behind an IPv4 header, as raw sockets
/// of that version give it. `None`: it says nothing of an echo request.
pub(super) fn parse(family: Family, has_header: bool, datagram: &[u8]) -> Option<Message> {
    let message = match has_header {
        true => packet_v4(datagram)?.1,
        false => datagram,
    };
    let types = family.types();
    let (kind, code) = (*message.first()?, *message.get(1)?);
    if kind == types.reply {
        let (identifier, sequence) = numbers(message)?;
        let token = u64::from_be_bytes(*message.get(8..)?.first_chunk()?);
        return Some(Message::Reply(Echo { identifier, sequence, token }));
    }
    if !is_undelivered(family, kind, code) {
        return None;
    }
    let (destination, sent) = match family {
        Family::V4 => packet_v4(message.get(8..)?)?,
        Family::V6 => packet_v6(message.get(8..)?)?,
    };
    let (identifier, sequence) = request_numbers(family, sent)?;
    Some(Message::Undelivered { destination, identifier, sequence })
}

/// Whether a message of that type and code says that a packet did not arrive.
pub(super) fn is_undelivered(family: Family, kind: u8, code: u8) -> bool {
    let types = family.types();
    let is_of_size = family == Family::V4 && code == FRAGMENTATION_NEEDED;
    kind == types.unreachable && !is_of_size || kind == types.time_exceeded
}

/// Identifier and sequence of what begins with an echo request.
pub(super) fn request_numbers(family: Family, message: &[u8]) -> Option<(u16, u16)> {
    (*message.first()? == family.types().request).then(|| numbers(message))?
}

fn numbers(message: &[u8]) -> Option<(u16, u16)> {
    let &[first, second, third, fourth] = message.get(4..)?.first_chunk()?;
    Some((u16::from_be_bytes([first, second]), u16::from_be_bytes([third, fourth])))
}

/// Destination and content of an IPv4 packet that carries ICMP (RFC 791 section 3.1).
fn packet_v4(packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    let length = usize::from(*packet.first()? & 0x0f) * 4;
    let header = packet.get(..length).filter(|header| header.len() >= 20)?;
    let destination: [u8; 4] = *header[16..].first_chunk()?;
    (header[9] == ICMP).then(|| (Ipv4Addr::from(destination).into(), &packet[length..]))
}

/// Destination and content of an IPv6 packet that carries ICMPv6 (RFC 8200 section 3). Ours have no
/// extension headers.
fn packet_v6(packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (header, content) = packet.split_at_checked(40)?;
    let destination: [u8; 16] = *header[24..].first_chunk()?;
    (header[6] == ICMPV6).then(|| (Ipv6Addr::from(destination).into(), content))
}

/// The checksum of RFC 1071 over an even number of octets.
pub(super) fn checksum(message: &[u8]) -> u16 {
    let sum: u32 = message.as_chunks::<2>().0.iter().map(|&word| u32::from(u16::from_be_bytes(word))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    // A second carry is 1 at most.
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { identifier: 0x1234, sequence: 0xfffe, token: 0x0102_0304_0506_0708 };

    /// An IPv4 packet with `content`, to 192.0.2.1, with four octets of options.
    fn in_ipv4(protocol: u8, content: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x46; 1];
        packet.extend([0; 8]);
        packet.extend([protocol, 0, 0, 198, 51, 100, 1, 192, 0, 2, 1, 1, 1, 1, 1]);
        packet.extend(content);
        packet
    }

    /// An IPv6 packet with `content`, to 2001:db8::1.
    fn in_ipv6(next_header: u8, content: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next_header, 64];
        packet.extend([0; 16]);
        packet.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
        packet.extend(content);
        packet
    }

    fn as_reply(family: Family, mut message: [u8; REQUEST]) -> [u8; REQUEST] {
        message[0] = family.types().reply;
        message
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 1071 section 3: the sum is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        // With its checksum, a message sums up to nothing.
        assert_eq!(checksum(&request(Family::V4, ECHO)), 0);
        assert_eq!(checksum(&[0xff; REQUEST]), 0);
    }

    #[test]
    fn a_reply_brings_back_what_was_sent() {
        for family in [Family::V4, Family::V6] {
            let reply = as_reply(family, request(family, ECHO));
            assert_eq!(parse(family, false, &reply), Some(Message::Reply(ECHO)));
        }
        let reply = in_ipv4(ICMP, &as_reply(Family::V4, request(Family::V4, ECHO)));
        assert_eq!(parse(Family::V4, true, &reply), Some(Message::Reply(ECHO)));
    }

    #[test]
    fn an_error_names_what_did_not_arrive() {
        // Eight octets of the request are all that RFC 792 promises.
        let sent = |family| request(family, ECHO)[..8].to_vec();
        let error = |kind, code, packet: Vec<u8>| [vec![kind, code, 0, 0, 0, 0, 0, 0], packet].concat();
        let undelivered = |destination: &str| {
            let destination = destination.parse().expect("an address");
            let Echo { identifier, sequence, .. } = ECHO;
            Some(Message::Undelivered { destination, identifier, sequence })
        };
        let (v4, v6) = (in_ipv4(ICMP, &sent(Family::V4)), in_ipv6(ICMPV6, &sent(Family::V6)));
        for (family, datagram, expected) in [
            (Family::V4, error(3, 1, v4.clone()), undelivered("192.0.2.1")),
            (Family::V4, error(11, 0, v4.clone()), undelivered("192.0.2.1")),
            (Family::V4, error(3, FRAGMENTATION_NEEDED, v4.clone()), None),
            (Family::V4, error(5, 0, v4), None),
            (Family::V4, error(3, 1, in_ipv4(17, &sent(Family::V4))), None),
            (Family::V6, error(1, 4, v6.clone()), undelivered("2001:db8::1")),
            (Family::V6, error(3, 0, v6.clone()), undelivered("2001:db8::1")),
            (Family::V6, error(2, 0, v6), None),
            (Family::V6, error(1, 0, in_ipv6(6, &sent(Family::V6))), None),
        ] {
            assert_eq!(parse(family, false, &datagram), expected, "{datagram:?}");
        }
    }

    #[test]
    fn what_is_cut_short_says_nothing() {
        let mut error = vec![3, 1, 0, 0, 0, 0, 0, 0];
        error.extend(in_ipv4(ICMP, &request(Family::V4, ECHO)[..8]));
        let reply = as_reply(Family::V4, request(Family::V4, ECHO)).to_vec();
        for whole in [error, reply] {
            assert!(parse(Family::V4, false, &whole).is_some());
            for length in 0..whole.len() {
                assert_eq!(parse(Family::V4, false, &whole[..length]), None, "{length}");
                assert_eq!(parse(Family::V4, true, &whole[..length]), None, "{length}");
                assert_eq!(parse(Family::V6, false, &whole[..length]), None, "{length}");
            }
        }
        // A header that claims to be shorter than a header can be.
        assert_eq!(parse(Family::V4, true, &[0x41; 64]), None);
    }

    #[test]
    fn a_request_of_another_is_no_reply() {
        for family in [Family::V4, Family::V6] {
            assert_eq!(parse(family, false, &request(family, ECHO)), None);
        }
    }
}
