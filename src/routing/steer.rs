//! Domain to pool: whose addresses are given.
//!
//! A domain's rules that are for the client, in order, and what it says for all others are
//! *choices* among pools. They are gone through up to three times: for pools in service, then for
//! healthy ones that are held back, and when all is down, where the domain wants that, for any. A
//! pool may be another domain, which then chooses in its turn.

use std::mem;

use super::admitted::Admitted;
use super::flow::Tally;
use super::names::Node;
use super::pool_health::Tier;
use super::recorder::{Finding, Reason, Recorder, Silent};
use super::rendezvous::{joined, member_hash};
use super::steering::{Candidate, Family, Nested, PoolChoice, Steering};
use super::table::RoutingTable;
use super::whereabouts::Whereabouts;
use super::worker::Chance;
use crate::plan::{Addresses, DomainPolicy, PoolId, WhenAllDown};

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

/// What a domain answers with, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steered {
    pub(super) decision: Decision,
    /// Whether another answer would be given if all were well.
    pub(super) is_second_best: bool,
    /// Seconds that an answer may be kept which is about to change; `u32::MAX`: as long as any.
    pub(super) ttl_min: u32,
}

/// Decides what the domain at `node` answers a client that can take `wanted`.
pub(super) fn steer(
    table: &RoutingTable,
    node: &Node,
    wanted: Family,
    whereabouts: &mut Whereabouts<'_>,
    chance: &mut Chance,
    tally: &Tally,
    recorder: &mut impl Recorder,
) -> Steered {
    let steering = &table.world.steerings[node.steering as usize];
    whereabouts.heed_subnet(steering.heeds_subnet);
    recorder.domain(|| table.world.edges.domain(node.edge));
    let mut walk = Walk {
        table,
        wanted,
        family: if steering.has_names { Family::Any } else { wanted },
        watches_ttl: steering.ttl_min != u32::MAX,
        whereabouts,
        draw: if table.has_returning() { chance.bits() } else { 0 },
        chance,
        tally,
        edge: node.edge,
        recorder,
        is_second_best: false,
    };
    let decision = match &steering.choice {
        // The usual case without what the others need: one choice among pools that are in service.
        Some(choice) if steering.rules.is_none() && !choice.has_members && !table.has_returning() => {
            match walk.choose_here(choice, Pass::Tier(Tier::InService)) {
                Some((_, pool)) => Decision::Healthy(pool),
                None => walk.route_in_need(steering),
            }
        }
        _ => walk.route(steering),
    };
    Steered { decision, is_second_best: walk.is_second_best, ttl_min: steering.ttl_min }
}

/// Whether the answer may be a CNAME when all is down.
pub(super) fn falls_back_to_names(table: &RoutingTable, steering: &Steering) -> bool {
    steering.fallbacks().any(|pool| gives_names(table, pool))
}

/// Whether `pool`, or one of a domain that stands in for it, is of names.
fn gives_names(table: &RoutingTable, pool: PoolId) -> bool {
    match table.pool(pool).addresses {
        Addresses::Cname(_) => true,
        Addresses::Ip(_) => false,
        Addresses::Domain(domain) => table.world.steering_of(domain).has_names,
    }
}

/// Whether a pool of `steering`, or of a domain that stands in for one, is in a set.
pub(super) fn reaches(table: &RoutingTable, steering: &Steering, tier: Tier, family: Family) -> bool {
    let set = table.set(tier, family);
    steering.choices().any(|choice| {
        choice.candidates.iter().enumerate().any(|(at, candidate)| match choice.nested(at) {
            Some(below) => reaches(table, table.world.steering(below), tier, family),
            None => set.has(candidate.pool),
        })
    })
}

/// How far a search goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Pools in service, of those that return only for the clients that they serve already.
    ByShare,
    /// Pools of a tier.
    Tier(Tier),
}

impl Pass {
    fn tier(self) -> Tier {
        match self {
            Pass::ByShare => Tier::InService,
            Pass::Tier(tier) => tier,
        }
    }
}

