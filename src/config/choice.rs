//! A policy over pools: what a domain and each of its rules say.

use std::collections::BTreeMap;

use super::reader::{Table, Value, Words, integer, list, string};
use super::report::Report;
use super::source::Located;
use super::unique::Unique;
use crate::plan::{Choice, DomainPolicy, MAX_POOLS, PoolId, WeightedPool};

/// A pool takes an even part unless told otherwise.
const DEFAULT_WEIGHT: u16 = 1;

/// The whole, in hundredths of a percent: canaries of less than one percent are common.
const WHOLE: u32 = 100 * 100;

const POLICIES: Words<DomainPolicy> = Words {
    what: "domain policy",
    known: &[
        ("nearest", DomainPolicy::Nearest),
        ("priority", DomainPolicy::Priority),
        ("weighted", DomainPolicy::Weighted),
        ("round-robin", DomainPolicy::RoundRobin),
        ("hash", DomainPolicy::Hash),
    ],
    planned: &[],
};

/// What other servers and services call a policy, and what to write here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("failover", "it is called `priority` here"),
    ("sequence", "it is called `priority` here"),
    ("random", "it is called `weighted` here"),
    ("multivalue", "it is called `round-robin` here"),
    ("sticky", "it is called `hash` here"),
    ("latency", "it is called `nearest` here, which goes by [[latency]] where something was measured"),
    ("performance", "it is called `nearest` here, which goes by [[latency]] where something was measured"),
    ("geoproximity", "it is called `nearest` here, with a `bias` of pools"),
    ("geo", "clients go by place with [[domain.rule]], by distance with `nearest`"),
    ("geolocation", "clients go by place with [[domain.rule]], by distance with `nearest`"),
    ("geographic", "clients go by place with [[domain.rule]], by distance with `nearest`"),
];

/// A choice as written.
pub(super) struct ChoiceSpec {
    policy: Option<Located<DomainPolicy>>,
    pools: Option<Located<Vec<Located<PoolRef>>>>,
}

/// A pool as a choice names it.
struct PoolRef {
    name: Located<String>,
    weight: Option<Located<u16>>,
    share: Option<Located<u32>>,
}

/// A choice and where its pools are named.
pub(super) struct PlacedChoice {
    pub(super) choice: Choice,
    pub(super) pools: Vec<Located<PoolId>>,
}

impl ChoiceSpec {
    /// Takes the keys of a choice from a table that may have others.
    pub(super) fn read(table: &mut Table<'_>, is_required: bool) -> Self {
        let policy = table.optional("policy", policy);
        let pools = match is_required {
            true => table.required("pools", list(pool_ref)),
            false => table.optional("pools", list(pool_ref)),
        };
        ChoiceSpec { policy, pools }
    }

    /// Whether it has no pools, so that there is nothing to choose; notes a policy all the same.
    pub(super) fn is_absent(&self, report: &Report) -> bool {
        if let (Some(policy), None) = (&self.policy, &self.pools) {
            report.error_with_hint(
                policy.place,
                "`policy` says nothing without `pools`",
                "each [[domain.rule]] has a policy of its own".to_owned(),
            );
        }
        self.pools.is_none()
    }

    /// Looks up its pools among `known`; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, known: &BTreeMap<String, PoolId>, report: &Report) -> Option<PlacedChoice> {
        let ChoiceSpec { policy, pools } = self;
        let policy = policy.map_or(DomainPolicy::Nearest, |policy| policy.value);
        let Located { value: refs, place } = pools?;
        if refs.len() > MAX_POOLS {
            report.error_with_hint(
                place,
                format!("{} pools are too many for one choice: it has at most {MAX_POOLS}", refs.len()),
                "let a pool name another domain, which has pools of its own".to_owned(),
            );
        }
        let mut unique = Unique::new("pool");
        for pool in &refs {
            unique.note(&&pool.value.name.value[..], pool.value.name.place, report);
        }
        let weights = weights(policy, &refs, report);
        let pools: Vec<Located<PoolId>> = refs
            .iter()
            .filter_map(|pool| {
                let name = &pool.value.name;
                Some(Located { value: find_pool(name, known, report)?, place: name.place })
            })
            .collect();
        // With one missing, the weights would not fit; nothing is answered by this choice anyway.
        let weighted = pools.iter().zip(weights?);
        let weighted = weighted.map(|(pool, weight)| WeightedPool { pool: pool.value, weight }).collect();
        Some(PlacedChoice { choice: Choice { policy, pools: weighted }, pools })
    }
}

fn policy(value: Value<'_>) -> Option<DomainPolicy> {
    let text = value.is_string().then(|| string(value)).flatten();
    let elsewhere = ELSEWHERE.iter().find(|(word, _)| text.as_deref() == Some(*word));
    match elsewhere {
        Some((word, hint)) => value.refuse(format!("unknown domain policy `{word}`"), (*hint).to_owned()),
        None => POLICIES.read(value),
    }
}

