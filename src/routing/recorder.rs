//! What `answer` tells of itself while it works: nothing to a client's query, every step to
//! `explain`. The same code serves both.

use std::net::IpAddr;

use crate::plan::{DomainPolicy, PoolId, Source, WhenAllDown};

/// Hears of each step of an answer. Every method does nothing unless overridden, so that for
/// [`Silent`] the calls vanish at compile time.
pub(super) trait Recorder {
    /// The name, or the end of a chain so far, is steered by this domain.
    fn domain(&mut self, _domain: u32, _policy: DomainPolicy) {}
    /// The client's place was looked up.
    fn located(&mut self, _client: IpAddr) {}
    /// A pool was looked at.
    fn candidate(&mut self, _pool: PoolId, _finding: Finding) {}
    /// A pool was taken.
    fn taken(&mut self, _pool: PoolId, _reason: Reason) {}
    /// No pool of the domain has a healthy address.
    fn all_down(&mut self, _then: WhenAllDown) {}
}

/// Hears nothing.
pub(super) struct Silent;

impl Recorder for Silent {}

/// What was found of a pool that was looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finding {
    /// It has no address of the kind asked for that may be given.
    NothingToGive,
    /// Its distance from the client, as the square of a chord of the unit sphere.
    Distance(f32),
    /// It has no place, so that it is further than all that have one.
    Placeless,
}

/// Why a pool was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    /// It is the first in order that has an address to give.
    First,
    /// It is the only one that has.
    Only,
    /// Its `serves` matches the client, and none more specifically.
    Serves(Source),
    /// It is the closest.
    Closest,
    /// The client's place is unknown, or no pool has one: the order decides.
    Unplaced,
    /// It is the domain's fallback.
    Fallback,
}
