//! What one answer costs, by what is asked and how large the world is, beside what hickory-proto takes
//! for the messages alone; and what guarding the server adds.
//!
//! `cargo bench --bench answer`

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use hickory_proto::op::Message;
use rhumb::dns::FULL_COOKIE;
use rhumb::routing::{
    Client, CookieSecrets, Counters, Flow, RateLimit, RoutingTable, Service, Transport, Worker, answer,
};

mod world;
use world::Kind;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// More than the second-level cache holds, so that names are met in memory as in service.
const QUERIES: usize = 16 * 1024;

/// Somewhere in Vietnam.
const CLIENT: Client =
    Client { address: IpAddr::V4(Ipv4Addr::new(113, 160, 0, 1)), transport: Transport::Udp };

fn main() {
    divan::main();
}

#[divan::bench(
    args = [(Kind::Hit, 1_000), (Kind::Hit, 100_000), (Kind::HitSubnet, 1_000), (Kind::HitSubnet, 100_000),
            (Kind::Missing, 1_000), (Kind::Missing, 100_000)],
    sample_count = 200, sample_size = 2_000
)]
fn answer_one(bencher: Bencher<'_, '_>, (kind, domains): (Kind, usize)) {
    let table = table(domains);
    let mut worker = worker(&table);
    let queries = world::Queries::new(kind, domains, QUERIES);
    let mut reply = vec![0; 1232];
    let next = Cell::new(0);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let at = next.get();
        next.set((at + 1) % QUERIES);
        black_box(answer(&table, &mut worker, CLIENT, black_box(queries.get(at)), &mut reply))
    });
}

/// The query decoded and the reply to it encoded, of the same messages, without finding what to reply.
#[divan::bench(args = [Kind::Hit, Kind::HitSubnet, Kind::Missing], sample_count = 200, sample_size = 200)]
fn hickory_proto(bencher: Bencher<'_, '_>, kind: Kind) {
    let table = table(1_000);
    let mut worker = worker(&table);
    let queries = world::Queries::new(kind, 1_000, QUERIES);
    let mut reply = vec![0; 1232];
    let replies: Vec<Message> = (0..QUERIES)
        .map(|at| {
            let length = answer(&table, &mut worker, CLIENT, queries.get(at), &mut reply);
            Message::from_vec(&reply[..length]).expect("a sound reply")
        })
        .collect();
    let next = Cell::new(0);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let at = next.get();
        next.set((at + 1) % QUERIES);
        // Dropped here, because giving back the memory is part of the cost.
        drop(black_box(Message::from_vec(black_box(queries.get(at))).expect("a sound query")));
        drop(black_box(black_box(&replies[at]).to_vec().expect("a message that was read can be written")));
    });
}

/// What stands between the server and those who would misuse it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Guard {
    Nothing,
    RateLimit,
    /// A client that has no cookie of the server's yet.
    NewCookie,
    GoodCookie,
    /// A good cookie, which spares the client the rate limit.
    RateLimitAndGoodCookie,
}

/// Hits in a world of 1,000 domains, from clients all over the world.
#[divan::bench(
    args = [Guard::Nothing, Guard::RateLimit, Guard::NewCookie, Guard::GoodCookie,
            Guard::RateLimitAndGoodCookie],
    sample_count = 200, sample_size = 2_000
)]
fn guarded(bencher: Bencher<'_, '_>, guard: Guard) {
    let mut random = fastrand::Rng::with_seed(7);
    let clients: Vec<Client> = (0..QUERIES)
        .map(|_| Client { address: Ipv4Addr::from_bits(random.u32(..)).into(), ..CLIENT })
        .collect();
    let is_limited = matches!(guard, Guard::RateLimit | Guard::RateLimitAndGoodCookie);
    let rate_limit = is_limited.then(|| RateLimit { replies_per_second: 200, slip: 2, exempt: Vec::new() });
    let table = table(1_000).with_cookies(Some(CookieSecrets::new([7; 16], &[]))).expect("it had none");
    let mut worker = worker(&table).with_service(Arc::new(Service { rate_limit, ..Service::default() }));
    let mut reply = vec![0; 1232];
    let plain = world::Queries::new(Kind::Hit, 1_000, QUERIES);
    let queries: Vec<Vec<u8>> = (0..QUERIES)
        .map(|at| {
            let query = plain.get(at);
            match guard {
                Guard::Nothing | Guard::RateLimit => query.to_vec(),
                Guard::NewCookie => with_cookie(query, b"clientid"),
                Guard::GoodCookie | Guard::RateLimitAndGoodCookie => {
                    let query_new = with_cookie(query, b"clientid");
                    let length = answer(&table, &mut worker, clients[at], &query_new, &mut reply);
                    with_cookie(query, &reply[length - FULL_COOKIE..length])
                }
            }
        })
        .collect();
    let next = Cell::new(0);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let at = next.get();
        next.set((at + 1) % QUERIES);
        black_box(answer(&table, &mut worker, clients[at], black_box(&queries[at]), &mut reply))
    });
}

fn table(domains: usize) -> RoutingTable {
    RoutingTable::well(world::plan(domains, domains / 10), world::map())
}

fn worker(table: &RoutingTable) -> Worker {
    let mut worker = Worker::new(1, Arc::<Counters>::default()).with_flow(Arc::<Flow>::default());
    worker.prepare(table);
    worker
}

/// `query`, which ends with an OPT record without options, with a cookie in it (RFC 7873 section 4).
fn with_cookie(query: &[u8], cookie: &[u8]) -> Vec<u8> {
    const COOKIE: u8 = 10;
    let (head, no_options) = query.split_at(query.len() - 2);
    assert_eq!(no_options, [0, 0]);
    let length = cookie.len() as u8;
    [head, &[0, 4 + length, 0, COOKIE, 0, length], cookie].concat()
}
