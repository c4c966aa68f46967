//! Collects mistakes while the configuration is read, so that all are told at once.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::files::FilesRead;
use super::origin::Kept;
use super::source::{LONGEST_FILE, Place, Source};

/// How many pairs of names are compared for hints in one file, about a second's worth. A file with
/// more goes on without hints: 100,000 domains that misspell one of 10,000 pools would take minutes.
const MAX_COMPARISONS: usize = 1_000_000;

/// The files read so far and what is wrong in them.
#[derive(Default)]
pub(super) struct Report {
    sources: RefCell<Vec<Source>>,
    files: RefCell<FilesRead>,
    mistakes: RefCell<Vec<Mistake>>,
    /// How many pairs of names were compared for hints.
    compared: Cell<usize>,
    /// Files that were read, as they were.
    kept: RefCell<Kept>,
}

/// A file that was added.
pub(super) struct File {
    /// Stands for it in a [`Place`].
    pub(super) id: u32,
    pub(super) text: Arc<str>,
}

/// How far a report had come; see [`Report::rewind`].
#[derive(Clone, Copy)]
pub(super) struct Mark {
    mistakes: usize,
    compared: usize,
}

/// What is wrong, and what would be right.
struct Mistake {
    place: Place,
    message: String,
    hint: Option<String>,
    /// Whether what stands there must not be shown.
    is_secret: bool,
}

impl Report {
    /// Nothing so far; files that are in `kept` are as they were read there.
    pub(super) fn after(kept: Kept) -> Self {
        Report { kept: RefCell::new(kept), ..Report::default() }
    }

    /// Reads a file and remembers what was in it, to be compared.
    pub(super) fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.borrow_mut().read(path)
    }

    /// Reads a file and keeps what is in it, to be read again.
    pub(super) fn read_kept(&self, path: &Path) -> io::Result<Vec<u8>> {
        if let Some(octets) = self.kept.borrow().get(path) {
            return Ok(octets.to_vec());
        }
        let octets = self.read_file(path)?;
        self.kept.borrow_mut().insert(path.to_owned(), octets.as_slice().into());
        Ok(octets)
    }

    /// Remembers `files`, which were read elsewhere.
    pub(super) fn add_files(&self, files: FilesRead) {
        self.files.borrow_mut().extend(files);
    }

    /// The files that were read so far.
    pub(super) fn files(&self) -> FilesRead {
        self.files.borrow().clone()
    }

    /// Adds a file; `None`: it is too long or not UTF-8, which has been noted.
    pub(super) fn add_file(&self, name: String, octets: Vec<u8>) -> Option<File> {
        let is_too_long = octets.len() > LONGEST_FILE;
        let octets = if is_too_long { Vec::new() } else { octets };
        let (text, fault) = match String::from_utf8(octets) {
            Ok(text) => (text, None),
            Err(reason) => {
                let valid = reason.utf8_error().valid_up_to();
                (String::from_utf8_lossy(reason.as_bytes()).into_owned(), Some(valid))
            }
        };
        let text: Arc<str> = text.into();
        let mut sources = self.sources.borrow_mut();
        // There are no 2^32 files: each takes more octets of memory.
        let id = sources.len() as u32;
        sources.push(Source::new(name, text.clone()));
        if is_too_long {
            self.error(Place::new(id, 0..0), format!("the file is longer than {LONGEST_FILE} octets"));
            return None;
        }
        if let Some(start) = fault {
            let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
            self.error(Place::new(id, start..end), "the file is not UTF-8");
            return None;
        }
        Some(File { id, text })
    }

    /// Notes a mistake.
    pub(super) fn error(&self, place: Place, message: impl Into<String>) {
        self.note(place, message.into(), None, false);
    }

    /// Notes a mistake and what would be right; without a hint it is the same as [`Report::error`].
    pub(super) fn error_with_hint(
        &self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.note(place, message.into(), hint.into(), false);
    }

    /// The same where there is, or may be, a secret: what stands there is not shown.
    pub(super) fn secret_error(
        &self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.note(place, message.into(), hint.into(), true);
    }

    fn note(&self, place: Place, message: String, hint: Option<String>, is_secret: bool) {
        self.mistakes.borrow_mut().push(Mistake { place, message, hint, is_secret });
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    /// How much is wrong so far.
    pub(super) fn count(&self) -> usize {
        self.mistakes.borrow().len()
    }

    /// How far it has come.
    pub(super) fn mark(&self) -> Mark {
        Mark { mistakes: self.mistakes.borrow().len(), compared: self.compared.get() }
    }

    /// Forgets what was noted since `mark`; files stay added.
    pub(super) fn rewind(&self, mark: Mark) {
        self.mistakes.borrow_mut().truncate(mark.mistakes);
        self.compared.set(mark.compared);
    }

    /// `file:line` of a place, to point at it from the message of another.
    pub(super) fn line_of(&self, place: Place) -> String {
        let sources = self.sources.borrow();
        let source = &sources[place.file as usize];
        format!("{}:{}", source.name, source.position(place.start()).line)
    }

    /// A hint at what was meant by `written`: the nearest of `known`, or all of them if they are few.
    pub(super) fn suggest<'k>(
        &self,
        written: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Option<String> {
        // More than fit on a line are looked up in the file faster.
        const FEW: usize = 17;
        if self.compared.get() >= MAX_COMPARISONS {
            return None;
        }
        let known: Vec<&str> = known.into_iter().collect();
        self.compared.set(self.compared.get() + known.len());
        match nearest(written, &known) {
            Some(nearest) => Some(format!("did you mean `{nearest}`?")),
            None if known.is_empty() || known.len() > FEW => None,
            None => Some(format!("known here: {}", listed(known))),
        }
    }

    /// What was noted, in order; the files that were read if nothing is wrong.
    pub(super) fn end(self) -> Result<Kept, Diagnostics> {
        let sources = self.sources.into_inner();
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.place);
        let diagnostics = mistakes.into_iter().map(|Mistake { place, message, hint, is_secret }| {
            let source = &sources[place.file as usize];
            Diagnostic {
                file: source.name.clone(),
                position: Some(source.position(place.start())),
                message,
                hint,
                excerpt: (!is_secret).then(|| source.excerpt(place)),
            }
        });
        Diagnostics::new(diagnostics.collect()).map_or_else(|| Ok(self.kept.into_inner()), Err)
    }
}

