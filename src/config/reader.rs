//! Takes typed, located values out of the TOML tree and notes what does not fit.
//!
//! A reader is a function from [`Value`] to `Option`: `None` means that the mistake has been
//! noted. Readers compose: `list(string)` reads a list of strings.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use smallvec::SmallVec;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::report::{Report, listed};
use super::sections::Pieces;
use super::source::{Located, Place};

/// RFC 2181 section 8: a TTL is at most 2^31 - 1 seconds.
pub(super) const MAX_TTL: u32 = i32::MAX as u32;

/// A value as written, and where.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    raw: &'a DeValue<'a>,
    /// Where the text that was parsed stands in its file.
    pieces: &'a Pieces,
    /// Where it stands.
    pub(super) place: Place,
    /// Where its mistakes are noted.
    pub(super) report: &'a Report,
}

/// A table whose keys are taken one by one; those that nobody takes are mistakes.
pub(super) struct Table<'a> {
    /// The header, or the whole of an inline table.
    pub(super) place: Place,
    report: &'a Report,
    tree: &'a DeTable<'a>,
    pieces: &'a Pieces,
    /// The keys that are there and were taken.
    taken: SmallVec<[&'static str; FEW]>,
    /// The keys that were asked for.
    known: SmallVec<[&'static str; FEW]>,
}

/// Keys of a table for which no memory is asked for: a million domains have not more each.
const FEW: usize = 8;

impl<'a> Table<'a> {
    /// The tree of a file, or of the `pieces` of it.
    pub(super) fn root(tree: &'a DeTable<'a>, file: u32, pieces: &'a Pieces, report: &'a Report) -> Self {
        let place = within(file, pieces, 0..0);
        Table { place, report, tree, pieces, taken: SmallVec::new(), known: SmallVec::new() }
    }

    /// The entries that were not taken yet, with the places of their keys, in the order of the alphabet.
    fn entries(&self) -> impl Iterator<Item = (&'a str, Place, Value<'a>)> {
        let entries = self.tree.iter().map(|(key, value)| self.entry(key, value));
        entries.filter(|(key, ..)| !self.taken.contains(key))
    }

    fn entry(
        &self,
        key: &'a Spanned<DeString<'a>>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> (&'a str, Place, Value<'a>) {
        let Table { pieces, report, place: Place { file, .. }, .. } = *self;
        let place = within(file, pieces, value.span());
        let value = Value { raw: value.get_ref(), pieces, place, report };
        (key.get_ref(), within(file, pieces, key.span()), value)
    }

    /// Takes `key` out, with its place.
    fn take(&mut self, key: &'static str) -> Option<(Place, Value<'a>)> {
        let (written, value) = self.tree.get_key_value(key)?;
        if self.taken.contains(&key) {
            return None;
        }
        self.taken.push(key);
        let (_, place, value) = self.entry(written, value);
        Some((place, value))
    }

    /// What `read` makes of the value of `key`; `None` if there is none or it does not fit.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Option<Located<T>> {
        self.known.push(key);
        let (_, value) = self.take(key)?;
        Some(Located { value: read(value)?, place: value.place })
    }

    /// The same for a key that has to be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Option<Located<T>> {
        if !self.has(key) {
            self.report.error(self.place, format!("missing key `{key}`"));
        }
        self.optional(key, read)
    }

    /// Whether `key` is there and was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.tree.contains_key(key) && !self.taken.contains(&key)
    }

    /// Notes each of `keys` that is there: it does not apply `where_not`.
    pub(super) fn inapplicable(&mut self, keys: &[&'static str], where_not: &str) {
        for key in keys {
            if let Some((place, _)) = self.take(key) {
                self.report.error(place, format!("`{key}` does not apply {where_not}"));
            }
        }
    }

    /// Takes `keys` without looking at their values.
    pub(super) fn pass_over(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.known.push(key);
            self.take(key);
        }
    }

    /// Whether nothing is left in it.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.len() == self.tree.len()
    }

    /// Notes every key that was not asked for.
    pub(super) fn finish(self) {
        if self.is_empty() {
            return;
        }
        for (key, place, _) in self.entries() {
            let hint = self.report.suggest(key, self.known.iter().copied());
            self.report.error_with_hint(place, format!("unknown key `{key}`"), hint);
        }
    }
}

