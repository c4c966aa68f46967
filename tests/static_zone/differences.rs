//! Where rhumb and another server differ, and why.

use std::collections::BTreeSet;

use rhumb::dns::{Rrset, Rtype};

use super::message::{self, Message, Query, Record};
use super::support::others::Denial;
use super::{Peer, Rhumb, Way, Zone, apex};

/// Where the two may differ, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    /// Others name addresses of the names in MX, SRV and NS records beside answers, nsd the zone's
    /// servers too. RFC 1034 section 4.3.2 step 6 leaves that to the server; without,
    /// replies stay small and no resolver misses it.
    NothingBesideAnswers,
    /// All answer ANY with one RRset; which one is left to them (RFC 8482 section 4.1).
    AnyIsAnyRrset,
    /// knot does not implement type 0, which RFC 6895 section 3.1 reserves; to rhumb and nsd it is
    /// one that no name has.
    TypeZeroIsUnknown,
    /// A DNAME to below itself leads on for ever. rhumb follows it once, knot some times more; the
    /// resolver that wants more asks again (RFC 6672 section 3.2 has no bound).
    EndlessDname,
    /// knot expands the owner of a DNAME at `*` as if it were a wildcard's. A DNAME redirects what
    /// is below its own name, and is given with that (RFC 6672 section 3.2; RFC 4592 section 4.4
    /// leaves the rest open).
    DnameAtWildcard,
    /// knot refers to NS records at `*`, with `*` as the delegated name. To rhumb and nsd
    /// they are data like any other (RFC 4592 section 4.2 leaves it open).
    DelegationAtWildcard,
    /// knot answers RRSIG with one signature, rhumb and nsd with all there are at the name. No resolver asks.
    SignaturesOneByOne,
    /// For NSEC3 nsd, and for NSEC knot, do not follow an alias that has no such record (as none has in a zone with the
    /// other one); rhumb follows it for every type that is not there (RFC 1034 section 4.3.2 step 3a).
    AliasOfDenial,
    /// To nsd the hashes of names are names below which nothing is. They are no names of the zone, and a wildcard stands for
    /// them as for any that does not exist (RFC 5155 section 7.2.8), to knot as well.
    HashesAreNames,
    /// Behind a DNAME nsd proves something of other names than the one that it leads to, at which knot looks as well.
    DnameProof,
    /// A name whose first label is `*`, and for which a wildcard stands, is none itself: that it does not exist has to be
    /// proven like that of any other. knot takes it for the wildcard.
    AsteriskProof,
    /// Of a wildcard that is asked for itself and has nothing of a type, nsd proves more than that: which name it stands
    /// below (RFC 5155 section 7.2.3 wants one record).
    WildcardItself,
    /// Asked for the NSEC record of a wildcard that stands for a name, knot takes it for the proof that there is no such
    /// name. But it has the wrong owner for that.
    NsecAsProof,
    /// The signer leaves names that only unsigned delegations stand below without a hash. What is below these, nsd denies
    /// with records of other names, and knot not at all, with an empty reply. rhumb proves what is closest above to be there
    /// (RFC 5155 section 7.2.1).
    OptedOutNames,
    /// nsd puts the name of a server in SVCB records in lowercase, which breaks the signature over it: RFC 4034 section 6.2
    /// does not list the type.
    CaseOfNames,
    /// By UDP, rhumb answers what the other one truncates. It compresses names against the target of a DNAME, and leaves out
    /// no more than it has to.
    FitsHere,
    /// knot leaves out the SOA record where there is no room for it, and does not say so (TC).
    LeftOut,
}

