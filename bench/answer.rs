//! What one answer costs, by what is asked and how large the world is.
//!
//! `cargo bench --bench answer`

use std::cell::Cell;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use rhumb::routing::{Client, Counters, RoutingTable, Transport, Worker, answer};

mod world;
use world::Kind;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// More than the second-level cache holds, so that names are met in memory as in service.
const QUERIES: usize = 16 * 1024;

fn main() {
    divan::main();
}

#[divan::bench(
    args = [(Kind::Hit, 1_000), (Kind::Hit, 100_000), (Kind::HitSubnet, 1_000), (Kind::HitSubnet, 100_000),
            (Kind::Missing, 1_000), (Kind::Missing, 100_000)],
    sample_count = 200, sample_size = 2_000
)]
fn answer_one(bencher: Bencher<'_, '_>, (kind, domains): (Kind, usize)) {
    let table = RoutingTable::well(world::plan(domains, domains / 10), world::map());
    let mut worker = Worker::new(1, Arc::<Counters>::default());
    worker.prepare(&table);
    let queries = world::Queries::new(kind, domains, QUERIES);
    let mut reply = vec![0; 1232];
    let next = Cell::new(0);
    let client = Client { address: [113, 160, 0, 1].into(), transport: Transport::Udp };
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let at = next.get();
        next.set((at + 1) % QUERIES);
        black_box(answer(&table, &mut worker, client, black_box(queries.get(at)), &mut reply))
    });
}
