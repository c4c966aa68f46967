//! Numbered values that last.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::journal::{self, Journal, JournalError, Read};

/// As many records more than there are values may the journal have before it is written anew: a
/// thousand are a hundred kilobytes or so, which is little to read at the next start.
const SLACK: usize = 1000;

/// Values by number, each of which outlasts a crash once it is kept. What they mean is not for here.
pub struct Kept {
    /// `None`: it is kept nowhere.
    journal: Option<Journal>,
    /// The journal, while it is another process's.
    suspended: Option<Journal>,
    /// Where nothing can be kept, so that nothing is to be.
    broken: Option<PathBuf>,
    values: BTreeMap<u64, Value>,
    /// Higher than every number that was ever kept.
    next: u64,
}

/// What is kept, or no longer, together.
#[derive(Default, Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<(u64, Value)>,
    next: u64,
}

/// Why something was not kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep it in {path}: {error}", path = .path.display())]
pub struct NotKept {
    /// The journal.
    pub path: PathBuf,
    /// What the operating system said.
    pub error: io::Error,
}

impl Kept {
    /// What is kept in `directory`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// If it cannot be read, all of it but for what a crash cut off before it was acknowledged; or if
    /// nothing more can be kept.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let (mut journal, Read { records, torn }) = Journal::open(directory)?;
        if torn > 0 {
            let path = journal.path().display();
            tracing::warn!(%path, octets = torn, "cut off an edit that a crash had left unfinished");
        }
        let (mut values, mut next) = (BTreeMap::new(), 0);
        for (record, line) in records.iter().zip(2..) {
            let record: Record = serde_json::from_str(record)
                .map_err(|_| JournalError::Damaged { path: journal.path().to_owned(), line })?;
            next = record.next.max(next);
            record.enter(&mut values);
        }
        journal.prepare().map_err(|error| JournalError::Unwritable(journal.path().to_owned(), error))?;
        Ok(Kept { journal: Some(journal), values, next, ..Kept::nowhere() })
    }

    /// What is kept in `directory` is put aside, beside whatever was put aside before; where that cannot
    /// be done, it stays where it is, and nothing is kept.
    pub fn put_aside(directory: &Path) -> Self {
        // A start that is tried again has nothing to put aside.
        let is_empty =
            matches!(Journal::open(directory), Ok((_, Read { records, .. })) if records.is_empty());
        let aside = if is_empty { Ok(()) } else { move_aside(directory) };
        match aside.and_then(|()| Kept::open(directory)) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(%error, "edits will be refused");
                Kept { broken: Some(directory.to_owned()), ..Kept::nowhere() }
            }
        }
    }

    /// Nothing, and what is kept is gone with this value.
    pub fn nowhere() -> Self {
        Kept { journal: None, suspended: None, broken: None, values: BTreeMap::new(), next: 0 }
    }

    /// Leaves the journal to another process: what is kept from now on is kept in memory.
    pub fn suspend(&mut self) {
        if let Some(journal) = self.journal.take() {
            self.suspended = Some(journal);
        }
    }

    /// Takes the journal back, and writes it anew: whatever another process has made of it, it says what
    /// this one holds. Where that cannot be, nothing is kept any more.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn resume(&mut self) -> Result<(), NotKept> {
        let Some(mut journal) = self.suspended.take() else { return Ok(()) };
        let path = journal.path().to_owned();
        if let Err(error) = journal.rewrite(&self.all()) {
            self.broken = Some(path.clone());
            return Err(NotKept { path, error });
        }
        self.journal = Some(journal);
        Ok(())
    }

    /// Everything in one record.
    fn all(&self) -> String {
        let kept = self.values.iter().map(|(number, value)| (*number, value.clone())).collect();
        text(&Record { gone: Vec::new(), kept, next: self.next })
    }

    /// Every value by its number.
    pub fn values(&self) -> &BTreeMap<u64, Value> {
        &self.values
    }

    /// A number that no value ever had, and none after it.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Keeps `values` and no longer those of the numbers `gone`, together; `next` is a number that no
    /// value has had. When it returns, that outlasts a crash of the machine.
    ///
    /// # Errors
    ///
    /// If it cannot be kept; then nothing has changed.
    pub fn keep(&mut self, gone: Vec<u64>, values: Vec<(u64, Value)>, next: u64) -> Result<(), NotKept> {
        if let Some(path) = self.broken.clone() {
            return Err(NotKept { path, error: io::Error::other("nothing could be kept there before") });
        }
        let record = Record { gone, kept: values, next: next.max(self.next) };
        if let Some(journal) = &mut self.journal {
            journal
                .append(&text(&record))
                .map_err(|error| NotKept { path: journal.path().to_owned(), error })?;
        }
        self.next = record.next;
        record.enter(&mut self.values);
        let is_long = |journal: &Journal| journal.records() > 2 * self.values.len() + SLACK;
        if self.journal.as_ref().is_some_and(is_long) {
            let all = self.all();
            if let Some(Err(error)) = self.journal.as_mut().map(|journal| journal.rewrite(&all)) {
                tracing::warn!(%error, "cannot write the journal of edits anew; it goes on growing");
            }
        }
        Ok(())
    }
}