/// What is listed of the differences between two replies that came by UDP, rhumb's first. What is in them, if they are not
/// truncated, is what the same server says by TCP, and that is compared.
///
/// # Errors
///
/// As [`compare`].
pub(super) fn compare_short(
    zone: &Zone,
    query: &Query,
    [our_short, their_short]: [&Message; 2],
    ours: &mut Rhumb,
    theirs: &mut Peer,
) -> Result<Vec<Difference>, &'static str> {
    let dnssec_ok = query.opt.as_ref().is_some_and(|opt| opt.dnssec_ok);
    let way = Way::Tcp { dnssec_ok };
    let query = Query { opt: way.opt(), ..query.clone() };
    let (our_whole, their_whole) = (ours.ask(&query, way), theirs.ask(&query, way));
    let mut differences = compare(zone, &query, &our_whole, &their_whole, theirs)?;
    let is_same = |short: &[Record], whole: &[Record]| set(short) == set(whole);
    if our_short.is_truncated() {
        if !our_short.answer.is_empty() || !our_short.authority.is_empty() {
            return Err("half an answer");
        }
    } else if our_short.rcode != our_whole.rcode
        || !is_same(&our_short.answer, &our_whole.answer)
        || !is_same(&our_short.authority, &our_whole.authority)
        || !set(&our_short.additional).is_subset(&set(&our_whole.additional))
    {
        return Err("another answer than by TCP");
    }
    match (our_short.is_truncated(), their_short.is_truncated()) {
        (false, true) => differences.push(Difference::FitsHere),
        (false, false) => {
            // An unsigned answer has nothing beside it that proves it.
            let has_soa = their_short.authority.iter().any(|record| record.rtype == Rtype::SOA);
            let should_have = their_whole.authority.iter().any(|record| record.rtype == Rtype::SOA);
            if should_have && !has_soa {
                differences.push(Difference::LeftOut);
            }
        }
        (true, true) => {}
        // They have less to say, for one of the reasons that are listed.
        (true, false)
            if differences.iter().any(|difference| *difference >= Difference::SignaturesOneByOne) => {}
        (true, false) => return Err("what fits there"),
    }
    Ok(differences)
}

/// What is listed of the differences between two whole replies.
///
/// # Errors
///
/// The part that differs otherwise.
pub(super) fn compare(
    zone: &Zone,
    query: &Query,
    ours: &Message,
    theirs: &Message,
    peer: &mut Peer,
) -> Result<Vec<Difference>, &'static str> {
    let listed = open_question(query, ours, theirs).or_else(|| {
        zone.denial.and_then(|denial| open_question_of_signed(zone, denial, query, ours, theirs))
    });
    if let Some(difference) = listed {
        return Ok(vec![difference]);
    }
    let mut differences = Vec::new();
    if set(&ours.answer).len() != ours.answer.len() {
        return Err("a record is there twice");
    }
    if ours.rcode != theirs.rcode {
        return Err("the code");
    }
    if ours.flags != theirs.flags {
        return Err("the flags");
    }
    let [(our_answer, their_answer), (our_authority, their_authority), (our_additional, their_additional)] =
        [
            (&ours.answer, &theirs.answer),
            (&ours.authority, &theirs.authority),
            (&ours.additional, &theirs.additional),
        ]
        .map(|(ours, theirs)| (set(ours), set(theirs)));
    if query.rtype == Rtype::ANY && our_answer != their_answer {
        let rtype = ours.answer.first().ok_or("nothing for ANY")?.rtype;
        if our_answer
            != set(&peer.ask(&Query { rtype, ..query.clone() }, Way::Tcp { dnssec_ok: true }).answer)
        {
            return Err("the answer to ANY is no RRset of the peer's");
        }
        differences.push(Difference::AnyIsAnyRrset);
    } else if our_answer != their_answer {
        return Err("the answer");
    }
    let is_negative = their_authority.iter().any(|record| record.rtype == Rtype::SOA);
    let is_referral =
        their_authority.iter().any(|record| record.rtype == Rtype::NS && record.owner != apex(zone));
    if is_negative || is_referral {
        if our_authority != their_authority {
            return Err("the authority section");
        }
        if our_additional != their_additional {
            return Err("the glue");
        }
        return Ok(differences);
    }
    // Beside an answer stands what proves it, and what one cares to put there.
    let their_proofs = without_servers(zone, &their_authority);
    if our_authority != their_proofs || !our_additional.is_empty() {
        return Err("something beside an answer");
    }
    if their_authority != their_proofs || !their_additional.is_empty() {
        differences.push(Difference::NothingBesideAnswers);
    }
    Ok(differences)
}

