//! What has happened to pools, addresses and names, counts that end with what they are about, and how long that took.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::exposition::{Exposition, NANOSECONDS};
use super::spans::{PROBE_BOUNDS, Spans};
use crate::control::{Found, Lookup, Readings};
use crate::dns::Name;
use crate::health::{Outcome, Transition, Verdict};
use crate::plan::Watch;
use crate::routing::{Distribution, STAGE_BOUNDS};

/// With more pools, how long probes take is told for each check only: a pool's would be eighteen series.
const MAX_TIMED_POOLS: usize = 1000;

/// Counts of what the control loop sees. Each pool has a lock of its own, which is held for moments: the loop never waits
/// until a scrape is written.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Accounts>>);

#[derive(Default)]
struct Accounts {
    pools: BTreeMap<String, Kept<Arc<Mutex<Pool>>>>,
    names: BTreeMap<Name, Kept<BTreeMap<&'static str, u64>>>,
    stages: Stages,
    spans: Spans,
}

/// How long changes of the answers took on their way.
#[derive(Clone)]
struct Stages {
    detected: Distribution,
    decided: Distribution,
    published: Distribution,
}

impl Default for Stages {
    fn default() -> Self {
        let nothing = Distribution::of(&STAGE_BOUNDS);
        Stages { detected: nothing.clone(), decided: nothing.clone(), published: nothing }
    }
}

/// Something, and whether it was missing when somebody last scraped or something was watched no longer. It goes when it is
/// missing twice: what is new may have been counted before it is in what a scrape knows.
#[derive(Clone, Default)]
struct Kept<T> {
    it: T,
    was_missing: bool,
}

#[derive(Clone, Default)]
struct Pool {
    checks: BTreeMap<String, Kept<Check>>,
    addresses: BTreeMap<String, Kept<Address>>,
    /// Connections whose end had an address probed at once: that failed, and that passed.
    tripwires: [u64; 2],
}

#[derive(Clone)]
struct Check {
    outcomes: BTreeMap<&'static str, u64>,
    took: Distribution,
}

#[derive(Clone, Default)]
struct Address {
    failures: BTreeMap<&'static str, u64>,
    transitions: BTreeMap<&'static str, u64>,
}

impl Default for Check {
    fn default() -> Self {
        Check { outcomes: BTreeMap::new(), took: Distribution::of(&PROBE_BOUNDS) }
    }
}

impl Ledger {
    /// A probe that had started `late` has ended after `took`.
    pub fn probed(&self, watch: &Watch, outcome: &Outcome, late: Duration, took: Duration) {
        let pool = {
            let mut accounts = lock(&self.0);
            accounts.spans.lateness.record_span(late);
            Arc::clone(entry(&mut accounts.pools, watch.pool_or_none()))
        };
        let mut pool = lock(&pool);
        let check = entry(&mut pool.checks, &watch.check.name);
        *check.outcomes.entry(outcome.label()).or_default() += 1;
        check.took.record_span(took);
        if let Outcome::Fail(failure) = outcome {
            let address = entry(&mut pool.addresses, watch.written());
            *address.failures.entry(failure.label()).or_default() += 1;
        }
    }

    /// A connection that should have lasted had ended; `is_up`: a probe at once has passed all the same.
    pub fn tripped(&self, watch: &Watch, is_up: bool) {
        lock(&self.pool(watch)).tripwires[usize::from(is_up)] += 1;
    }

    /// An address has turned.
    pub fn turned(&self, watch: &Watch, transition: &Transition) {
        let to = match transition.to {
            Verdict::Up => "up",
            Verdict::Down => "down",
            Verdict::Unknown => "unknown",
        };
        if let Some(confirmed) = transition.confirmed {
            let unnoticed = transition.at.saturating_duration_since(confirmed);
            lock(&self.0).stages.detected.record_span(unnoticed);
        }
        let pool = self.pool(watch);
        *entry(&mut lock(&pool).addresses, watch.written()).transitions.entry(to).or_default() += 1;
    }

    /// Another table was published for the outcome of a probe: `decided` after the probe had ended it was looked at, and
    /// `published` after that end the table was in service.
    pub fn swapped(&self, decided: Duration, published: Duration) {
        let mut accounts = lock(&self.0);
        accounts.stages.decided.record_span(decided);
        accounts.stages.published.record_span(published);
        accounts.spans.swaps.record_span(published);
    }

    /// The admin API has begun to answer a request for `route`, as that is written, after `took`.
    pub fn served(&self, route: &str, took: Duration) {
        lock(&self.0).spans.served(route, took);
    }

