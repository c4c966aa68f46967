//! The same master file served by rhumb and by another server: every answer must be the same, but
//! for what [`differences`] lists and explains. Zones are asked for as they are, and signed in three ways
//! by three signers.

#[path = "static_zone/differences.rs"]
mod differences;
#[path = "support/message.rs"]
mod message;
mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rhumb::config;
use rhumb::dns::{Rrset, Rtype};
use rhumb::routing::{Client, Counters, RoutingTable, Transport, Worker, answer};

use differences::{Difference, compare, compare_short};
use message::{Message, Opt, Query, shown_name};
use support::others::{Denial, knotd, nsd, sign, sign_by_knot, sign_by_ldns};
use support::process::Process;
use support::{PATIENCE, eventually, own_address};

/// A zone that is compared, by its apex.
struct Zone {
    name: &'static str,
    records: String,
    /// How it is signed, if it is.
    denial: Option<Denial>,
}

impl Zone {
    /// The owners of its NSEC3 records, in wire form.
    fn hashed_owners(&self) -> Vec<Vec<u8>> {
        let words = self.records.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
        let owners = words.filter(|words| words.get(3) == Some(&"NSEC3")).map(|words| words[0].to_owned());
        owners.map(|owner| message::wire_name(&owner.to_ascii_lowercase()).expect("a name")).collect()
    }
}

/// Those that are compared.
fn zones() -> Vec<Zone> {
    let unsigned = [
        ("static.example", include_str!("static_zone/example.zone")),
        ("nasty.example", include_str!("static_zone/nasty.zone")),
    ];
    let unsigned = unsigned.map(|(name, records)| Zone { name, records: records.to_owned(), denial: None });
    let name = "signed.example";
    let signed = |denial, signer: &dyn Fn(&Path, &str, &str) -> String| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let records = signer(directory.path(), name, include_str!("static_zone/signed.zone"));
        Zone { name, records, denial: Some(denial) }
    };
    let by_bind =
        |denial| signed(denial, &|directory, name, records| sign(directory, name, records, denial).zone);
    let signed = [
        by_bind(Denial::Nsec),
        by_bind(Denial::Nsec3),
        by_bind(Denial::OptOut),
        signed(Denial::OptOut, &sign_by_ldns),
        signed(Denial::Nsec3, &sign_by_knot),
    ];
    unsigned.into_iter().chain(signed).collect()
}

/// Types that are asked for at every name of a signed zone.
const SIGNED_TYPES: [&str; 16] = [
    "A",
    "NS",
    "CNAME",
    "SOA",
    "MX",
    "TXT",
    "AAAA",
    "DNAME",
    "DS",
    "RRSIG",
    "NSEC",
    "DNSKEY",
    "NSEC3",
    "NSEC3PARAM",
    "SVCB",
    "ANY",
];

/// Types that are asked for at every name: those of the zone, and some that it does not have.
const TYPES: [&str; 48] = [
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
    "TYPE128",
    "TYPE248",
    "TYPE200",
    "TYPE3",
    "TYPE0",
];

#[test]
fn static_records_are_answered_as_nsd_does() {
    use Difference::*;
    let expected = [
        NothingBesideAnswers,
        AnyIsAnyRrset,
        AliasOfDenial,
        HashesAreNames,
        DnameProof,
        WildcardItself,
        OptedOutNames,
        CaseOfNames,
        FitsHere,
    ];
    compare_all(nsd, &expected);
}

#[test]
fn static_records_are_answered_as_knot_does() {
    use Difference::*;
    let expected = [
        NothingBesideAnswers,
        TypeZeroIsUnknown,
        EndlessDname,
        DnameAtWildcard,
        DelegationAtWildcard,
        SignaturesOneByOne,
        AliasOfDenial,
        AsteriskProof,
        NsecAsProof,
        OptedOutNames,
        FitsHere,
        LeftOut,
    ];
    compare_all(knotd, &expected);
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// By TCP, with DO or without.
    Tcp { dnssec_ok: bool },
    /// By UDP without EDNS.
    Plain,
    /// By UDP, by who can take so many octets; with DO or without.
    Udp { payload: u16, dnssec_ok: bool },
}

