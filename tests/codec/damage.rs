//! No octets whatever do harm.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZero;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use proptest::prelude::*;
use rhumb::dns::MAX_UDP_REPLY;
use rhumb::routing::{Client, Counter, Counters, RoutingTable, Transport, Worker, answer};

use crate::world::{self, TCP, UDP};
use crate::{TABLE, ask, name, query, read};

/// What a reply to `sent` must be, whatever `sent` is.
fn assert_harmless(table: &RoutingTable, worker: &mut Worker, client: Client, sent: &[u8]) {
    let reply = ask(table, worker, client, sent);
    let may_be_answered = sent.len() >= 12 && sent[2] & 0x80 == 0;
    assert_eq!(reply.is_some(), may_be_answered, "{sent:02x?}");
    let Some(mut reply) = reply else { return };
    name_a_family(&mut reply);
    let message = read(&reply);
    assert_eq!(message.message_type, MessageType::Response);
    assert_eq!((&reply[..2], reply[2] & 0x78), (&sent[..2], sent[2] & 0x78), "id and opcode");
    if !message.queries.is_empty() {
        let mut decoder = BinDecoder::new(&reply);
        let header = decoder.read_slice(12).map(|octets| octets.unverified().len()).expect("a header");
        Query::read(&mut decoder).expect("a question");
        assert_eq!(reply[header..decoder.index()], sent[header..decoder.index()], "the question");
    }
    let records = message.answers.len() + message.authorities.len() + message.additionals.len();
    if message.truncation {
        assert_eq!((records, client.transport), (0, Transport::Udp));
    }
    let offered = match (&message.edns, Message::from_vec(sent)) {
        (None, _) => 512,
        (Some(_), Ok(sent)) => usize::from(sent.edns.map_or(512, |edns| edns.max_payload())).clamp(512, 1232),
        // Records that we have no need to read.
        (Some(_), Err(_)) => 1232,
    };
    let limit = if client.transport == Transport::Udp { offered } else { 65_535 };
    assert!(reply.len() <= limit, "{} octets where {limit} are allowed", reply.len());
}

/// Queries to damage: every name of the world and some more, of many types, with and without EDNS.
fn sound_queries() -> Vec<Vec<u8>> {
    let hosts = [
        "www",
        "WWW",
        "drawn",
        "x.apps",
        "cdn",
        "indirect",
        "ns1",
        "a.wild",
        "alias",
        "loop-1",
        "child",
        "x.child",
        "x.old",
        "nothing",
        "large",
        "huge",
        "_sip._tcp",
        "strange",
        "into-child",
        "www.sub",
    ];
    let types = [RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::ANY, RecordType::SRV];
    let mut queries = Vec::new();
    for (at, host) in hosts.into_iter().enumerate() {
        for rtype in types {
            let owner = name(&format!("{host}.ai.example."));
            let mut edns = Edns::new();
            edns.set_max_payload([512, 700, 1232, 4096][at % 4]);
            // A client's alone, one that is good for both clients, and one that never is.
            let cookie = vec![vec![7; 8], good_cookie(), vec![7; 40]].swap_remove(at % 3);
            edns.options_mut().insert(EdnsOption::Unknown(10, cookie));
            edns.options_mut().insert(EdnsOption::Unknown([3, 11, 12][at % 3], Vec::new()));
            let subnet = match at % 3 {
                0 => Some(ClientSubnet::new(IpAddr::from([113, 160, 0, 0]), 24, 0)),
                1 => Some(ClientSubnet::new(Ipv6Addr::LOCALHOST.into(), 128, 0)),
                _ => None,
            };
            if let Some(subnet) = subnet {
                edns.options_mut().insert(EdnsOption::Subnet(subnet));
            }
            for edns in [None, Some(edns)] {
                queries.push(
                    query(at as u16, owner.clone(), rtype, edns).to_vec().expect("the oracle can write it"),
                );
            }
        }
    }
    queries
}

/// The cookie that clients at the address of [`UDP`] are given at the start.
fn good_cookie() -> Vec<u8> {
    let mut worker = cookie_worker();
    // No question, and the client's part of a cookie: the reply ends with all of it.
    let header = [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8];
    let reply = ask(&TABLE_WITH_COOKIES, &mut worker, UDP, &[&header[..], &opt, &[7; 8]].concat());
    reply.expect("a cookie").split_off(12 + 11 + 4)
}

static SOUND: LazyLock<Vec<Vec<u8>>> = LazyLock::new(sound_queries);