/// Why a search found nothing.
enum Nothing {
    /// All that there is for the client is down.
    AllDown(WhenAllDown),
    /// There is nothing for the client.
    Unruled,
}

/// One decision in the making.
struct Walk<'t, 'w, 'q, 'r, R> {
    table: &'t RoutingTable,
    /// What the client asks for.
    wanted: Family,
    /// What a pool must have.
    family: Family,
    /// Whether it matters that an answer is second best.
    watches_ttl: bool,
    whereabouts: &'w mut Whereabouts<'q>,
    chance: &'w mut Chance,
    /// Where what is taken is counted.
    tally: &'w Tally,
    /// The first edge of the domain that decides.
    edge: u32,
    /// What decides by lot whether pools that return serve this time: the same for all that ask.
    draw: u64,
    recorder: &'r mut R,
    is_second_best: bool,
}

impl<'t, R: Recorder> Walk<'t, '_, '_, '_, R> {
    /// What `steering` decides.
    #[inline(never)]
    fn route(&mut self, steering: &'t Steering) -> Decision {
        if self.table.has_returning() {
            let before = self.is_second_best;
            if let Ok(decision) = self.find(steering, Pass::ByShare) {
                return decision;
            }
            self.is_second_best = before;
        }
        if let Ok(decision) = self.find(steering, Pass::Tier(Tier::InService)) {
            return decision;
        }
        self.route_in_need(steering)
    }

    /// What `steering` decides where no pool in service is for the client.
    #[inline(never)]
    fn route_in_need(&mut self, steering: &'t Steering) -> Decision {
        self.is_second_best = true;
        match self.find(steering, Pass::Tier(Tier::Healthy)) {
            Ok(decision) => decision,
            Err(Nothing::AllDown(then)) => self.all_down(steering, then),
            Err(Nothing::Unruled) => {
                self.is_second_best = false;
                self.recorder.unruled();
                Decision::Nodata
            }
        }
    }

    /// The pool of the first choice for the client that has one, at the end of all domains below.
    #[inline(never)]
    fn find(&mut self, steering: &'t Steering, pass: Pass) -> Result<Decision, Nothing> {
        let mut is_ruled = false;
        if let Some(rules) = &steering.rules {
            let mut matching = rules.matching(self.whereabouts);
            while let Some((number, source, rule)) = matching.next(self.whereabouts, self.recorder) {
                is_ruled = true;
                self.recorder.rule(number, source);
                if let Some(decision) = self.choose(&rule.choice, pass) {
                    return Ok(decision);
                }
                if let Some(then) = rule.when_all_down {
                    return Err(Nothing::AllDown(then));
                }
                self.is_second_best |= self.has_candidate(&rule.choice, Pass::Tier(Tier::Expected));
            }
        }
        match &steering.choice {
            Some(choice) => self.choose(choice, pass).ok_or(Nothing::AllDown(steering.when_all_down)),
            None if is_ruled => Err(Nothing::AllDown(steering.when_all_down)),
            None => Err(Nothing::Unruled),
        }
    }

    /// The pool that `choice` comes to, at the end of all domains below.
    fn choose(&mut self, choice: &'t PoolChoice, pass: Pass) -> Option<Decision> {
        let (at, pool) = self.choose_here(choice, pass)?;
        if let Some(below) = choice.nested(at) {
            return self.descend(below, pass);
        }
        Some(match pass {
            Pass::Tier(Tier::Configured) => Decision::Any(pool),
            _ => Decision::Healthy(pool),
        })
    }

    /// The candidate that `choice` comes to, and its pool.
    #[inline(always)]
    fn choose_here(&mut self, choice: &'t PoolChoice, pass: Pass) -> Option<(usize, PoolId)> {
        self.recorder.choice(choice.policy, pass.tier());
        let mut admitted = Admitted::default();
        self.admit(choice, pass, &mut admitted);
        let (at, reason) =
            choice.pick(&admitted, self.wanted, self.table, self.whereabouts, self.chance, self.recorder)?;
        let Candidate { pool, .. } = choice.candidates[at];
        self.recorder.taken(pool, reason);
        self.count(choice.edge.wrapping_add(at as u32));
        if self.watches_ttl && !self.is_second_best && admitted.count() < choice.candidates.len() {
            self.is_second_best = self.is_second_best_of(choice, &admitted, at);
        }
        Some((at, pool))
    }

    /// Counts that an edge of the domain that decides was taken.
    #[inline]
    fn count(&self, edge: u32) {
        self.tally.add(self.edge.wrapping_add(edge));
    }

    /// What a domain that stands in for the addresses of a pool comes to.
    #[inline(never)]
    fn descend(&mut self, below: Nested, pass: Pass) -> Option<Decision> {
        let world = &self.table.world;
        self.recorder.domain(|| world.edges.domain(below.edge));
        let steering = world.steering(below);
        let above = mem::replace(&mut self.edge, below.edge);
        let decision = match pass {
            Pass::Tier(Tier::Configured) => Some(self.route(steering)),
            _ => self.find(steering, pass).ok(),
        };
        self.edge = above;
        decision
    }

    /// Enters the candidates that have what is wanted.
    #[inline(always)]
    fn admit(&mut self, choice: &'t PoolChoice, pass: Pass, admitted: &mut Admitted) {
        if choice.has_members || pass == Pass::ByShare {
            return self.admit_members(choice, pass, admitted);
        }
        let set = self.table.set(pass.tier(), self.family);
        admitted.enter(&choice.candidates, |_, candidate| {
            let is_admitted = set.has(candidate.pool);
            if !is_admitted {
                self.recorder.candidate(candidate.pool, Finding::PassedOver);
            }
            is_admitted
        });
    }

    /// The same where there is more to each than its pool, or pools return.
    #[inline(never)]
    fn admit_members(&mut self, choice: &'t PoolChoice, pass: Pass, admitted: &mut Admitted) {
        let set = self.table.set(pass.tier(), self.family);
        admitted.enter(&choice.candidates, |at, candidate| {
            if choice.weight(at) == 0 {
                return false;
            }
            let finding = match choice.nested(at) {
                Some(below) if self.has_something(self.table.world.steering(below), pass) => None,
                None if set.has(candidate.pool) => (pass == Pass::ByShare
                    && !self.is_in_share(choice.policy, candidate.pool))
                .then_some(Finding::NotYet),
                _ => Some(Finding::PassedOver),
            };
            if let Some(finding) = finding {
                self.recorder.candidate(candidate.pool, finding);
            }
            finding.is_none()
        });
    }

    /// Whether `pool` serves the client, or this time, while it returns.
    fn is_in_share(&mut self, policy: DomainPolicy, pool: PoolId) -> bool {
        let Some(share) = self.table.share(pool) else { return true };
        let is_by_chance = matches!(policy, DomainPolicy::Weighted | DomainPolicy::RoundRobin);
        if is_by_chance && let Some(serves) = self.recorder.serves(pool, share) {
            return serves;
        }
        let hash = member_hash(self.table.pool(pool).name.as_bytes());
        share.includes(match is_by_chance {
            true => joined(self.draw, hash),
            // Not the hash that `hash` chooses by: the first to come back would be those only
            // who would be its clients anyway, and of them all.
            false => joined(!self.whereabouts.hash(), hash),
        })
    }

    /// Whether `steering` has something for the client.
    fn has_something(&mut self, steering: &'t Steering, pass: Pass) -> bool {
        if let Some(rules) = &steering.rules {
            let mut matching = rules.matching(self.whereabouts);
            while let Some((_, _, rule)) = matching.next(self.whereabouts, self.recorder) {
                if self.has_candidate(&rule.choice, pass) {
                    return true;
                }
                if rule.when_all_down.is_some() {
                    return false;
                }
            }
        }
        steering.choice.as_ref().is_some_and(|choice| self.has_candidate(choice, pass))
    }

    fn has_candidate(&mut self, choice: &'t PoolChoice, pass: Pass) -> bool {
        choice.candidates.iter().enumerate().any(|(at, candidate)| {
            choice.weight(at) > 0
                && match choice.nested(at) {
                    Some(below) => self.has_something(self.table.world.steering(below), pass),
                    None => {
                        self.table.set(pass.tier(), self.family).has(candidate.pool)
                            && (pass != Pass::ByShare || self.is_in_share(choice.policy, candidate.pool))
                    }
                }
        })
    }

    /// Whether `choice` would come to another candidate than the one at `at` if all were well.
    fn is_second_best_of(&mut self, choice: &'t PoolChoice, admitted: &Admitted, at: usize) -> bool {
        let mut silent = Walk {
            table: self.table,
            wanted: self.wanted,
            family: self.family,
            watches_ttl: false,
            whereabouts: &mut *self.whereabouts,
            chance: &mut *self.chance,
            tally: self.tally,
            edge: self.edge,
            draw: self.draw,
            recorder: &mut Silent,
            is_second_best: false,
        };
        let mut all = Admitted::default();
        silent.admit(choice, Pass::Tier(Tier::Expected), &mut all);
        if all.count() == admitted.count() {
            return false;
        }
        match choice.policy {
            // Others would have their share of the clients.
            DomainPolicy::Weighted | DomainPolicy::RoundRobin => true,
            DomainPolicy::Nearest | DomainPolicy::Priority | DomainPolicy::Hash => choice
                .pick(&all, self.wanted, self.table, self.whereabouts, self.chance, &mut Silent)
                .is_none_or(|(best, _)| best != at),
        }
    }

    /// What is answered when no pool is up that is for the client.
    fn all_down(&mut self, steering: &'t Steering, then: WhenAllDown) -> Decision {
        let table = self.table;
        // What no pool has that is for the client, nor will have once its names resolve, cannot be
        // down, and no address has other types. But where nothing at all is up, a fallback pool of
        // names answers every type: its CNAME stands alone (RFC 1034 section 3.6.2).
        let is_alias = matches!(then, WhenAllDown::Fallback(pool) if gives_names(table, pool));
        let is_other_type = self.wanted == Family::Any && !steering.has_names;
        let is_down = !is_other_type && self.has_something(steering, Pass::Tier(Tier::Expected));
        if !is_down && (!is_alias || self.has_any_healthy(steering)) {
            self.is_second_best = false;
            return Decision::Nodata;
        }
        self.recorder.all_down(then);
        match then {
            WhenAllDown::ServeAll => {
                self.find(steering, Pass::Tier(Tier::Configured)).unwrap_or(Decision::Nodata)
            }
            WhenAllDown::Fallback(pool) => self.fall_back(steering, pool),
            WhenAllDown::Nodata => Decision::Nodata,
            WhenAllDown::Servfail => Decision::Servfail,
        }
    }

    /// Whether anything of any type is up that is for the client.
    fn has_any_healthy(&mut self, steering: &'t Steering) -> bool {
        let family = mem::replace(&mut self.family, Family::Any);
        let has_any = self.has_something(steering, Pass::Tier(Tier::Healthy));
        self.family = family;
        has_any
    }

    fn fall_back(&mut self, from: &'t Steering, pool: PoolId) -> Decision {
        let table = self.table;
        self.recorder.taken(pool, Reason::Fallback);
        self.count(from.fallback_edge(pool));
        if let Addresses::Domain(domain) = table.pool(pool).addresses {
            self.recorder.domain(|| domain);
            let steering = table.world.steering_of(domain);
            self.family = if steering.has_names { Family::Any } else { self.wanted };
            // Nothing of the domain above comes after it.
            self.edge = table.world.edges.first(domain);
            return self.route(steering);
        }
        let has_wanted = table.set(Tier::Configured, self.wanted).has(pool);
        let family = if has_wanted { self.wanted } else { Family::Any };
        let has_healthy = table.set(Tier::Healthy, family).has(pool);
        if has_healthy { Decision::Healthy(pool) } else { Decision::Any(pool) }
    }
}
