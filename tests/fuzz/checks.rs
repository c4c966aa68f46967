//! What holds for any octets whatever. The fuzz targets look for octets for which it does not;
//! `tests/fuzz_seeds.rs` replays the seeds.
#![allow(dead_code, reason = "every target uses its own check")]

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};

use rhumb::dns::{
    MAX_UDP_REPLY, Name, NameBuffer, PLAIN_UDP_REPLY, Query, Rtype, Template, Unanswerable, hash_name,
    hash_question,
};
use rhumb::geo::{Database, GeoTable};
use rhumb::routing::{Client, RoutingTable, Service, Transport, Worker};

#[path = "../support/message.rs"]
mod message;
#[path = "../support/world.rs"]
mod world;

/// Everything that reads octets off the wire: a query, a name, and record data.
pub(crate) fn decode(octets: &[u8]) {
    let mut name = NameBuffer::root();
    let mut query = Query::unread();
    let read = query.read(octets, &mut name);
    assert!(query.question_octets == 0 || 12 + query.question_octets <= octets.len());
    match read {
        Ok(()) | Err(Unanswerable::OtherClass(_)) => {
            assert_sound(&name);
            assert_eq!(hash_question(octets), Some(name.hash()));
            let asked = &octets[12..12 + query.question_octets];
            assert!(asked[..name.wire().len()].eq_ignore_ascii_case(name.wire()));
            assert_eq!(asked.len(), name.wire().len() + 4);
            if let Some(edns) = query.edns {
                assert!((PLAIN_UDP_REPLY..=MAX_UDP_REPLY).contains(&edns.udp_limit()));
            }
        }
        Err(Unanswerable::NoQuestion) => assert_eq!(octets[4..6], [0, 0]),
        Err(Unanswerable::Error(_)) => {}
        Err(Unanswerable::Silence) => assert!(octets.len() < 12 || octets[2] & 0x80 != 0),
    }

    name.set(octets);
    assert_sound(&name);
    let apex = Name::from_wire(name.wire()).expect("assert_sound has read it");
    if let Some((rtype, data)) = octets.split_first_chunk() {
        // Whether it is of the type's form is what the template finds out.
        let _ = Template::new(&apex, Rtype(u16::from_be_bytes(*rtype)), 1, data);
    }
}

fn assert_sound(name: &NameBuffer) {
    let wire = name.wire();
    let read = Name::from_wire(wire).expect("a buffer holds a name");
    assert_eq!(read.wire(), wire);
    assert_eq!(read.label_count(), name.label_count());
    assert_eq!(name.hash(), hash_name(wire));
    for label in 0..=name.label_count() {
        assert!(Name::from_wire(name.suffix(label)).is_some());
    }
}

/// Bits of the first octet of what [`answer`] is given.
const BY_TCP: u8 = 1;
const BY_IPV6: u8 = 2;
const LIMITED: u8 = 4;
const WITH_GOOD_COOKIES: u8 = 8;

/// The whole of `answer` on the tests' world, with cookies and all that a server says of itself. The
/// first octet says who asks, how, and whether of a worker that limits its replies.
pub(crate) fn answer(octets: &[u8]) {
    static TABLE: LazyLock<RoutingTable> = LazyLock::new(|| world::with_cookies(&world::table(0)));
    thread_local! {
        static FREE: RefCell<Worker> = RefCell::new(worker(&TABLE, world::service()));
        static RATIONED: RefCell<Worker> = RefCell::new(worker(&TABLE, world::limited(1)));
        static REPLY: RefCell<Vec<u8>> = RefCell::new(vec![0; usize::from(u16::MAX)]);
        static NOW: Cell<u32> = const { Cell::new(0) };
    }
    let Some((&who, sent)) = octets.split_first() else { return };
    let (transport, room) = match who & BY_TCP {
        0 => (Transport::Udp, MAX_UDP_REPLY),
        _ => (Transport::Tcp, usize::from(u16::MAX)),
    };
    let address = match who & BY_IPV6 {
        0 => IpAddr::V4(Ipv4Addr::new(113, 160, 0, who)),
        _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, who.into())),
    };
    let client = Client { address, transport };
    let is_limited = who & LIMITED != 0;
    let worker = if is_limited { &RATIONED } else { &FREE };
    // Longer than a debt lasts, so that what came before does not matter.
    NOW.set(NOW.get().wrapping_add(60));
    worker.with_borrow_mut(|worker| {
        worker.tick(NOW.get());
        let mut sent = Cow::Borrowed(sent);
        if who & WITH_GOOD_COOKIES != 0 {
            make_cookies_good(&TABLE, worker, client, sent.to_mut());
        }
        REPLY.with_borrow_mut(|reply| {
            let is_rationed = is_limited && transport == Transport::Udp;
            let mut withheld = 0;
            for _ in 0..if is_limited { 3 } else { 1 } {
                let length = rhumb::routing::answer(&TABLE, worker, client, &sent, &mut reply[..room]);
                if length == 0 && is_rationed && is_query(&sent) {
                    withheld += 1;
                } else {
                    assert_is_reply(&reply[..length], &sent);
                }
            }
            assert!(withheld <= 1, "the first is within the rate, and every second of the others is sent");
        });
    });
}

