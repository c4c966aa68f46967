//! The same master file served by rhumb and by another server: every answer must be the same, but
//! for what [`Difference`] lists and explains.

#[path = "support/message.rs"]
mod message;
mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rhumb::config;
use rhumb::dns::Rtype;
use rhumb::routing::{Client, Counters, RoutingTable, Transport, Worker, answer};

use message::{Message, Opt, Query, Record, shown_name};
use support::others::{knotd, nsd};
use support::process::Process;
use support::{PATIENCE, eventually, own_address};

/// A zone that is compared, by its apex.
#[derive(Clone, Copy)]
struct Zone {
    name: &'static str,
    records: &'static str,
}

const ZONES: [Zone; 2] = [
    Zone { name: "static.example", records: include_str!("static_zone/example.zone") },
    Zone { name: "nasty.example", records: include_str!("static_zone/nasty.zone") },
];

/// Types that are asked for at every name: those of the zone, and some that it does not have.
const TYPES: [&str; 45] = [
    "A",
    "NS",
    "CNAME",
    "SOA",
    "PTR",
    "HINFO",
    "MX",
    "TXT",
    "AAAA",
    "SRV",
    "NAPTR",
    "DNAME",
    "DS",
    "SSHFP",
    "TLSA",
    "SVCB",
    "HTTPS",
    "CAA",
    "RP",
    "AFSDB",
    "RT",
    "KX",
    "CERT",
    "LOC",
    "APL",
    "IPSECKEY",
    "DHCID",
    "SMIMEA",
    "OPENPGPKEY",
    "SPF",
    "NID",
    "L32",
    "L64",
    "EUI48",
    "URI",
    "DNSKEY",
    "CDS",
    "CDNSKEY",
    "CSYNC",
    "ANY",
    "TYPE65280",
    "TYPE62347",
    "TYPE61439",
    "TYPE3",
    "TYPE0",
];

/// Where the two may differ, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
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
}

#[test]
fn static_records_are_answered_as_nsd_does() {
    compare_all(nsd, &[Difference::NothingBesideAnswers, Difference::AnyIsAnyRrset]);
}

#[test]
fn static_records_are_answered_as_knot_does() {
    use Difference::*;
    let expected =
        [NothingBesideAnswers, TypeZeroIsUnknown, EndlessDname, DnameAtWildcard, DelegationAtWildcard];
    compare_all(knotd, &expected);
}

/// Asks rhumb and the server that `command` starts about every zone; all of `expected` and nothing
/// else may differ.
fn compare_all(command: ServerCommand, expected: &[Difference]) {
    let mut seen = BTreeSet::new();
    let mut failures = Vec::new();
    for zone in ZONES {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut theirs = Peer::start(command, directory.path(), zone);
        let mut ours = Rhumb::new(directory.path(), zone);
        for query in questions(&ours.owners) {
            let (our_reply, their_reply) = (ours.ask(&query), theirs.ask(&query));
            match compare(zone, &query, &our_reply, &their_reply, &mut theirs) {
                Ok(differences) => seen.extend(differences),
                Err(what) => failures.push(format!(
                    "{} {}: {what}\nrhumb {}peer  {}",
                    shown_name(&query.name),
                    query.rtype,
                    shown(&our_reply),
                    shown(&their_reply)
                )),
            }
        }
    }
    assert!(failures.is_empty(), "{} answers differ\n\n{}", failures.len(), failures.join("\n"));
    assert_eq!(seen, expected.iter().copied().collect(), "a difference that is listed shows");
}