/// The pool that goes by a name.
pub(super) fn find_pool(
    name: &Located<String>,
    known: &BTreeMap<String, PoolId>,
    report: &Report,
) -> Option<PoolId> {
    let pool = known.get(&name.value).copied();
    if pool.is_none() {
        let hint = report.suggest(&name.value, known.keys().map(String::as_str));
        report.error_with_hint(name.place, format!("pool `{}` does not exist", name.value), hint);
    }
    pool
}

/// `"pool"`, `{ pool = "pool", weight = 3 }` or `{ pool = "pool", share = "5%" }`.
fn pool_ref(value: Value<'_>) -> Option<PoolRef> {
    if value.is_string() {
        let name = Located { value: string(value)?, place: value.place };
        return Some(PoolRef { name, weight: None, share: None });
    }
    let mut table = value.table()?;
    let has_both = table.has("weight") && table.has("share");
    let name = table.required("pool", string);
    let weight = table.optional("weight", integer(0..=u16::MAX));
    let share = table.optional("share", percentage);
    table.finish();
    if has_both {
        return value.refuse("a pool has a `weight` or a `share`, not both", None);
    }
    Some(PoolRef { name: name?, weight, share })
}

/// "5%" or "0.25%", in hundredths of a percent.
fn percentage(value: Value<'_>) -> Option<u32> {
    if !value.is_string() {
        return value.refuse("a share is a percentage", "write it as in \"5%\"".to_owned());
    }
    let text = string(value)?;
    let number = text.strip_suffix('%').map(str::trim_end).and_then(|number| number.parse::<f64>().ok());
    let Some(number) = number.filter(|number| number.is_finite()) else {
        return value.refuse(format!("`{text}` is not a percentage"), "write it as in \"5%\"".to_owned());
    };
    if number == 0.0 {
        return value
            .refuse("a share is more than 0%", "a pool that is to take none has `weight = 0`".to_owned());
    }
    let hundredths = (number * f64::from(WHOLE) / 100.0).round();
    if !(1.0..=f64::from(WHOLE)).contains(&hundredths) {
        return value.refuse(format!("{text} is out of range: 0.01% to 100%"), None);
    }
    Some(hundredths as u32)
}

/// The weight of each pool; `None`: there is a mistake, and it has been noted.
fn weights(policy: DomainPolicy, refs: &[Located<PoolRef>], report: &Report) -> Option<Vec<u32>> {
    let written = |pool: &PoolRef| {
        pool.weight.as_ref().map(|weight| weight.place).or(pool.share.as_ref().map(|share| share.place))
    };
    if !matches!(policy, DomainPolicy::Weighted | DomainPolicy::Hash) {
        let misplaced: Vec<_> = refs.iter().filter_map(|pool| written(&pool.value)).collect();
        for place in &misplaced {
            report.error_with_hint(
                *place,
                format!("pools have no weight under the policy `{policy}`"),
                "use `weighted`, or `hash` to keep each client with its pool".to_owned(),
            );
        }
        return misplaced.is_empty().then(|| vec![1; refs.len()]);
    }
    let weight_of =
        |pool: &PoolRef| u64::from(pool.weight.as_ref().map_or(DEFAULT_WEIGHT, |weight| weight.value));
    let shared: u32 = refs.iter().filter_map(|pool| pool.value.share.as_ref()).map(|share| share.value).sum();
    let last_share = refs.iter().filter_map(|pool| pool.value.share.as_ref()).next_back();
    let rest: u64 = refs.iter().filter(|pool| pool.value.share.is_none()).map(|p| weight_of(&p.value)).sum();
    if let Some(last) = last_share {
        let percent = f64::from(shared) / 100.0;
        if shared > WHOLE {
            report.error(last.place, format!("the shares add up to {percent}%, more than 100%"));
            return None;
        }
        if shared == WHOLE && rest > 0 {
            report.error_with_hint(
                last.place,
                "the shares add up to 100%, and leave nothing to the pools without one",
                "give those a share too, or weight 0".to_owned(),
            );
            return None;
        }
    }
    if shared == 0 && rest == 0 {
        let place = refs.first().map(|pool| written(&pool.value).unwrap_or(pool.place))?;
        report.error(place, "every pool has weight 0: one at least must take traffic");
        return None;
    }
    // What is shared out goes by percent, and the rest of the whole by weight.
    let exact = refs.iter().map(|pool| match (&pool.value.share, rest) {
        (Some(share), 0) => u64::from(share.value),
        (Some(share), rest) => u64::from(share.value) * rest,
        (None, _) => weight_of(&pool.value) * u64::from(WHOLE - shared),
    });
    let exact: Vec<u64> = exact.collect();
    // Rounding up what would be nothing may add 1 for each.
    let room = u64::from(u32::MAX) - MAX_POOLS as u64;
    let coarser = exact.iter().sum::<u64>().div_ceil(room).max(1);
    let coarse = |weight: u64| if weight == 0 { 0 } else { (weight / coarser).max(1) as u32 };
    Some(exact.into_iter().map(coarse).collect())
}
