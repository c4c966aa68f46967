//! Domain to pool: whose addresses are given.

use std::net::IpAddr;

use super::nearest::Nearest;
use super::recorder::{Finding, Reason, Recorder};
use super::select::Choices;
use super::table::RoutingTable;
use crate::geo::{GeoTable, Place};
use crate::plan::{Addresses, DomainPolicy, Pool, PoolId, WhenAllDown};

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
            Family::Any => !(choices.v4.is_empty() && choices.v6.is_empty() && choices.cname.is_empty()),
        }
    }
}

/// A domain as its answers need it.
pub(super) struct CompiledDomain {
    pub(super) ttl: u32,
    /// Which of the world's steerings.
    pub(super) steering: u32,
    pub(super) when_all_down: WhenAllDown,
}

/// A policy over a list of pools, shared by all domains that have the same.
pub(super) struct Steering {
    policy: DomainPolicy,
    pools: Box<[PoolId]>,
    nearest: Nearest,
    /// Whether one of the pools answers with names.
    pub(super) has_names: bool,
}

/// What a domain answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Addresses of this pool that are up.
    Healthy(PoolId),
    /// Addresses of this pool, whether they are up or not.
    Any(PoolId),
    /// Nothing of the kind asked for.
    Nodata,
    /// An error on purpose.
    Servfail,
}

impl Steering {
    pub(super) fn compile(policy: DomainPolicy, pools: &[PoolId], plan: &[Pool]) -> Self {
        let is_of_names = |pool: &PoolId| matches!(plan[pool.index()].addresses, Addresses::Cname(_));
        Steering {
            policy,
            pools: pools.into(),
            nearest: match policy {
                DomainPolicy::Nearest => Nearest::compile(pools, plan),
                DomainPolicy::Priority => Nearest::default(),
            },
            has_names: pools.iter().any(is_of_names),
        }
    }

    /// The pool that a client gets among those that `admits` lets pass.
    fn choose(
        &self,
        admits: impl Fn(PoolId) -> bool,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> Option<PoolId> {
        match self.policy {
            DomainPolicy::Nearest => self.nearest.choose(admits, whereabouts, recorder),
            DomainPolicy::Priority => self.pools.iter().copied().find(|&pool| {
                let admitted = admits(pool);
                if admitted {
                    recorder.taken(pool, Reason::First);
                } else {
                    recorder.candidate(pool, Finding::NothingToGive);
                }
                admitted
            }),
        }
    }
}

/// What `domain` answers a client that can take `family`.
pub(super) fn steer(
    table: &RoutingTable,
    domain: u32,
    family: Family,
    whereabouts: &mut Whereabouts<'_>,
    recorder: &mut impl Recorder,
) -> Decision {
    let world = &table.world;
    let domain_number = domain;
    let domain = &world.domains[domain as usize];
    let steering = &world.steerings[domain.steering as usize];
    let family = if steering.has_names { Family::Any } else { family };
    recorder.domain(domain_number, steering.policy);
    if let Some(pool) = steering.choose(|pool| table.is_available(family, pool), whereabouts, recorder) {
        return Decision::Healthy(pool);
    }
    let configured = &world.configured[family as usize];
    if !steering.pools.iter().any(|&pool| configured.has(pool)) {
        return Decision::Nodata;
    }
    recorder.all_down(domain.when_all_down);
    match domain.when_all_down {
        WhenAllDown::ServeAll => steering
            .choose(|pool| configured.has(pool), whereabouts, recorder)
            .map_or(Decision::Nodata, Decision::Any),
        WhenAllDown::Fallback(pool) => {
            recorder.taken(pool, Reason::Fallback);
            let has_healthy = table.is_available(Family::Any, pool);
            if has_healthy { Decision::Healthy(pool) } else { Decision::Any(pool) }
        }
        WhenAllDown::Nodata => Decision::Nodata,
        WhenAllDown::Servfail => Decision::Servfail,
    }
}

/// Where the client is: looked up when first needed, and how much of its address mattered.
pub(super) struct Whereabouts<'t> {
    client: IpAddr,
    geo: &'t GeoTable,
    place: Option<&'t Place>,
    scope: u8,
}

impl<'t> Whereabouts<'t> {
    pub(super) fn new(client: IpAddr, geo: &'t GeoTable) -> Self {
        Whereabouts { client, geo, place: None, scope: 0 }
    }

    /// The address that is looked up.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    /// Where the client is. From here on the decision holds for those clients only that share
    /// the place.
    pub(super) fn place(&mut self, recorder: &mut impl Recorder) -> &'t Place {
        if let Some(place) = self.place {
            return place;
        }
        let located = self.geo.locate(self.client);
        recorder.located(self.client);
        self.narrow(located.scope);
        self.place = Some(located.place);
        located.place
    }

    /// The decision holds for clients that share the first `scope` bits, at the widest.
    pub(super) fn narrow(&mut self, scope: u8) {
        self.scope = self.scope.max(scope);
    }

    /// How many leading bits of the client's address decided: the scope of RFC 7871 section
    /// 7.2.1. 0: place played no part.
    pub(super) fn scope(&self) -> u8 {
        self.scope
    }
}
