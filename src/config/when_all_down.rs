//! `when_all_down` of domains and their rules.

use super::choice::find_pool;
use super::domain::References;
use super::reader::{Value, Words, string};
use super::report::Report;
use super::source::Located;
use crate::plan::{PoolId, WhenAllDown};

const WORDS: Words<Option<WhenAllDown>> = Words {
    what: "value of `when_all_down`",
    known: &[
        ("serve-all", Some(WhenAllDown::ServeAll)),
        ("nodata", Some(WhenAllDown::Nodata)),
        ("servfail", Some(WhenAllDown::Servfail)),
        ("next", None),
    ],
    planned: &[],
};

/// As written.
pub(super) enum WhenAllDownSpec {
    /// `None`: go on with the next rule.
    Word(Option<WhenAllDown>),
    Fallback(Located<String>),
}

/// A word, or `{ fallback = "pool" }`.
pub(super) fn when_all_down(value: Value<'_>) -> Option<WhenAllDownSpec> {
    if value.is_string() {
        return WORDS.read(value).map(WhenAllDownSpec::Word);
    }
    let mut table = value.table()?;
    let pool = table.required("fallback", string);
    table.finish();
    pool.map(WhenAllDownSpec::Fallback)
}

impl WhenAllDownSpec {
    /// What it means, and the pool that it names; `None`: there is a mistake, and it has been
    /// noted.
    pub(super) fn convert(
        self,
        known: &References<'_>,
        report: &Report,
    ) -> Option<(Option<WhenAllDown>, Option<Located<PoolId>>)> {
        match self {
            WhenAllDownSpec::Word(word) => Some((word, None)),
            WhenAllDownSpec::Fallback(name) => {
                let pool = find_pool(&name, known.pools, report)?;
                let placed = Located { value: pool, place: name.place };
                Some((Some(WhenAllDown::Fallback(pool)), Some(placed)))
            }
        }
    }
}
