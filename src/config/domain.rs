//! `[[domain]]`

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::choice::{ChoiceSpec, PlacedChoice};
use super::name::domain_name;
use super::reader::{Value, boolean, list, ttl};
use super::report::{Report, listed};
use super::rule::{PlacedRule, RuleSpec, check_order};
use super::source::{Located, Place};
use super::when_all_down::{WhenAllDownSpec, when_all_down};
use crate::dns::Name;
use crate::plan::{Domain, DomainId, MAX_RULES, PoolId, Rule, WhenAllDown, ZoneId};

/// A failover takes one TTL; many resolvers hold an answer no shorter than this anyway.
const DEFAULT_TTL: u32 = 5;

/// A domain as written.
pub(super) struct DomainSpec {
    name: Option<Located<Name>>,
    rules: Option<Located<Vec<Located<RuleSpec>>>>,
    choice: ChoiceSpec,
    ttl: Option<Located<u32>>,
    ttl_min: Option<Located<u32>>,
    client_subnet: Option<Located<bool>>,
    when_all_down: Option<Located<WhenAllDownSpec>>,
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

/// The positions of domains by their names; of two with the same name, which is a mistake, the first.
pub(super) struct DomainIds<'d> {
    specs: &'d [Located<DomainSpec>],
    /// Made when somebody asks: only a pool that is a domain does.
    ids: OnceCell<BTreeMap<&'d Name, DomainId>>,
}

impl<'d> DomainIds<'d> {
    /// Those of `specs`.
    pub(super) fn of(specs: &'d [Located<DomainSpec>]) -> Self {
        DomainIds { specs, ids: OnceCell::new() }
    }

    /// The position of the domain of this name.
    pub(super) fn get(&self, name: &Name) -> Option<DomainId> {
        self.ids().get(name).copied()
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'d Name> {
        self.ids().keys().copied()
    }

    fn ids(&self) -> &BTreeMap<&'d Name, DomainId> {
        self.ids.get_or_init(|| {
            let mut ids = BTreeMap::new();
            for (spec, id) in self.specs.iter().zip(0..) {
                if let Some(name) = &spec.value.name {
                    ids.entry(&name.value).or_insert(DomainId(id));
                }
            }
            ids
        })
    }
}

impl DomainSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let rules = table.optional("rule", list(RuleSpec::read));
        let spec = DomainSpec {
            name: table.required("name", domain_name),
            choice: ChoiceSpec::read(&mut table, rules.is_none()),
            rules,
            ttl: table.optional("ttl", ttl),
            ttl_min: table.optional("ttl_min", ttl),
            client_subnet: table.optional("ecs", boolean),
            when_all_down: table.optional("when_all_down", when_all_down),
        };
        table.finish();
        Some(spec)
    }

    /// Looks up what it refers to; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, known: &References<'_>, report: &Report) -> Option<PlacedDomain> {
        let DomainSpec { name, rules, choice, ttl, ttl_min, client_subnet, when_all_down } = self;
        let zone = name.as_ref().and_then(|name| find_zone(name, known, report));
        let mut pools = Vec::new();
        // Without rules, missing pools have been told of.
        let is_absent = rules.is_some() && choice.is_absent(report);
        let rules = match rules {
            Some(rules) => convert_rules(rules, is_absent, &mut pools, known, report),
            None => Some(Vec::new()),
        };
        let choice = match is_absent {
            true => Some(None),
            false => choice.convert(known.pools, report).map(Some),
        };
        let when_all_down = match when_all_down {
            None => WhenAllDown::ServeAll,
            Some(Located { value, place }) => {
                let (then, fallback) = value.convert(known, report)?;
                pools.extend(fallback);
                then.or_else(|| {
                    report.error(place, "`next` is for rules: behind the domain itself there is nothing");
                    None
                })?
            }
        };
        let ttl_seconds = ttl.as_ref().map_or(DEFAULT_TTL, |ttl| ttl.value);
        if let Some(ttl_min) = ttl_min.as_ref().filter(|ttl_min| ttl_min.value > ttl_seconds) {
            report.error(
                ttl_min.place,
                format!("`ttl_min` is {} seconds, longer than the `ttl` of {ttl_seconds}", ttl_min.value),
            );
            return None;
        }
        let (name, rules, choice) = (name?, rules?, choice?);
        let choice = choice.map(|PlacedChoice { choice, pools: named }| {
            // Most domains have no others.
            if pools.is_empty() {
                pools = named
            } else {
                pools.extend(named)
            }
            choice
        });
        let domain = Domain {
            name: name.value,
            zone: zone?,
            rules,
            choice,
            ttl: ttl_seconds,
            ttl_min: ttl_min.map_or(ttl_seconds, |ttl_min| ttl_min.value),
            client_subnet: client_subnet.is_none_or(|client_subnet| client_subnet.value),
            when_all_down,
        };
        Some(PlacedDomain { domain, place: name.place, pools })
    }
}

/// The rules, with the pools that they name into `pools`; `is_last`: the domain has nothing behind
/// them. `None`: there is a mistake, and it has been noted.
fn convert_rules(
    specs: Located<Vec<Located<RuleSpec>>>,
    is_last: bool,
    pools: &mut Vec<Located<PoolId>>,
    known: &References<'_>,
    report: &Report,
) -> Option<Vec<Rule>> {
    let count = specs.value.len();
    if count > MAX_RULES {
        report.error(specs.place, format!("{count} rules are too many: a domain has at most {MAX_RULES}"));
    }
    let mut placed = Vec::new();
    let mut ends = Vec::new();
    for spec in specs.value {
        let sources = spec.value.sources(report);
        let RuleSpec { place, matches: _, choice, when_all_down } = spec.value;
        let choice = choice.convert(known.pools, report);
        let is_written = when_all_down.is_some();
        let then = match when_all_down {
            Some(when_all_down) => when_all_down.value.convert(known, report),
            None => Some((None, None)),
        };
        let (Some(sources), Some(choice), Some((then, fallback))) = (sources, choice, then) else { continue };
        pools.extend(choice.pools.iter().copied());
        pools.extend(fallback);
        placed.push(PlacedRule { place, sources, choice, says_next: is_written && then.is_none() });
        ends.push(then);
    }
    if placed.len() < count {
        return None;
    }
    check_order(&placed, report);
    let is_for_all = |rule: &PlacedRule| rule.sources.is_empty() && !rule.says_next;
    if let Some(all) = placed.iter().position(is_for_all).filter(|_| !is_last) {
        report.error_with_hint(
            placed[all].place,
            format!("rule {} is for everybody, and the domain's own `pools` too", all + 1),
            "leave out one of them; or, if the domain's own are for when all pools of the rule are down, say \
             so in the rule: when_all_down = \"next\""
                .to_owned(),
        );
    }
    let rules = placed.into_iter().zip(ends).map(|(rule, when_all_down)| Rule {
        sources: rule.sources,
        choice: rule.choice.choice,
        when_all_down,
    });
    Some(rules.collect())
}

/// The zone with the longest name that `name` is within.
pub(super) fn zone_of(name: &Name, zones: &BTreeMap<Name, ZoneId>) -> Option<ZoneId> {
    name.suffixes().find_map(|ancestor| zones.get(ancestor).copied())
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
