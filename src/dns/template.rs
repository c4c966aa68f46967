//! A record made ready at load, to be copied into replies.

use super::header::CLASS_IN;
use super::reply::{compressible_names, split_name};
use super::{Name, Rtype};

/// A record at a zone's apex in wire form, its names compressed against the apex: where in the
/// message the apex stands is all that is left to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(super) octets: Box<[u8]>,
    pub(super) ttl: u32,
    /// The length of the apex.
    pub(super) apex_octets: usize,
    pub(super) pointers: Box<[Pointer]>,
}

/// Where the TTL stands in a template: behind the pointer to its owner, type and class.
pub(super) const TTL_AT: usize = 6;

/// A compression pointer to be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Where it stands in the record.
    pub(super) at: u16,
    /// What it points into.
    pub(super) into: Into,
    /// How far behind the first octet of that.
    pub(super) behind: u16,
}

/// What a pointer points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Into {
    /// The apex in the question.
    Apex,
    /// The record itself, where an earlier name ends alike.
    Record,
}

impl Template {
    /// The record of `rtype` at `apex` with `data`; `None` if `data` is not of that type's form.
    pub fn new(apex: &Name, rtype: Rtype, ttl: u32, data: &[u8]) -> Option<Template> {
        let (before, names) = compressible_names(rtype);
        let (head, mut rest) = data.split_at_checked(before)?;
        let mut octets = vec![0, 0];
        let mut pointers = vec![Pointer { at: 0, into: Into::Apex, behind: 0 }];
        let mut written = Vec::new();
        octets.extend(rtype.0.to_be_bytes());
        octets.extend(CLASS_IN.to_be_bytes());
        octets.extend(ttl.to_be_bytes());
        let length_at = octets.len();
        octets.extend([0, 0]);
        octets.extend(head);
        for _ in 0..names {
            let (name, behind) = split_name(rest)?;
            if let Some(pointer) = compress(name, apex.wire(), &mut octets, &mut written) {
                pointers.push(pointer);
            }
            rest = behind;
        }
        octets.extend(rest);
        let length = u16::try_from(octets.len() - length_at - 2).ok()?;
        octets[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        Some(Template {
            octets: octets.into(),
            ttl,
            apex_octets: apex.wire().len(),
            pointers: pointers.into(),
        })
    }
}

/// Writes `name` with the longest suffix that it shares with `apex`, or with a name that was
/// written before, as a pointer. `written` has every such suffix and where it stands.
fn compress<'d>(
    name: &'d [u8],
    apex: &[u8],
    octets: &mut Vec<u8>,
    written: &mut Vec<(&'d [u8], u16)>,
) -> Option<Pointer> {
    let mut rest = name;
    while rest[0] != 0 {
        let at = octets.len() as u16;
        let mut shared = apex;
        while shared.len() > rest.len() {
            shared = &shared[1 + usize::from(shared[0])..];
        }
        let into_apex = (shared == rest).then(|| (Into::Apex, (apex.len() - shared.len()) as u16));
        let into_record =
            || written.iter().find(|(suffix, _)| *suffix == rest).map(|(_, at)| (Into::Record, *at));
        if let Some((into, behind)) = into_apex.or_else(into_record) {
            octets.extend([0, 0]);
            return Some(Pointer { at, into, behind });
        }
        written.push((rest, at));
        let label = 1 + usize::from(rest[0]);
        octets.extend(&rest[..label]);
        rest = &rest[label..];
    }
    octets.push(0);
    None
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
        let pointer = |at, into, behind| Pointer { at, into, behind };
        let owner = pointer(0, Into::Apex, 0);
        // Owner, fixed part, "ns1" and a pointer, "hostmaster" and a pointer, numbers.
        let inside = soa("ns1.ai.example.com", "hostmaster.example.com");
        assert_eq!(*inside.pointers, [owner, pointer(16, Into::Apex, 0), pointer(29, Into::Apex, 3)]);
        assert_eq!(inside.octets.len(), 2 + 10 + 6 + 13 + 20);
        assert_eq!(inside.octets[10..12], [0, 39]);
        // "ns", "other", "net" and the root, then "me" and a pointer to "other".
        let outside = soa("ns.other.net", "me.other.net");
        assert_eq!(*outside.pointers, [owner, pointer(12 + 14 + 3, Into::Record, 12 + 3)]);
    }

    #[test]
    fn data_of_another_form_makes_none() {
        let apex: Name = "example".parse().expect("a name");
        assert_eq!(Template::new(&apex, Rtype::SOA, 5, b"\x03ns1"), None);
    }
}
