//! A record made ready at load, to be copied into replies.

use super::header::CLASS_IN;
use super::reply::{compressible_names, split_name};
use super::{Name, Rtype};

/// A record at a zone's apex in wire form, its names compressed against the apex: where in the
/// message the apex stands is all that is left to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(super) octets: Box<[u8]>,
    /// The length of the apex.
    pub(super) apex_octets: usize,
    /// Where pointers stand, and how far behind the apex's first octet they point.
    pub(super) pointers: Box<[(u16, u16)]>,
}

impl Template {
    /// The record of `rtype` at `apex` with `data`; `None` if `data` is not of that type's form.
    pub fn new(apex: &Name, rtype: Rtype, ttl: u32, data: &[u8]) -> Option<Template> {
        let (before, names) = compressible_names(rtype);
        let (head, mut rest) = data.split_at_checked(before)?;
        let mut octets = vec![0, 0];
        let mut pointers = vec![(0, 0)];
        octets.extend(rtype.0.to_be_bytes());
        octets.extend(CLASS_IN.to_be_bytes());
        octets.extend(ttl.to_be_bytes());
        let length_at = octets.len();
        octets.extend([0, 0]);
        octets.extend(head);
        for _ in 0..names {
            let (name, behind) = split_name(rest)?;
            compress(name, apex.wire(), &mut octets, &mut pointers);
            rest = behind;
        }
        octets.extend(rest);
        let length = u16::try_from(octets.len() - length_at - 2).ok()?;
        octets[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        Some(Template { octets: octets.into(), apex_octets: apex.wire().len(), pointers: pointers.into() })
    }
}

/// Writes `name` with the longest suffix that it shares with `apex` as a pointer.
fn compress(name: &[u8], apex: &[u8], octets: &mut Vec<u8>, pointers: &mut Vec<(u16, u16)>) {
    let mut rest = name;
    while rest[0] != 0 {
        let mut shared = apex;
        while shared.len() > rest.len() {
            shared = &shared[1 + usize::from(shared[0])..];
        }
        if shared == rest {
            pointers.push((octets.len() as u16, (apex.len() - shared.len()) as u16));
            octets.extend([0, 0]);
            return;
        }
        let label = 1 + usize::from(rest[0]);
        octets.extend(&rest[..label]);
        rest = &rest[label..];
    }
    octets.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_point_into_the_apex_as_far_as_they_share_it() {
        let apex: Name = "ai.example.com".parse().expect("a name");
        let soa = |server: &str, contact: &str| {
            let names = [server, contact].map(|name| name.parse::<Name>().expect("a name"));
            let data = [names[0].wire(), names[1].wire(), &[7; 20]].concat();
            Template::new(&apex, Rtype::SOA, 5, &data).expect("a SOA")
        };
        // Owner, fixed part, "ns1" and a pointer, "hostmaster" and a pointer, numbers.
        let inside = soa("ns1.ai.example.com", "hostmaster.example.com");
        assert_eq!(*inside.pointers, [(0, 0), (16, 0), (29, 3)]);
        assert_eq!(inside.octets.len(), 2 + 10 + 6 + 13 + 20);
        assert_eq!(inside.octets[10..12], [0, 39]);
        let outside = soa("ns.other.net", ".");
        assert_eq!(*outside.pointers, [(0, 0)]);
    }

    #[test]
    fn data_of_another_form_makes_none() {
        let apex: Name = "example".parse().expect("a name");
        assert_eq!(Template::new(&apex, Rtype::SOA, 5, b"\x03ns1"), None);
    }
}
