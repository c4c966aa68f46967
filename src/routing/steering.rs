//! What a domain steers by, compiled.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::edges::Edges;
use super::latency::Latencies;
use super::rendezvous::member_hash;
use super::rules::Rules;
use super::select::Choices;
use super::sources::SourceIndex;
use crate::geo::{Fields, GeoTable, GeoView, UnitVector};
use crate::plan::{
    Addresses, Choice, Domain, DomainId, DomainPolicy, Measurement, Plan, Pool, PoolId, WeightedPool,
    WhenAllDown,
};

/// What a query can take of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
    /// Anything: where a pool of names is among the choices, the answer may be a CNAME, and the
    /// pool must be the same for every type. A resolver that has the CNAME uses it for all.
    Any,
}

impl Family {
    pub(super) const COUNT: usize = 3;
    pub(super) const ALL: [Family; Family::COUNT] = [Family::V4, Family::V6, Family::Any];

    /// Whether `choices` holds anything of this kind.
    pub(super) fn is_in(self, choices: &Choices) -> bool {
        match self {
            Family::V4 => !choices.v4.is_empty(),
            Family::V6 => !choices.v6.is_empty(),
            Family::Any => Family::V4.is_in(choices) || Family::V6.is_in(choices) || choices.cname.is_some(),
        }
    }
}

/// What a domain steers by, shared by all domains that say the same: two neighbouring cache lines
/// for as long as its pools are few and nothing about them is special.
#[repr(align(128))]
pub(super) struct Steering {
    /// Whom it sends where by rule, if there are rules.
    pub(super) rules: Option<Box<Rules>>,
    /// Where it sends all others.
    pub(super) choice: Option<PoolChoice>,
    /// Whether one of the pools, or of those of a domain below, answers with names.
    pub(super) has_names: bool,
    /// Whether the client subnet counts.
    pub(super) heeds_subnet: bool,
    /// Seconds that an answer may be kept which is about to change; `u32::MAX`: as long as any.
    pub(super) ttl_min: u32,
    pub(super) when_all_down: WhenAllDown,
}

const _: () = assert!(size_of::<Steering>() == 128);

/// A policy over a list of pools.
pub(super) struct PoolChoice {
    pub(super) policy: DomainPolicy,
    /// In the operator's order. A usual number of them lies in the choice itself.
    pub(super) candidates: SmallVec<[Candidate; 4]>,
    /// What is special about them, if anything is.
    pub(super) particulars: Option<Box<Particulars>>,
    /// Whether more is to be said of each of them than its pool: else what is admitted is seen in the sets of
    /// pools, and the particulars, a cache line away, need not be looked at.
    pub(super) has_members: bool,
    /// For `nearest`: where clients are.
    pub(super) points: Option<Arc<GeoView>>,
    /// For `round-robin`: its counter of turns.
    pub(super) turn: u32,
    /// Which of a domain's edges its first candidate is, from 0; the others follow.
    pub(super) edge: u32,
}

/// What is special about some candidates of a choice.
pub(super) struct Particulars {
    /// If they have weights, or domains stand in for them.
    members: Option<Members>,
    /// For `nearest`: what decides beside and before the distance, if anything does.
    pub(super) exceptions: Option<Exceptions>,
}

/// What candidates are but pools.
struct Members {
    /// By candidate: its weight. All are 1 under policies without weights.
    weights: Box<[u32]>,
    /// By candidate: the domain that stands in for its addresses.
    nested: Box<[Option<Nested>]>,
    /// By candidate: what it is known by to `hash`.
    hashes: Box<[u64]>,
}

/// A domain that stands in for the addresses of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nested {
    /// Its steering in the world's list.
    pub(super) steering: u32,
    /// The first of its edges.
    pub(super) edge: u32,
}

/// What makes `nearest` more than a matter of distance.
pub(super) struct Exceptions {
    /// What the pools' `serves` say, if any says something; and what of the map that takes.
    pub(super) decrees: Option<(SourceIndex, Arc<GeoView>)>,
    /// What was measured to the pools; and the map of AS numbers, if that takes it.
    pub(super) latencies: Option<(Latencies, Option<Arc<GeoView>>)>,
    /// By candidate: the km by which its reach is stretched.
    pub(super) biases: Box<[f32]>,
}

/// A pool that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) pool: PoolId,
    /// Not a number where it has none: four candidates are one cache line.
    pub(super) position: UnitVector,
}

/// The position of what has none.
pub(super) const NOWHERE: UnitVector = UnitVector { x: f32::NAN, y: f32::NAN, z: f32::NAN };

