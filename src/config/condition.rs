//! `[condition.NAME]`: what a pool depends on besides its own addresses.

use std::collections::BTreeMap;

use super::address::ip_address;
use super::name::domain_name;
use super::pool::{CheckRef, find_check};
use super::reader::{Table, Value, integer, list, string};
use super::report::Report;
use super::source::{Located, Place};
use crate::dns::Name;
use crate::plan::{Condition, ConditionId, ConditionRule, Endpoint, Member, Pool, PoolId, Quorum};

/// The ways to write when a condition holds.
const RULES: [&str; 5] = ["check", "all", "any", "not", "at_least"];

/// A condition as written.
pub(super) struct ConditionSpec {
    /// The header.
    place: Place,
    rule: Option<RuleSpec>,
}

enum RuleSpec {
    Check { check: Located<String>, endpoint: Option<Located<Endpoint>>, port: Option<Located<u16>> },
    Of { quorum: Located<Quorum>, members: Located<Vec<Located<String>>> },
}

/// What conditions may refer to.
pub(super) struct Known<'k> {
    pub(super) checks: &'k [CheckRef],
    pub(super) pools: &'k BTreeMap<String, PoolId>,
    pub(super) conditions: &'k BTreeMap<String, ConditionId>,
}

impl ConditionSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let written: Vec<&str> = RULES.into_iter().filter(|key| table.has(key)).collect();
        match written[..] {
            [_] => {}
            [] => {
                value.refuse::<()>("a condition has a `check`, `all`, `any`, `not` or `at_least`", None);
            }
            [first, second, ..] => {
                value.refuse::<()>(
                    format!("a condition has one rule, not both `{first}` and `{second}`"),
                    "write two conditions, and a third one of both".to_owned(),
                );
            }
        }
        let rule = read_rule(&mut table, value);
        table.finish();
        Some(ConditionSpec { place: value.place, rule: rule.filter(|_| written.len() == 1) })
    }

    /// Looks up what it refers to; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(
        self,
        name: String,
        known: &Known<'_>,
        pools: &[Option<Pool>],
        report: &Report,
    ) -> Option<Condition> {
        let rule = match self.rule? {
            RuleSpec::Check { check, endpoint, port } => {
                let id = find_check(&check, known.checks, report);
                if let (Some(id), None) = (id, &port)
                    && let Some(kind) = known.checks[id.index()].without_port
                {
                    report.error_with_hint(
                        self.place,
                        format!(
                            "the condition has no `port`, and a check of type `{kind}` has none of its own"
                        ),
                        "say where the check connects: port = 5432".to_owned(),
                    );
                }
                let port = port.map(|port| port.value);
                ConditionRule::Check { check: id?, endpoint: endpoint?.value, port }
            }
            RuleSpec::Of { quorum, members } => {
                let count = members.value.len();
                if let Quorum::AtLeast(needed) = quorum.value
                    && needed > count
                {
                    report.error(quorum.place, format!("{needed} of {count} can never be"));
                }
                let found: Vec<Option<Member>> =
                    members.value.iter().map(|member| find(member, known, pools, report)).collect();
                let members = found.into_iter().collect::<Option<_>>()?;
                ConditionRule::Of { quorum: quorum.value, members }
            }
        };
        Some(Condition { name, rule })
    }
}

fn read_rule(table: &mut Table<'_>, value: Value<'_>) -> Option<RuleSpec> {
    if table.has("check") {
        let check = table.required("check", string);
        let ip = table.optional("ip", ip_address).map(|ip| ip.map(Endpoint::Ip));
        let name: Option<Located<Name>> = table.optional("resolve", domain_name);
        let name = name.map(|name| name.map(Endpoint::Name));
        if ip.is_some() == name.is_some() {
            let refusal = "a condition with a `check` has an `ip` or a `resolve`, which is what it checks";
            value.refuse::<()>(refusal, None);
        }
        let port = table.optional("port", integer(1..=u16::MAX));
        return Some(RuleSpec::Check { check: check?, endpoint: ip.or(name), port });
    }
    let all = table.optional("all", list(string)).map(|members| (Quorum::All, members));
    let any = table.optional("any", list(string)).map(|members| (Quorum::Any, members));
    let not = table.optional("not", string).map(|member| {
        let place = member.place;
        (Quorum::Not, Located { place, value: vec![member] })
    });
    if table.has("at_least") {
        let needed = table.required("at_least", integer(1..=usize::MAX))?;
        let members = table.required("of", list(string))?;
        return Some(RuleSpec::Of { quorum: needed.map(Quorum::AtLeast), members });
    }
    let (quorum, members) = all.or(any).or(not)?;
    Some(RuleSpec::Of { quorum: Located { place: members.place, value: quorum }, members })
}

