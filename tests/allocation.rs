//! Answering allocates nothing, whatever is asked.

#![allow(unsafe_code, reason = "counting needs an allocator of our own, whose trait is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use rhumb::dns::{ClientSubnet, Name, Rcode, Rtype, query_message};
use rhumb::routing::{Client, Counters, Flow, RoutingTable, Worker, answer, look_ahead};
use rhumb::telemetry::query_log::{Destination, Filter, Format, Place, QueryLog};

#[path = "support/others.rs"]
#[allow(dead_code, reason = "only the signer is needed here")]
mod others;
#[path = "support/world.rs"]
mod world;

use others::{Denial, sign};
use world::{TCP, UDP};

/// The system's allocator, with a count of what this thread has asked of it.
struct Counting;

thread_local! {
    /// By thread, since the harness of the tests allocates in others. Without a destructor, so that
    /// it can be used as long as the thread lives.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    CALLS.set(CALLS.get() + 1);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that System wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory was taken or given back in `work`.
fn calls(work: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

/// Enough names for the tables to be those of service, not special cases of small ones.
const MORE_DOMAINS: usize = 1_000;

fn query(host: &str, rtype: Rtype, subnet: Option<ClientSubnet>) -> Vec<u8> {
    let name: Name = host.parse().expect("a name");
    query_message(1, &name, rtype, subnet)
}

/// Every kind of query, and the code that it is answered with; `None`: it is not.
fn kinds() -> Vec<(&'static str, Option<Rcode>, Vec<u8>)> {
    let v4 = ClientSubnet::new(IpAddr::from([113, 160, 0, 0]), 24);
    let v6 = ClientSubnet::new("2001:db8::".parse().expect("an address"), 56);
    let good = query("www.ai.example", Rtype::A, None);
    let edited = |at: usize, octet: u8| {
        let mut message = good.clone();
        message[at] = octet;
        message
    };
    let version = good.len() - 5;
    let mut chaos = query("version.bind", Rtype::TXT, None);
    let class = chaos.len() - 12;
    chaos[class] = 3;
    // A client's cookie, and the wish for an identifier and for the time a connection may be idle.
    let mut optioned = good.clone();
    optioned.extend(*b"\0\x0a\0\x08clientid\0\x03\0\0\0\x0b\0\0");
    let mut server_cookie = good.clone();
    server_cookie.extend(*b"\0\x0a\0\x18clientid\x01\0\0\0another server's");
    server_cookie.truncate(good.len() + 28);
    for message in [&mut optioned, &mut server_cookie] {
        let length = message.len() - good.len();
        message[good.len() - 1] = length as u8;
    }
    // The same without its question.
    let mut cookie_alone = optioned.clone();
    cookie_alone.drain(12..good.len() - 11);
    cookie_alone[5] = 0;
    vec![
        ("hit", Some(Rcode::NoError), query("www7.ai.example", Rtype::A, None)),
        ("IPv4 subnet", Some(Rcode::NoError), query("www7.ai.example", Rtype::A, Some(v4))),
        ("IPv6 subnet", Some(Rcode::NoError), query("www7.ai.example", Rtype::A, Some(v6))),
        ("AAAA", Some(Rcode::NoError), query("www7.ai.example", Rtype::AAAA, None)),
        ("weighted draw", Some(Rcode::NoError), query("drawn.ai.example", Rtype::A, None)),
        ("pool of names", Some(Rcode::NoError), query("cdn.ai.example", Rtype::A, None)),
        ("pool of names inside", Some(Rcode::NoError), query("indirect.ai.example", Rtype::A, None)),
        ("steered wildcard", Some(Rcode::NoError), query("x.apps.ai.example", Rtype::A, None)),
        ("static", Some(Rcode::NoError), query("ns1.ai.example", Rtype::A, None)),
        ("compressed", Some(Rcode::NoError), query("ai.example", Rtype::MX, None)),
        ("wildcard", Some(Rcode::NoError), query("x.wild.ai.example", Rtype::TXT, None)),
        ("alias", Some(Rcode::NoError), query("alias-of-alias.ai.example", Rtype::A, None)),
        ("loop", Some(Rcode::NoError), query("loop-1.ai.example", Rtype::A, None)),
        ("DNAME", Some(Rcode::NoError), query("www.old.ai.example", Rtype::A, None)),
        ("NODATA", Some(Rcode::NoError), query("www7.ai.example", Rtype::MX, None)),
        ("NXDOMAIN", Some(Rcode::NxDomain), query("nothing.ai.example", Rtype::A, None)),
        ("referral", Some(Rcode::NoError), query("x.child.ai.example", Rtype::A, None)),
        ("ANY", Some(Rcode::NoError), query("ai.example", Rtype::ANY, None)),
        ("ANY, steered", Some(Rcode::NoError), query("www7.ai.example", Rtype::ANY, None)),
        ("truncated", Some(Rcode::NoError), query("huge.ai.example", Rtype::TXT, None)),
        ("REFUSED", Some(Rcode::Refused), query("elsewhere.net", Rtype::A, None)),
        ("transfer", Some(Rcode::Refused), query("ai.example", Rtype::AXFR, None)),
        ("NOTIMP", Some(Rcode::NotImp), edited(2, 0x28)),
        ("response", None, edited(2, 0x80)),
        ("FORMERR", Some(Rcode::FormErr), edited(5, 2)),
        ("BADVERS", Some(Rcode::BadVers), edited(version, 1)),
        ("CHAOS", Some(Rcode::NoError), chaos),
        ("options", Some(Rcode::NoError), optioned),
        ("bad cookie", Some(Rcode::NoError), server_cookie),
        ("cookie alone", Some(Rcode::NoError), cookie_alone),
        ("too short", None, vec![0; 11]),
    ]
}

/// Asks once; the reply's length is looked at, so that the work cannot be left out.
fn ask(table: &RoutingTable, worker: &mut Worker, client: Client, query: &[u8], reply: &mut [u8]) -> u64 {
    calls(|| {
        std::hint::black_box(answer(table, worker, client, query, reply));
    })
}

#[test]
fn no_kind_of_answer_allocates() {
    let table = world::with_cookies(&world::table(MORE_DOMAINS));
    let counters = Arc::<Counters>::default();
    let flow = Arc::<Flow>::default();
    let mut worker =
        Worker::new(1, counters.clone()).with_service(Arc::new(world::service())).with_flow(flow.clone());
    worker.prepare(&table);
    let mut reply = vec![0; usize::from(u16::MAX)];
    for (kind, rcode, query) in kinds() {
        let counted = || rcode.map_or(counters.dropped.read(), |rcode| counters.replies(rcode));
        for client in [UDP, TCP] {
            for _ in 0..10 {
                let before = counted();
                let made = ask(&table, &mut worker, client, &query, &mut reply);
                assert_eq!(made, 0, "{kind} by {:?}", client.transport);
                assert_eq!(counted(), before + 1, "{kind} is what it is called");
            }
        }
    }
    assert_eq!(counters.truncated.read(), 10, "one kind, by UDP");
    let counted: u64 = flow.read(&table, None, usize::MAX).iter().map(|domain| domain.answers).sum();
    assert!(counted > 0, "or nothing was counted");
}

#[test]
fn answers_from_signed_zones_do_not_allocate() {
    for denial in [Denial::Nsec, Denial::Nsec3, Denial::OptOut] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let records = include_str!("static_zone/signed.zone");
        sign(directory.path(), "signed.example", records, denial);
        let text = "[[zone]]\nname = \"signed.example\"\nfile = \"signed\"\n";
        let loaded = rhumb::config::parse("config", text, directory.path()).expect("a sound configuration");
        let table = RoutingTable::well(Arc::new(loaded.plan), loaded.geo);
        let mut worker = world::worker(&table);
        let mut reply = vec![0; usize::from(u16::MAX)];
        for (kind, name, rtype) in [
            ("answer", "host", Rtype::A),
            ("NODATA", "host", Rtype::MX),
            ("NXDOMAIN", "missing.host", Rtype::A),
            ("empty non-terminal", "very.deep.name", Rtype::A),
            ("wildcard", "x.wild", Rtype::A),
            ("wildcard NODATA", "x.wild", Rtype::TXT),
            ("chain of wildcards", "x.tochain", Rtype::A),
            ("DNAME", "x.moved", Rtype::TXT),
            ("secure referral", "www.secure", Rtype::A),
            ("insecure referral", "www.insecure", Rtype::A),
            ("below what has opted out", "x.below.it", Rtype::A),
            ("DS", "insecure", Rtype::DS),
            ("signatures", "host", Rtype::RRSIG),
        ] {
            let mut query = query(&format!("{name}.signed.example"), rtype, None);
            let plain = answer(&table, &mut worker, TCP, &query, &mut reply);
            // The flags of the OPT record, which has no options: DO.
            let flags = query.len() - 4;
            query[flags] = 0x80;
            for client in [TCP, UDP] {
                let made = ask(&table, &mut worker, client, &query, &mut reply);
                assert_eq!(made, 0, "{kind} of {denial:?} by {:?}", client.transport);
            }
            let proven = answer(&table, &mut worker, TCP, &query, &mut reply);
            assert!(proven > plain || rtype == Rtype::RRSIG, "{kind} of {denial:?} is proven");
        }
    }
}

#[test]
fn what_the_rate_limit_sends_instead_does_not_allocate() {
    let table = world::with_cookies(&world::table(MORE_DOMAINS));
    let counters = Arc::<Counters>::default();
    let mut worker = Worker::new(1, counters.clone()).with_service(Arc::new(world::limited(1)));
    worker.prepare(&table);
    let mut reply = vec![0; usize::from(u16::MAX)];
    for _ in 0..10 {
        for (kind, _, query) in kinds() {
            assert_eq!(ask(&table, &mut worker, UDP, &query, &mut reply), 0, "{kind}");
        }
        // A network more for the limit to know.
        let elsewhere = Client { address: std::net::Ipv4Addr::from_bits(fastrand::u32(..)).into(), ..UDP };
        assert_eq!(
            ask(&table, &mut worker, elsewhere, &query("www7.ai.example", Rtype::A, None), &mut reply),
            0
        );
    }
    for limited in [&counters.limited_withheld, &counters.limited_slipped, &counters.limited_bad_cookie] {
        assert!(limited.read() > 0, "or nothing was limited");
    }
}

#[test]
fn a_record_of_an_answer_does_not_allocate() {
    let table = world::with_cookies(&world::table(MORE_DOMAINS));
    let mut worker = world::worker(&table);
    let mut reply = vec![0; usize::from(u16::MAX)];
    let log = QueryLog::start().expect("a thread");
    // Nobody listens there: the ring is not emptied, at last it is full, and what is recorded is dropped.
    let place = Place::Socket("/nonexistent/socket".into());
    log.direct(Some(Destination { format: Format::Json, place, identity: String::new() }));
    let mut recorder = log.recorder();
    let local = Some("192.0.2.53:53".parse().expect("an address"));
    log.sample(1.0);
    for second in 0..2_000 {
        for (kind, _, query) in kinds() {
            let made = calls(|| {
                assert!(recorder.tick(std::time::Duration::from_secs(second)));
                let length = answer(&table, &mut worker, UDP, &query, &mut reply);
                recorder.record(UDP, 5353, local, &query, &reply[..length]);
            });
            assert_eq!(made, 0, "{kind}");
        }
    }
    assert!(log.health().dropped > 0, "or the ring was never full");

    // Neither does it take any to look at what is not wanted.
    let zone: Name = "nowhere.example".parse().expect("a name");
    log.filter(Filter::new(&[Rcode::NoError, Rcode::NxDomain], &[zone]));
    recorder.tick(std::time::Duration::from_secs(1));
    for (kind, _, query) in kinds() {
        let length = answer(&table, &mut worker, UDP, &query, &mut reply);
        assert_eq!(calls(|| recorder.record(UDP, 5353, local, &query, &reply[..length])), 0, "{kind}");
    }
    assert_eq!(log.health().filtered, kinds().len() as u64);
}

#[test]
fn random_octets_do_not_make_it_allocate() {
    let table = world::table(MORE_DOMAINS);
    let mut worker = world::worker(&table);
    let mut reply = vec![0; usize::from(u16::MAX)];
    let mut random = fastrand::Rng::with_seed(1);
    let kinds = kinds();
    for _ in 0..20_000 {
        let (_, _, query) = &kinds[random.usize(..kinds.len())];
        let mut message = query.clone();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..message.len());
            message[at] = random.u8(..);
        }
        assert_eq!(ask(&table, &mut worker, UDP, &message, &mut reply), 0, "{message:02x?}");
    }
}