impl Candidate {
    /// Where it stands.
    pub(super) fn position(&self) -> Option<UnitVector> {
        (!self.position.x.is_nan()).then_some(self.position)
    }
}

/// What steerings refer to while they are compiled.
pub(super) struct Compiling<'p> {
    pub(super) plan: &'p Plan,
    pub(super) geo: &'p GeoTable,
    pub(super) edges: &'p Edges,
    /// What was measured to each pool.
    pub(super) measured: HashMap<PoolId, Vec<&'p Measurement>>,
    /// By domain: the number of its steering.
    pub(super) steering_of: &'p [u32],
    /// By domain: whether it answers with names, once that is known.
    pub(super) has_names: Vec<Option<bool>>,
    /// How many counters of turns there are so far.
    pub(super) turns: u32,
    /// How many edges the choices have so far of the domain that is compiled.
    pub(super) edge: u32,
}

impl Compiling<'_> {
    /// Whether a pool of `domain`, or of a domain that stands in for one, is one of names. Domains
    /// that come back to themselves are refused before they get here.
    fn has_names(&mut self, domain: DomainId) -> bool {
        if let Some(known) = self.has_names[domain.index()] {
            return known;
        }
        let plan = self.plan;
        let pools = plan.domains[domain.index()].choices().flat_map(|choice| &choice.pools);
        let mut pools = pools.map(|weighted| &plan.pools[weighted.pool.index()].addresses);
        let has_names = pools.any(|addresses| match *addresses {
            Addresses::Cname(_) => true,
            Addresses::Ip(_) => false,
            Addresses::Domain(below) => self.has_names(below),
        });
        self.has_names[domain.index()] = Some(has_names);
        has_names
    }
}

impl Steering {
    /// Compiles what a domain steers by.
    pub(super) fn compile(id: DomainId, compiling: &mut Compiling<'_>) -> Self {
        let domain = &compiling.plan.domains[id.index()];
        let Domain { name: _, zone: _, rules, choice, ttl, ttl_min, client_subnet, when_all_down } = domain;
        compiling.edge = 0;
        Steering {
            rules: Rules::compile(rules, compiling.geo, |rule| PoolChoice::compile(&rule.choice, compiling))
                .map(Box::new),
            choice: choice.as_ref().map(|choice| PoolChoice::compile(choice, compiling)),
            has_names: compiling.has_names(id),
            heeds_subnet: *client_subnet,
            ttl_min: if ttl_min < ttl { *ttl_min } else { u32::MAX },
            when_all_down: *when_all_down,
        }
    }

    /// What it sees of the map first, for a client that no rule is for.
    pub(super) fn first_view(&self) -> Option<&Arc<GeoView>> {
        let choice = self.choice.as_ref()?;
        let exceptions = choice.particulars.as_ref().and_then(|particulars| particulars.exceptions.as_ref());
        let decrees = exceptions.and_then(|exceptions| exceptions.decrees.as_ref());
        decrees.map(|(_, view)| view).or(choice.points.as_ref())
    }

    /// Every choice that it may come to.
    pub(super) fn choices(&self) -> impl Iterator<Item = &PoolChoice> {
        let rules = self.rules.iter().flat_map(|rules| rules.list());
        rules.map(|rule| &rule.choice).chain(&self.choice)
    }

    /// Which of a domain's edges falling back to `pool` is.
    pub(super) fn fallback_edge(&self, pool: PoolId) -> u32 {
        let chosen: usize = self.choices().map(|choice| choice.candidates.len()).sum();
        let place = self.fallbacks().position(|other| other == pool).unwrap_or(0);
        (chosen + place) as u32
    }

    /// The pools that it may fall back to when all is down.
    pub(super) fn fallbacks(&self) -> impl Iterator<Item = PoolId> {
        let rules = self.rules.iter().flat_map(|rules| rules.list());
        rules.filter_map(|rule| rule.when_all_down).chain([self.when_all_down]).filter_map(
            |then| match then {
                WhenAllDown::Fallback(pool) => Some(pool),
                WhenAllDown::ServeAll | WhenAllDown::Nodata | WhenAllDown::Servfail => None,
            },
        )
    }
}

