//! `[[domain.rule]]`

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{ChoiceSpec, PlacedChoice};
use super::reader::{Value, one_or_list, string};
use super::report::Report;
use super::serves::source;
use super::source::{Located, Place};
use super::unique::Unique;
use super::when_all_down::{WhenAllDownSpec, when_all_down};
use crate::plan::Source;

/// A rule as written.
pub(super) struct RuleSpec {
    pub(super) place: Place,
    /// `None` among them: everybody.
    pub(super) matches: Option<Located<Vec<Located<Option<Source>>>>>,
    pub(super) choice: ChoiceSpec,
    pub(super) when_all_down: Option<Located<WhenAllDownSpec>>,
}

/// A rule, as far as it stands alone, and where it stands.
pub(super) struct PlacedRule {
    pub(super) place: Place,
    /// Empty: everybody.
    pub(super) sources: Vec<Source>,
    pub(super) choice: PlacedChoice,
    /// Whether it says of itself that later rules follow it for its own clients.
    pub(super) says_next: bool,
}

impl RuleSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = RuleSpec {
            place: value.place,
            matches: table.required("match", one_or_list(source_or_any)),
            choice: ChoiceSpec::read(&mut table, true),
            when_all_down: table.optional("when_all_down", when_all_down),
        };
        table.finish();
        Some(spec)
    }

    /// Whom it is for; empty: everybody. Notes what is there twice.
    pub(super) fn sources(&self, report: &Report) -> Option<Vec<Source>> {
        let matches = &self.matches.as_ref()?.value;
        let mut unique = Unique::new("source");
        for source in matches {
            let written = source.value.map_or("any".to_owned(), |source| source.to_string());
            unique.note(&written, source.place, report);
        }
        let any = matches.iter().find(|source| source.value.is_none());
        if let Some(any) = any.filter(|_| matches.len() > 1) {
            report.error(any.place, "`any` is everybody: the other sources say nothing beside it");
        }
        Some(if any.is_some() {
            Vec::new()
        } else {
            matches.iter().filter_map(|source| source.value).collect()
        })
    }
}

/// Notes every rule whose clients all match an earlier one. It would decide for them at most when
/// all pools of the earlier one are down, which is meant only where the earlier one says so.
pub(super) fn check_order(rules: &[PlacedRule], report: &Report) {
    let mut first_with: BTreeMap<Source, usize> = BTreeMap::new();
    let mut first_for_all = None;
    for (number, rule) in rules.iter().enumerate() {
        let covering: Option<BTreeSet<usize>> = match &rule.sources[..] {
            [] => first_for_all.map(|earlier| BTreeSet::from([earlier])),
            sources => sources
                .iter()
                .map(|source| {
                    let earlier = covering(*source).filter_map(|wide| first_with.get(&wide).copied());
                    earlier.chain(first_for_all).min()
                })
                .collect(),
        };
        if let Some(covering) = covering {
            let earlier: Vec<String> =
                covering.iter().map(|earlier| format!("rule {}", earlier + 1)).collect();
            let earlier = earlier.join(" or ");
            report.error_with_hint(
                rule.place,
                format!("rule {} can never match: its clients match {earlier} before", number + 1),
                format!(
                    "put the narrower rule first; or, if it is for when all pools of {earlier} are down, say so \
                     there: when_all_down = \"next\""
                ),
            );
        }
        if rule.says_next {
            continue;
        }
        if rule.sources.is_empty() {
            first_for_all.get_or_insert(number);
        }
        for source in &rule.sources {
            first_with.entry(*source).or_insert(number);
        }
    }
}

/// Every source that has all clients of `source`, itself included.
fn covering(source: Source) -> impl Iterator<Item = Source> {
    let (country, continent) = match source {
        Source::Subdivision(subdivision) => (Some(subdivision.country), subdivision.country.continent()),
        Source::Country(country) => (None, country.continent()),
        Source::Prefix(_) | Source::Asn(_) | Source::Continent(_) => (None, None),
    };
    let wider = std::iter::successors(Some(source), |source| match source {
        Source::Prefix(prefix) => prefix.supernet().map(Source::Prefix),
        _ => None,
    });
    wider.chain(country.map(Source::Country)).chain(continent.map(Source::Continent))
}

fn source_or_any(value: Value<'_>) -> Option<Option<Source>> {
    /// What everybody is called elsewhere.
    const EVERYBODY: [&str; 6] = ["*", "all", "default", "everybody", "everyone", "world"];
    match value.is_string().then(|| string(value)).flatten().as_deref() {
        Some("any") => Some(None),
        Some(text) if EVERYBODY.contains(&text) => {
            value.refuse(format!("there is no country `{text}`"), "everybody is `any`".to_owned())
        }
        _ => source(value).map(Some),
    }
}
