//! What a new table costs: the whole of it at a reload, the part of that for which verdicts wait, and a
//! flip of one pool's address.
//!
//! `cargo bench --bench compile`

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use rhumb::control::{Controller, Event, Prepared};
use rhumb::health::Verdict;
use rhumb::plan::{CheckId, CheckKind, HealthCheck, Plan, PoolId, TcpCheck};
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

/// As many pools as domains, and four watched addresses in each.
fn watched(domains: usize) -> Arc<Plan> {
    let mut plan = Plan::clone(&world::plan(domains, domains));
    plan.health_checks = vec![HealthCheck {
        name: "tcp".to_owned(),
        kind: CheckKind::Tcp(TcpCheck::default()),
        interval: Duration::from_secs(1),
        fast_interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        fall: 2,
        rise: 2,
        initial: Verdict::Up,
        tripwire: false,
        damping: None,
    }];
    for pool in &mut plan.pools {
        Arc::make_mut(pool).health_check = Some(CheckId(0));
    }
    Arc::new(plan)
}

/// What is done of a reload while verdicts come in.
#[divan::bench(args = [1_000, 10_000], sample_count = 10, sample_size = 1)]
fn prepare(bencher: Bencher<'_, '_>, domains: usize) {
    let (plan, map) = (watched(domains), world::map());
    bencher.bench_local(|| Prepared::new(plan.clone(), map.clone()));
}

/// What is left of a reload, for which they wait.
#[divan::bench(args = [1_000, 10_000], sample_count = 10, sample_size = 1)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn go_over(bencher: Bencher<'_, '_>, domains: usize) {
    let (plan, map, now) = (watched(domains), world::map(), Instant::now());
    let controller = RefCell::new(Controller::new(plan.clone(), map.clone(), now));
    let remains = RefCell::new(Vec::new());
    bencher
        .with_inputs(|| {
            // Freed where nobody waits for it, as in the daemon.
            remains.borrow_mut().clear();
            Box::new(Prepared::new(plan.clone(), map.clone()))
        })
        .bench_local_values(|world| {
            let mut controller = controller.borrow_mut();
            let notices = controller.handle(Event::Replaced { world, orders: Vec::new() }, now);
            remains.borrow_mut().extend(controller.take_remains());
            notices
        });
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
