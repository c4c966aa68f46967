//! A text that is replaced as a whole.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the file begins with: what this is, and in which version.
const HEAD: &str = r#"{"rhumb-health":1,"crc32":""#;
/// What stands between the check sum and the text.
const MIDDLE: &str = r#"","memory":"#;
const TAIL: &str = "}\n";

/// A file with one JSON text, `health.json`, which is JSON itself.
///
/// It is replaced by a rename, so that whenever the process ends the old text is there or the new one.
/// Nothing is synced: a text that a crash of the machine takes away would be too old by the time the
/// machine is up again, and what it leaves of it is told by its check sum. Syncing one every few
/// seconds would make edits wait, which share the disk and have to be synced.
#[derive(Clone, Debug)]
pub struct Sheet {
    path: PathBuf,
}

/// Why a text cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// The operating system says so.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is something else, or of another version.
    #[error("it is not of this version, or something else")]
    Foreign,
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
}

impl Sheet {
    /// The one in `directory`; neither need be there yet.
    pub fn of(directory: &Path) -> Self {
        Sheet { path: directory.join("health.json") }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text; `None`: there is none.
    ///
    /// # Errors
    ///
    /// If there is something that is not as it was written.
    pub fn read(&self) -> Result<Option<String>, SheetError> {
        let octets = match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let whole = String::from_utf8(octets).map_err(|_| SheetError::Damaged)?;
        let body = whole.strip_prefix(HEAD).ok_or(SheetError::Foreign)?;
        let text = body.split_once(MIDDLE).and_then(|(sum, rest)| {
            let text = rest.strip_suffix(TAIL)?;
            (sum == check_sum(text)).then(|| text.to_owned())
        });
        text.map(Some).ok_or(SheetError::Damaged)
    }

    /// Puts `text`, which is JSON, in the place of what was there.
    ///
    /// # Errors
    ///
    /// If it cannot be written; what was there is there still.
    pub fn write(&self, text: &str) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let written = self.path.with_extension("json.new");
        // It has the words of scripts and servers, which are not for everybody.
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&written)?;
        let whole = [HEAD, &check_sum(text), MIDDLE, text, TAIL].concat();
        let replaced = file.write_all(whole.as_bytes()).and_then(|()| fs::rename(&written, &self.path));
        if replaced.is_err() {
            // On a full disk, edits need the room.
            let _ = fs::remove_file(&written);
        }
        replaced
    }

    /// Takes it away, if it is there.
    ///
    /// # Errors
    ///
    /// If it stays.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

fn check_sum(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_text_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("not/yet/there");
        let sheet = Sheet::of(&state);
        assert!(matches!(sheet.read(), Ok(None)));
        assert!(sheet.remove().is_ok(), "there is nothing to take away");
        for text in [r#"{"a":"}\n"}"#, "[]", r#"{"b":"ä"}"#] {
            sheet.write(text).expect("it can be written");
            assert_eq!(sheet.read().ok().flatten().as_deref(), Some(text));
            let whole = fs::read_to_string(sheet.path()).expect("it is there");
            let value: serde_json::Value = serde_json::from_str(&whole).expect("it is JSON");
            assert_eq!(value["memory"].to_string(), text.replace("\\n", "\n").replace('\n', "\\n"));
        }
        assert_eq!(fs::read_dir(&state).expect("it is there").count(), 1, "nothing is left over");
        sheet.remove().expect("it can be removed");
        assert!(matches!(sheet.read(), Ok(None)));
    }

    #[test]
    fn what_is_not_as_it_was_written_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let sheet = Sheet::of(directory.path());
        sheet.write(r#"{"taken":12345,"addresses":[]}"#).expect("it can be written");
        let whole = fs::read(sheet.path()).expect("it is there");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            for damaged in [&damaged[..], &whole[..at]] {
                fs::write(sheet.path(), damaged).expect("it can be written");
                let is_foreign = at < HEAD.len();
                match sheet.read() {
                    Err(SheetError::Foreign) => assert!(is_foreign, "{at}"),
                    Err(SheetError::Damaged) => assert!(!is_foreign, "{at}"),
                    other => panic!("{other:?} at {at}"),
                }
            }
        }
    }

    #[test]
    fn where_nothing_can_be_written_what_was_there_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let sheet = Sheet::of(directory.path());
        sheet.write("1").expect("it can be written");
        fs::create_dir(directory.path().join("health.json.new")).expect("it is not there");
        assert!(sheet.write("2").is_err());
        assert_eq!(sheet.read().ok().flatten().as_deref(), Some("1"));
    }
}