/// What a member is: `NAME` of a condition, `pool:NAME` or `address:POOL/NAME`.
fn find(
    written: &Located<String>,
    known: &Known<'_>,
    pools: &[Option<Pool>],
    report: &Report,
) -> Option<Member> {
    let missing = |kind: &str, name: &str, others: &mut dyn Iterator<Item = &str>| {
        let hint = report.suggest(name, others);
        report.error_with_hint(written.place, format!("{kind} `{name}` does not exist"), hint);
    };
    let pool_of = |name: &str| {
        let found = known.pools.get(name).copied();
        if found.is_none() {
            missing("pool", name, &mut known.pools.keys().map(String::as_str));
        }
        found
    };
    if let Some(name) = written.value.strip_prefix("pool:") {
        return pool_of(name).map(Member::Pool);
    }
    if let Some(text) = written.value.strip_prefix("address:") {
        let Some((pool, address)) = text.split_once('/') else {
            report.error_with_hint(
                written.place,
                format!("`{text}` is not an address of a pool"),
                "write it as in \"address:POOL/ADDRESS\"".to_owned(),
            );
            return None;
        };
        let id = pool_of(pool)?;
        // If the pool has a mistake, its addresses are not known.
        let pool = pools[id.index()].as_ref()?;
        let resolved = pool.resolved.iter().map(|resolved| &resolved.address.name[..]);
        let names: Vec<&str> = pool.addresses.names().into_iter().chain(resolved).collect();
        if !names.contains(&address) {
            missing("address", address, &mut names.into_iter());
            return None;
        }
        return Some(Member::Address(id, address.to_owned()));
    }
    let found = known.conditions.get(&written.value).copied();
    if found.is_none() {
        missing("condition", &written.value, &mut known.conditions.keys().map(String::as_str));
    }
    found.map(Member::Condition)
}

/// Notes every pool or condition that depends on itself, by way of others or not. `places` are
/// where they stand.
pub(super) fn check_circles(
    conditions: &[Condition],
    pools: &[Option<Pool>],
    places: &[Place],
    report: &Report,
) {
    let mut circles = Circles { conditions, pools, done: vec![false; conditions.len()], report, places };
    for condition in 0..conditions.len() {
        circles.walk(condition, &mut Vec::new());
    }
}

struct Circles<'c> {
    conditions: &'c [Condition],
    pools: &'c [Option<Pool>],
    /// Conditions below which everything has been walked.
    done: Vec<bool>,
    report: &'c Report,
    /// Where each condition stands.
    places: &'c [Place],
}

impl Circles<'_> {
    fn walk(&mut self, condition: usize, above: &mut Vec<usize>) {
        if let Some(start) = above.iter().position(|passed| *passed == condition) {
            let way = above[start..].iter().chain([&condition]);
            let way: Vec<String> = way.map(|at| format!("`{}`", self.conditions[*at].name)).collect();
            let message = format!("the condition depends on itself: {}", way.join(" -> "));
            self.report.error(self.places[condition], message);
            return;
        }
        if self.done[condition] {
            return;
        }
        above.push(condition);
        let ConditionRule::Of { members, .. } = &self.conditions[condition].rule else {
            above.pop();
            self.done[condition] = true;
            return;
        };
        for member in members {
            let next = match member {
                Member::Condition(next) => Some(*next),
                Member::Pool(pool) | Member::Address(pool, _) => {
                    self.pools[pool.index()].as_ref().and_then(|pool| pool.condition)
                }
            };
            if let Some(next) = next {
                self.walk(next.index(), above);
            }
        }
        above.pop();
        self.done[condition] = true;
    }
}
