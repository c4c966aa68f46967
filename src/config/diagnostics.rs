//! What is wrong with a configuration, for people and for programs.

use std::fmt;

use serde::Serialize;

/// Everything that is wrong, sorted by file and by place in it. Never empty.
///
/// As JSON it is the list of its [`Diagnostic`]s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, as it was named to the program or in the configuration.
    pub file: String,
    /// Where in the file; `None`: the file as a whole, as when it cannot be read.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
    /// The line that `position` names.
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
}

/// A place in a file as editors show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters; a tab is one.
    pub column: usize,
}

/// One line of a file, ready to print, with a part of it marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line without its end, cut to a readable length.
    pub(super) line: String,
    /// How many characters of `line` stand before the mark.
    pub(super) before: usize,
    /// How many characters are marked, at least 1.
    pub(super) marked: usize,
}

impl Diagnostics {
    /// Takes over a sorted list; an empty one means that nothing is wrong.
    pub(super) fn new(sorted: Vec<Diagnostic>) -> Option<Self> {
        (!sorted.is_empty()).then_some(Diagnostics(sorted))
    }

    /// The one thing that is wrong with a file that cannot be read at all.
    pub(super) fn unreadable(file: String, reason: &std::io::Error) -> Self {
        let message = format!("cannot read the file: {reason}");
        Diagnostics(vec![Diagnostic { file, position: None, message, hint: None, excerpt: None }])
    }

    /// Each in turn.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    /// All of them, an empty line between two and none at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    /// The message behind its place, the line with the mark under it, the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": error: {}", self.message)?;
        let gutter = self.position.map_or(0, |position| position.line.to_string().len().max(4));
        if let (Some(position), Some(excerpt)) = (self.position, &self.excerpt) {
            let Excerpt { line, before, marked } = excerpt;
            write!(f, "\n {:>gutter$} | {line}", position.line)?;
            write!(f, "\n {:>gutter$} | {:>before$}{}", "", "", "^".repeat(*marked))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n {:>gutter$} hint: {hint}", "")?;
        }
        Ok(())
    }
}