/// One kind of damage; the numbers say where, and are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// Bits of one octet turn.
    Flip(usize, u8),
    /// One octet becomes another, of those that mean something in a message.
    Overwrite(usize, usize),
    /// The rest is lost.
    Cut(usize),
    /// One octet is there again behind the end.
    Extend(u8),
    /// A part of the message comes twice.
    Repeat(usize, usize),
    /// A part of the message is lost.
    Remove(usize, usize),
    /// A count of the header is one more.
    Count(usize),
}

impl Damage {
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(..10) {
            0..=2 => Damage::Flip(random.usize(..), 1 << random.u8(..8)),
            3 | 4 => Damage::Overwrite(random.usize(..), random.usize(..)),
            5 => Damage::Cut(random.usize(..)),
            6 => Damage::Extend(random.u8(..)),
            7 => Damage::Repeat(random.usize(..), random.usize(..)),
            8 => Damage::Remove(random.usize(..), random.usize(..)),
            _ => Damage::Count(random.usize(..)),
        }
    }

    fn any() -> impl Strategy<Value = Self> {
        any::<u64>().prop_map(|seed| Damage::random(&mut fastrand::Rng::with_seed(seed)))
    }

    fn inflict(self, message: &mut Vec<u8>) {
        /// Ends of names, lengths of labels, pointers, the highest of everything, types, flags.
        const MEANINGFUL: [u8; 14] = [0, 1, 2, 3, 8, 12, 28, 41, 63, 64, 0x80, 0xc0, 0xfe, 0xff];
        let size = message.len().max(1);
        match self {
            _ if message.is_empty() => message.push(0),
            Damage::Flip(at, bits) => message[at % size] ^= bits,
            Damage::Overwrite(at, which) => message[at % size] = MEANINGFUL[which % MEANINGFUL.len()],
            Damage::Cut(at) => message.truncate(at % size),
            Damage::Extend(octet) => message.push(octet),
            Damage::Repeat(one, other) => {
                let (one, other) = (one % size, other % size);
                message.extend_from_within(one.min(other)..one.max(other));
            }
            Damage::Remove(one, other) => {
                let (one, other) = (one % size, other % size);
                message.drain(one.min(other)..one.max(other));
            }
            Damage::Count(which) => {
                if let Some(octet) = message.get_mut([5, 7, 9, 11][which % 4]) {
                    *octet = octet.wrapping_add(1);
                }
            }
        }
    }
}

/// Messages that are damaged and asked.
const MESSAGES: usize = 10_000_000;
/// They are drawn in this many parts, each with its own fixed seed: how many threads share the
/// work does not change what is asked.
const PARTS: usize = 100;
/// One reply in this many is read by the oracle: it takes ten times as long as the reply.
const FOR_ORACLE: usize = 1_000;
/// And one in this many by dnspython, a process of its own that reads some 10,000 a second.
const FOR_PYTHON: usize = 5_000;

/// One in this many asks a worker with a rate limit.
const LIMITED: usize = 3;

#[test]
fn damaged_queries_by_the_ten_million_do_no_harm() {
    let mut worker = cookie_worker();
    for query in &*SOUND {
        assert_harmless(&TABLE_WITH_COOKIES, &mut worker, UDP, query);
        assert_harmless(&TABLE_WITH_COOKIES, &mut worker, TCP, query);
    }
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let sampled: Vec<String> = std::thread::scope(|scope| {
        let spawn = |_| {
            scope.spawn(|| {
                let parts = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                parts.take_while(|part| *part < PARTS).flat_map(ask_part).collect::<Vec<String>>()
            })
        };
        let running: Vec<_> = (0..threads).map(spawn).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no message does harm")).collect()
    });
    assert!(sampled.len() > MESSAGES / FOR_PYTHON / 2, "{} replies", sampled.len());
    assert_dnspython_reads(&sampled);
}

/// [`TABLE`] with server cookies and whatever else a service gives.
static TABLE_WITH_COOKIES: LazyLock<RoutingTable> = LazyLock::new(|| world::with_cookies(&TABLE));

fn cookie_worker() -> Worker {
    world::worker(&TABLE_WITH_COOKIES).with_service(Arc::new(world::service()))
}

/// A worker that limits replies, and what it counts.
fn limited_worker() -> (Worker, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    let mut worker = Worker::new(1, counters.clone()).with_service(Arc::new(world::limited(2)));
    worker.prepare(&TABLE_WITH_COOKIES);
    (worker, counters)
}

