//! Files as read: from an offset in the text to what an editor shows.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostics::{Excerpt, Position};

/// The longest line that is printed whole, in characters: what a terminal of 100 columns shows
/// behind the line number.
const LONGEST_LINE: usize = 92;
/// How much of a longer line is printed in front of the marked part.
const LEAD: usize = 30;
/// Stands where a longer line was cut.
const ELLIPSIS: char = '…';

/// One file and where its lines start.
pub(super) struct Source {
    /// As the file was named to the program or in the configuration.
    pub(super) name: String,
    text: Arc<str>,
    /// Found when somebody asks for a line: of a sound file nobody does, and it may have millions.
    line_starts: OnceCell<Vec<usize>>,
}

/// The longest file, in octets: what a [`Place`] can tell apart.
pub(super) const LONGEST_FILE: usize = u32::MAX as usize;

/// A stretch of a file. Places of one file sort as they stand in it.
///
/// Small, as every value that is read has one, and there are a dozen in each of a million domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which file, in the order of reading.
    pub(super) file: u32,
    /// Offset of the first octet.
    start: u32,
    /// Offset behind the last octet.
    end: u32,
}

impl Place {
    /// The octets `range` of a file, which has at most [`LONGEST_FILE`].
    pub(super) fn new(file: u32, range: Range<usize>) -> Self {
        Place { file, start: range.start as u32, end: range.end as u32 }
    }

    /// Offset of the first octet.
    pub(super) fn start(&self) -> usize {
        self.start as usize
    }

    /// Offset behind the last octet.
    pub(super) fn end(&self) -> usize {
        self.end as usize
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T> Located<T> {
    /// The same place with what `convert` makes of the value.
    pub(super) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: convert(self.value), place: self.place }
    }
}

impl Source {
    pub(super) fn new(name: String, text: Arc<str>) -> Self {
        Source { name, text, line_starts: OnceCell::new() }
    }

    /// Line and column of `offset`.
    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.line_of(offset);
        let start = self.line_starts()[line];
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line: line + 1, column: visible(before).count() + 1 }
    }

    /// The line that `place` starts on, with the part of `place` that stands on it marked.
    pub(super) fn excerpt(&self, place: Place) -> Excerpt {
        let number = self.line_of(place.start());
        let start = self.line_starts()[number];
        let end = self.line_starts().get(number + 1).copied().unwrap_or(self.text.len());
        let line = self.text[start..end].trim_end_matches(['\n', '\r']);
        let count_to = |offset: usize| visible(line.get(..offset - start).unwrap_or(line)).count();
        let before = count_to(place.start());
        let marked = count_to(place.end().max(place.start())).saturating_sub(before).max(1);
        cut(visible(line).collect(), before, marked)
    }

    /// The line that `offset` stands on, counted from 0.
    fn line_of(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|&start| start <= offset) - 1
    }

    fn line_starts(&self) -> &[usize] {
        let behind_breaks = || self.text.match_indices('\n').map(|(at, _)| at + 1);
        self.line_starts.get_or_init(|| std::iter::once(0).chain(behind_breaks()).collect())
    }
}

/// The characters of `text` that take a column, each as one that a terminal shows in one column.
fn visible(text: &str) -> impl Iterator<Item = char> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    text.chars().filter(|&character| character != BYTE_ORDER_MARK).map(|character| match character {
        '\t' => ' ',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        plain => plain,
    })
}

/// Cuts a long line so that the start of the marked part stays in sight.
fn cut(line: Vec<char>, before: usize, marked: usize) -> Excerpt {
    if line.len() <= LONGEST_LINE {
        return Excerpt { line: line.into_iter().collect(), before, marked };
    }
    let first = before.saturating_sub(LEAD).min(line.len() - LONGEST_LINE);
    let last = first + LONGEST_LINE;
    let mut shown = String::new();
    if first > 0 {
        shown.push(ELLIPSIS);
    }
    shown.extend(&line[first..last]);
    if last < line.len() {
        shown.push(ELLIPSIS);
    }
    let before = before - first;
    Excerpt {
        line: shown,
        before: before + usize::from(first > 0),
        marked: marked.min(LONGEST_LINE.saturating_sub(before)).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("test".to_owned(), text.into())
    }

    #[test]
    fn columns_count_characters() {
        for (text, needle, line, column) in [
            ("a = 1\nb = 2\n", "b", 2, 1),
            ("a = 1\r\nb = 2\r\n", "2", 2, 5),
            ("\ta = 1", "a", 1, 2),
            ("ключ = \"знач\" # x", "x", 1, 17),
            ("\u{feff}a = 1", "a", 1, 1),
        ] {
            let offset = text.find(needle).expect("the needle is in the text");
            assert_eq!(source(text).position(offset), Position { line, column }, "{text:?}");
        }
    }

    #[test]
    fn an_offset_at_or_past_the_end_is_on_the_last_line() {
        assert_eq!(source("a\n").position(2), Position { line: 2, column: 1 });
        assert_eq!(source("").position(0), Position { line: 1, column: 1 });
        let excerpt = source("a\n").excerpt(Place::new(0, 2..2));
        assert_eq!(excerpt, Excerpt { line: String::new(), before: 0, marked: 1 });
    }

    #[test]
    fn the_mark_ends_with_the_line() {
        let excerpt = source("a = [1,\r\n 2]\r\n").excerpt(Place::new(0, 4..12));
        assert_eq!(excerpt, Excerpt { line: "a = [1,".to_owned(), before: 4, marked: 3 });
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let text = format!("{}MARK{}", "a".repeat(200), "b".repeat(200));
        let excerpt = source(&text).excerpt(Place::new(0, 200..204));
        let shown: Vec<char> = excerpt.line.chars().collect();
        assert_eq!(shown.len(), LONGEST_LINE + 2);
        assert_eq!((shown[0], shown[shown.len() - 1]), (ELLIPSIS, ELLIPSIS));
        let marked: String = shown[excerpt.before..excerpt.before + excerpt.marked].iter().collect();
        assert_eq!(marked, "MARK");
    }

    #[test]
    fn a_mark_longer_than_what_is_shown_is_cut_too() {
        let excerpt = source(&"a".repeat(500)).excerpt(Place::new(0, 10..500));
        assert_eq!(excerpt.before + excerpt.marked, LONGEST_LINE);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let excerpt = source("a\u{1b}[31m").excerpt(Place::new(0, 0..1));
        assert_eq!(excerpt.line, "a\u{fffd}[31m");
    }
}
