//! Plan and verdicts to answers: the compiled table and the one function that reads it.
//!
//! [`RoutingTable::compile`] turns a plan and a map into a table, [`RoutingTable::with_pool`]
//! makes its successor when the health of a pool's addresses changes, and [`answer`] reads it.
//! A query never asks whether something is healthy: the table holds what may be given.

use std::net::IpAddr;

mod admitted;
mod ahead;
mod answer;
mod as_if;
mod aside;
mod compare;
mod compile;
mod cookie;
mod counters;
mod coverage;
mod edges;
mod explain;
mod explore;
mod flow;
mod histogram;
mod latency;
mod names;
mod nsec;
mod nsec3;
mod policy;
mod pool_health;
mod proofs;
mod rate_limit;
mod recorder;
mod rendezvous;
mod respond;
mod rules;
mod sameness;
mod select;
mod service;
mod signed;
mod sources;
mod steer;
mod steering;
mod story;
mod table;
mod turns;
mod whereabouts;
mod worker;

pub use ahead::look_ahead;
pub use answer::answer;
pub use compare::{MAX_EXPLAINED, Move, MovedClient, compare};
pub use cookie::{CookieSecret, CookieSecrets};
pub use counters::{Counter, Counters};
pub use coverage::{Covered, PoolsShare, coverage};
pub use edges::{MAX_EDGES, MAX_ZONES};
pub use explain::{
    AddressExplained, CandidateExplained, ChoiceExplained, DecisionExplained, Explanation, PlaceExplained,
    explain,
};
pub use flow::{DomainFlow, Flow, PoolFlow, ZoneFlow};
pub use histogram::{Distribution, Histogram, STAGE_BOUNDS};
pub use pool_health::{PoolHealth, Share, Standing};
pub use rate_limit::{MAX_RATE, NETWORK_V6, RateLimit};
pub use service::Service;
pub use table::{Compiled, RoutingTable};
pub use turns::{Rotation, Turns};
pub use worker::Worker;

/// How a query came, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: the reply is cut to what the client can take.
    Udp,
    /// A stream: the reply may have up to 65,535 octets.
    Tcp,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The source address of the query.
    pub address: IpAddr,
    /// How the query came.
    pub transport: Transport,
}

#[cfg(test)]
mod tests;