impl<'a> Value<'a> {
    /// Notes that the value is not `expected`.
    fn mismatch<T>(self, expected: &str, hint: Option<String>) -> Option<T> {
        let found = match self.raw {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report.error_with_hint(self.place, format!("expected {expected}, found {found}"), hint);
        None
    }

    /// Notes that the value is of the right type and yet wrong.
    pub(super) fn refuse<T>(self, message: impl Into<String>, hint: impl Into<Option<String>>) -> Option<T> {
        self.report.error_with_hint(self.place, message, hint);
        None
    }

    /// The table that it is.
    pub(super) fn table(self) -> Option<Table<'a>> {
        match self.raw {
            DeValue::Table(tree) => {
                let table = Table::root(tree, self.place.file, self.pieces, self.report);
                Some(Table { place: self.place, ..table })
            }
            DeValue::Array(_) => {
                self.mismatch("a table", Some("a header in single brackets starts a table".to_owned()))
            }
            _ => self.mismatch("a table", None),
        }
    }

    /// The entries of a table whose keys the operator chooses, in the order of the file.
    pub(super) fn named(self) -> Option<Vec<(Located<String>, Value<'a>)>> {
        let mut entries: Vec<_> = self
            .table()?
            .entries()
            .map(|(key, place, value)| (Located { value: key.to_owned(), place }, value))
            .collect();
        entries.sort_by_key(|(key, _)| key.place);
        Some(entries)
    }

    /// Whether it is a string; for keys that take either a word or a table.
    pub(super) fn is_string(self) -> bool {
        matches!(self.raw, DeValue::String(_))
    }

    /// Whether it is a boolean; for keys that take `false` or a table.
    pub(super) fn is_boolean(self) -> bool {
        matches!(self.raw, DeValue::Boolean(_))
    }

    /// Whether it is an integer; for keys that take either a number or a string.
    pub(super) fn is_integer(self) -> bool {
        matches!(self.raw, DeValue::Integer(_))
    }

    /// Whether it is a list; for keys that take one thing or several.
    fn is_list(self) -> bool {
        matches!(self.raw, DeValue::Array(_))
    }
}

/// A string.
pub(super) fn string(value: Value<'_>) -> Option<String> {
    text(value).map(str::to_owned)
}

/// The same where it stands.
pub(super) fn text(value: Value<'_>) -> Option<&str> {
    match value.raw {
        DeValue::String(text) => Some(text),
        _ => value.mismatch("a string", None),
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: Value<'_>) -> Option<bool> {
    match value.raw {
        DeValue::Boolean(truth) => Some(*truth),
        _ => value.mismatch("`true` or `false`", None),
    }
}

/// An integer in `range`.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(Value<'_>) -> Option<T>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    move |value| {
        let DeValue::Integer(integer) = value.raw else {
            return value.mismatch("an integer", None);
        };
        i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|integer| T::try_from(integer).ok())
            .filter(|integer| range.contains(integer))
            .or_else(|| {
                let (first, last) = (range.start(), range.end());
                value.refuse(format!("{integer} is out of range: {first} to {last}"), None)
            })
    }
}

/// A number in `range`, with or without a fraction.
pub(super) fn number(range: RangeInclusive<f32>) -> impl Fn(Value<'_>) -> Option<f32> {
    move |value| {
        let text = match value.raw {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return value.mismatch("a number", None),
        };
        text.parse().ok().filter(|number| range.contains(number)).or_else(|| {
            let (first, last) = (range.start(), range.end());
            value.refuse(format!("{text} is out of range: {first} to {last}"), None)
        })
    }
}

/// A length of time in `range`, such as "500ms".
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(Value<'_>) -> Option<Duration> {
    move |value| {
        let duration = any_duration(value)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let [given, first, last] = [duration, *range.start(), *range.end()].map(humantime::format_duration);
        value.refuse(format!("{given} is out of range: {first} to {last}"), None)
    }
}

