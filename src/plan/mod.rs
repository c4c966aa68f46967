//! The validated world that the operator asked for.
//!
//! Parse, don't validate: whoever holds a [`Plan`] holds one that can be served. Every
//! reference points at something that exists, a pool is never empty and never mixes IPs
//! with names that clients are given, and a domain stands in a zone. Only `config` makes one.

use std::sync::Arc;

mod condition;
mod difference;
mod domain;
mod health_check;
mod isolation;
mod latency;
mod pool;
mod service;
mod state;
mod watch;
mod zone;

pub use condition::{Condition, ConditionRule, Member, Quorum};
pub use difference::{Changes, Difference, difference};
pub use domain::{
    Choice, Domain, DomainPolicy, MAX_DEPTH, MAX_POOLS, MAX_RULES, MAX_VISITS, Rule, WeightedPool,
    WhenAllDown,
};
pub use health_check::{
    Certificates, CheckKind, Damping, DnsCheck, DnsTransport, GrpcCheck, HealthCheck, HttpCheck, HttpVersion,
    IcmpCheck, Identity, Pattern, ScriptCheck, StatusRange, TcpCheck, TlsCheck, Trust, UdpCheck,
};
pub use isolation::Isolation;
pub use latency::{LatencySource, Measurement};
pub use pool::{Address, Addresses, Pool, PoolPolicy, RESOLVED, Resolved, Source, is_connectable};
pub use service::{Failback, MinAvailable, ServiceRules};
pub use state::{AddressState, UnknownState};
pub use watch::{Endpoint, Watch};
pub use zone::Zone;

/// Everything that a reload or an edit may change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Zones, in the order of the configuration.
    pub zones: Vec<Zone>,
    /// Health checks that pools refer to.
    pub health_checks: Vec<HealthCheck>,
    /// Pools that domains refer to.
    pub pools: Vec<Arc<Pool>>,
    /// Steered names.
    pub domains: Vec<Domain>,
    /// What pools depend on besides their own addresses. None of them depends on itself.
    pub conditions: Vec<Condition>,
    /// Measured latencies between clients and pools.
    pub latencies: Vec<Measurement>,
    /// When this host suspects its own network; `None`: never.
    pub isolation: Option<Isolation>,
}

/// Defines the position of a thing in one of the plan's lists, as a type of its own.
macro_rules! position {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index into the plan's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

position!(ZoneId, "A zone's position in [`Plan::zones`].");
position!(CheckId, "A health check's position in [`Plan::health_checks`].");
position!(ConditionId, "A condition's position in [`Plan::conditions`].");
position!(PoolId, "A pool's position in [`Plan::pools`].");
position!(DomainId, "A domain's position in [`Plan::domains`].");
