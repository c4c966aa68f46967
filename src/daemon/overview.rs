//! Domains of which no pool has a healthy address, and troubles of what is there no more: what nobody is told by the
//! controller, found out beside it from the tables that it publishes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::edits;
use crate::config::Topic;
use crate::dns::Name;
use crate::notify::{Incident, Notifier, Phase, Subject};
use crate::plan::{Addresses, Domain, DomainId, Plan, PoolId, WhenAllDown};
use crate::routing::RoutingTable;

/// What is seen of the tables so far.
#[derive(Default)]
struct Overview {
    /// Of which `by_pool` and `healthy` are.
    plan: Option<Arc<Plan>>,
    /// By [`PoolId`]: the domains that may come to it, by way of other domains, too.
    by_pool: Vec<Vec<DomainId>>,
    /// By [`PoolId`]: whether it has a healthy address to give.
    healthy: Vec<bool>,
    /// The domains without one.
    down: BTreeSet<String>,
}

/// Looks at the tables, whenever one is published, until `stopped`; and tells `notifier` what it sees.
pub(super) async fn run(
    published: Arc<ArcSwap<RoutingTable>>,
    news: Arc<Notify>,
    notifier: Notifier,
    mut ready: watch::Receiver<bool>,
    mut stopped: watch::Receiver<bool>,
) {
    let looking = async {
        // Before the first round has ended, nobody knows anything.
        if ready.wait_for(|ready| *ready).await.is_err() {
            return;
        }
        let mut overview = Overview::default();
        loop {
            let (is_asked, has_troubles) = (notifier.has_destinations(), notifier.has_troubles());
            if is_asked || has_troubles {
                let (published, notifier) = (Arc::clone(&published), notifier.clone());
                // A large configuration takes a while.
                let looked = tokio::task::spawn_blocking(move || {
                    // Before the table: what has trouble is in a table by then, and not yet in the one before.
                    let troubles = notifier.troubles();
                    let table = published.load_full();
                    let seen = if is_asked { overview.look(&table, edits::now()) } else { Vec::new() };
                    for incident in seen.into_iter().chain(gone(&table, &troubles, edits::now())) {
                        notifier.tell(incident);
                    }
                    overview
                });
                match looked.await {
                    Ok(same) => overview = same,
                    // It has panicked, which is told.
                    Err(_) => return,
                }
            }
            news.notified().await;
        }
    };
    // It ends by itself only where it has panicked; an error means that the daemon is gone, which is a stop as well.
    tokio::select! {
        () = looking => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

impl Overview {
    /// What has changed since the table before.
    fn look(&mut self, table: &RoutingTable, at: Duration) -> Vec<Incident> {
        let plan = table.plan();
        let healthy: Vec<bool> =
            (0..).map(PoolId).take(table.pool_count()).map(|pool| table.has_healthy_address(pool)).collect();
        let touched: BTreeSet<DomainId> = if self.plan.as_ref().is_some_and(|known| Arc::ptr_eq(known, plan))
        {
            let changed = healthy.iter().zip(&self.healthy).zip(&self.by_pool);
            changed
                .filter(|((now, before), _)| now != before)
                .flat_map(|(_, domains)| domains.clone())
                .collect()
        } else {
            self.plan = Some(Arc::clone(plan));
            self.by_pool = by_pool(plan);
            (0..).map(DomainId).take(plan.domains.len()).collect()
        };
        self.healthy = healthy;
        let mut told = Vec::new();
        for id in touched {
            let domain = &plan.domains[id.index()];
            let name = domain.name.to_string();
            let is_down = !is_healthy(plan, id, &self.healthy);
            let summary = if is_down && self.down.insert(name.clone()) {
                format!("no pool of {name} has a healthy address: {}", consequence(plan, domain))
            } else if !is_down && self.down.remove(&name) {
                format!("{name} has a healthy address again")
            } else {
                continue;
            };
            let phase = if is_down { Phase::Begun } else { Phase::Over };
            told.push(Incident { topic: Topic::Domain, subject: Subject::domain(name), phase, summary, at });
        }
        told
    }
}

/// The domains that may come to each pool.
fn by_pool(plan: &Plan) -> Vec<Vec<DomainId>> {
    let mut by_pool = vec![Vec::new(); plan.pools.len()];
    for id in (0..).map(DomainId).take(plan.domains.len()) {
        let mut pools = BTreeSet::new();
        reach(plan, id, &mut pools);
        for pool in pools {
            by_pool[pool.index()].push(id);
        }
    }
    by_pool
}

/// Adds the pools that `domain` may come to. None is below itself, which the configuration sees to.
fn reach(plan: &Plan, domain: DomainId, pools: &mut BTreeSet<PoolId>) {
    for pool in chosen(&plan.domains[domain.index()]) {
        if pools.insert(pool)
            && let Addresses::Domain(below) = plan.pools[pool.index()].addresses
        {
            reach(plan, below, pools);
        }
    }
}

/// The pools that clients of `domain` may be sent to.
fn chosen(domain: &Domain) -> impl Iterator<Item = PoolId> {
    let pools = domain.choices().flat_map(|choice| &choice.pools);
    pools.filter(|pool| pool.weight > 0).map(|pool| pool.pool)
}

fn is_healthy(plan: &Plan, domain: DomainId, healthy: &[bool]) -> bool {
    chosen(&plan.domains[domain.index()]).any(|pool| match plan.pools[pool.index()].addresses {
        Addresses::Domain(below) => is_healthy(plan, below, healthy),
        Addresses::Ip(_) | Addresses::Cname(_) => healthy[pool.index()],
    })
}

/// What clients get, in words.
fn consequence(plan: &Plan, domain: &Domain) -> String {
    match domain.when_all_down {
        WhenAllDown::ServeAll => "clients are given its addresses as if all were up".to_owned(),
        WhenAllDown::Fallback(pool) => {
            format!("clients are sent to its fallback, pool {}", plan.pools[pool.index()].name)
        }
        WhenAllDown::Nodata => "clients are given an empty answer".to_owned(),
        WhenAllDown::Servfail => "clients are told that the server has failed".to_owned(),
    }
}

/// The end of troubles whose subject the configuration, or a resolved name, has no more; and of those that only a check
/// finds, where there is none any more.
fn gone(table: &RoutingTable, standing: &[Arc<Incident>], at: Duration) -> Vec<Incident> {
    if standing.is_empty() {
        return Vec::new();
    }
    let plan = table.plan();
    let wanted: HashSet<&str> = standing.iter().filter_map(|it| it.subject.pool.as_deref()).collect();
    let names = plan.pools.iter().map(|pool| &pool.name[..]).zip((0..).map(PoolId));
    let pools: BTreeMap<&str, PoolId> = names.filter(|(name, _)| wanted.contains(name)).collect();
    // Who asks for none need not have them listed.
    let has_names = standing.iter().any(|it| it.subject.name.is_some());
    let names = plan.pools.iter().filter(|_| has_names).flat_map(|pool| &pool.resolved);
    let resolved: HashSet<&Name> = names.map(|it| &it.address.target).collect();
    let is_there = |Subject { pool, address, domain, name }: &Subject| match (pool, address, domain, name) {
        (Some(pool), Some(address), ..) => {
            pools.get(&pool[..]).is_some_and(|id| has_address(&table.pool(*id).addresses, address))
        }
        (Some(pool), ..) => pools.contains_key(&pool[..]),
        (_, _, Some(domain), _) => domain.parse().is_ok_and(|domain| table.domain(&domain).is_some()),
        (.., Some(name)) => name.parse().is_ok_and(|name: Name| resolved.contains(&name)),
        _ => true,
    };
    // Without a check, nobody says any more that it is over.
    let is_checked = |trouble: &Incident| {
        let pool = trouble.subject.pool.as_deref().and_then(|pool| pools.get(pool));
        pool.is_none_or(|id| plan.pools[id.index()].health_check.is_some())
            || !matches!(trouble.topic, Topic::Address | Topic::Damping | Topic::Check)
    };
    let gone = standing.iter().filter(|trouble| !is_there(&trouble.subject) || !is_checked(trouble));
    gone.map(|trouble| {
        let (topic, subject) = (trouble.topic, trouble.subject.clone());
        let what = if is_there(&subject) { "checked" } else { "there" };
        let summary = format!("{subject} is {what} no more");
        Incident { topic, subject, phase: Phase::Over, summary, at }
    })
    .collect()
}

fn has_address(addresses: &Addresses, name: &str) -> bool {
    match addresses {
        Addresses::Ip(list) => list.iter().any(|address| address.name == name),
        Addresses::Cname(list) => list.iter().any(|address| address.name == name),
        Addresses::Domain(_) => false,
    }
}

#[cfg(test)]
mod tests;
