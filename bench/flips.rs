//! A server in whose table one address after another fails and recovers: what updates cost
//! queries. 100,000 domains over 10,000 pools, one UDP thread.
//!
//! `flips ADDRESS FLIPS_PER_SECOND` serves until it is killed.
#![allow(clippy::disallowed_methods, reason = "it paces the flips")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rhumb::plan::PoolId;
use rhumb::routing::{Counters, Flow, RateLimit, RoutingTable, Service, Worker};
use rhumb::serve::{Listeners, TableAnswerer, TcpLimits};

mod world;

const DOMAINS: usize = 100_000;
const POOLS: usize = 10_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo runs every bench: alone or with this argument.
    if arguments.iter().all(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let (Some(address), Some(rate)) = (
        arguments.first().and_then(|text| text.parse::<SocketAddr>().ok()),
        arguments.get(1).and_then(|text| text.parse::<u32>().ok()),
    ) else {
        eprintln!("usage: flips ADDRESS FLIPS_PER_SECOND");
        return ExitCode::from(2);
    };

    let table = RoutingTable::well(world::plan(DOMAINS, POOLS), world::map());
    let published = Arc::new(ArcSwap::from_pointee(table));
    // As the daemon's: it counts where answers go, and for a limit that none of them reaches.
    let rate_limit = Some(RateLimit { replies_per_second: 10_000_000, slip: 2, exempt: Vec::new() });
    let service = Arc::new(Service { rate_limit, ..Service::default() });
    let worker = || Worker::new(1, Arc::<Counters>::default()).with_service(service.clone());
    let answerer = |_| TableAnswerer::new(published.clone(), worker().with_flow(Arc::<Flow>::default()));
    let serving = match Listeners::bind(&[address], 1) {
        Ok(listeners) => listeners.start(TcpLimits::default(), answerer),
        Err(error) => Err(error.cause),
    };
    match serving {
        Ok(_serving) => {
            if rate > 0 {
                let published = published.clone();
                thread::spawn(move || flip(&published, rate));
            }
            std::future::pending().await
        }
        Err(error) => {
            eprintln!("flips: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Swaps the table `rate` times a second, for ever, as the daemon's controller does: a replaced
/// table is freed here once no worker reads it.
fn flip(published: &ArcSwap<RoutingTable>, rate: u32) {
    let spacing = Duration::from_secs(1) / rate;
    let mut retired: Vec<Arc<RoutingTable>> = Vec::new();
    let mut due = Instant::now();
    for turn in 0u32.. {
        let pool = PoolId(turn % POOLS as u32);
        let fails = (turn / POOLS as u32).is_multiple_of(2);
        let next = published.load().with_up(pool, |position| !fails || position > 0);
        retired.retain(|table| Arc::strong_count(table) > 1);
        retired.push(published.swap(Arc::new(next)));
        due += spacing;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