/// What is listed of the differences between two replies.
///
/// # Errors
///
/// The part that differs otherwise.
fn compare(
    zone: Zone,
    query: &Query,
    ours: &Message,
    theirs: &Message,
    peer: &mut Peer,
) -> Result<Vec<Difference>, &'static str> {
    if let Some(difference) = open_question(query, ours, theirs) {
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
        if our_answer != set(&peer.ask(&self::query(&query.name, rtype)).answer) {
            return Err("the answer to ANY is no RRset of the peer's");
        }
        differences.push(Difference::AnyIsAnyRrset);
    } else if our_answer != their_answer {
        return Err("the answer");
    }
    let is_negative = their_authority.iter().any(|record| record.rtype == Rtype::SOA);
    let is_referral = their_authority.iter().any(|record| record.owner != apex(zone));
    if is_negative || is_referral {
        if our_authority != their_authority {
            return Err("the authority section");
        }
        if our_additional != their_additional {
            return Err("the glue");
        }
    } else if !our_authority.is_empty() || !our_additional.is_empty() {
        return Err("something beside an answer");
    } else if !their_authority.is_empty() || !their_additional.is_empty() {
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

/// Every type at every name of the zone, at what is above, below and beside it, and in capitals.
fn questions(owners: &BTreeSet<Vec<u8>>) -> Vec<Query> {
    let mut names = BTreeSet::new();
    for owner in owners {
        let parent = &owner[1 + usize::from(owner[0])..];
        let below = |labels: &[u8], name: &[u8]| [labels, name].concat();
        names.insert(owner.clone());
        names.insert(owner.to_ascii_uppercase());
        names.insert(parent.to_vec());
        names.insert(below(b"\x05below", owner));
        names.insert(below(b"\x02so\x05below", owner));
        names.insert(below(b"\x01*", owner));
        names.insert(below(b"\x06beside", parent));
        // Next to it in any order of names.
        names.insert(below(&[owner[0] + 1], &[b"-", &owner[1..]].concat()));
    }
    // Escapes: a dot within a label is not one between two.
    names.insert(message::wire_name("dot.inside.static.example").expect("a name"));
    let names = names.into_iter().filter(|name| name.len() <= 255 && name[0] <= 63);
    let types: Vec<Rtype> = TYPES.iter().map(|text| Rtype::parse(text).expect("a type")).collect();
    names.flat_map(|name| types.iter().map(move |&rtype| query(&name, rtype)).collect::<Vec<_>>()).collect()
}

fn query(name: &[u8], rtype: Rtype) -> Query {
    Query {
        id: fastrand::u16(..),
        response: false,
        opcode: 0,
        recursion_desired: false,
        name: name.to_vec(),
        rtype,
        class: 1,
        opt: Some(Opt { version: 0, udp_payload: 1232, dnssec_ok: false, client_subnet: None }),
    }
}

struct Rhumb {
    table: RoutingTable,
    worker: Worker,
    owners: BTreeSet<Vec<u8>>,
}

impl Rhumb {
    /// Reads the file that the peer has read.
    fn new(directory: &Path, zone: Zone) -> Rhumb {
        let text = format!("[[zone]]\nname = \"{name}\"\nfile = \"{name}\"\n", name = zone.name);
        let loaded = config::parse("config", &text, directory).unwrap_or_else(|errors| panic!("{errors}"));
        let zone = &loaded.plan.zones[0];
        let owners = zone.rrsets.iter().map(|rrset| rrset.owner.wire().to_vec()).collect();
        let table = RoutingTable::well(Arc::new(loaded.plan), loaded.geo);
        let mut worker = Worker::new(1, Arc::new(Counters::default()));
        worker.prepare(&table);
        Rhumb { table, worker, owners }
    }

    fn ask(&mut self, query: &Query) -> Message {
        let client = Client { address: [127, 0, 0, 1].into(), transport: Transport::Tcp };
        let mut reply = vec![0; 65_535];
        let length = answer(&self.table, &mut self.worker, client, &query.encode(), &mut reply);
        decode(query, &reply[..length])
    }
}

/// How one of the other servers is started: directory, address, zone and its records.
type ServerCommand = fn(&Path, SocketAddr, &str, &str) -> Command;

/// Another server, asked over TCP, so that nothing is cut short and no limit of rates applies.
struct Peer {
    stream: TcpStream,
    _process: Process,
}

impl Peer {
    fn start(command: ServerCommand, directory: &Path, zone: Zone) -> Peer {
        let listen = SocketAddr::new(own_address().into(), 5300);
        let process = Process::start(command(directory, listen, zone.name, zone.records));
        let stream = eventually("the peer to listen", || TcpStream::connect(listen).ok());
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        stream.set_nodelay(true).expect("it is TCP");
        let mut peer = Peer { stream, _process: process };
        // It may listen before it has read the zone.
        let soa = query(&apex(zone), Rtype::SOA);
        eventually("the peer to load the zone", || (peer.ask(&soa).rcode == 0).then_some(()));
        peer
    }

    fn ask(&mut self, query: &Query) -> Message {
        let message = query.encode();
        let length = u16::try_from(message.len()).expect("a query is short").to_be_bytes();
        self.stream.write_all(&[&length[..], &message].concat()).expect("the peer reads");
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).expect("the peer answers");
        let mut reply = vec![0; u16::from_be_bytes(length).into()];
        self.stream.read_exact(&mut reply).expect("the peer answers");
        decode(query, &reply)
    }
}

fn decode(query: &Query, reply: &[u8]) -> Message {
    let name = shown_name(&query.name);
    let message = Message::decode(reply).unwrap_or_else(|error| panic!("{name} {}: {error}", query.rtype));
    assert_eq!(message.id, query.id);
    message
}

fn apex(zone: Zone) -> Vec<u8> {
    message::wire_name(zone.name).expect("a name")
}

fn shown(message: &Message) -> String {
    let aa = if message.is_authoritative() { " aa" } else { "" };
    let mut shown = format!("{}{aa}\n", message.rcode_name());
    let sections =
        [("", &message.answer), ("authority ", &message.authority), ("additional ", &message.additional)];
    for (section, records) in sections {
        shown.extend(records.iter().map(|record| format!("    {section}{record}\n")));
    }
    shown
}
