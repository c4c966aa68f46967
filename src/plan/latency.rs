//! Measured latencies.

use std::fmt;

use ipnet::IpNet;

use super::PoolId;

/// How long the way between some clients and a pool takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// The clients.
    pub source: LatencySource,
    /// The pool.
    pub pool: PoolId,
    /// The round trip, 0 to 60,000.
    pub milliseconds: f32,
}

/// Clients that a latency was measured for. No pool has two measurements for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LatencySource {
    /// Those in a network.
    Prefix(IpNet),
    /// Those of an autonomous system.
    Asn(u32),
}

impl fmt::Display for LatencySource {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LatencySource::Prefix(prefix) => prefix.fmt(f),
            LatencySource::Asn(number) => write!(f, "AS{number}"),
        }
    }
}
