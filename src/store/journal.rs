//! Lines that last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The name of the journal in its directory.
pub const FILE: &str = "edits.journal";

/// The first line: what this is, and in which version.
const HEADER: &str = "rhumb edits 1\n";

/// An append-only file of records: a line each, behind its CRC-32. What is to last together is one
/// record, so that of it all lasts or nothing.
///
/// A record counts once it is synced. What a crash leaves of one that was under way is a torn
/// tail, and is cut off; anything else that cannot be read is damage, which nobody but the
/// operator can judge.
pub(super) struct Journal {
    path: PathBuf,
    /// `None`: there is none yet, or it has to be looked at again before more is written.
    file: Option<File>,
    /// As many octets are synced.
    length: u64,
    /// As many records are in the file.
    records: usize,
}

/// What keeps a journal from being used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, io::Error),
    /// Nothing can be kept there.
    #[error("cannot write {path}: {error}", path = .0.display(), error = .1)]
    Unwritable(PathBuf, io::Error),
    /// It is something else, or of a later version.
    #[error("{path}: it does not begin with `{header}`", path = .0.display(), header = HEADER.trim_end())]
    Foreign(PathBuf),
    /// A record in its midst cannot be read.
    #[error("{path}:{line}: the record is damaged", path = .path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// What a journal had to say.
pub(super) struct Read {
    pub(super) records: Vec<String>,
    /// Octets that a crash had left of a record that was never acknowledged.
    pub(super) torn: usize,
}

impl Journal {
    /// The journal in `directory`, which need not be there yet.
    pub(super) fn open(directory: &Path) -> Result<(Self, Read), JournalError> {
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let journal = Journal { path, file: None, length: 0, records: 0 };
                return Ok((journal, Read { records: Vec::new(), torn: 0 }));
            }
            Err(error) => return Err(JournalError::Unreadable(path, error)),
        };
        // A crash while it was made leaves a part of the header, and nothing was kept yet.
        if text.len() < HEADER.len() && HEADER.as_bytes().starts_with(&text) {
            let journal = Journal { path, file: None, length: 0, records: 0 };
            return Ok((journal, Read { records: Vec::new(), torn: text.len() }));
        }
        let Some(body) = text.strip_prefix(HEADER.as_bytes()) else {
            return Err(JournalError::Foreign(path));
        };
        let mut records = Vec::new();
        let mut length = HEADER.len();
        let mut lines = body.split_inclusive(|octet| *octet == b'\n').peekable();
        while let Some(line) = lines.next() {
            match record(line) {
                Some(record) => {
                    records.push(record);
                    length += line.len();
                }
                // Appends are in order: what was under way at a crash is the end of the file.
                None if !lines.any(|line| record(line).is_some()) => break,
                None => return Err(JournalError::Damaged { path, line: records.len() + 2 }),
            }
        }
        let torn = text.len() - length;
        let journal = Journal { path, file: None, length: length as u64, records: records.len() };
        Ok((journal, Read { records, torn }))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many records the file has.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Makes sure that something can be kept.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        self.file = Some(self.ready()?);
        Ok(())
    }

    /// Adds `record`, which has no line feed. When it returns, it outlasts a crash of the machine; if
    /// it fails, it is not there.
    pub(super) fn append(&mut self, record: &str) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.ready()?,
        };
        let text = line(record);
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
            // Now, so that nothing of it is there at the next start; the next append makes sure of it.
            let _ = file.set_len(self.length).and_then(|()| file.sync_all());
            return Err(error);
        }
        self.length += text.len() as u64;
        self.records += 1;
        self.file = Some(file);
        Ok(())
    }

    /// Puts `only` in the place of all records: the old ones or the new one outlast a crash, and
    /// nothing between.
    pub(super) fn rewrite(&mut self, only: &str) -> io::Result<()> {
        let unfinished = self.path.with_extension("journal.new");
        let text = HEADER.to_owned() + &line(only);
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.path)
        };
        if let Err(error) = write() {
            // It would take up the space that may be missing; that it failed is told anyway.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        // From here on it is the file, though its name may not last yet: the next append syncs that.
        self.file = None;
        self.length = text.len() as u64;
        self.records = 1;
        self.file = Some(self.ready()?);
        Ok(())
    }

    /// The file, cut to what is known to be kept, at whose end more can be written.
    fn ready(&mut self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let is_new = self.length == 0;
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        file.set_len(self.length)?;
        file.seek(SeekFrom::End(0))?;
        if is_new {
            file.write_all(HEADER.as_bytes())?;
        }
        file.sync_all()?;
        sync_directory(&self.path)?;
        if is_new {
            self.length = HEADER.len() as u64;
        }
        Ok(file)
    }
}

