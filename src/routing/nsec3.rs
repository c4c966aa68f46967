//! The names of a zone in the order of their hashes (RFC 5155).

use std::collections::HashMap;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::names::NameIndex;
use super::signed::Link;
use crate::dns::Name;

/// Octets of a hash: SHA-1's.
const HASH: usize = 20;
/// The one algorithm there is (RFC 5155 section 11).
const SHA1: u8 = 1;

/// How a zone's names are hashed (RFC 5155 section 5).
#[derive(Clone, PartialEq)]
pub(super) struct Hashing {
    salt: Box<[u8]>,
    /// How often a hash is hashed again.
    iterations: u16,
}

/// A zone's NSEC3 records, by hash, and which of them prove what of its names.
pub(super) struct Nsec3Chain {
    hashing: Hashing,
    /// In the order of hashes.
    links: Box<[([u8; HASH], Link)]>,
    /// In the order of nodes.
    proofs: Box<[NodeProof]>,
}

/// What there is to say of a name that exists, made ready: positions in the list of links.
#[derive(Clone, Copy)]
struct NodeProof {
    node: u32,
    /// The record of the name; with opt-out, if it has none, that of the name closest above that has one.
    closest: u32,
    /// In the latter case, the record that denies the name one label below that one.
    next: Option<u32>,
    /// The record of the wildcard below, or the one that denies it.
    wildcard: u32,
}

impl Hashing {
    /// What the data of an NSEC3 or NSEC3PARAM record says; `None`: it is hashed by an unknown algorithm.
    pub(super) fn of(rdata: &[u8]) -> Option<Hashing> {
        let [SHA1, _flags, high, low, salt_length, rest @ ..] = rdata else { return None };
        let salt = rest.get(..usize::from(*salt_length))?;
        Some(Hashing { salt: salt.into(), iterations: u16::from_be_bytes([*high, *low]) })
    }

    /// The hash of a name in lowercase wire form (RFC 5155 section 5).
    fn hash(&self, wire: &[u8]) -> [u8; HASH] {
        let mut hash = self.once(wire);
        for _ in 0..self.iterations {
            hash = self.once(&hash);
        }
        hash
    }

    fn once(&self, octets: &[u8]) -> [u8; HASH] {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(octets);
        context.update(&self.salt);
        let mut hash = [0; HASH];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}

impl Nsec3Chain {
    /// The chain of these owners and records, which are hashed by `hashing`, of the zone `apex`; `None`: it is none, as
    /// the apex is not in it. `nodes` are those that the zone has something to say of.
    pub(super) fn new<'n>(
        hashing: Hashing,
        links: impl Iterator<Item = (&'n Name, Link)>,
        apex: &Name,
        names: &NameIndex,
        nodes: impl IntoIterator<Item = u32>,
    ) -> Option<Self> {
        let mut links: Vec<([u8; HASH], Link)> =
            links.filter_map(|(owner, link)| Some((hash_of_owner(owner, apex)?, link))).collect();
        links.sort_unstable_by_key(|(hash, _)| *hash);
        let mut chain = Nsec3Chain { hashing, links: links.into(), proofs: Box::default() };
        chain.find(&chain.hashing.hash(apex.wire()))?;
        let proofs = Proving { chain: &chain, names, apex, wildcards: HashMap::new() }.all(nodes.into_iter());
        chain.proofs = proofs;
        Some(chain)
    }

    /// What is said of a name that exists and has nothing of a type (RFC 5155 sections 7.2.3, 7.2.4 and 7.2.7): one
    /// record, or with opt-out two.
    pub(super) fn at(&self, node: u32) -> [Option<Link>; 2] {
        let Some(proof) = self.proof(node) else { return [None; 2] };
        [Some(self.link(proof.closest)), proof.next.map(|next| self.link(next))]
    }

    /// What denies all names below `encloser` of which `next` is the first label below it; it does not exist.
    pub(super) fn below(&self, encloser: u32, next: &[u8]) -> Option<Below> {
        let proof = self.proof(encloser)?;
        let next = match proof.next {
            Some(next) => self.link(next),
            None => self.link(self.at_or_before(&self.hashing.hash(next))),
        };
        Some(Below { closest: self.link(proof.closest), next, wildcard: self.link(proof.wildcard) })
    }

