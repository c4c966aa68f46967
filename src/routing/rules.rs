//! The rules of a domain: which of them are for a client, in their order.

use std::sync::Arc;

use ipnet::IpNet;

use super::recorder::Recorder;
use super::sources::{ByPlace, SourceIndex};
use super::steering::PoolChoice;
use super::whereabouts::Whereabouts;
use crate::geo::{GeoTable, GeoView};
use crate::plan::{Rule, Source, WhenAllDown};

/// The rules of a domain, in order.
pub(super) struct Rules {
    list: Vec<CompiledRule>,
    /// By source: the numbers of rules; and what of the map that takes.
    index: Option<(SourceIndex, Arc<GeoView>)>,
    /// The numbers of those that are for everybody, in order.
    for_all: Vec<u16>,
    /// The first that is for clients by their place: up to it, the place does not matter.
    first_placed: u16,
}

/// A rule.
pub(super) struct CompiledRule {
    pub(super) choice: PoolChoice,
    /// What follows when none of its pools is up; `None`: the next rule.
    pub(super) when_all_down: Option<WhenAllDown>,
}

/// The rules that are for one client.
pub(super) struct Matching<'t> {
    rules: &'t Rules,
    by_prefix: &'t [(IpNet, u16)],
    /// `None`: the place was not needed so far.
    by_place: Option<ByPlace<'t>>,
    next: u16,
}

impl Rules {
    /// Compiles `rules`, whose choices `compile` makes; `None` if there are none.
    pub(super) fn compile(
        rules: &[Rule],
        geo: &GeoTable,
        mut compile: impl FnMut(&Rule) -> PoolChoice,
    ) -> Option<Self> {
        let sources =
            (0..).zip(rules).flat_map(|(number, rule)| rule.sources.iter().map(move |s| (*s, number)));
        let is_placed = |rule: &Rule| rule.sources.iter().any(|source| !matches!(source, Source::Prefix(_)));
        let first_placed = rules.iter().position(is_placed).map_or(u16::MAX, |first| first as u16);
        let for_all = (0..).zip(rules).filter(|(_, rule)| rule.sources.is_empty());
        (!rules.is_empty()).then(|| Rules {
            index: SourceIndex::compile(sources).map(|index| {
                let view = geo.view(index.fields());
                (index, view)
            }),
            for_all: for_all.map(|(number, _)| number).collect(),
            first_placed,
            list: rules
                .iter()
                .map(|rule| CompiledRule { choice: compile(rule), when_all_down: rule.when_all_down })
                .collect(),
        })
    }

    /// The rules, in order.
    pub(super) fn list(&self) -> &[CompiledRule] {
        &self.list
    }

    /// Those for the client that is at `whereabouts`.
    pub(super) fn matching<'t>(&'t self, whereabouts: &mut Whereabouts<'_>) -> Matching<'t> {
        let by_prefix = match &self.index {
            Some((index, _)) => {
                let (by_prefix, scope) = index.by_prefix(whereabouts.client());
                whereabouts.narrow(scope);
                by_prefix
            }
            None => &[],
        };
        Matching { rules: self, by_prefix, by_place: None, next: 0 }
    }
}

impl<'t> Matching<'t> {
    /// The next rule: its number, and by which source it is for the client; `None`: for everybody.
    pub(super) fn next(
        &mut self,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> Option<(u16, Option<Source>, &'t CompiledRule)> {
        let from = self.next;
        let for_all = self.rules.for_all.iter().find(|number| **number >= from).map(|number| (*number, None));
        let by_prefix = self
            .by_prefix
            .iter()
            .filter(|(_, number)| *number >= from)
            .min_by_key(|(_, number)| *number)
            .map(|&(prefix, number)| (number, Some(Source::Prefix(prefix))));
        let mut found = [for_all, by_prefix].into_iter().flatten().min_by_key(|(number, _)| *number);
        // The client's place is looked up only once no earlier rule decides.
        if found.is_none_or(|(number, _)| number > self.rules.first_placed) {
            let by_place = *self.by_place.get_or_insert_with(|| match &self.rules.index {
                Some((index, view)) if !index.fields().is_empty() => {
                    index.by_place(&whereabouts.seen_by(view, recorder).location)
                }
                _ => ByPlace::NOTHING,
            });
            let placed = by_place.lowest(from).map(|(number, source)| (number, Some(source)));
            found = found.into_iter().chain(placed).min_by_key(|(number, _)| *number);
        }
        let (number, source) = found?;
        self.next = number + 1;
        Some((number, source, &self.rules.list[usize::from(number)]))
    }
}