fn worker(table: &RoutingTable, service: Service) -> Worker {
    world::worker(table).with_service(Arc::new(service))
}

/// Overwrites all that looks like a cookie option with a server's part, by a good one for the same
/// client: nobody finds one by trying.
fn make_cookies_good(table: &RoutingTable, worker: &mut Worker, client: Client, message: &mut [u8]) {
    const COOKIE: usize = 24;
    let option = [0, 10, 0, COOKIE as u8];
    for at in 0..message.len().saturating_sub(option.len() + COOKIE - 1) {
        if message[at..at + option.len()] == option {
            let cookie = &mut message[at + option.len()..][..COOKIE];
            // Nothing but the client's part; the reply ends with all of it. By TCP nobody is limited.
            let header = [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8];
            let asking = [&header[..], &opt, &cookie[..8]].concat();
            let mut reply = [0; 512];
            let client = Client { transport: Transport::Tcp, ..client };
            let length = rhumb::routing::answer(table, worker, client, &asking, &mut reply);
            cookie.copy_from_slice(&reply[length - COOKIE..length]);
        }
    }
}

fn is_query(sent: &[u8]) -> bool {
    sent.len() >= 12 && sent[2] & 0x80 == 0
}

fn assert_is_reply(reply: &[u8], sent: &[u8]) {
    if reply.is_empty() {
        assert!(!is_query(sent), "a query without a reply");
        return;
    }
    assert!(sent[2] & 0x80 == 0, "a reply to a response");
    assert_eq!((&reply[..2], reply[2] & 0xf8), (&sent[..2], sent[2] & 0x78 | 0x80), "id, QR and opcode");
    let message = message::Message::decode(reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
    assert!(sent[12..].starts_with(&message.question), "another question");
    if message.is_truncated() {
        let records = [&message.answer, &message.authority, &message.additional];
        assert!(records.iter().all(|section| section.is_empty()), "records in a truncated reply");
    }
}

/// A configuration, as TOML. None that reads other files: the fuzzer would choose which.
pub(crate) fn configuration(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    // Behind an escape, a quoted key could hide the words.
    if !["file", "databases", "\\"].iter().any(|word| text.contains(word)) {
        load(&format!("{text}\n{GEOIP}"), b"");
    }
}

/// A zone from a master file.
pub(crate) fn zone_file(octets: &[u8]) {
    load(&format!("[[zone]]\nname = \"example.com\"\nfile = \"fuzzed.zone\"\n{GEOIP}"), octets);
}

/// A small database: to read the embedded one takes longer than all the rest.
const GEOIP: &str = "[geoip]\ndatabases = [\"city.mmdb\"]\n";

/// Reads a configuration in a directory with `zone` as a zone file.
fn load(text: &str, zone: &[u8]) {
    thread_local! {
        static DIRECTORY: tempfile::TempDir = {
            let directory = tempfile::tempdir().expect("a directory");
            let city = include_bytes!("seeds/database/city");
            std::fs::write(directory.path().join("city.mmdb"), city).expect("the directory is ours");
            directory
        };
    }
    DIRECTORY.with(|directory| {
        std::fs::write(directory.path().join("fuzzed.zone"), zone).expect("the directory is ours");
        if let Err(errors) = rhumb::config::parse("fuzzed.toml", text, directory.path()) {
            assert!(!errors.to_string().is_empty());
        }
    });
}

/// A database of locations, and what it says of some addresses.
pub(crate) fn database(octets: &[u8]) {
    let database = Database { name: "fuzzed.mmdb".to_owned(), bytes: Cow::Owned(octets.to_vec()) };
    match GeoTable::from_databases([database]) {
        Ok(table) => {
            for address in [IpAddr::from([203, 0, 113, 1]), IpAddr::from([0; 16]), IpAddr::from([0xff; 16])] {
                table.describe(address);
            }
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
}
