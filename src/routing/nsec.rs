//! The names of a zone in canonical order, each with the NSEC record that says which one is next
//! (RFC 4034 section 4).

use super::signed::Link;
use crate::dns::{MAX_NAME, Name};

/// A zone's NSEC records, by name.
pub(super) struct NsecChain {
    /// The [`Key`]s of all owners, one behind the other.
    keys: Box<[u8]>,
    /// In canonical order: where the owner's key ends, and its record.
    links: Box<[(u32, Link)]>,
}

/// A name, written so that the canonical order of names (RFC 4034 section 6.1) is that of octets: labels from the right,
/// a zero behind each.
pub(super) struct Key {
    octets: [u8; Key::LONGEST],
    length: usize,
}

impl Key {
    /// Each octet of a name may take two, and `*` comes in front of some.
    const LONGEST: usize = 2 * MAX_NAME + 2;

    /// The key of a name in lowercase wire form.
    pub(super) fn of(wire: &[u8]) -> Key {
        let mut key = Key { octets: [0; Key::LONGEST], length: 0 };
        // A name of 255 octets has at most 127 labels.
        let mut starts = [0; MAX_NAME / 2];
        let mut labels = 0;
        let mut at = 0;
        while let (Some(&length @ 1..), Some(start)) = (wire.get(at), starts.get_mut(labels)) {
            *start = at;
            labels += 1;
            at += 1 + usize::from(length);
        }
        for &start in starts[..labels].iter().rev() {
            key.push(&wire[start + 1..][..usize::from(wire[start])]);
        }
        key
    }

    /// The key of `*` below a name.
    pub(super) fn of_wildcard_below(wire: &[u8]) -> Key {
        let mut key = Key::of(wire);
        key.push(b"*");
        key
    }

    fn push(&mut self, label: &[u8]) {
        let mut put = |octet| {
            if let Some(place) = self.octets.get_mut(self.length) {
                *place = octet;
                self.length += 1;
            }
        };
        for &octet in label {
            // A shorter label comes before a longer one that starts alike, even with a zero. So that a zero is larger
            // than the end of a label, it is written as two octets, and so is the next, to stay larger than that.
            if octet < 2 {
                put(1);
                put(octet + 1);
            } else {
                put(octet);
            }
        }
        put(0);
    }

    fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl NsecChain {
    /// The chain of these owners and records.
    pub(super) fn new<'n>(links: impl Iterator<Item = (&'n Name, Link)>) -> Self {
        let mut all: Vec<(Box<[u8]>, Link)> =
            links.map(|(owner, link)| (Key::of(owner.wire()).octets().into(), link)).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut keys = Vec::with_capacity(all.iter().map(|(key, _)| key.len()).sum());
        let links = all.into_iter().map(|(key, link)| {
            keys.extend_from_slice(&key);
            (keys.len() as u32, link)
        });
        NsecChain { links: links.collect(), keys: keys.into() }
    }

    /// The record of the last name that is not behind this one: that of the name itself, or the one that denies it.
    pub(super) fn at_or_before(&self, key: &Key) -> Option<Link> {
        let (mut low, mut high) = (0, self.links.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) <= key.octets() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1).map(|position| self.links[position].1)
    }

    fn key(&self, position: usize) -> &[u8] {
        let start = position.checked_sub(1).map_or(0, |before| self.links[before].0);
        &self.keys[start as usize..self.links[position].0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    /// RFC 4034 section 6.1, whose list this is but for the case of letters, and some that it would have if it were
    /// longer.
    const SORTED: [&str; 14] = [
        "example",
        "a.example",
        "yljkjljk.a.example",
        "z.a.example",
        r"z\000.a.example",
        r"z\000\000.a.example",
        r"z\000\001.a.example",
        r"z\001.a.example",
        r"z\002.a.example",
        "zabc.a.example",
        "z.example",
        r"\001.z.example",
        "*.z.example",
        r"\200.z.example",
    ];

    #[test]
    fn keys_are_in_canonical_order() {
        let keys: Vec<Vec<u8>> =
            SORTED.iter().map(|text| Key::of(name(text).wire()).octets().to_vec()).collect();
        assert!(keys.is_sorted_by(|one, next| one < next), "{keys:?}");
    }

    #[test]
    fn the_longest_names_have_keys_of_their_own() {
        let labels = [vec![0; 63], vec![0; 63], vec![0; 63], vec![1; 61]];
        let wire = |labels: &[Vec<u8>]| {
            let mut wire: Vec<u8> =
                labels.iter().flat_map(|label| [&[label.len() as u8][..], label].concat()).collect();
            wire.push(0);
            wire
        };
        let longest = wire(&labels);
        assert_eq!(longest.len(), MAX_NAME);
        let key = Key::of_wildcard_below(&longest);
        assert!(key.octets().ends_with(b"\0*\0"), "nothing was left out");
        let many = wire(&vec![vec![b'a']; 127]);
        assert_eq!(Key::of(&many).octets(), [b'a', 0].repeat(127));
    }

    #[test]
    fn every_name_is_found_and_every_other_denied_by_the_one_before() {
        let link = |position: usize| Link { records: position as u32, signatures: None };
        let names: Vec<Name> = SORTED.iter().map(|text| name(text)).collect();
        // In any order.
        let owners = names.iter().enumerate().rev().filter(|(position, _)| position % 2 == 0);
        let chain = NsecChain::new(owners.map(|(position, name)| (name, link(position))));
        for (position, name) in names.iter().enumerate() {
            let before = link(position - position % 2);
            assert_eq!(chain.at_or_before(&Key::of(name.wire())), Some(before), "{name}");
        }
        let wildcard = Key::of_wildcard_below(name("z.example").wire());
        assert_eq!(chain.at_or_before(&wildcard), Some(link(12)));
        assert_eq!(chain.at_or_before(&Key::of(&[0])), None);
    }
}
