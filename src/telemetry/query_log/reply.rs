//! What a reply says, as far as a line of the log tells it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::{HEADER, MAX_NAME, Name, Rtype};

/// The answers that a line names; there may be more.
const MOST_ANSWERS: usize = 8;

/// The option code of the client subnet (RFC 7871 section 6).
const CLIENT_SUBNET: u16 = 8;

/// A reply in brief.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// With the upper bits from the OPT record (RFC 6891 section 6.1.3).
    pub(super) rcode: u16,
    /// The third and the fourth octet of the header.
    pub(super) flags: [u8; 2],
    /// The first addresses and names in the answer section.
    pub(super) answers: Vec<String>,
    /// How many records the answer section has.
    pub(super) answer_count: u16,
    /// The client subnet's scope.
    pub(super) scope: Option<u8>,
}

struct Record<'m> {
    rtype: Rtype,
    ttl: u32,
    /// Where its data starts in the message.
    start: usize,
    data: &'m [u8],
}

impl Reply {
    /// Reads `message`, one that this server has made, to where it can be read.
    pub(super) fn read(message: &[u8]) -> Reply {
        let mut reply = Reply::default();
        let Some(header) = message.first_chunk::<HEADER>() else { return reply };
        reply.flags = [header[2], header[3]];
        reply.rcode = u16::from(header[3] & 0x0f);
        reply.answer_count = u16::from_be_bytes([header[6], header[7]]);
        for (index, record) in records(message).enumerate() {
            if index < usize::from(reply.answer_count) && reply.answers.len() < MOST_ANSWERS {
                reply.answers.extend(record.text(message));
            }
            if record.rtype == Rtype::OPT {
                reply.rcode |= record.upper_rcode();
                reply.scope = scope(record.data);
            }
        }
        reply
    }
}

/// The rcode of `message` alone, with the upper bits from the OPT record. It allocates nothing.
pub(super) fn rcode(message: &[u8]) -> u16 {
    let low = message.get(3).map_or(0, |flags| u16::from(flags & 0x0f));
    let opt = records(message).find(|record| record.rtype == Rtype::OPT);
    low | opt.map_or(0, |opt| opt.upper_rcode())
}

/// The records of `message` behind its questions, to where they can be read.
fn records(message: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let counts = message.first_chunk::<HEADER>().map_or([0; 4], |header| {
        [4, 6, 8, 10].map(|at| u32::from(u16::from_be_bytes([header[at], header[at + 1]])))
    });
    let [questions, answers, authorities, additionals] = counts;
    let start = (0..questions).try_fold(HEADER, |at, _| Some(skip_name(message, at)? + 4));
    let mut at = start.unwrap_or(message.len());
    (0..answers + authorities + additionals).map_while(move |_| {
        let (record, behind) = Record::read(message, at)?;
        at = behind;
        Some(record)
    })
}

impl<'m> Record<'m> {
    /// Reads the record at `at`, and where it ends.
    fn read(message: &'m [u8], at: usize) -> Option<(Self, usize)> {
        let at = skip_name(message, at)?;
        let [t1, t2, _, _, l1, l2, l3, l4, d1, d2] = *message.get(at..)?.first_chunk()?;
        let start = at + 10;
        let end = start + usize::from(u16::from_be_bytes([d1, d2]));
        let rtype = Rtype(u16::from_be_bytes([t1, t2]));
        let ttl = u32::from_be_bytes([l1, l2, l3, l4]);
        Some((Record { rtype, ttl, start, data: message.get(start..end)? }, end))
    }

    /// Of an OPT record: the bits of the rcode that the header has no room for, where they belong.
    fn upper_rcode(&self) -> u16 {
        (self.ttl >> 24 << 4) as u16
    }

    /// The address or the name that it leads to; `None`: it is of another type.
    fn text(&self, message: &[u8]) -> Option<String> {
        match self.rtype {
            Rtype::A => Some(IpAddr::from(Ipv4Addr::from(*self.data.first_chunk()?)).to_string()),
            Rtype::AAAA => Some(IpAddr::from(Ipv6Addr::from(*self.data.first_chunk::<16>()?)).to_string()),
            Rtype::CNAME => name(message, self.start).map(|name| name.to_string()),
            _ => None,
        }
    }
}

/// The scope in an OPT record's data (RFC 7871 section 6).
fn scope(mut options: &[u8]) -> Option<u8> {
    while let [c1, c2, l1, l2, rest @ ..] = options {
        let (data, behind) = rest.split_at_checked(u16::from_be_bytes([*l1, *l2]).into())?;
        if u16::from_be_bytes([*c1, *c2]) == CLIENT_SUBNET {
            return data.get(3).copied();
        }
        options = behind;
    }
    None
}

/// Where the name at `at` ends, which may end in a pointer (RFC 1035 section 4.1.4).
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            length => at += 1 + length,
        }
    }
}

/// The name at `at`, wherever its parts are.
fn name(message: &[u8], mut at: usize) -> Option<Name> {
    let mut wire = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        if length >= 0xc0 {
            let target = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
            // Backwards only, so that there is an end.
            if target >= at {
                return None;
            }
            at = target;
            continue;
        }
        wire.extend(message.get(at..=at + length)?);
        if length == 0 || wire.len() > MAX_NAME {
            return Name::from_wire(&wire);
        }
        at += 1 + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply with a compressed alias, addresses of both families, and an OPT record.
    fn reply() -> Vec<u8> {
        let mut message = b"\x12\x34\x85\x00\0\x01\0\x03\0\0\0\x01".to_vec();
        message.extend(b"\x03www\x02ai\x07example\0\0\x01\0\x01");
        // www is an alias of cdn, of the same domain.
        message.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x06\x03cdn\xc0\x10");
        message.extend(b"\xc0\x2d\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01");
        message.extend(b"\xc0\x2d\0\x1c\0\x01\0\0\0\x05\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
        message.extend(b"\0\0\x29\x04\xd0\x01\0\0\0\0\x0b\0\x08\0\x07\0\x01\x18\x10\xcb\0\x71");
        message
    }

    #[test]
    fn it_tells_what_is_in_a_reply() {
        let expected = Reply {
            rcode: 16,
            flags: [0x85, 0],
            answers: ["cdn.ai.example", "192.0.2.1", "2001:db8::1"].map(str::to_owned).to_vec(),
            answer_count: 3,
            scope: Some(16),
        };
        assert_eq!(Reply::read(&reply()), expected);
        assert_eq!(rcode(&reply()), expected.rcode);
    }

    #[test]
    fn no_octets_make_it_panic_or_hang() {
        let whole = reply();
        for length in 0..whole.len() {
            Reply::read(&whole[..length]);
            rcode(&whole[..length]);
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..50_000 {
            let mut message = whole.clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..message.len());
                message[at] = random.u8(..);
            }
            assert_eq!(Reply::read(&message).rcode & 0x0f, rcode(&message) & 0x0f);
        }
    }
}