/// The one of `known` that `written` is most likely a slip of, if any is near enough.
fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    // Jaro-Winkler similarity; 0.8 takes in a letter or two missing or doubled and leaves out
    // words that share no more than their first letters.
    const SIMILAR: f64 = 0.8;
    // In shorter words one letter is too much of the word.
    const SHORTEST: usize = 3;
    let lower = written.to_lowercase();
    let similarity = |known: &str| {
        let known = known.to_lowercase();
        // Two letters swapped, which weighs too much in short words.
        let is_slip = lower.chars().count() >= SHORTEST && strsim::osa_distance(&lower, &known) <= 1;
        if is_slip { 1.0 } else { strsim::jaro_winkler(&lower, &known) }
    };
    known
        .iter()
        .map(|&known| (similarity(known), known))
        .filter(|&(similarity, _)| similarity >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// `names` in backquotes, separated by commas.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_what_was_meant() {
        let report = Report::default();
        for (written, known, hint) in [
            ("vietnm", &["hongkong", "vietnam"][..], Some("did you mean `vietnam`?")),
            ("wbe", &["web", "db"], Some("did you mean `web`?")),
            ("ROUND_ROBIN", &["round-robin", "weighted"], Some("did you mean `round-robin`?")),
            ("x", &["y", "z"], Some("known here: `y`, `z`")),
            ("x", &[], None),
            ("x", &["abcde"; 20], None),
        ] {
            assert_eq!(report.suggest(written, known.iter().copied()).as_deref(), hint, "{written}");
        }
    }

    #[test]
    fn hints_end_before_they_take_minutes() {
        let report = Report::default();
        let known = vec!["vietnam"; MAX_COMPARISONS];
        assert!(report.suggest("vietnm", known.iter().copied()).is_some());
        assert!(report.suggest("vietnm", ["vietnam"]).is_none());
    }
}