    /// A name was looked up.
    pub fn looked_up(&self, name: &Name, lookup: &Lookup) {
        let has = |is: fn(&Found) -> bool| [&lookup.v4, &lookup.v6].into_iter().any(is);
        let outcome = if has(|found| matches!(found, Found::Failed(_))) {
            "failed"
        } else if has(|found| matches!(found, Found::Addresses(_))) {
            "found"
        } else {
            "nothing"
        };
        let mut accounts = lock(&self.0);
        *accounts.names.entry(name.clone()).or_default().it.entry(outcome).or_default() += 1;
    }

    fn pool(&self, watch: &Watch) -> Arc<Mutex<Pool>> {
        entry(&mut lock(&self.0).pools, watch.pool_or_none()).clone()
    }

    /// Tells how late probes were, and how long swaps and requests took.
    pub(super) fn tell_spans(&self, told: &mut Exposition) {
        let spans = lock(&self.0).spans.clone();
        spans.tell(told);
    }

    /// Tells how long the stages of failovers took; `in_use` is the one that threads know.
    pub(super) fn tell_stages(&self, in_use: &Distribution, told: &mut Exposition) {
        let Stages { detected, decided, published } = lock(&self.0).stages.clone();
        let mut stages = told.histogram(
            "rhumb_failover_stage_seconds",
            "How long the stages of a change took. `detected`: from the last outcome that spoke for the old verdict to \
             the end of the probe that turned it. From that end on: `decided`, until it was looked at; `published`, until \
             another table was in service; `in_use`, until a UDP thread had sent its first answers from it, if \
             somebody asked it within a second.",
        );
        for (stage, distribution) in
            [("detected", &detected), ("decided", &decided), ("published", &published), ("in_use", in_use)]
        {
            stages.distribution(&[("stage", stage)], distribution, NANOSECONDS);
        }
    }

    /// Forgets what is gone, and tells the rest; what has happened to each address only if `has_addresses`.
    pub(super) fn tell(&self, readings: &Readings, has_addresses: bool, told: &mut Exposition) {
        let (pools, names) = self.known(readings);
        let mut probes = told.counter("rhumb_probes_total", "Probes ended, by outcome.");
        each(&pools, |name, pool| {
            for (check, Kept { it, .. }) in &pool.checks {
                for (outcome, count) in &it.outcomes {
                    probes.count(&[("pool", name), ("check", check), ("outcome", outcome)], *count);
                }
            }
        });
        drop(probes);
        let mut durations = told.histogram("rhumb_probe_duration_seconds", "How long probes took.");
        if pools.len() <= MAX_TIMED_POOLS {
            each(&pools, |name, pool| {
                for (check, Kept { it, .. }) in &pool.checks {
                    durations.distribution(&[("pool", name), ("check", check)], &it.took, NANOSECONDS);
                }
            });
        } else {
            let mut checks: BTreeMap<&str, Distribution> = BTreeMap::new();
            for (check, Kept { it, .. }) in pools.iter().flat_map(|(_, pool)| &pool.checks) {
                checks.entry(check).or_default().add(&it.took);
            }
            for (check, took) in checks {
                durations.distribution(&[("pool", "all"), ("check", check)], &took, NANOSECONDS);
            }
        }
        drop(durations);
        let mut tripwires = told.counter(
            "rhumb_tripwires_total",
            "Connections whose end had an address probed at once, by what came of it.",
        );
        each(&pools, |name, pool| {
            for (outcome, count) in ["fail", "pass"].into_iter().zip(pool.tripwires) {
                if count > 0 {
                    tripwires.count(&[("pool", name), ("outcome", outcome)], count);
                }
            }
        });
        drop(tripwires);
        if has_addresses {
            tell_addresses(&pools, told);
        }
        let mut lookups = told.counter("rhumb_lookups_total", "Lookups of names in pools, by outcome.");
        for (name, outcomes) in names {
            for (outcome, count) in outcomes {
                lookups.count(&[("name", &name), ("outcome", outcome)], count);
            }
        }
    }

