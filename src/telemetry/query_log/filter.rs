//! Which queries are recorded: those with certain replies, those for names in certain zones.
//!
//! Whoever answers asks it before it copies anything into its ring. A writer that did would have to be given
//! everything, and a ring that is full of what nobody wants drops what is wanted; besides, to look at a
//! reply's header and at the labels of one name costs less than to copy the two messages.

use super::reply;
use crate::dns::{HEADER, MAX_LABEL, MAX_NAME, Name, Rcode};

/// Says which queries are wanted; the default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// A bit for each rcode by its number, the extended ones included; 0: whatever comes of a query.
    rcodes: u32,
    /// Empty: whatever is asked for.
    zones: Vec<Name>,
}

impl Filter {
    /// Wants the queries whose reply has one of `rcodes`, and whose name is one of `zones` or beneath it. An
    /// empty list wants all.
    pub fn new(rcodes: &[Rcode], zones: &[Name]) -> Self {
        let rcodes = rcodes.iter().fold(0, |all, rcode| all | bit(*rcode as u16));
        Filter { rcodes, zones: zones.to_vec() }
    }

    /// Whether it wants all.
    pub(super) fn wants_all(&self) -> bool {
        self.rcodes == 0 && self.zones.is_empty()
    }

    /// Whether it wants this query, with a reply that is empty if there was none. It allocates nothing.
    pub(super) fn wants(&self, query: &[u8], reply: &[u8]) -> bool {
        (self.rcodes == 0 || self.wants_reply(reply))
            && (self.zones.is_empty() || asked_name(query).is_some_and(|name| self.has(name)))
    }

    fn wants_reply(&self, reply: &[u8]) -> bool {
        let Some(header) = reply.first_chunk::<HEADER>() else { return false };
        let low = u16::from(header[3] & 0x0f);
        let are_wanted = [low, low + 16].map(|rcode| self.rcodes & bit(rcode) != 0);
        match are_wanted {
            [true, true] => true,
            [false, false] => false,
            // The header has four bits of it; which of the two it is, the OPT record says.
            _ => self.rcodes & bit(reply::rcode(reply)) != 0,
        }
    }

    /// Whether `name`, in whatever case, is one of the zones or beneath one.
    fn has(&self, name: &[u8]) -> bool {
        self.zones.iter().any(|zone| {
            let zone = zone.wire();
            let mut rest = name;
            while rest.len() > zone.len() {
                rest = &rest[1 + usize::from(rest[0])..];
            }
            // The lengths of labels are below those of letters.
            rest.eq_ignore_ascii_case(zone)
        })
    }
}

/// The bit of an rcode; none for what no reply of this server has.
fn bit(rcode: u16) -> u32 {
    1_u32.checked_shl(rcode.into()).unwrap_or(0)
}

/// The name in the first question, in wire form: of any query that has one, also if the rest of it cannot be
/// read or is not served.
fn asked_name(query: &[u8]) -> Option<&[u8]> {
    let (header, rest) = query.split_first_chunk::<HEADER>()?;
    if header[4..6] == [0, 0] {
        return None;
    }
    let mut at = 0;
    loop {
        let length = usize::from(*rest.get(at)?);
        at += 1 + length;
        if length > MAX_LABEL || at > MAX_NAME {
            return None;
        }
        if length == 0 {
            return Some(&rest[..at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Rtype, query_message};

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn query(text: &str) -> Vec<u8> {
        query_message(1, &name(text), Rtype::A, None)
    }

    /// A reply without a question, with an answer in front of its OPT record.
    fn reply(rcode: u16) -> Vec<u8> {
        let mut message = b"\0\x01\x84\0\0\0\0\x01\0\0\0\x01".to_vec();
        message[3] = (rcode & 0x0f) as u8;
        message.extend(b"\x01a\0\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01");
        message.extend([0, 0, 41, 4, 0xd0, (rcode >> 4) as u8, 0, 0, 0, 0, 0]);
        message
    }

    #[test]
    fn an_rcode_is_wanted_if_it_was_named_whatever_else_has_its_lower_bits() {
        for wanted in Rcode::ALL {
            let filter = Filter::new(&[wanted], &[]);
            assert!(!filter.wants_all());
            for found in Rcode::ALL {
                let is_wanted = filter.wants(&query("a.example"), &reply(found as u16));
                assert_eq!(is_wanted, found == wanted, "{found:?} where {wanted:?} is wanted");
            }
            assert!(!filter.wants(&query("a.example"), &[]), "no reply has no rcode");
        }
        let both = Filter::new(&[Rcode::NoError, Rcode::BadVers], &[]);
        assert!([0, 16].iter().all(|rcode| both.wants(&[], &reply(*rcode))));
        // Without an OPT record it is what the header says.
        assert!(Filter::new(&[Rcode::NoError], &[]).wants(&[], &reply(0)[..HEADER]));
    }

    #[test]
    fn a_zone_is_itself_and_all_beneath_in_any_case() {
        let filter = Filter::new(&[], &[name("ai.example"), name("other")]);
        for (asked, is_wanted) in [
            ("ai.example", true),
            ("a.b.c.ai.example", true),
            ("x.other", true),
            ("example", false),
            (".", false),
            ("xai.example", false),
            // Octets that end as the zone does, and labels that do not.
            (r"x\002ai\007example", false),
            ("ai.example.net", false),
        ] {
            let mut message = query(asked);
            assert_eq!(filter.wants(&message, &[]), is_wanted, "{asked}");
            message[HEADER..].make_ascii_uppercase();
            assert_eq!(filter.wants(&message, &[]), is_wanted, "{asked} in capitals");
        }
        assert!(Filter::new(&[], &[Name::root()]).wants(&query("whatever"), &[]));
    }

    #[test]
    fn both_have_to_be_so() {
        let filter = Filter::new(&[Rcode::NxDomain], &[name("ai.example")]);
        for (asked, rcode, is_wanted) in
            [("a.ai.example", 3, true), ("a.ai.example", 0, false), ("a.example", 3, false)]
        {
            assert_eq!(filter.wants(&query(asked), &reply(rcode)), is_wanted, "{asked}, {rcode}");
        }
        assert!(Filter::default().wants_all());
        assert!(Filter::default().wants(&[], &[]));
    }

    #[test]
    fn what_has_no_name_is_in_no_zone() {
        let filter = Filter::new(&[], &[Name::root()]);
        let whole = query("www.ai.example");
        let end = HEADER + name("www.ai.example").wire().len();
        for length in 0..whole.len() {
            assert_eq!(filter.wants(&whole[..length], &[]), length >= end, "{length} octets");
        }
        let mut none = whole.clone();
        none[5] = 0;
        let mut pointer = whole.clone();
        pointer[HEADER] = 0xc0;
        let long = [&whole[..HEADER], &[b"\x3f".to_vec(), vec![b'a'; 63]].concat().repeat(4), &[0]].concat();
        for message in [none, pointer, long] {
            assert!(!filter.wants(&message, &[]), "{message:?}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        let filter = Filter::new(&[Rcode::NoError], &[name("ai.example")]);
        for _ in 0..50_000 {
            let octets: Vec<u8> = (0..random.usize(..80)).map(|_| random.u8(..70)).collect();
            filter.wants(&octets, &octets);
        }
    }
}
