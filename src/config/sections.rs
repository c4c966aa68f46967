//! A file in parts that can be parsed one by one.
//!
//! A TOML tree and what the parser needs to make it take thirty times the memory of the text, and
//! fetching that from the kernel takes longer than the parsing. A file with a million domains is
//! nearly all `[[domain]]`, so these tables are cut out and parsed a few at a time.

use std::borrow::Cow;
use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Domains are parsed in parts that reach this length, in octets: their trees fit into a processor's
/// second-level cache or nearly so, and what a part costs by itself is lost in what its domains do.
const LONG_ENOUGH: usize = 32 * 1024;

/// A text, cut.
///
/// If all parts are sound for themselves and the rest has no `domain`, then the whole is sound, and
/// means what they mean together: the cuts are in front of headers that stand outside of strings and
/// brackets, and no part of `domains` has other tables. If not, only the whole tells what is wrong.
pub(super) struct Sections {
    /// Where there are `[[domain]]` tables, with what is below them, and nothing else.
    pub(super) domains: Vec<Range<usize>>,
    /// How many `[[domain]]` there are in them.
    pub(super) count: usize,
}

/// Where a text that was put together from pieces of a file has them from.
pub(super) struct Pieces(Vec<Piece>);

struct Piece {
    /// Where it begins in the text.
    at: usize,
    /// Where it begins in the file.
    from: usize,
}

impl Sections {
    /// Finds the parts of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut domains = Vec::new();
        let mut count = 0;
        let mut open: Option<usize> = None;
        for header in headers(text) {
            let is_domain = text[header..].starts_with("[[domain]]");
            let is_below = ["[domain.", "[[domain."].iter().any(|below| text[header..].starts_with(below));
            count += usize::from(is_domain);
            let is_cut = match open {
                Some(start) if is_domain => header - start >= LONG_ENOUGH,
                Some(_) => !is_below,
                None => is_domain,
            };
            if is_cut {
                domains.extend(open.take().map(|start| start..header));
                open = is_domain.then_some(header);
            }
        }
        domains.extend(open.map(|start| start..text.len()));
        Sections { domains, count }
    }

    /// What `text` has besides domains, one piece behind the other.
    pub(super) fn rest<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.domains.is_empty() {
            true => Cow::Borrowed(text),
            false => self.between(text.len()).map(|piece| &text[piece]).collect(),
        }
    }

    /// Where [`Sections::rest`] has its pieces from.
    pub(super) fn pieces_of_rest(&self) -> Pieces {
        let mut pieces = vec![Piece { at: 0, from: 0 }];
        let mut length = 0;
        // Nothing is behind the end that could be looked up.
        for Range { start, end } in self.between(usize::MAX) {
            if start < end && start > 0 {
                pieces.push(Piece { at: length, from: start });
            }
            length += end - start;
        }
        Pieces(pieces)
    }

    /// What lies between the parts in a text of this length.
    fn between(&self, length: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.domains.iter().map(|part| part.end));
        let ends = self.domains.iter().map(|part| part.start).chain([length]);
        starts.zip(ends).map(|(start, end)| start..end)
    }
}

impl Pieces {
    /// One piece, which starts there in the file.
    pub(super) fn one(from: usize) -> Self {
        Pieces(vec![Piece { at: 0, from }])
    }

    /// Where in the file that is which stands at `span` of the text, in one piece.
    pub(super) fn place(&self, span: Range<usize>) -> Range<usize> {
        let piece = self.0.partition_point(|piece| piece.at <= span.start).saturating_sub(1);
        let Piece { at, from } = self.0[piece];
        from + span.start - at..from + span.end.max(span.start) - at
    }
}

/// Where tables start: the brackets that come first on a line and are in nothing else.
fn headers(text: &str) -> impl Iterator<Item = usize> {
    let mut depth = 0_usize;
    let mut is_line_start = true;
    Source::new(text).lex().filter_map(move |token| {
        use TokenKind::{
            LeftCurlyBracket, LeftSquareBracket, Newline, RightCurlyBracket, RightSquareBracket,
        };
        let is_header = is_line_start && depth == 0 && token.kind() == LeftSquareBracket;
        match token.kind() {
            LeftSquareBracket | LeftCurlyBracket => depth += 1,
            RightSquareBracket | RightCurlyBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        is_line_start = match token.kind() {
            Newline => true,
            TokenKind::Whitespace => is_line_start,
            _ => false,
        };
        is_header.then(|| token.span().start())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts that `text` is cut into, and the rest.
    fn cut(text: &str) -> (Vec<&str>, String) {
        let sections = Sections::of(text);
        let rest = sections.rest(text);
        let pieces = sections.pieces_of_rest();
        for at in 0..rest.len() {
            let place = pieces.place(at..at + 1);
            assert_eq!(text.as_bytes()[place], rest.as_bytes()[at..=at], "{text:?}, {at}");
        }
        (sections.domains.into_iter().map(|part| &text[part]).collect(), rest.into_owned())
    }

    #[test]
    fn domains_are_cut_out_between_other_tables() {
        for (text, domains, rest) in [
            ("", &[][..], ""),
            ("a=1\n[[domain]]\nb=2\n", &["[[domain]]\nb=2\n"], "a=1\n"),
            ("\u{feff}[[domain]]\n[c]\nd=3", &["[[domain]]\n"], "\u{feff}[c]\nd=3"),
            ("[[domain]]\n[a]\n[[domain]]#x", &["[[domain]]\n", "[[domain]]#x"], "[a]\n"),
            ("[[domain]]\r\n\t[a]\r\n", &["[[domain]]\r\n\t"], "[a]\r\n"),
            (
                "[[domain]]\n[domain.a]\n[[domain.b]]\n[[domain]]",
                &["[[domain]]\n[domain.a]\n[[domain.b]]\n[[domain]]"],
                "",
            ),
            ("[domain.a]\n[[domains]]\n[domain]\n", &[], "[domain.a]\n[[domains]]\n[domain]\n"),
            ("a=\"\"\"\n[[domain]]\n\"\"\"\n", &[], "a=\"\"\"\n[[domain]]\n\"\"\"\n"),
            ("a='''\n[[domain]]\n'''\n", &[], "a='''\n[[domain]]\n'''\n"),
            ("a=[\n[[domain]]\n]\n", &[], "a=[\n[[domain]]\n]\n"),
            ("a={b=[\n[[domain]]\n]}", &[], "a={b=[\n[[domain]]\n]}"),
            ("#\"\"\"\n[[domain]]\n", &["[[domain]]\n"], "#\"\"\"\n"),
        ] {
            assert_eq!(cut(text), (domains.to_vec(), rest.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn many_domains_come_in_parts_of_whole_tables() {
        let text = "[[domain]]\nname = \"a.example\"\n".repeat(5000);
        let (parts, rest) = cut(&text);
        assert!(parts.len() > 2 && parts.iter().all(|part| part.starts_with("[[domain]]\n")));
        assert_eq!((parts.concat(), &rest[..]), (text, ""));
    }
}
