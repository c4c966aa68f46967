//! Things of which there may be only one.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::report::Report;
use super::source::Place;

/// What was there before, and where.
pub(super) struct Unique<T> {
    what: &'static str,
    seen: BTreeMap<T, Place>,
}

impl<T: Ord + Clone + Display> Unique<T> {
    /// Nothing so far; `what` says in messages what kind of thing it is.
    pub(super) fn new(what: &'static str) -> Self {
        Unique { what, seen: BTreeMap::new() }
    }

    /// Notes a mistake if `value` was there before. Returns whether it is there for the first time.
    pub(super) fn note(&mut self, value: &T, place: Place, report: &Report) -> bool {
        let Some(first) = self.seen.get(value) else {
            self.seen.insert(value.clone(), place);
            return true;
        };
        let hint = format!("the first is at {}", report.line_of(*first));
        report.error_with_hint(place, format!("{} `{value}` is there twice", self.what), hint);
        false
    }
}
