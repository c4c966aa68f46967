//! What the names in pools resolve to.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::dns::Name;
use crate::plan::{Plan, Pool, PoolId, is_connectable};

/// What a resolver says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Of its A records.
    pub v4: Found,
    /// Of its AAAA records.
    pub v6: Found,
}

/// What a resolver says of one type of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There are these.
    Addresses(Vec<IpAddr>),
    /// The name has none (NODATA, RFC 2308 section 2.2).
    Nothing,
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// Nothing could be found out, for this reason: no resolver answers, or they fail themselves.
    Failed(String),
}

/// As many addresses of a name are used, IPv4 first: no reply carries more, and each is probed.
const MAX_ADDRESSES: usize = 64;

/// For this long a name has to have no addresses, without interruption, before its last ones leave.
/// What breaks a zone by mistake is mended sooner; it is also what resolvers that serve stale
/// answers hold to (RFC 8767 section 5: a day at least).
pub(super) const GONE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The names that a plan resolves, and what is known of each.
#[derive(Default)]
pub(super) struct Names {
    states: HashMap<Name, NameState>,
    /// How many have not told anything yet.
    untold: usize,
}

/// A name, and what it resolves to.
#[derive(Default)]
pub(super) struct NameState {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    /// The pools that have it, in order and without repeats.
    pools: Vec<PoolId>,
    /// When it last had addresses.
    answered: Option<Instant>,
    /// When they last changed.
    changed: Option<Instant>,
    /// Since when it has none, with no answer in between that it has some.
    denied: Option<Instant>,
    /// What was wrong with the last lookup.
    failure: Option<String>,
    /// Whether it has had addresses, or was said to have none.
    has_told: bool,
}

/// What is known of a name that outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownName {
    pub(super) name: Name,
    pub(super) v4: Vec<IpAddr>,
    pub(super) v6: Vec<IpAddr>,
    pub(super) answered: Option<Instant>,
    pub(super) changed: Option<Instant>,
    pub(super) denied: Option<Instant>,
}

/// What a lookup has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Learnt {
    /// The addresses.
    pub(super) addresses: bool,
    /// Whether it resolves.
    pub(super) outcome: bool,
    /// That anything is known at all.
    pub(super) first: bool,
}

impl Names {
    /// Those of `plan`, with what was known of them before.
    pub(super) fn for_plan(self, plan: &Plan) -> Self {
        let mut before = self.states;
        let mut states: HashMap<Name, NameState> = HashMap::new();
        for (id, pool) in (0..).map(PoolId).zip(&plan.pools) {
            for resolved in &pool.resolved {
                let name = &resolved.address.target;
                let state = states.entry(name.clone()).or_insert_with(|| {
                    let known = before.remove(name).unwrap_or_default();
                    NameState { pools: Vec::new(), ..known }
                });
                state.pools.push(id);
            }
        }
        let untold = states.values().filter(|state| !state.has_told).count();
        Names { states, untold }
    }

    /// What is known of `name`, if it is resolved.
    pub(super) fn get(&self, name: &Name) -> Option<&NameState> {
        self.states.get(name)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.states.keys()
    }

    /// Takes in what was found of `name` at `now`; `None`: it is not resolved any more.
    pub(super) fn learn(&mut self, name: &Name, lookup: Lookup, now: Instant) -> Option<Learnt> {
        let learnt = self.states.get_mut(name)?.learn(lookup, now);
        self.untold -= usize::from(learnt.first);
        Some(learnt)
    }