/// A name lasts when its directory does.
fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn line(record: &str) -> String {
    format!("{:08x} {record}\n", crc32fast::hash(record.as_bytes()))
}

/// The record of a line, if it is whole.
fn record(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, record) = text.split_once(' ')?;
    let is_whole = sum.len() == 8 && u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(record.as_bytes());
    is_whole.then(|| record.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(records: &[&str]) -> Vec<String> {
        records.iter().map(|record| (*record).to_owned()).collect()
    }

    fn read(directory: &Path) -> Vec<String> {
        Journal::open(directory).unwrap_or_else(|error| panic!("{error}")).1.records
    }

    #[test]
    fn what_is_appended_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("not/yet/there");
        let (mut journal, nothing) = Journal::open(&state).expect("there is none");
        assert_eq!((nothing.records.len(), nothing.torn), (0, 0));
        journal.append("one").expect("it is kept");
        journal.append("two").expect("it is kept");
        assert_eq!((read(&state), journal.records()), (lines(&["one", "two"]), 2));
        journal.rewrite("four").expect("it is rewritten");
        journal.append("five").expect("it is kept");
        assert_eq!(read(&state), ["four", "five"]);
        assert_eq!(fs::read_dir(&state).expect("it is there").count(), 1, "nothing is left over");
    }

    #[test]
    fn wherever_a_crash_cuts_what_was_kept_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut journal, _) = Journal::open(directory.path()).expect("there is none");
        journal.append("one").expect("it is kept");
        let kept = fs::read(journal.path()).expect("it is there").len();
        journal.append("two").expect("it is kept");
        let whole = fs::read(journal.path()).expect("it is there");
        for length in 0..=whole.len() {
            fs::write(journal.path(), &whole[..length]).expect("it can be cut");
            let (mut cut, found) = Journal::open(directory.path()).unwrap_or_else(|error| panic!("{error}"));
            assert!(length < kept || found.records.first().is_some_and(|record| record == "one"), "{length}");
            let before = found.records.clone();
            cut.append("after").expect("it is kept");
            assert_eq!(read(directory.path()), [before, lines(&["after"])].concat(), "{length}");
        }
    }

    #[test]
    fn damage_is_no_torn_tail() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut journal, _) = Journal::open(directory.path()).expect("there is none");
        ["one", "two", "three"].iter().for_each(|record| journal.append(record).expect("it is kept"));
        let whole = fs::read(journal.path()).expect("it is there");
        // Any octet of the second record but its line feed, without which it is one with the last.
        let start = HEADER.len() + line("one").len();
        for at in start..start + line("two").len() - 1 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(journal.path(), damaged).expect("it can be written");
            let error = Journal::open(directory.path()).err().map(|error| error.to_string());
            assert!(
                error.is_some_and(|error| error.ends_with("edits.journal:3: the record is damaged")),
                "{at}"
            );
        }
        fs::write(journal.path(), "something else\n").expect("it can be written");
        assert!(matches!(Journal::open(directory.path()), Err(JournalError::Foreign(_))));
    }

    #[test]
    fn a_full_disk_keeps_what_was_kept() {
        // Writes to it fail with ENOSPC.
        let full = Path::new("/dev/full");
        let directory = tempfile::tempdir().expect("a directory");
        let (mut journal, _) = Journal::open(directory.path()).expect("there is none");
        journal.append("one").expect("it is kept");
        journal.file = Some(OpenOptions::new().write(true).open(full).expect("Linux has it"));
        let refused = journal.append("two").map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::StorageFull));
        assert_eq!(read(directory.path()), ["one"]);
        journal.append("three").expect("there is room again");
        assert_eq!(read(directory.path()), ["one", "three"]);
    }
}
