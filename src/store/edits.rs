//! What was ordered of addresses, kept.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};

use super::journal::{Journal, JournalError, Read};

/// As many records more than there are edits may the journal have before it is written anew: a
/// thousand are a hundred kilobytes or so, which is little to read at the next start.
const SLACK: usize = 1000;

/// A pool, and an address of it or all of them.
pub type Subject = (String, Option<String>);

/// What is ordered of a pool or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The pool's name.
    pub pool: String,
    /// The address's name within the pool; `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `drain`, `up` or `down`; `auto` takes back what was ordered before.
    pub state: String,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ends by itself, in milliseconds since the beginning of 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Why an edit was not kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep it in {path}: {error}", path = .path.display())]
pub struct NotKept {
    /// The journal.
    pub path: PathBuf,
    /// What the operating system said.
    pub error: io::Error,
}

/// Keeps edits, on a thread of its own. Dropping it lets those that were asked for be kept.
pub struct Edits {
    asked: mpsc::Sender<Asked>,
}

/// An edit, and whom to tell what became of it.
struct Asked {
    edit: Edit,
    done: Box<dyn FnOnce(Result<(), NotKept>) + Send>,
}

/// What the thread works on.
struct Keeper {
    journal: Journal,
    /// Those that stand.
    edits: BTreeMap<Subject, Edit>,
}

impl Edits {
    /// Those that are kept in `directory`, which need not be there yet, and what keeps more.
    /// `ignored`: what is there is put aside unread.
    ///
    /// # Errors
    ///
    /// If they cannot be read, all of them, but for one that a crash cut off before it was
    /// acknowledged.
    pub fn start(directory: &Path, ignored: bool) -> Result<(Self, Vec<Edit>), JournalError> {
        if ignored {
            put_aside(directory)?;
        }
        let (journal, Read { records, torn }) = Journal::open(directory)?;
        if torn > 0 {
            let path = journal.path().display();
            tracing::warn!(%path, octets = torn, "cut off an edit that a crash had left unfinished");
        }
        let mut edits = BTreeMap::new();
        for (record, line) in records.iter().zip(2..) {
            let edit: Edit = serde_json::from_str(record)
                .map_err(|_| JournalError::Damaged { path: journal.path().to_owned(), line })?;
            enter(&mut edits, edit);
        }
        let standing = edits.values().cloned().collect();
        let (asked, asks) = mpsc::channel();
        let keeper = Keeper { journal, edits };
        thread::Builder::new()
            .name("edits".to_owned())
            .spawn(move || keeper.run(&asks))
            .map_err(|error| JournalError::Unreadable(directory.to_owned(), error))?;
        Ok((Edits { asked }, standing))
    }

    /// Keeps `edit`, and tells `done` once it outlasts a crash, or why it does not.
    pub fn keep(&self, edit: Edit, done: impl FnOnce(Result<(), NotKept>) + Send + 'static) {
        // The thread ends only when this sender does.
        let _ = self.asked.send(Asked { edit, done: Box::new(done) });
    }
}

impl Keeper {
    fn run(mut self, asks: &mpsc::Receiver<Asked>) {
        while let Ok(first) = asks.recv() {
            // Those that came while the last ones were synced share one sync.
            let batch: Vec<Asked> = std::iter::once(first).chain(asks.try_iter()).collect();
            let kept = self.keep(batch.iter().map(|asked| &asked.edit));
            for Asked { done, .. } in batch {
                done(match &kept {
                    Ok(()) => Ok(()),
                    Err(error) => Err(NotKept {
                        path: self.journal.path().to_owned(),
                        error: error.raw_os_error().map_or_else(
                            || io::Error::new(error.kind(), error.to_string()),
                            io::Error::from_raw_os_error,
                        ),
                    }),
                });
            }
        }
    }

    fn keep<'e>(&mut self, batch: impl Iterator<Item = &'e Edit> + Clone) -> io::Result<()> {
        self.journal.append(&batch.clone().map(record).collect::<Vec<_>>())?;
        batch.cloned().for_each(|edit| enter(&mut self.edits, edit));
        if self.journal.records() > 2 * self.edits.len() + SLACK {
            let standing: Vec<String> = self.edits.values().map(record).collect();
            if let Err(error) = self.journal.rewrite(&standing) {
                tracing::warn!(%error, "cannot write the journal of edits anew; it goes on growing");
            }
        }
        Ok(())
    }
}

fn enter(edits: &mut BTreeMap<Subject, Edit>, edit: Edit) {
    let subject = (edit.pool.clone(), edit.address.clone());
    match &edit.state[..] {
        "auto" => drop(edits.remove(&subject)),
        _ => drop(edits.insert(subject, edit)),
    }
}

fn record(edit: &Edit) -> String {
    // Maps with keys that are no strings cannot be JSON, and a string's line feeds are escaped.
    serde_json::to_string(edit).expect("it has only strings and numbers")
}

/// Gives what is kept in `directory` another name.
fn put_aside(directory: &Path) -> Result<(), JournalError> {
    let path = directory.join("edits.journal");
    match std::fs::rename(&path, directory.join("edits.journal.ignored")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(JournalError::Unreadable(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(pool: &str, state: &str) -> Edit {
        let reason = Some("two\nlines".to_owned());
        Edit { pool: pool.to_owned(), address: None, state: state.to_owned(), reason, until: Some(7) }
    }

    /// Keeps `edits` one after the other.
    fn keep(directory: &Path, edits: &[Edit]) {
        let (keeper, _) = Edits::start(directory, false).unwrap_or_else(|error| panic!("{error}"));
        let (sender, done) = mpsc::channel();
        for edit in edits {
            let sender = sender.clone();
            keeper.keep(edit.clone(), move |kept| sender.send(kept).expect("somebody waits"));
        }
        for _ in edits {
            done.recv().expect("each is told").unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn standing(directory: &Path) -> Vec<Edit> {
        Edits::start(directory, false).unwrap_or_else(|error| panic!("{error}")).1
    }

    #[test]
    fn what_stands_is_there_at_the_next_start() {
        let directory = tempfile::tempdir().expect("a directory");
        keep(directory.path(), &[edit("a", "drain"), edit("b", "down"), edit("a", "up")]);
        assert_eq!(standing(directory.path()), [edit("a", "up"), edit("b", "down")]);
        keep(directory.path(), &[edit("a", "auto")]);
        assert_eq!(standing(directory.path()), [edit("b", "down")]);
    }

    #[test]
    fn the_journal_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().expect("a directory");
        let often: Vec<Edit> = (0..3000).map(|at| edit(["a", "b"][at % 2], "drain")).collect();
        keep(directory.path(), &often);
        let (journal, _) = Journal::open(directory.path()).unwrap_or_else(|error| panic!("{error}"));
        assert!(journal.records() <= 4 + SLACK, "{}", journal.records());
        assert_eq!(standing(directory.path()), [edit("a", "drain"), edit("b", "drain")]);
    }

    #[test]
    fn what_is_damaged_can_be_put_aside() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("edits.journal"), "garbage\n").expect("it can be written");
        assert!(Edits::start(directory.path(), false).is_err());
        assert!(Edits::start(directory.path(), true).is_ok_and(|(_, standing)| standing.is_empty()));
        assert!(directory.path().join("edits.journal.ignored").exists());
        assert!(standing(directory.path()).is_empty());
    }
}
