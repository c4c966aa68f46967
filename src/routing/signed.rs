//! What a signer has added to a zone, arranged for answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::names::{NONE, NameIndex};
use super::nsec::NsecChain;
use super::nsec3::{Hashing, Nsec3Chain};
use crate::dns::{Name, Rrset, Rtype};
use crate::plan::{Plan, Zone};

/// What a zone has that was signed elsewhere: the records themselves are in the plan.
pub(super) struct Signed {
    /// The signatures over the SOA record, by their position among the zone's RRsets.
    pub(super) soa: u32,
    /// With what it is proven that something is not there.
    pub(super) denial: Denial,
    /// Until when all that is signed has a signature of each algorithm it is signed by, in seconds since 1970: from 2106
    /// on modulo 2^32.
    pub(super) signed_until: u32,
}

/// How a zone denies what it does not have.
pub(super) enum Denial {
    /// Name by name (RFC 4034 section 4).
    Names(NsecChain),
    /// Hash by hash (RFC 5155).
    Hashes(Nsec3Chain),
    /// Not at all: the signer has left it out.
    Nothing,
}

/// An RRset that proves something, and the signatures over it: positions among the zone's RRsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) records: u32,
    pub(super) signatures: Option<u32>,
}

impl Signed {
    /// What the zone `id` of `plan` has; `None`: it is not signed. `above` are the zones that each zone lies in.
    pub(super) fn compile(
        plan: &Plan,
        id: u32,
        above: &[Option<u32>],
        names: &NameIndex,
    ) -> Option<Box<Signed>> {
        let zone = &plan.zones[id as usize];
        let signatures: HashMap<(&Name, Rtype), u32> = zone
            .rrsets
            .iter()
            .zip(0..)
            .filter_map(|(rrset, position)| Some(((&rrset.owner, rrset.covers()?), position)))
            .collect();
        let soa = *signatures.get(&(&zone.name, Rtype::SOA))?;
        let links = |rtype| {
            let signatures = &signatures;
            zone.rrsets.iter().zip(0..).filter(move |(rrset, _)| rrset.rtype == rtype).map(
                move |(rrset, records)| {
                    let signatures = signatures.get(&(&rrset.owner, rtype)).copied();
                    (rrset, Link { records, signatures })
                },
            )
        };
        let hashes = hashings(zone).find_map(|hashing| {
            let is_of_it = |(rrset, _): &(&Rrset, Link)| {
                rrset.rdata.iter().any(|rdata| Hashing::of(rdata).as_ref() == Some(&hashing))
            };
            let links = links(Rtype::NSEC3).filter(is_of_it).map(|(rrset, link)| (&rrset.owner, link));
            Nsec3Chain::new(hashing.clone(), links, &zone.name, names, nodes(plan, id, above, names))
        });
        let denial = match hashes {
            Some(chain) => Denial::Hashes(chain),
            None if links(Rtype::NSEC).next().is_some() => {
                Denial::Names(NsecChain::new(links(Rtype::NSEC).map(|(rrset, link)| (&rrset.owner, link))))
            }
            None => Denial::Nothing,
        };
        let signatures = zone.rrsets.iter().filter(|rrset| rrset.rtype == Rtype::RRSIG);
        let signed_until = signatures.filter_map(|rrset| valid_until(&rrset.rdata)).min().unwrap_or(u32::MAX);
        Some(Box::new(Signed { soa, denial, signed_until }))
    }
}

/// Until when there is a signature of each algorithm among `signatures`, the RRSIG data over one RRset (RFC 4034 section
/// 3.1). Of one algorithm the last counts: while keys are replaced, those of the old one are left to end.
fn valid_until(signatures: &[impl AsRef<[u8]>]) -> Option<u32> {
    let mut ends: BTreeMap<u8, u32> = BTreeMap::new();
    for signature in signatures {
        let [_, _, algorithm, _labels, _, _, _, _, end @ ..] = signature.as_ref() else { continue };
        let Some(end) = end.first_chunk() else { continue };
        let last = ends.entry(*algorithm).or_default();
        *last = u32::from_be_bytes(*end).max(*last);
    }
    ends.into_values().min()
}

/// How the names of `zone` may be hashed, by what stands at its apex.
fn hashings(zone: &Zone) -> impl Iterator<Item = Hashing> {
    let parameters =
        zone.rrsets.iter().filter(|rrset| rrset.rtype == Rtype::NSEC3PARAM && rrset.owner == zone.name);
    // RFC 5155 section 4.1.2: those with flags are not for answers.
    let is_for_answers = |rdata: &&[u8]| rdata.get(1) == Some(&0);
    let rdata = parameters.flat_map(|rrset| rrset.rdata.iter().map(|rdata| &rdata[..]));
    rdata.filter(is_for_answers).filter_map(Hashing::of)
}

/// The names that the zone `id` answers for, delegations and the apexes of zones below it included.
///
/// They are found by its records, not among all names: there may be thousands of zones, and a million names.
pub(super) fn nodes(plan: &Plan, id: u32, above: &[Option<u32>], names: &NameIndex) -> BTreeSet<u32> {
    let zone = &plan.zones[id as usize];
    let owners = zone.rrsets.chunk_by(|one, next| one.owner == next.owner).filter_map(<[_]>::first);
    // With what is between them and the apex, as an empty non-terminal.
    let within = |rrset: &'_ Rrset| {
        let suffixes = rrset.owner.suffixes().take_while(|suffix| suffix.len() >= zone.name.wire().len());
        suffixes.filter_map(|suffix| names.exact(suffix)).collect::<Vec<u32>>()
    };
    let is_answered_for = |number: &u32| {
        let node = names.node(*number);
        // Apexes are the first nodes, in the order of their zones.
        let is_apex_below = above.get(*number as usize) == Some(&Some(id));
        is_apex_below || (node.zone == id && (node.cut == NONE || node.cut == *number))
    };
    owners.flat_map(within).filter(is_answered_for).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_signature_of_an_algorithm_and_the_first_algorithm_count() {
        let signature = |algorithm: u8, end: u32| {
            let mut rdata = vec![0, 1, algorithm, 2, 0, 0, 0, 60];
            rdata.extend(end.to_be_bytes());
            rdata
        };
        for (signatures, until) in [
            (vec![], None),
            (vec![signature(13, 5)], Some(5)),
            (vec![signature(13, 5), signature(13, 9)], Some(9)),
            (vec![signature(13, 9), signature(8, 7), signature(13, 5)], Some(7)),
            (vec![vec![0; 11], signature(13, 5)], Some(5)),
        ] {
            assert_eq!(valid_until(&signatures), until, "{signatures:?}");
        }
    }
}
