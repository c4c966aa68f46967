//! What a new table costs: the whole of it at a reload, and a flip of one pool's address.
//!
//! `cargo bench --bench compile`

use std::cell::Cell;

use divan::{Bencher, black_box};
use rhumb::plan::PoolId;
use rhumb::routing::RoutingTable;

mod world;

fn main() {
    divan::main();
}

#[divan::bench(args = [1_000, 100_000, 1_000_000], sample_count = 5, sample_size = 1)]
fn whole(bencher: Bencher<'_, '_>, domains: usize) {
    let (plan, map) = (world::plan(domains, 10_000.min(domains / 10)), world::map());
    bencher.bench_local(|| RoutingTable::well(plan.clone(), map.clone()));
}

#[divan::bench(args = [1_000, 100_000])]
fn flip(bencher: Bencher<'_, '_>, domains: usize) {
    let pools = 10_000.min(domains / 10);
    let table = RoutingTable::well(world::plan(domains, pools), world::map());
    let next = Cell::new(0u32);
    bencher.bench_local(|| {
        next.set((next.get() + 1) % pools as u32);
        black_box(table.with_up(PoolId(next.get()), |position| position != 0))
    });
}
