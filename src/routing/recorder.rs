//! What `answer` tells of itself while it works: nothing to a client's query, every step to
//! `explain`. The same code serves both.

use std::net::IpAddr;

use super::pool_health::{Share, Tier};
use super::select::{Choices, Selection};
use super::whereabouts::Whereabouts;
use crate::dns::Name;
use crate::plan::{DomainId, DomainPolicy, PoolId, Source, WhenAllDown};

/// Hears of each step of an answer. Every method does nothing unless overridden, so that for
/// [`Silent`] the calls vanish at compile time.
pub(super) trait Recorder {
    /// The name, the end of a chain so far, or the pool taken last is steered by this domain.
    fn domain(&mut self, _domain: impl FnOnce() -> DomainId) {}
    /// The client's place was looked up.
    fn located(&mut self, _client: IpAddr) {}
    /// The rule with this number, from 0, is for the client, by this source; `None`: for all.
    fn rule(&mut self, _number: u16, _source: Option<Source>) {}
    /// A choice among pools begins: the last rule's, or the domain's own.
    fn choice(&mut self, _policy: DomainPolicy, _tier: Tier) {}
    /// A pool was looked at.
    fn candidate(&mut self, _pool: PoolId, _finding: Finding) {}
    /// A pool was taken.
    fn taken(&mut self, _pool: PoolId, _reason: Reason) {}
    /// One of several is taken by lot or by turn, in proportion to these weights. Whoever is to hear
    /// of all that can happen decides which, counted from 0; `None`: it falls as it may.
    fn lot(&mut self, _weights: impl Iterator<Item = u32>) -> Option<usize> {
        None
    }
    /// Whether a pool that returns serves this time, if it serves this share by lot; likewise.
    fn serves(&mut self, _pool: PoolId, _share: Share) -> Option<bool> {
        None
    }
    /// One of these names is given; likewise.
    fn alias<'n>(
        &mut self,
        _names: &'n Selection<Name, 1>,
        _whereabouts: &mut Whereabouts<'_>,
    ) -> Option<&'n Name> {
        None
    }
    /// Addresses are given of these.
    fn gives(&mut self, _choices: &Choices, _whereabouts: &mut Whereabouts<'_>) {}
    /// No pool has a healthy address for the client.
    fn all_down(&mut self, _then: WhenAllDown) {}
    /// No rule is for the client, and there is nothing for all others.
    fn unruled(&mut self) {}
    /// The answer is not the best that the domain could give, or about to change: it is given
    /// for `ttl` seconds only.
    fn shortened(&mut self, _ttl: u32) {}
}

/// Hears nothing.
pub(super) struct Silent;

impl Recorder for Silent {}

/// What was found of a pool that was looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finding {
    /// It has no address of the kind asked for that may be given.
    PassedOver,
    /// It has one.
    Suitable,
    /// Its distance from the client counts.
    Placed,
    /// So many milliseconds were measured for the client.
    Measured(f32),
    /// It has no place, so that it is further than all that have one.
    Placeless,
    /// The client is not among the share that it serves yet.
    NotYet,
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
    /// It counts as the closest by what was measured.
    Quickest,
    /// The client's place is unknown, or no pool has one: the order decides.
    Unplaced,
    /// It was drawn, with this chance.
    Drawn(f32),
    /// It was its turn.
    Turn,
    /// The client's prefix belongs to it.
    Hashed,
    /// It is the domain's fallback.
    Fallback,
}