/// What the reply of a worker that limits must be, if there is one. Returns its length.
fn ask_limited(
    worker: &mut Worker,
    counters: &Counters,
    client: Client,
    sent: &[u8],
    buffer: &mut [u8],
) -> usize {
    let read = || {
        [&counters.limited_withheld, &counters.limited_slipped, &counters.limited_bad_cookie]
            .map(Counter::read)
    };
    let before = read();
    let length = answer(&TABLE_WITH_COOKIES, worker, client, sent, buffer);
    let after = read();
    let [withheld, slipped, bad_cookie] = [0, 1, 2].map(|at| after[at] - before[at]);
    assert!(withheld + slipped + bad_cookie <= u64::from(client.transport == Transport::Udp), "{sent:02x?}");
    let may_be_answered = sent.len() >= 12 && sent[2] & 0x80 == 0;
    assert_eq!(length >= 12, may_be_answered && withheld == 0, "{sent:02x?}");
    if slipped + bad_cookie > 0 {
        // A cookie of 8 octets is one of 24 in the reply.
        assert!(length <= sent.len() + 16, "{length} octets for {sent:02x?}");
    }
    length
}

/// Asks one part of [`MESSAGES`], and returns the replies that are for dnspython, in hexadecimal.
fn ask_part(part: usize) -> Vec<String> {
    let mut worker = cookie_worker();
    let (mut limited, counters) = limited_worker();
    let mut random = fastrand::Rng::with_seed(part as u64);
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let (mut message, mut sampled) = (Vec::new(), Vec::new());
    for round in 0..MESSAGES / PARTS {
        message.clone_from(&SOUND[random.usize(..SOUND.len())]);
        for _ in 0..random.usize(1..5) {
            Damage::random(&mut random).inflict(&mut message);
        }
        let (client, room) = if round % 16 == 0 { (TCP, buffer.len()) } else { (UDP, MAX_UDP_REPLY) };
        if round % LIMITED == 1 {
            // Debts are forgiven now and then, and cookies grow old in the end.
            limited.tick((round / 1_000 * 40) as u32);
            ask_limited(&mut limited, &counters, client, &message, &mut buffer[..room]);
            continue;
        }
        if round % FOR_ORACLE == 0 {
            assert_harmless(&TABLE_WITH_COOKIES, &mut worker, client, &message);
        }
        let length = answer(&TABLE_WITH_COOKIES, &mut worker, client, &message, &mut buffer[..room]);
        let reply = &mut buffer[..length];
        let may_be_answered = message.len() >= 12 && message[2] & 0x80 == 0;
        assert_eq!(length >= 12, may_be_answered, "{message:02x?}");
        if may_be_answered {
            assert_eq!((&reply[..2], reply[2] & 0xf8), (&message[..2], message[2] & 0x78 | 0x80));
            // Opcodes that are not assigned, dnspython does not read at all.
            if round % FOR_PYTHON == 0 && matches!(reply[2] >> 3 & 0xf, 0..=2 | 4..=5) {
                name_a_family(reply);
                sampled.push(reply.iter().map(|octet| format!("{octet:02x}")).collect());
            }
        }
    }
    for counter in [
        &counters.limited_withheld,
        &counters.limited_slipped,
        &counters.limited_bad_cookie,
        &counters.cookies_good,
    ] {
        assert!(counter.read() > 0, "part {part} has not been everywhere");
    }
    sampled
}

/// A client subnet of no bits may name no family; oracles do not know that.
fn name_a_family(reply: &mut [u8]) {
    if let Some(at) = reply.windows(8).rposition(|option| option == [0, 8, 0, 4, 0, 0, 0, 0]) {
        reply[at + 5] = 1;
    }
}

/// Has Debian's dnspython read messages in hexadecimal, each to its last octet.
fn assert_dnspython_reads(messages: &[String]) {
    const READ: &str = "import sys, dns.message\n\
        for line in open(sys.argv[1]): dns.message.from_wire(bytes.fromhex(line), one_rr_per_rrset=True)";
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(messages.join("\n").as_bytes()).expect("there is room");
    // Debian's own interpreter: another in PATH lacks Debian's modules.
    let python = Command::new("/usr/bin/python3").args(["-c", READ]).arg(file.path()).output();
    let python = python.expect("python3 is installed: tests/run installs it");
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_queries_do_no_harm(
        which in any::<prop::sample::Index>(),
        damages in proptest::collection::vec(Damage::any(), 1..6),
    ) {
        let mut message = which.get(&SOUND).clone();
        for damage in damages {
            damage.inflict(&mut message);
        }
        assert_harmless(&TABLE, &mut world::worker(&TABLE), UDP, &message);
    }

    #[test]
    fn random_octets_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        assert_harmless(&TABLE, &mut world::worker(&TABLE), UDP, &octets);
        // With a header that gets past the first look.
        if octets.len() >= 12 {
            let message = [&octets[..2], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 1], &octets[12..]].concat();
            assert_harmless(&TABLE, &mut world::worker(&TABLE), UDP, &message);
        }
    }
}
