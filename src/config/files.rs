//! Which files a configuration is made of, and what was in them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

/// The files that were read for a configuration, sound or not, with what was in each. Two are equal if
/// they would make the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesRead(BTreeMap<PathBuf, Content>);

/// What was in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Something with this SHA-256 sum.
    Octets([u8; 32]),
    /// It could not be read, for this reason.
    Unreadable(io::ErrorKind),
}

impl FilesRead {
    /// Reads the file at `path`, and remembers what was in it.
    ///
    /// # Errors
    ///
    /// If it cannot be read, which is remembered too.
    pub fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let read = std::fs::read(path);
        self.0.insert(path.to_owned(), Content::of(&read));
        read
    }

    /// Takes in `others`.
    pub(super) fn extend(&mut self, others: FilesRead) {
        self.0.extend(others.0);
    }

    /// Every file, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// What was in the file at `path`, if it was read.
    pub fn content(&self, path: &Path) -> Option<&Content> {
        self.0.get(path)
    }

    /// The same files with what is in them now.
    pub fn again(&self) -> Self {
        let mut now = FilesRead::default();
        for path in self.paths() {
            // What comes of it is in `now`.
            let _ = now.read(path);
        }
        now
    }
}

impl Content {
    fn of(read: &io::Result<Vec<u8>>) -> Self {
        match read {
            Ok(octets) => {
                let mut sum = [0; 32];
                sum.copy_from_slice(digest(&SHA256, octets).as_ref());
                Content::Octets(sum)
            }
            Err(error) => Content::Unreadable(error.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_while_they_hold_the_same() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name| directory.path().join(name);
        let write = |name, text| std::fs::write(path(name), text).expect("it can be written");
        write("a", "1");
        let mut files = FilesRead::default();
        assert_eq!(files.read(&path("a")).expect("it is there"), b"1");
        assert!(files.read(&path("b")).is_err());
        assert_eq!(files.again(), files);
        write("a", "1");
        assert_eq!(files.again(), files, "written, and the same");
        write("b", "");
        assert_ne!(files.again(), files, "it is there now");
        std::fs::remove_file(path("b")).expect("it is there");
        write("a", "2");
        assert_ne!(files.again(), files);
    }
}