    /// The addresses of `name` now.
    pub(super) fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        self.get(name).map(NameState::addresses).unwrap_or_default()
    }

    /// Whether nothing is known yet of a name that `pool` has more addresses of.
    pub(super) fn awaits(&self, pool: &Pool) -> bool {
        let mut taking = pool.resolved.iter().filter(|resolved| resolved.address.weight > 0);
        taking.any(|resolved| self.get(&resolved.address.target).is_none_or(|state| !state.has_told))
    }

    /// What of them outlives the process: those that have addresses.
    pub(super) fn known(&self) -> Vec<KnownName> {
        let with_addresses = self.states.iter().filter(|(_, state)| !state.addresses().is_empty());
        with_addresses
            .map(|(name, state)| {
                let NameState { v4, v6, pools: _, answered, changed, denied, failure: _, has_told: _ } =
                    state;
                KnownName {
                    name: name.clone(),
                    v4: v4.clone(),
                    v6: v6.clone(),
                    answered: *answered,
                    changed: *changed,
                    denied: *denied,
                }
            })
            .collect()
    }

    /// Takes in, before the first lookup, what another process has known of a name. `is_fresh`: its
    /// first lookup need not be awaited. Returns the pools that have it.
    pub(super) fn recall(&mut self, known: KnownName, is_fresh: bool) -> &[PoolId] {
        let KnownName { name, v4, v6, answered, changed, denied } = known;
        let Some(state) = self.states.get_mut(&name) else { return &[] };
        self.untold -= usize::from(is_fresh && !state.has_told);
        let has_told = is_fresh || state.has_told;
        let pools = std::mem::take(&mut state.pools);
        *state = NameState { v4, v6, pools, answered, changed, denied, failure: None, has_told };
        &state.pools
    }

    /// How many names have not told anything yet.
    pub(super) fn untold(&self) -> usize {
        self.untold
    }
}

impl NameState {
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.v4.iter().chain(&self.v6).take(MAX_ADDRESSES).copied().collect()
    }

    pub(super) fn pools(&self) -> &[PoolId] {
        &self.pools
    }

    pub(super) fn answered(&self) -> Option<Instant> {
        self.answered
    }

    pub(super) fn changed(&self) -> Option<Instant> {
        self.changed
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Takes in what was found at `now`.
    ///
    /// Addresses of one type stay while nothing can be found out of that type; all stay when the
    /// name is said to have none, until it has been said for [`GONE_AFTER`].
    fn learn(&mut self, lookup: Lookup, now: Instant) -> Learnt {
        let before = self.addresses();
        let (failed, had_told) = (self.failure.is_some(), self.has_told);
        let [v4, v6] = [lookup.v4, lookup.v6].map(sorted);
        let has_addresses = [&v4, &v6].into_iter().any(|found| matches!(found, Found::Addresses(_)));
        self.failure = failure(&v4, &v6);
        if has_addresses {
            for (known, found) in [(&mut self.v4, v4), (&mut self.v6, v6)] {
                match found {
                    Found::Addresses(addresses) => *known = addresses,
                    Found::Nothing | Found::NoSuchName => known.clear(),
                    Found::Failed(_) => {}
                }
            }
            self.answered = Some(now);
            self.denied = None;
            self.has_told = true;
        } else if ![v4, v6].iter().any(|found| matches!(found, Found::Failed(_))) {
            let since = *self.denied.get_or_insert(now);
            if now.saturating_duration_since(since) >= GONE_AFTER {
                (self.v4, self.v6) = (Vec::new(), Vec::new());
            }
            self.has_told = true;
        } else {
            // What another process has known stays: more is not to be had.
            self.has_told |= !before.is_empty();
        }
        let addresses = self.addresses() != before;
        if addresses {
            self.changed = Some(now);
        }
        let outcome = self.failure.is_some() != failed;
        Learnt { addresses, outcome, first: self.has_told != had_told }
    }
}

/// Addresses in an order that is theirs, whatever that of the answer, without repeats and without
/// such as no client can connect to: resolvers that block a name like to say 0.0.0.0.
fn sorted(found: Found) -> Found {
    let Found::Addresses(mut addresses) = found else { return found };
    addresses.retain(|ip| is_connectable(*ip));
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() { Found::Nothing } else { Found::Addresses(addresses) }
}