/// Moves the journal to a name that nothing has: only operators can know what they want of it.
fn move_aside(directory: &Path) -> Result<(), JournalError> {
    let path = directory.join(journal::FILE);
    let names = std::iter::once("edits.journal.ignored".to_owned())
        .chain((1..).map(|number| format!("edits.journal.ignored.{number}")));
    // A link that leads nowhere is something as well.
    let free = names.map(|name| directory.join(name)).find(|path| path.symlink_metadata().is_err());
    let Some(aside) = free else { return Ok(()) };
    match std::fs::rename(&path, &aside) {
        Ok(()) => {
            tracing::warn!(path = %aside.display(), "the edits that were made by API are put aside");
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(JournalError::Unreadable(path, error)),
    }
}

impl Record {
    fn enter(self, values: &mut BTreeMap<u64, Value>) {
        for gone in self.gone {
            values.remove(&gone);
        }
        values.extend(self.kept);
    }
}

fn text(record: &Record) -> String {
    // Maps with keys that are no strings cannot be JSON, and a string's line feeds are escaped.
    serde_json::to_string(record).expect("it has only what JSON has")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path) -> Kept {
        Kept::open(directory).unwrap_or_else(|error| panic!("{error}"))
    }

    fn values(directory: &Path) -> Vec<(u64, Value)> {
        open(directory).values().iter().map(|(number, value)| (*number, value.clone())).collect()
    }

    #[test]
    fn what_is_kept_is_there_at_the_next_start() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new");
        let value = |text: &str| Value::from(text);
        let mut kept = open(&path);
        kept.keep(vec![], vec![(1, value("a\nb")), (2, value("c"))], 3).expect("it is kept");
        kept.keep(vec![1], vec![(3, value("d"))], 4).expect("it is kept");
        assert_eq!(values(&path), [(2, value("c")), (3, value("d"))]);
        kept.keep(vec![2, 3], vec![], 4).expect("it is kept");
        assert_eq!((values(&path), open(&path).next()), (vec![], 4), "no number comes twice");
    }

    #[test]
    fn the_journal_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut kept = open(directory.path());
        for number in 0..3000 {
            let before = u64::checked_sub(number, 1).into_iter().collect();
            kept.keep(before, vec![(number, Value::from("drain"))], number + 1).expect("it is kept");
        }
        let (journal, _) = Journal::open(directory.path()).unwrap_or_else(|error| panic!("{error}"));
        assert!(journal.records() <= 2 + SLACK, "{}", journal.records());
        assert_eq!(values(directory.path()), [(2999, Value::from("drain"))]);
        assert_eq!(open(directory.path()).next(), 3000);
    }

    #[test]
    fn what_is_damaged_can_be_put_aside() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("edits.journal"), "garbage\n").expect("it can be written");
        assert!(Kept::open(directory.path()).is_err());
        assert!(Kept::put_aside(directory.path()).values().is_empty());
        assert!(directory.path().join("edits.journal.ignored").exists());
        assert!(values(directory.path()).is_empty());
    }

    #[test]
    fn what_was_put_aside_is_never_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let aside = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        for (round, name) in (1..).zip(["edits.journal.ignored", "edits.journal.ignored.1"]) {
            let value = Value::from(format!("round {round}"));
            open(directory.path()).keep(vec![], vec![(round, value)], round + 1).expect("it is kept");
            // The second and third time there is nothing to put aside.
            for _ in 0..3 {
                assert!(Kept::put_aside(directory.path()).values().is_empty());
            }
            assert!(aside(name).contains(&format!("round {round}")), "{name}");
        }
        assert!(aside("edits.journal.ignored").contains("round 1"));
        assert_eq!(aside("edits.journal.ignored.2"), "");
    }

    #[test]
    fn a_journal_that_was_lent_is_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let value = |text: &str| Value::from(text);
        let mut kept = open(directory.path());
        kept.keep(vec![], vec![(1, value("a")), (2, value("b"))], 3).expect("it is kept");
        kept.suspend();
        // The other process takes something back, and this one finds that something is over.
        open(directory.path()).keep(vec![1], vec![], 3).expect("it is kept");
        kept.keep(vec![2], vec![], 3).expect("it is in memory");
        assert_eq!(values(directory.path()), [(2, value("b"))], "it is not for this one to write there");
        kept.resume().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(values(directory.path()), [(1, value("a"))]);
        kept.keep(vec![], vec![(3, value("c"))], 4).expect("it is kept");
        assert_eq!(values(directory.path()), [(1, value("a")), (3, value("c"))]);
        kept.resume().expect("there is nothing to take back");
    }

    #[test]
    fn where_nothing_can_be_kept_is_told_at_the_start() {
        let directory = tempfile::tempdir().expect("a directory");
        let blocked = directory.path().join("file");
        std::fs::write(&blocked, "in the way").expect("it can be written");
        let error = Kept::open(&blocked).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("file/edits.journal: Not a directory"), "{error}");
    }
}