#[test]
fn to_look_ahead_does_not_allocate() {
    // So many that they are worth looking at.
    let table = world::table(20_000);
    let kinds = kinds();
    let mut queries: Vec<&[u8]> = kinds.iter().map(|(_, _, query)| &query[..]).collect();
    queries.extend([&[0xff; 600][..], &[63; 600], &[0; 11]]);
    assert_eq!(calls(|| look_ahead(&table, queries.iter().copied())), 0);
    // More than are ever received together.
    assert_eq!(calls(|| look_ahead(&table, queries.iter().copied().cycle().take(1_000))), 0);
}

#[test]
fn a_flip_does_not_make_the_next_answer_allocate() {
    let table = world::table(MORE_DOMAINS);
    let mut worker = world::worker(&table);
    let mut reply = vec![0; usize::from(u16::MAX)];
    let flipped = table.with_up(rhumb::plan::PoolId(0), |position| position != 0);
    assert_eq!(calls(|| worker.prepare(&flipped)), 0, "there are no more pools than before");
    for (kind, _, query) in kinds() {
        assert_eq!(ask(&flipped, &mut worker, UDP, &query, &mut reply), 0, "{kind}");
    }
}

#[test]
fn a_worker_is_made_ready_once() {
    let table = world::table(MORE_DOMAINS);
    let mut worker = Worker::new(1, Arc::default()).with_flow(Arc::default());
    assert!(calls(|| worker.prepare(&table)) > 0, "or what is counted is not what allocates");
    assert_eq!(calls(|| worker.prepare(&table)), 0);
}