impl Way {
    /// By UDP in turn, one for each question: that no size has a kind of question to itself, the types that are asked for
    /// are no multiple of their number.
    const BY_UDP: [Way; 7] = [
        Way::Plain,
        Way::Udp { payload: 512, dnssec_ok: true },
        Way::Udp { payload: 1232, dnssec_ok: false },
        Way::Udp { payload: 800, dnssec_ok: true },
        Way::Udp { payload: 1232, dnssec_ok: true },
        Way::Udp { payload: 512, dnssec_ok: false },
        Way::Udp { payload: 4096, dnssec_ok: true },
    ];

    fn opt(self) -> Option<Opt> {
        let (udp_payload, dnssec_ok) = match self {
            Way::Tcp { dnssec_ok } => (1232, dnssec_ok),
            Way::Plain => return None,
            Way::Udp { payload, dnssec_ok } => (payload, dnssec_ok),
        };
        Some(Opt { version: 0, udp_payload, dnssec_ok, client_subnet: None })
    }

    fn transport(self) -> Transport {
        if matches!(self, Way::Tcp { .. }) { Transport::Tcp } else { Transport::Udp }
    }
}

/// Asks rhumb and the server that `command` starts about every zone; all of `expected` and nothing
/// else may differ.
fn compare_all(command: ServerCommand, expected: &[Difference]) {
    let mut seen = BTreeSet::new();
    let mut failures = Vec::new();
    let (mut asked, mut truncated) = (0, 0);
    for zone in &zones() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut theirs = Peer::start(command, directory.path(), zone);
        let mut ours = Rhumb::new(directory.path(), zone);
        for (query, way) in questions(zone, &ours.owners) {
            let [our_reply, their_reply] = [ours.ask(&query, way), theirs.ask(&query, way)];
            asked += 1;
            truncated += u32::from(our_reply.is_truncated());
            let compared = match way {
                Way::Tcp { .. } => compare(zone, &query, &our_reply, &their_reply, &mut theirs),
                _ => compare_short(zone, &query, [&our_reply, &their_reply], &mut ours, &mut theirs),
            };
            match compared {
                Ok(differences) => seen.extend(differences),
                Err(what) => failures.push(format!(
                    "{} {} {way:?} {:?}: {what}\nrhumb {}peer  {}",
                    shown_name(&query.name),
                    query.rtype,
                    zone.denial,
                    shown(&our_reply),
                    shown(&their_reply)
                )),
            }
        }
    }
    assert!(failures.is_empty(), "{} of {asked} answers differ\n\n{}", failures.len(), failures.join("\n"));
    assert!(truncated > 100, "only {truncated} did not fit");
    assert_eq!(seen, expected.iter().copied().collect(), "a difference that is listed shows");
}

/// Every type at every name of the zone, at what is above, below and beside it, and in capitals.
fn questions(zone: &Zone, owners: &BTreeSet<Vec<u8>>) -> Vec<(Query, Way)> {
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
    let types: &[&str] = if zone.denial.is_some() { &SIGNED_TYPES } else { &TYPES };
    let types: Vec<Rtype> = types.iter().map(|text| Rtype::parse(text).expect("a type")).collect();
    let questions =
        names.flat_map(|name| types.iter().map(move |&rtype| (name.clone(), rtype)).collect::<Vec<_>>());
    let by_tcp: &[Way] = match zone.denial {
        Some(_) => &[Way::Tcp { dnssec_ok: true }, Way::Tcp { dnssec_ok: false }],
        None => &[Way::Tcp { dnssec_ok: false }],
    };
    let in_turn = Way::BY_UDP.into_iter().cycle();
    questions
        .zip(in_turn)
        .flat_map(|((name, rtype), by_udp)| {
            by_tcp.iter().copied().chain([by_udp]).map(move |way| (query(&name, rtype, way), way))
        })
        .collect()
}