impl PoolChoice {
    fn compile(choice: &Choice, compiling: &mut Compiling<'_>) -> Self {
        let Choice { policy, pools } = choice;
        let plan = compiling.plan;
        let pools_of = || pools.iter().map(|weighted| &plan.pools[weighted.pool.index()]);
        let candidates = pools.iter().zip(pools_of()).map(|(weighted, pool)| Candidate {
            pool: weighted.pool,
            position: pool.coordinates.map_or(NOWHERE, UnitVector::from),
        });
        let is_nearest = *policy == DomainPolicy::Nearest;
        // Without a place in it, distances decide nothing.
        let has_places = pools_of().any(|pool| pool.coordinates.is_some());
        let particulars = Particulars::compile(choice, compiling).map(Box::new);
        let compiled = PoolChoice {
            policy: *policy,
            candidates: candidates.collect(),
            has_members: particulars.as_ref().is_some_and(|particulars| particulars.members.is_some()),
            particulars,
            points: (is_nearest && has_places).then(|| compiling.geo.view(Fields::COORDINATES)),
            turn: compiling.turns,
            edge: compiling.edge,
        };
        compiling.edge = compiling.edge.wrapping_add(pools.len() as u32);
        compiling.turns += u32::from(*policy == DomainPolicy::RoundRobin);
        compiled
    }

    /// The weight of a candidate; 1 under policies without weights.
    pub(super) fn weight(&self, at: usize) -> u32 {
        self.members().map_or(1, |members| members.weights[at])
    }

    /// What a candidate is known by to `hash`.
    pub(super) fn hash(&self, at: usize) -> u64 {
        self.members().map_or(0, |members| members.hashes[at])
    }

    /// The domain that stands in for a candidate's addresses.
    pub(super) fn nested(&self, at: usize) -> Option<Nested> {
        self.members()?.nested[at]
    }

    fn members(&self) -> Option<&Members> {
        if !self.has_members {
            return None;
        }
        self.particulars.as_ref()?.members.as_ref()
    }
}

impl Particulars {
    /// What is special about the pools of `choice`; `None`: nothing.
    fn compile(choice: &Choice, compiling: &Compiling<'_>) -> Option<Self> {
        let members = Members::compile(choice, compiling);
        let exceptions = match choice.policy {
            DomainPolicy::Nearest => Exceptions::compile(&choice.pools, compiling),
            _ => None,
        };
        (members.is_some() || exceptions.is_some()).then_some(Particulars { members, exceptions })
    }
}

impl Members {
    /// What there is to say of the pools of `choice`; `None`: nothing.
    fn compile(choice: &Choice, compiling: &Compiling<'_>) -> Option<Self> {
        let Choice { policy, pools } = choice;
        let pools_of = || pools.iter().map(|weighted| &compiling.plan.pools[weighted.pool.index()]);
        let nested = |pool: &Arc<Pool>| match pool.addresses {
            Addresses::Domain(domain) => Some(Nested {
                steering: compiling.steering_of[domain.index()],
                edge: compiling.edges.first(domain),
            }),
            Addresses::Ip(_) | Addresses::Cname(_) => None,
        };
        let nested: Box<[Option<Nested>]> = pools_of().map(nested).collect();
        let has_weights = matches!(policy, DomainPolicy::Weighted | DomainPolicy::Hash);
        (has_weights || nested.iter().any(Option::is_some)).then(|| Members {
            weights: pools.iter().map(|weighted| weighted.weight).collect(),
            hashes: pools_of().map(|pool| member_hash(pool.name.as_bytes())).collect(),
            nested,
        })
    }
}

impl Exceptions {
    /// What there is for `pools`; `None`: nothing.
    fn compile(pools: &[WeightedPool], compiling: &Compiling<'_>) -> Option<Self> {
        let Compiling { plan, geo, measured, .. } = compiling;
        let pools_of = || pools.iter().map(|weighted| &plan.pools[weighted.pool.index()]);
        let sources =
            (0..).zip(pools_of()).flat_map(|(number, pool)| pool.serves.iter().map(move |s| (*s, number)));
        let decrees = SourceIndex::compile(sources).map(|index| {
            let view = geo.view(index.fields());
            (index, view)
        });
        let measurements =
            pools.iter().filter_map(|weighted| measured.get(&weighted.pool)).flatten().copied();
        let latencies = Latencies::compile(measurements).map(|latencies| {
            let asns = latencies.needs_asn().then(|| geo.view(Fields::ASN));
            (latencies, asns)
        });
        let has_biases = pools_of().any(|pool| pool.bias != 0);
        let is_plain = decrees.is_none() && latencies.is_none() && !has_biases;
        let biases = pools_of().map(|pool| pool.bias as f32).collect();
        (!is_plain).then_some(Exceptions { decrees, latencies, biases })
    }
}