/// What is listed of the differences that concern a whole reply.
fn open_question(query: &Query, ours: &Message, theirs: &Message) -> Option<Difference> {
    const NOTIMP: u16 = 4;
    if query.rtype == Rtype(0) && theirs.rcode == NOTIMP {
        return Some(Difference::TypeZeroIsUnknown);
    }
    let is_alike = ours.rcode == theirs.rcode && ours.flags == theirs.flags;
    let (our_answer, their_answer) = (set(&ours.answer), set(&theirs.answer));
    if is_alike && our_answer != their_answer {
        let dname = our_answer.iter().find(|record| record.rtype == Rtype::DNAME)?;
        if dname.rdata.ends_with(&dname.owner) && our_answer.is_subset(&their_answer) {
            return Some(Difference::EndlessDname);
        }
        let expanded = Record { owner: query.name.to_ascii_lowercase(), ..dname.clone() };
        let mut as_theirs = our_answer.clone();
        as_theirs.remove(dname);
        as_theirs.insert(expanded);
        return (dname.owner.starts_with(b"\x01*") && as_theirs == their_answer)
            .then_some(Difference::DnameAtWildcard);
    }
    let is_referral_to_wildcard = theirs.answer.is_empty()
        && !theirs.is_authoritative()
        && theirs
            .authority
            .iter()
            .all(|record| record.rtype == Rtype::NS && record.owner.starts_with(b"\x01*"));
    let is_without_data = ours.rcode == 0
        && ours.is_authoritative()
        && ours.answer.iter().all(|record| record.rtype == Rtype::NS)
        && ours.authority.iter().all(|record| record.rtype == Rtype::SOA);
    (is_referral_to_wildcard && is_without_data && !theirs.authority.is_empty())
        .then_some(Difference::DelegationAtWildcard)
}