/// What is wrong with what was found, in words.
fn failure(v4: &Found, v6: &Found) -> Option<String> {
    match (v4, v6) {
        (Found::Failed(reason), Found::Failed(other)) if reason != other => {
            Some(format!("A: {reason}; AAAA: {other}"))
        }
        (Found::Failed(reason), Found::Failed(_)) => Some(reason.clone()),
        (Found::Failed(reason), _) => Some(format!("A: {reason}")),
        (_, Found::Failed(reason)) => Some(format!("AAAA: {reason}")),
        (Found::Addresses(_), _) | (_, Found::Addresses(_)) => None,
        (Found::NoSuchName, _) | (_, Found::NoSuchName) => Some("there is no such name".to_owned()),
        (Found::Nothing, Found::Nothing) => Some("the name has no addresses".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    /// Addresses by their last octet or group, `-` for none, `!` for no such name, `?` for a failure.
    fn found(text: &str, prefix: &str) -> Found {
        match text {
            "-" => Found::Nothing,
            "!" => Found::NoSuchName,
            "?" => Found::Failed("timed out".to_owned()),
            list => {
                let ip = |last: &str| format!("{prefix}{last}").parse().expect("an address");
                Found::Addresses(list.split(',').map(ip).collect())
            }
        }
    }

    fn lookup(v4: &str, v6: &str) -> Lookup {
        Lookup { v4: found(v4, "192.0.2."), v6: found(v6, "2001:db8::") }
    }

    fn told(state: &NameState) -> String {
        let ips: Vec<String> = state.addresses().iter().map(IpAddr::to_string).collect();
        ips.join(" ").replace("192.0.2.", "").replace("2001:db8", "")
    }

    #[test]
    fn the_last_good_answer_is_kept() {
        let mut state = NameState::default();
        let start = Instant::now();
        for (second, (v4, v6), expected, failure) in [
            (0, ("?", "?"), "", Some("timed out")),
            (1, ("1", "-"), "1", None),
            // The order of the answer means nothing.
            (2, ("3,1,2,1", "-"), "1 2 3", None),
            (3, ("2,3,1", "2,1"), "1 2 3 ::1 ::2", None),
            (4, ("?", "?"), "1 2 3 ::1 ::2", Some("timed out")),
            (5, ("4", "?"), "4 ::1 ::2", Some("AAAA: timed out")),
            (6, ("?", "3"), "4 ::3", Some("A: timed out")),
            (7, ("!", "!"), "4 ::3", Some("there is no such name")),
            (8, ("-", "-"), "4 ::3", Some("the name has no addresses")),
            (9, ("-", "?"), "4 ::3", Some("AAAA: timed out")),
            (10, ("4", "-"), "4", None),
            (11, ("-", "4"), "::4", None),
        ] {
            let before = (told(&state), state.failure.is_some());
            let learnt = state.learn(lookup(v4, v6), start + Duration::from_secs(second));
            assert_eq!((&told(&state)[..], state.failure()), (expected, failure), "at {second}");
            let changed = (before.0 != expected, before.1 != failure.is_some());
            assert_eq!((learnt.addresses, learnt.outcome, learnt.first), (changed.0, changed.1, second == 1));
        }
        assert_eq!(state.answered, Some(start + Duration::from_secs(11)));
    }

    #[test]
    fn a_name_that_stays_away_leaves_after_a_day() {
        let start = Instant::now();
        let hour = |hours: u64| start + Duration::from_secs(hours * 3600);
        let mut state = NameState::default();
        state.learn(lookup("1", "-"), hour(0));
        state.learn(lookup("!", "!"), hour(1));
        // What cannot be found out neither confirms nor denies it.
        state.learn(lookup("?", "?"), hour(10));
        state.learn(lookup("!", "!"), hour(24));
        assert_eq!(told(&state), "1");
        state.learn(lookup("1", "-"), hour(24));
        state.learn(lookup("-", "-"), hour(25));
        state.learn(lookup("!", "!"), hour(48));
        assert_eq!(told(&state), "1", "it was there in between");
        state.learn(lookup("?", "?"), hour(1000));
        assert_eq!(told(&state), "1", "no failure takes it away");
        let learnt = state.learn(lookup("!", "!"), hour(1001));
        assert_eq!((told(&state), learnt.addresses, state.changed), (String::new(), true, Some(hour(1001))));
        state.learn(lookup("2", "-"), hour(1002));
        assert_eq!(told(&state), "2");
    }

    #[test]
    fn what_no_client_can_use_is_no_address() {
        let mut state = NameState::default();
        let blocked = |ip: &str| Found::Addresses(vec![ip.parse().expect("an address")]);
        let lookup = Lookup { v4: blocked("0.0.0.0"), v6: blocked("::") };
        assert_eq!(
            state.learn(lookup, Instant::now()),
            Learnt { addresses: false, outcome: true, first: true }
        );
        assert_eq!(state.failure(), Some("the name has no addresses"));
        let many = (0..=255).map(|last| IpAddr::from([192, 0, 2, last])).rev().collect();
        state.learn(Lookup { v4: Found::Addresses(many), v6: Found::Nothing }, Instant::now());
        let first: Vec<IpAddr> = (0..64).map(|last| IpAddr::from([192, 0, 2, last])).collect();
        assert_eq!(state.addresses(), first);
    }
}
