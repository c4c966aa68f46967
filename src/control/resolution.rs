//! Names to addresses of pools: a changed answer is a swap of the pools that have the name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::names::{Learnt, Lookup, NameState};
use super::pool::PoolState;
use super::prepared::Lineup;
use super::target::{Owner, Target};
use super::watching::Rewatching;
use super::{Controller, Notice};
use crate::dns::Name;
use crate::plan::{Endpoint, Plan, Pool, PoolId};

impl Controller {
    /// Every name that is to be resolved now.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    /// Takes in what was found of `name`.
    pub(super) fn learn(&mut self, name: &Name, lookup: Lookup, now: Instant) -> Vec<Notice> {
        let before = self.names.addresses(name);
        // A lookup may have been under way while its name left the plan.
        let Some(learnt) = self.names.learn(name, lookup, now) else { return Vec::new() };
        let state = self.names.get(name).expect("something was learnt of it");
        let (pools, told) = (state.pools().to_vec(), told(name, state, learnt));
        let mut notices = Vec::new();
        for pool in pools {
            if learnt.addresses {
                self.keep_for_now(pool, name, &before);
                notices.append(&mut self.refit(pool, now));
            } else if learnt.first {
                let awaits_names = self.names.awaits(self.published.load().pool(pool));
                self.pools[pool.index()].awaits_names = awaits_names;
                notices.append(&mut self.refresh(pool, now));
            }
        }
        notices.extend(told);
        notices
    }

    /// `pool` with the addresses that its names have now.
    pub(super) fn resolved(&self, pool: &Arc<Pool>, leaving: &HashMap<Name, Vec<IpAddr>>) -> Arc<Pool> {
        if pool.resolved.is_empty() {
            return pool.clone();
        }
        let names = pool.resolved.iter().map(|resolved| &resolved.address.target);
        let answers: HashMap<&Name, Vec<IpAddr>> = names
            .map(|name| {
                let leaving = leaving.get(name).into_iter().flatten().copied();
                (name, self.names.addresses(name).into_iter().chain(leaving).collect())
            })
            .collect();
        Arc::new(pool.with_answers(|name| &answers[name]))
    }

    /// Lets go of the addresses of `pool` that were kept until others are probed, where that is so
    /// now. Returns whether any was.
    pub(super) fn let_go(&mut self, pool: PoolId) -> bool {
        let leaving = std::mem::take(&mut self.pools[pool.index()].leaving);
        let count = leaving.len();
        let is_kept = |name: &Name| !self.has_probed(pool, &self.names.addresses(name));
        let leaving: HashMap<_, _> = leaving.into_iter().filter(|(name, _)| is_kept(name)).collect();
        let has_let_go = leaving.len() < count;
        self.pools[pool.index()].leaving = leaving;
        has_let_go
    }

    /// Keeps what `name` was before, until one of the addresses that it has now has been probed: a
    /// site whose addresses are all new would else be passed over for as long as that takes.
    fn keep_for_now(&mut self, pool: PoolId, name: &Name, before: &[IpAddr]) {
        let now = self.names.addresses(name);
        let is_decided = now.is_empty() || self.has_probed(pool, &now);
        let leaving = &mut self.pools[pool.index()].leaving;
        let mut kept = leaving.remove(name).unwrap_or_default();
        if !is_decided {
            kept.extend(before);
            kept.retain(|ip| !now.contains(ip));
            leaving.insert(name.clone(), kept);
        }
    }

    /// Whether something is known of one of `addresses`, or nothing ever will be.
    fn has_probed(&self, pool: PoolId, addresses: &[IpAddr]) -> bool {
        let state = &self.pools[pool.index()];
        let mut watched = state.targets.iter().flatten().filter_map(|id| self.targets.get(id)).peekable();
        let is_one_of = |target: &Target| match &target.watch.endpoint {
            Endpoint::Ip(ip) => addresses.contains(ip),
            Endpoint::Name(_) => false,
        };
        watched.peek().is_none() || watched.any(|target| target.has_told() && is_one_of(target))
    }

    /// Goes over to the addresses that the names of `id` have now. What is believed of an address
    /// stays as long as it does.
    pub(super) fn refit(&mut self, id: PoolId, now: Instant) -> Vec<Notice> {
        let table = self.published.load_full();
        let (pool, rewatching) = self.line_up(id, table.plan());
        let mut notices = self.pools[id.index()].observe(&mut self.targets, now);
        let state: &PoolState = &self.pools[id.index()];
        self.deadlines.set(id, state.next(&self.targets, now));
        let table = table.with_addresses(id, pool, state.health(&self.targets, now));
        notices.insert(0, self.publish(table));
        let Rewatching { started, stopped } = rewatching;
        notices.push(Notice::Rewatched { started, stopped });
        notices.append(&mut self.refresh_dependents(id, now));
        notices
    }

    /// Goes over to the addresses that the names of `id` have now, without looking at what follows.
    pub(super) fn line_up(&mut self, id: PoolId, plan: &Plan) -> (Arc<Pool>, Rewatching) {
        let pool = self.resolved(&plan.pools[id.index()], &self.pools[id.index()].leaving);
        let lineup = Arc::new(Lineup::new(plan, Arc::clone(&pool)));
        let before = self.pools[id.index()].watched();
        let mut rewatching = Rewatching::default();
        let targets = self.rewatch(Owner::Pool(id), before, &lineup.watches, &mut rewatching);
        let awaits_names = self.names.awaits(&pool);
        self.pools[id.index()].go_over(lineup, targets, awaits_names);
        (pool, rewatching)
    }
}

/// What there is to tell of a name.
fn told(name: &Name, state: &NameState, learnt: Learnt) -> Option<Notice> {
    let (name, addresses) = (name.clone(), state.addresses());
    let has_lost_all = learnt.addresses && addresses.is_empty();
    match state.failure() {
        Some(reason) if learnt.outcome || has_lost_all => {
            Some(Notice::Unresolved { name, reason: reason.to_owned(), kept: addresses })
        }
        _ if learnt.outcome || learnt.addresses => Some(Notice::Resolved { name, addresses }),
        _ => None,
    }
}
