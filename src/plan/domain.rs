//! Steered names.

use std::fmt;

use super::{PoolId, Source, ZoneId};
use crate::dns::Name;

/// The most pools that one choice may have: a set of them lies on the stack of each answer.
pub const MAX_POOLS: usize = 1024;

/// The most rules that a domain may have: those for a client are looked for one by one.
pub const MAX_RULES: usize = 1024;

/// The most domains one below the other, each standing in for a pool of the one above: each is
/// one more step of every answer.
pub const MAX_DEPTH: usize = 10;

/// The most pools that an answer may have to look at, those of the domains below it included, each
/// as often as it is named: below a millisecond, however they are nested.
pub const MAX_VISITS: usize = 1 << 16;

/// A steered name: it answers with the addresses of one of its pools.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// The name that clients ask for; may be a wildcard.
    pub name: Name,
    /// The zone that it stands in.
    pub zone: ZoneId,
    /// Where clients are sent by rule, in order: the first rule that matches and has something to
    /// give decides.
    pub rules: Vec<Rule>,
    /// Where all others are sent; `None`: they get an empty answer, and there is a rule at least.
    pub choice: Option<Choice>,
    /// Seconds that a resolver may keep an answer.
    pub ttl: u32,
    /// Seconds that it may keep one that is about to change, or is not the best there could be;
    /// at most `ttl`.
    pub ttl_min: u32,
    /// Whether the client subnet of a query counts (RFC 7871); otherwise a client is where its
    /// resolver is.
    pub client_subnet: bool,
    /// What to answer when none of the pools has a healthy address.
    pub when_all_down: WhenAllDown,
}

/// Clients by where they are, and the pools that they are sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Whom it is for, without repeats; empty: everybody.
    pub sources: Vec<Source>,
    /// What they get.
    pub choice: Choice,
    /// What they get when none of its pools has a healthy address; `None`: what the next rule
    /// says that matches.
    pub when_all_down: Option<WhenAllDown>,
}

/// A policy over pools.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// How a pool is chosen.
    pub policy: DomainPolicy,
    /// What may be chosen, in the operator's order of preference. Never empty, no repeats.
    pub pools: Vec<WeightedPool>,
}

/// A pool as a choice has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightedPool {
    /// The pool.
    pub pool: PoolId,
    /// Its share under `weighted` and `hash`; with 0 it is never chosen. 1 under other policies.
    pub weight: u32,
}

/// How a domain chooses among its pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DomainPolicy {
    /// The pool whose `serves` names the client most specifically, else the closest one.
    Nearest,
    /// The first in order that has a healthy address.
    Priority,
    /// At random, in proportion to the weights.
    Weighted,
    /// Each in its turn.
    RoundRobin,
    /// By the client's prefix, in proportion to the weights: a client stays with its pool, and
    /// the loss of a pool moves its own clients only.
    Hash,
}

/// What a domain answers when no pool of it has a healthy address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenAllDown {
    /// As if every address were up: a wrong probe must not take a site off the internet.
    ServeAll,
    /// From this pool; if it is down too, as if its addresses were up.
    Fallback(PoolId),
    /// An empty answer with the zone's SOA.
    Nodata,
    /// SERVFAIL, so that resolvers try the zone's other servers.
    Servfail,
}

impl Choice {
    /// A choice among `pools`, each with the same weight.
    pub fn even(policy: DomainPolicy, pools: impl IntoIterator<Item = PoolId>) -> Self {
        Choice { policy, pools: pools.into_iter().map(|pool| WeightedPool { pool, weight: 1 }).collect() }
    }
}

impl Domain {
    /// Every choice that it may come to, in the order of the rules.
    pub fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.rules.iter().map(|rule| &rule.choice).chain(&self.choice)
    }

    /// Every pool of its choices, in order and without repeats.
    pub fn pools(&self) -> Vec<PoolId> {
        let mut pools = Vec::new();
        for WeightedPool { pool, .. } in self.choices().flat_map(|choice| &choice.pools) {
            if !pools.contains(pool) {
                pools.push(*pool);
            }
        }
        pools
    }

    /// Every pool that it falls back to when all others are down.
    pub fn fallbacks(&self) -> impl Iterator<Item = PoolId> {
        let of_rules = self.rules.iter().filter_map(|rule| rule.when_all_down);
        of_rules.chain([self.when_all_down]).filter_map(|answer| match answer {
            WhenAllDown::Fallback(pool) => Some(pool),
            WhenAllDown::ServeAll | WhenAllDown::Nodata | WhenAllDown::Servfail => None,
        })
    }
}

impl fmt::Display for DomainPolicy {
    /// The policy's name in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DomainPolicy::Nearest => "nearest",
            DomainPolicy::Priority => "priority",
            DomainPolicy::Weighted => "weighted",
            DomainPolicy::RoundRobin => "round-robin",
            DomainPolicy::Hash => "hash",
        })
    }
}