/// The same of replies from a signed zone.
fn open_question_of_signed(
    zone: &Zone,
    denial: Denial,
    query: &Query,
    ours: &Message,
    theirs: &Message,
) -> Option<Difference> {
    const NXDOMAIN: u16 = 3;
    let name = query.name.to_ascii_lowercase();
    let [(our_answer, their_answer), (our_authority, their_authority)] =
        [(&ours.answer, &theirs.answer), (&ours.authority, &theirs.authority)]
            .map(|(ours, theirs)| (set(ours), set(theirs)));
    let their_authority = without_servers(zone, &their_authority);
    let is_of = |rtype| move |record: &Record| record.rtype == rtype;
    let is_alike = ours.rcode == theirs.rcode && ours.flags == theirs.flags;
    if is_alike && our_answer == their_answer && our_authority == their_authority {
        return None;
    }
    // A name below which there are unsigned delegations only.
    let opted_out = message::wire_name("it.signed.example").expect("a name");
    let end = ours.answer.iter().rfind(|record| record.rtype == Rtype::CNAME);
    let end = end.map_or(name.clone(), |alias| alias.rdata.to_ascii_lowercase());
    if denial == Denial::OptOut && end.ends_with(&opted_out) && ours.rcode == NXDOMAIN {
        return (ours.rcode == theirs.rcode).then_some(Difference::OptedOutNames);
    }
    let is_hashed = |owner: &Vec<u8>| name.ends_with(owner);
    if theirs.rcode == NXDOMAIN && ours.rcode == 0 && zone.hashed_owners().iter().any(is_hashed) {
        return Some(Difference::HashesAreNames);
    }
    if matches!(query.rtype, Rtype::NSEC | Rtype::NSEC3)
        && theirs.rcode == 0
        && our_answer.iter().any(is_of(Rtype::CNAME))
        && their_answer.len() < our_answer.len()
        && their_answer.is_subset(&our_answer)
        && their_authority.iter().any(is_of(Rtype::SOA))
    {
        return Some(Difference::AliasOfDenial);
    }
    if !is_alike {
        return None;
    }
    let has_asterisk = end.starts_with(b"\x01*");
    if query.rtype == Rtype::RRSIG && their_answer != our_answer && their_answer.is_subset(&our_answer) {
        let is_one_by_one = their_authority == our_authority || has_asterisk;
        return is_one_by_one.then_some(Difference::SignaturesOneByOne);
    }
    if query.rtype == Rtype::SVCB && our_answer != their_answer {
        let lowercase = |mut record: Record| {
            record.rdata.make_ascii_lowercase();
            record
        };
        let is_case = our_answer.into_iter().map(lowercase).collect::<BTreeSet<Record>>()
            == their_answer.into_iter().map(lowercase).collect();
        return is_case.then_some(Difference::CaseOfNames);
    }
    if our_answer != their_answer {
        return None;
    }
    if has_asterisk && their_authority.is_subset(&our_authority) {
        return Some(Difference::AsteriskProof);
    }
    let given: BTreeSet<&Vec<u8>> = our_answer.iter().map(|record| &record.rdata).collect();
    if query.rtype == Rtype::NSEC
        && their_authority.is_subset(&our_authority)
        && our_authority.difference(&their_authority).all(|record| given.contains(&record.rdata))
    {
        return Some(Difference::NsecAsProof);
    }
    if name.starts_with(b"\x01*") && our_authority.is_subset(&their_authority) {
        return Some(Difference::WildcardItself);
    }
    let without_proofs = |records: &BTreeSet<Record>| {
        let proves = [Rtype::NSEC, Rtype::NSEC3];
        let is_proof = |record: &&Record| {
            let covered = Rrset::covered(record.rtype, &record.rdata);
            !proves.contains(&record.rtype) && !covered.is_some_and(|rtype| proves.contains(&rtype))
        };
        records.iter().filter(is_proof).cloned().collect::<BTreeSet<Record>>()
    };
    let is_renamed = our_answer.iter().any(is_of(Rtype::DNAME));
    (is_renamed && without_proofs(&our_authority) == without_proofs(&their_authority))
        .then_some(Difference::DnameProof)
}

/// `authority` without the servers of the zone, which some put beside answers, and the signatures over them.
fn without_servers(zone: &Zone, authority: &BTreeSet<Record>) -> BTreeSet<Record> {
    let is_other = |record: &&Record| {
        let covered = Rrset::covered(record.rtype, &record.rdata);
        record.owner != apex(zone) || record.rtype != Rtype::NS && covered != Some(Rtype::NS)
    };
    authority.iter().filter(is_other).cloned().collect()
}

/// Records in no order, their names in lowercase. Names that are compressed come in the case of the
/// name that they point at, and nsd keeps the case of the zone file besides; no client may care
/// (RFC 4343 section 3).
fn set(records: &[Record]) -> BTreeSet<Record> {
    let lowercase = |record: &Record| {
        let mut record = record.clone();
        record.owner.make_ascii_lowercase();
        let names = match record.rtype {
            Rtype::NS | Rtype::CNAME | Rtype::PTR => 0..record.rdata.len(),
            Rtype::MX => 2..record.rdata.len(),
            // The numbers behind the names of a SOA record take 20 octets.
            Rtype::SOA => 0..record.rdata.len() - 20,
            _ => 0..0,
        };
        record.rdata[names].make_ascii_lowercase();
        record
    };
    records.iter().map(lowercase).collect()
}