    /// Forgets what was missing twice; `watched` is all that is probed, `names` are those that are resolved.
    pub fn forget<'a>(&self, watched: &[Arc<Watch>], names: impl IntoIterator<Item = &'a Name>) {
        let watched = watched.iter();
        let addresses: BTreeSet<_> =
            watched.clone().map(|watch| (watch.pool_or_none(), watch.written())).collect();
        let checks: BTreeSet<_> =
            watched.map(|watch| (watch.pool_or_none(), &watch.check.name[..])).collect();
        let known: BTreeSet<&Name> = names.into_iter().collect();
        let pools: Vec<(String, Arc<Mutex<Pool>>)> = {
            let mut accounts = lock(&self.0);
            let of_pool =
                |pool: &str| addresses.range((pool, "")..).next().is_some_and(|(of, _)| *of == pool);
            accounts.pools.retain(|pool, kept| kept.stays(of_pool(pool)));
            accounts.names.retain(|name, kept| kept.stays(known.contains(name)));
            accounts.pools.iter().map(|(name, kept)| (name.clone(), kept.it.clone())).collect()
        };
        for (name, pool) in pools {
            let mut pool = lock(&pool);
            pool.checks.retain(|check, kept| kept.stays(checks.contains(&(&name[..], &check[..]))));
            pool.addresses.retain(|address, kept| kept.stays(addresses.contains(&(&name[..], &address[..]))));
        }
    }

    /// What is left when those are gone that were missing twice.
    #[allow(clippy::type_complexity, reason = "two lists, each told once")]
    fn known(
        &self,
        readings: &Readings,
    ) -> (Vec<(String, Pool)>, Vec<(String, BTreeMap<&'static str, u64>)>) {
        self.forget(&readings.watched, readings.names.iter().map(|(name, _)| name));
        let (pools, names): (Vec<_>, Vec<_>) = {
            let accounts = lock(&self.0);
            let pools = accounts.pools.iter().map(|(name, kept)| (name.clone(), kept.it.clone()));
            let names = accounts.names.iter().map(|(name, kept)| (name.to_string(), kept.it.clone()));
            (pools.collect(), names.collect())
        };
        let pools = pools.into_iter().map(|(name, pool): (String, Arc<Mutex<Pool>>)| {
            let pool = lock(&pool).clone();
            (name, pool)
        });
        (pools.collect(), names)
    }
}

fn tell_addresses(pools: &[(String, Pool)], told: &mut Exposition) {
    let mut failures =
        told.counter("rhumb_address_failures_total", "Probes that failed, by address and reason.");
    each(pools, |name, pool| {
        for (address, Kept { it, .. }) in &pool.addresses {
            for (reason, count) in &it.failures {
                failures.count(&[("pool", name), ("address", address), ("reason", reason)], *count);
            }
        }
    });
    drop(failures);
    let mut transitions = told.counter("rhumb_transitions_total", "Addresses that turned up or down.");
    each(pools, |name, pool| {
        for (address, Kept { it, .. }) in &pool.addresses {
            for (to, count) in &it.transitions {
                transitions.count(&[("pool", name), ("address", address), ("to", to)], *count);
            }
        }
    });
}

impl<T> Kept<T> {
    /// Whether it stays, being there or not.
    fn stays(&mut self, is_there: bool) -> bool {
        let was_missing = mem::replace(&mut self.was_missing, !is_there);
        is_there || !was_missing
    }
}

fn each(pools: &[(String, Pool)], mut tell: impl FnMut(&str, &Pool)) {
    pools.iter().for_each(|(name, pool)| tell(name, pool));
}

/// What `all` has by that name; made where there is nothing.
fn entry<'a, T: Default>(all: &'a mut BTreeMap<String, Kept<T>>, name: &str) -> &'a mut T {
    if !all.contains_key(name) {
        all.insert(name.to_owned(), Kept::default());
    }
    let kept = all.get_mut(name).expect("it was entered");
    kept.was_missing = false;
    &mut kept.it
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts are whole whatever happened to whoever held the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::plan::{CheckKind, Endpoint, HealthCheck, TcpCheck};

    fn watch(pool: &str, address: &str) -> Arc<Watch> {
        Arc::new(Watch {
            pool: Some(pool.to_owned()),
            address: address.to_owned(),
            endpoint: Endpoint::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            resolved_from: None,
            port: Some(80),
            check: HealthCheck {
                name: "check".to_owned(),
                kind: CheckKind::Tcp(TcpCheck::default()),
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(1),
                fall: 2,
                rise: 2,
                fast_interval: Duration::from_secs(1),
                initial: Verdict::Unknown,
                tripwire: false,
                damping: None,
            },
        })
    }

    #[test]
    fn what_is_gone_is_forgotten_without_a_scraper() {
        let ledger = Ledger::default();
        let watched = [watch("a", "stays"), watch("a", "goes"), watch("b", "goes")];
        let names = ["stays.example.", "goes.example."].map(|name| name.parse::<Name>().expect("a name"));
        let outcome = Outcome::Fail(crate::health::Failure::Refused);
        watched.iter().for_each(|watch| ledger.probed(watch, &outcome, Duration::ZERO, Duration::ZERO));
        for name in &names {
            ledger.looked_up(name, &Lookup { v4: Found::Nothing, v6: Found::Nothing });
        }
        let left = || {
            let accounts = lock(&ledger.0);
            let addresses = |pool: &Kept<Arc<Mutex<Pool>>>| lock(&pool.it).addresses.len();
            (accounts.pools.values().map(addresses).collect::<Vec<usize>>(), accounts.names.len())
        };
        ledger.forget(&watched, &names);
        assert_eq!(left(), (vec![2, 1], 2));
        ledger.forget(&watched[..1], &names[..1]);
        assert_eq!(left(), (vec![2, 1], 2), "missing once");
        ledger.forget(&watched[..1], &names[..1]);
        assert_eq!(left(), (vec![1], 1));
    }
}