    fn proof(&self, node: u32) -> Option<&NodeProof> {
        let found = self.proofs.binary_search_by_key(&node, |proof| proof.node);
        found.ok().map(|position| &self.proofs[position])
    }

    fn link(&self, position: u32) -> Link {
        self.links[position as usize].1
    }

    /// The record with this hash.
    fn find(&self, hash: &[u8; HASH]) -> Option<u32> {
        self.links.binary_search_by_key(hash, |(hash, _)| *hash).ok().map(|position| position as u32)
    }

    /// The record with the last hash that is not behind this one; before the first comes the last.
    fn at_or_before(&self, hash: &[u8; HASH]) -> u32 {
        let behind = self.links.partition_point(|(other, _)| other <= hash);
        behind.checked_sub(1).unwrap_or(self.links.len() - 1) as u32
    }
}

/// What denies a name (RFC 5155 section 7.2.1).
pub(super) struct Below {
    /// The closest name above it that is proven to exist does.
    pub(super) closest: Link,
    /// The name one label longer does not.
    pub(super) next: Link,
    /// Nor does a wildcard below the closest; or: its record.
    pub(super) wildcard: Link,
}

/// What is hashed once for all answers.
struct Proving<'c> {
    chain: &'c Nsec3Chain,
    names: &'c NameIndex,
    apex: &'c Name,
    /// The record for the wildcard below each record's name.
    wildcards: HashMap<u32, u32>,
}

impl Proving<'_> {
    fn all(mut self, nodes: impl Iterator<Item = u32>) -> Box<[NodeProof]> {
        let mut proofs: Vec<NodeProof> = nodes.filter_map(|node| self.of(node)).collect();
        proofs.sort_unstable_by_key(|proof| proof.node);
        proofs.into()
    }

    fn of(&mut self, node: u32) -> Option<NodeProof> {
        let chain = self.chain;
        let mut name = self.names.name_of(self.names.node(node));
        let mut hash = chain.hashing.hash(name);
        let mut next = None;
        let closest = loop {
            if let Some(closest) = chain.find(&hash) {
                break closest;
            }
            // What nobody has hashed is denied by opting out, one label below what somebody has.
            next = Some(chain.at_or_before(&hash));
            name = name.get(1 + usize::from(*name.first()?)..)?;
            if name.len() < self.apex.wire().len() {
                return None;
            }
            hash = chain.hashing.hash(name);
        };
        let wildcard = *self.wildcards.entry(closest).or_insert_with(|| {
            let wildcard = [b"\x01*", name].concat();
            chain.at_or_before(&chain.hashing.hash(&wildcard))
        });
        Some(NodeProof { node, closest, next, wildcard })
    }
}

/// The hash that is the first label of `owner`, one label below the apex, in base32hex (RFC 5155 section 3).
fn hash_of_owner(owner: &Name, apex: &Name) -> Option<[u8; HASH]> {
    let label = owner.labels().next()?;
    if owner.parent()? != *apex {
        return None;
    }
    data_encoding::BASE32_DNSSEC.decode(label).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5155 appendix A.
    #[test]
    fn names_are_hashed_as_the_standard_says() {
        let hashing = Hashing::of(b"\x01\0\0\x0c\x04\xaa\xbb\xcc\xdd").expect("it is SHA-1");
        for (text, hash) in [
            ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("ns2.example", "q04jkcevqvmu85r014c7dkba38o0ji5r"),
            ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
            ("x.y.w.example", "2vptu5timamqttgl4luu9kg21e0aor3s"),
        ] {
            let name: Name = text.parse().expect("a name");
            let owner: Name = format!("{hash}.example").parse().expect("a name");
            let apex: Name = "example".parse().expect("a name");
            assert_eq!(Some(hashing.hash(name.wire())), hash_of_owner(&owner, &apex), "{text}");
        }
    }

    #[test]
    fn what_is_no_hash_is_passed_over() {
        let apex: Name = "example".parse().expect("a name");
        let hash = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom";
        for owner in [format!("{hash}.a.example"), "0p9mhave.example".to_owned(), "example".to_owned()] {
            assert_eq!(hash_of_owner(&owner.parse().expect("a name"), &apex), None, "{owner}");
        }
        for rdata in [&b"\x02\0\0\0\0"[..], b"\x01\0\0\0\x01", b"\x01\0\0\0"] {
            assert!(Hashing::of(rdata).is_none(), "{rdata:?}");
        }
    }
}
