//! `[pool.NAME]`

use std::collections::BTreeMap;

use super::address::{AddressSpec, addresses};
use super::domain::DomainIds;
use super::location::location;
use super::name::domain_name;
use super::pool_service::{PoolServiceSpec, SERVICE_KEYS};
use super::reader::{Value, Words, integer, list, string};
use super::report::Report;
use super::serves::source;
use super::source::{Located, Place};
use super::unique::Unique;
use crate::dns::Name;
use crate::geo::Coordinates;
use crate::plan::{Addresses, CheckId, ConditionId, DomainId, Pool, PoolPolicy, Source};

/// Eight AAAA records, 28 octets each, leave room for the question and EDNS in the 512 octets that
/// every resolver takes over UDP (RFC 1035 section 4.2.1); no client tries more addresses.
const DEFAULT_ANSWERS: u8 = 8;
/// 64 AAAA records are 1792 octets: beyond the 1232 that UDP carries unfragmented, so that more
/// would only ever travel over TCP.
const MAX_ANSWERS: u8 = 64;

/// No two places are further apart than half the earth's circumference, 20,015 km: more would
/// decide whatever the distance.
const MAX_BIAS: i32 = 20_000;

const POLICIES: Words<PoolPolicy> = Words {
    what: "pool policy",
    known: &[
        ("round-robin", PoolPolicy::RoundRobin),
        ("weighted", PoolPolicy::Weighted),
        ("priority", PoolPolicy::Priority),
        ("hash", PoolPolicy::Hash),
    ],
    planned: &[],
};

/// A pool as written.
pub(super) struct PoolSpec {
    location: Option<Located<Coordinates>>,
    bias: Option<Located<i32>>,
    serves: Option<Located<Vec<Located<Source>>>>,
    policy: Option<Located<PoolPolicy>>,
    answers: Option<Located<u8>>,
    health_check: Option<Located<String>>,
    condition: Option<Located<String>>,
    service: PoolServiceSpec,
    address: Option<Located<Vec<Located<AddressSpec>>>>,
    domain: Option<Located<Name>>,
}

/// A health check by its name, and what a pool has to know of it.
pub(super) struct CheckRef {
    pub(super) name: String,
    /// The word of its type if that has no port of its own and needs one.
    pub(super) without_port: Option<&'static str>,
}

impl PoolSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let domain = table.optional("domain", domain_name);
        if domain.is_some() {
            let own = ["policy", "answers", "health_check", "condition", "address"];
            table.inapplicable(&own, "to a pool that names a domain");
            table.inapplicable(&SERVICE_KEYS, "to a pool that names a domain");
        }
        let spec = PoolSpec {
            bias: table.optional("bias", integer(-MAX_BIAS..=MAX_BIAS)),
            location: table.optional("location", location),
            serves: table.optional("serves", list(source)),
            policy: table.optional("policy", |value| POLICIES.read(value)),
            answers: table.optional("answers", integer(1..=MAX_ANSWERS)),
            health_check: table.optional("health_check", string),
            condition: table.optional("condition", string),
            service: PoolServiceSpec::read(&mut table),
            address: match domain {
                Some(_) => None,
                None => table.required("address", list(AddressSpec::read)),
            },
            domain,
        };
        table.finish();
        Some(spec)
    }

    /// Where its bias stands, if it has one.
    pub(super) fn bias_place(&self) -> Option<Place> {
        self.bias.as_ref().map(|bias| bias.place)
    }

    /// Checks what the parts of a pool have to do with each other and looks up its health check
    /// among `checks`; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(
        self,
        name: String,
        checks: &[CheckRef],
        domains: &DomainIds<'_>,
        conditions: &BTreeMap<String, ConditionId>,
        report: &Report,
    ) -> Option<Pool> {
        let PoolSpec {
            location,
            bias,
            serves,
            policy,
            answers,
            health_check,
            condition,
            service,
            address,
            domain,
        } = self;
        if let Some(serves) = &serves {
            let mut unique = Unique::new("source");
            for source in &serves.value {
                unique.note(&source.value.to_string(), source.place, report);
            }
        }
        let policy = policy.map_or(PoolPolicy::RoundRobin, |policy| policy.value);
        let health_check = match health_check {
            Some(wanted) => Some(find_check(&wanted, checks, report)?),
            None => None,
        };
        let condition = match condition {
            Some(wanted) => Some(find_condition(&wanted, conditions, report)?),
            None => None,
        };
        let without_port = health_check.and_then(|check| checks[check.index()].without_port);
        let (addresses, resolved) = match domain {
            Some(domain) => (Addresses::Domain(find_domain(&domain, domains, report)?), Vec::new()),
            None => addresses(address?, policy, without_port, report)?,
        };
        let default_answers = match (policy, &addresses) {
            (PoolPolicy::RoundRobin, Addresses::Ip(_)) => DEFAULT_ANSWERS,
            _ => 1,
        };
        if let (Some(answers), Addresses::Cname(_)) =
            (answers.filter(|answers| answers.value > 1), &addresses)
        {
            report.error(answers.place, "a pool of names gives one answer: a name has at most one CNAME");
        }
        Some(Pool {
            name,
            coordinates: location.map(|location| location.value),
            bias: bias.map_or(0, |bias| bias.value),
            serves: serves
                .map_or(Vec::new(), |serves| serves.value.into_iter().map(|source| source.value).collect()),
            policy,
            answers: answers.map_or(default_answers, |answers| answers.value),
            health_check,
            condition,
            service: service.convert(&addresses, &resolved, report),
            addresses,
            resolved,
        })
    }
}

/// The position of the domain that stands in for a pool's addresses.
fn find_domain(wanted: &Located<Name>, domains: &DomainIds<'_>, report: &Report) -> Option<DomainId> {
    let found = domains.get(&wanted.value);
    if found.is_none() {
        let names: Vec<String> = domains.names().map(Name::to_string).collect();
        let hint = report.suggest(&wanted.value.to_string(), names.iter().map(String::as_str));
        report.error_with_hint(wanted.place, format!("domain `{}` does not exist", wanted.value), hint);
    }
    found
}

/// The position of the condition that a pool depends on.
fn find_condition(
    wanted: &Located<String>,
    conditions: &BTreeMap<String, ConditionId>,
    report: &Report,
) -> Option<ConditionId> {
    let found = conditions.get(&wanted.value).copied();
    if found.is_none() {
        let hint = report.suggest(&wanted.value, conditions.keys().map(String::as_str));
        report.error_with_hint(wanted.place, format!("condition `{}` does not exist", wanted.value), hint);
    }
    found
}

/// The position of the health check that a pool wants.
pub(super) fn find_check(wanted: &Located<String>, checks: &[CheckRef], report: &Report) -> Option<CheckId> {
    let position = checks.iter().zip(0..).find(|(check, _)| check.name == wanted.value);
    if position.is_none() {
        report.error_with_hint(
            wanted.place,
            format!("health check `{}` does not exist", wanted.value),
            report.suggest(&wanted.value, checks.iter().map(|check| &check.name[..])),
        );
    }
    position.map(|(_, id)| CheckId(id))
}
