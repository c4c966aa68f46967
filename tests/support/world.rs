//! A small world with every kind of answer in it, and who asks.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rhumb::plan::Plan;

use rhumb::routing::{
    Client, CookieSecrets, Counters, Flow, RateLimit, RoutingTable, Service, Transport, Worker,
};

/// What `world.toml` says, and `more` steered names `www0.ai.example`, `www1.ai.example` and so on.
pub(crate) fn plan(more: usize) -> Arc<Plan> {
    let mut text = include_str!("world.toml").to_owned();
    for number in 0..more {
        write!(
            text,
            "\n[[domain]]\nname = \"www{number}.ai.example\"\npolicy = \"nearest\"\n\
             pools = [\"vietnam\", \"hongkong\"]\nttl = \"5s\"\n"
        )
        .expect("a String takes everything");
    }
    let loaded = rhumb::config::parse("world.toml", &text, Path::new("")).expect("a sound configuration");
    Arc::new(loaded.plan)
}

/// The table of [`plan`], with every address up and a map that knows the world's countries.
pub(crate) fn table(more: usize) -> RoutingTable {
    RoutingTable::well(plan(more), Arc::new(rhumb::geo::GeoTable::embedded()))
}

/// A worker that is ready for `table`, and counts where answers go.
pub(crate) fn worker(table: &RoutingTable) -> Worker {
    let mut worker = Worker::new(1, Arc::<Counters>::default()).with_flow(Arc::<Flow>::default());
    worker.prepare(table);
    worker
}

/// `table` with cookies.
pub(crate) fn with_cookies(table: &RoutingTable) -> RoutingTable {
    table.with_cookies(Some(CookieSecrets::new([7; 16], &[]))).expect("it had none")
}

/// Everything that a server can say of itself, and nobody limited.
pub(crate) fn service() -> Service {
    Service {
        rate_limit: None,
        nsid: Some("site-1".to_owned()),
        version: Some("rhumb".to_owned()),
        id: Some("ns1.site-1".to_owned()),
        tcp_idle_timeout: Some(Duration::from_secs(10)),
    }
}

/// The same, with so many replies of a kind to a network in a second; every second of the others
/// is truncated.
pub(crate) fn limited(replies_per_second: u32) -> Service {
    let exempt = vec!["10.0.0.0/8".parse().expect("a prefix")];
    Service { rate_limit: Some(RateLimit { replies_per_second, slip: 2, exempt }), ..service() }
}

/// A client in Vietnam, by UDP.
pub(crate) const UDP: Client = Client { address: VIETNAM, transport: Transport::Udp };
/// The same, by TCP.
pub(crate) const TCP: Client = Client { address: VIETNAM, transport: Transport::Tcp };
const VIETNAM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(113, 160, 0, 1));