/// A TTL: a length of time in whole seconds, or the number of them (RFC 2181 section 8).
pub(super) fn ttl(value: Value<'_>) -> Option<u32> {
    if value.is_integer() {
        return integer(0..=MAX_TTL)(value);
    }
    let duration = any_duration(value)?;
    if duration.subsec_nanos() != 0 {
        return value.refuse("a TTL is in whole seconds", None);
    }
    u32::try_from(duration.as_secs())
        .ok()
        .filter(|&seconds| seconds <= MAX_TTL)
        .or_else(|| value.refuse(format!("a TTL is at most {MAX_TTL} seconds (RFC 2181 section 8)"), None))
}

fn any_duration(value: Value<'_>) -> Option<Duration> {
    const EXAMPLES: &str = "write it as in \"500ms\", \"5s\" or \"1h\"";
    let DeValue::String(text) = value.raw else {
        return value.mismatch("a duration", Some(EXAMPLES.to_owned()));
    };
    humantime::parse_duration(text)
        .ok()
        .or_else(|| value.refuse(format!("`{text}` is not a duration"), EXAMPLES.to_owned()))
}

/// A list of at least one of what `read` reads.
pub(super) fn list<'a, T>(
    read: impl Fn(Value<'a>) -> Option<T>,
) -> impl Fn(Value<'a>) -> Option<Vec<Located<T>>> {
    move |value| match value.raw {
        DeValue::Array(elements) if elements.is_empty() => value.refuse("the list is empty", None),
        _ => list_or_none(&read)(value),
    }
}

/// A list of what `read` reads, which may be empty.
pub(super) fn list_or_none<'a, T>(
    read: impl Fn(Value<'a>) -> Option<T>,
) -> impl Fn(Value<'a>) -> Option<Vec<Located<T>>> {
    move |value| {
        let DeValue::Array(elements) = value.raw else {
            let hint = matches!(value.raw, DeValue::Table(_))
                .then(|| "a header in double brackets starts an element of a list".to_owned());
            return value.mismatch("a list", hint);
        };
        let mut read_so_far = Vec::with_capacity(elements.len());
        for element in elements {
            let place = within(value.place.file, value.pieces, element.span());
            let element = Value { raw: element.get_ref(), place, ..value };
            // Those that do not fit have been noted; the others are checked on.
            read_so_far.extend(read(element).map(|value| Located { value, place }));
        }
        Some(read_so_far)
    }
}

/// A list, or one element that stands for a list of it.
pub(super) fn one_or_list<'a, T>(
    read: impl Fn(Value<'a>) -> Option<T>,
) -> impl Fn(Value<'a>) -> Option<Vec<Located<T>>> {
    move |value| {
        if value.is_list() {
            return list(&read)(value);
        }
        Some(vec![Located { value: read(value)?, place: value.place }])
    }
}

/// The words that a key takes.
pub(super) struct Words<T: 'static> {
    /// What one of them names, as in "unknown policy".
    pub(super) what: &'static str,
    /// The words and what they mean.
    pub(super) known: &'static [(&'static str, T)],
    /// Words that the configuration will take in a later version.
    pub(super) planned: &'static [&'static str],
}

impl<T: Copy> Words<T> {
    /// What a string means.
    pub(super) fn read(&self, value: Value<'_>) -> Option<T> {
        let text = text(value)?;
        if let Some((_, meaning)) = self.known.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let what = self.what;
        let words = || self.known.iter().map(|(word, _)| *word);
        let allowed = format!("use one of {}", listed(words()));
        if self.planned.contains(&text) {
            return value.refuse(format!("{what} `{text}` is not supported in this version"), allowed);
        }
        let hint = value.report.suggest(text, words());
        value.refuse(format!("unknown {what} `{text}`"), hint)
    }
}

/// The place of what stands at `span` of a text that is these `pieces` of a file.
fn within(file: u32, pieces: &Pieces, span: Range<usize>) -> Place {
    Place::new(file, pieces.place(span))
}