fn query(name: &[u8], rtype: Rtype, way: Way) -> Query {
    Query {
        id: fastrand::u16(..),
        response: false,
        opcode: 0,
        recursion_desired: false,
        name: name.to_vec(),
        rtype,
        class: 1,
        opt: way.opt(),
    }
}

struct Rhumb {
    table: RoutingTable,
    worker: Worker,
    owners: BTreeSet<Vec<u8>>,
}

impl Rhumb {
    /// Reads the file that the peer has read.
    fn new(directory: &Path, zone: &Zone) -> Rhumb {
        let text = format!("[[zone]]\nname = \"{name}\"\nfile = \"{name}\"\n", name = zone.name);
        let loaded = config::parse("config", &text, directory).unwrap_or_else(|errors| panic!("{errors}"));
        // Hashes of names are no names, but can be asked for: one in twenty is.
        let mut number = 0;
        let is_asked = |rrset: &&Rrset| {
            number += u32::from(rrset.rtype == Rtype::NSEC3);
            rrset.covers() != Some(Rtype::NSEC3) && (rrset.rtype != Rtype::NSEC3 || number % 20 == 1)
        };
        let zone = &loaded.plan.zones[0];
        let owners = zone.rrsets.iter().filter(is_asked).map(|rrset| rrset.owner.wire().to_vec()).collect();
        let table = RoutingTable::well(Arc::new(loaded.plan), loaded.geo);
        let mut worker = Worker::new(1, Arc::new(Counters::default()));
        worker.prepare(&table);
        Rhumb { table, worker, owners }
    }

    fn ask(&mut self, query: &Query, way: Way) -> Message {
        let client = Client { address: [127, 0, 0, 1].into(), transport: way.transport() };
        let mut reply = vec![0; 65_535];
        let length = answer(&self.table, &mut self.worker, client, &query.encode(), &mut reply);
        decode(query, &reply[..length])
    }
}

/// How one of the other servers is started: directory, address, zone and its records.
type ServerCommand = fn(&Path, SocketAddr, &str, &str) -> Command;

/// Another server.
struct Peer {
    stream: TcpStream,
    socket: UdpSocket,
    _process: Process,
}

impl Peer {
    fn start(command: ServerCommand, directory: &Path, zone: &Zone) -> Peer {
        let listen = SocketAddr::new(own_address().into(), 5300);
        let process = Process::start(command(directory, listen, zone.name, &zone.records));
        let stream = eventually("the peer to listen", || TcpStream::connect(listen).ok());
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        stream.set_nodelay(true).expect("it is TCP");
        let socket = UdpSocket::bind((own_address(), 0)).expect("a port");
        socket.connect(listen).expect("loopback is there");
        socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        let mut peer = Peer { stream, socket, _process: process };
        // It may listen before it has read the zone.
        let way = Way::Tcp { dnssec_ok: false };
        let soa = query(&apex(zone), Rtype::SOA, way);
        eventually("the peer to load the zone", || (peer.ask(&soa, way).rcode == 0).then_some(()));
        peer
    }

    fn ask(&mut self, query: &Query, way: Way) -> Message {
        let message = query.encode();
        if way.transport() == Transport::Udp {
            self.socket.send(&message).expect("loopback takes it");
            let mut reply = [0; 4096];
            let length = self.socket.recv(&mut reply).unwrap_or_else(|error| {
                panic!("no reply to {} {} {way:?}: {error}", shown_name(&query.name), query.rtype)
            });
            return decode(query, &reply[..length]);
        }
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

fn apex(zone: &Zone) -> Vec<u8> {
    message::wire_name(zone.name).expect("a name")
}

fn shown(message: &Message) -> String {
    let aa = if message.is_authoritative() { " aa" } else { "" };
    let tc = if message.is_truncated() { " tc" } else { "" };
    let mut shown = format!("{}{aa}{tc}\n", message.rcode_name());
    let sections =
        [("", &message.answer), ("authority ", &message.authority), ("additional ", &message.additional)];
    for (section, records) in sections {
        shown.extend(records.iter().map(|record| format!("    {section}{record}\n")));
    }
    shown
}
