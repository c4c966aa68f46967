//! `[[domain]]`

use std::collections::BTreeMap;

use super::name::domain_name;
use super::reader::{Value, Words, list, string, ttl};
use super::report::{Report, listed};
use super::source::{Located, Place};
use super::unique::Unique;
use crate::dns::Name;
use crate::plan::{Domain, DomainPolicy, PoolId, WhenAllDown, ZoneId};

/// A failover takes one TTL; many resolvers hold an answer no shorter than this anyway.
const DEFAULT_TTL: u32 = 5;

const POLICIES: Words<DomainPolicy> = Words {
    what: "domain policy",
    known: &[("nearest", DomainPolicy::Nearest), ("priority", DomainPolicy::Priority)],
    planned: &["weighted", "round-robin", "hash"],
};

const WHEN_ALL_DOWN: Words<WhenAllDown> = Words {
    what: "value of `when_all_down`",
    known: &[
        ("serve-all", WhenAllDown::ServeAll),
        ("nodata", WhenAllDown::Nodata),
        ("servfail", WhenAllDown::Servfail),
    ],
    planned: &[],
};

/// A domain as written.
pub(super) struct DomainSpec {
    name: Option<Located<Name>>,
    policy: Option<Located<DomainPolicy>>,
    pools: Option<Located<Vec<Located<String>>>>,
    ttl: Option<Located<u32>>,
    when_all_down: Option<Located<WhenAllDownSpec>>,
}

enum WhenAllDownSpec {
    Word(WhenAllDown),
    Fallback(Located<String>),
}

/// A domain and where the parts of it stand that can be at odds with other tables.
pub(super) struct PlacedDomain {
    pub(super) domain: Domain,
    /// Where its name stands.
    pub(super) place: Place,
    /// Every pool that it may answer from, the fallback included, and where it is named.
    pub(super) pools: Vec<Located<PoolId>>,
}

/// What the names in a domain may refer to.
pub(super) struct References<'r> {
    /// Zones by their apex.
    pub(super) zones: &'r BTreeMap<Name, ZoneId>,
    /// Pools by their name, those with mistakes included.
    pub(super) pools: &'r BTreeMap<String, PoolId>,
}

impl DomainSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = DomainSpec {
            name: table.required("name", domain_name),
            policy: table.optional("policy", |value| POLICIES.read(value)),
            pools: table.required("pools", list(string)),
            ttl: table.optional("ttl", ttl),
            when_all_down: table.optional("when_all_down", when_all_down),
        };
        table.finish();
        Some(spec)
    }

    /// Looks up what it refers to; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, known: &References<'_>, report: &Report) -> Option<PlacedDomain> {
        let DomainSpec { name, policy, pools, ttl, when_all_down } = self;
        let zone = name.as_ref().and_then(|name| find_zone(name, known, report));
        let pools = pools.map(|pools| find_pools(&pools.value, known, report));
        let when_all_down = match when_all_down.map(|written| written.value) {
            None => Located { value: WhenAllDown::ServeAll, place: name.as_ref()?.place },
            Some(WhenAllDownSpec::Word(word)) => Located { value: word, place: name.as_ref()?.place },
            Some(WhenAllDownSpec::Fallback(pool)) => {
                Located { value: WhenAllDown::Fallback(find_pool(&pool, known, report)?), place: pool.place }
            }
        };
        let (name, mut pools) = (name?, pools?);
        let domain = Domain {
            name: name.value,
            zone: zone?,
            policy: policy.map_or(DomainPolicy::Nearest, |policy| policy.value),
            pools: pools.iter().map(|pool| pool.value).collect(),
            ttl: ttl.map_or(DEFAULT_TTL, |ttl| ttl.value),
            when_all_down: when_all_down.value,
        };
        if let WhenAllDown::Fallback(pool) = when_all_down.value {
            pools.push(Located { value: pool, place: when_all_down.place });
        }
        Some(PlacedDomain { domain, place: name.place, pools })
    }
}

/// The zone with the longest name that `name` is within.
pub(super) fn zone_of(name: &Name, zones: &BTreeMap<Name, ZoneId>) -> Option<ZoneId> {
    let ancestors = std::iter::successors(Some(name.clone()), Name::parent);
    ancestors.into_iter().find_map(|ancestor| zones.get(&ancestor).copied())
}

/// A word, or `{ fallback = "pool" }`.
fn when_all_down(value: Value<'_>) -> Option<WhenAllDownSpec> {
    if value.is_string() {
        return WHEN_ALL_DOWN.read(value).map(WhenAllDownSpec::Word);
    }
    let mut table = value.table()?;
    let pool = table.required("fallback", string);
    table.finish();
    pool.map(WhenAllDownSpec::Fallback)
}

fn find_zone(name: &Located<Name>, known: &References<'_>, report: &Report) -> Option<ZoneId> {
    let zone = zone_of(&name.value, known.zones);
    if zone.is_none() {
        let apexes: Vec<String> = known.zones.keys().map(Name::to_string).collect();
        let hint = match &apexes[..] {
            [] => "there is no zone; add a [[zone]]".to_owned(),
            // A zone's name is part of the domain's, which is easily forgotten.
            [only] if name.value.label_count() == 1 => format!("did you mean `{}.{only}`?", name.value),
            all => format!("the zones are {}", listed(all.iter().map(String::as_str))),
        };
        report.error_with_hint(name.place, format!("domain `{}` is in none of the zones", name.value), hint);
    }
    zone
}

fn find_pools(names: &[Located<String>], known: &References<'_>, report: &Report) -> Vec<Located<PoolId>> {
    let mut unique = Unique::new("pool");
    for name in names {
        unique.note(&name.value, name.place, report);
    }
    let found =
        names.iter().map(|name| Some(Located { value: find_pool(name, known, report)?, place: name.place }));
    found.flatten().collect()
}

fn find_pool(name: &Located<String>, known: &References<'_>, report: &Report) -> Option<PoolId> {
    let pool = known.pools.get(&name.value).copied();
    if pool.is_none() {
        let hint = report.suggest(&name.value, known.pools.keys().map(String::as_str));
        report.error_with_hint(name.place, format!("pool `{}` does not exist", name.value), hint);
    }
    pool
}
