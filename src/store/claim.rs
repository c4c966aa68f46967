//! A directory that belongs to one process at a time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// Holds a directory: as long as it lives, no other process gets it. However the process ends, the
/// kernel lets go of it.
#[derive(Debug)]
pub struct Claim {
    directory: Option<File>,
}

/// Another process holds the directory.
#[derive(Debug, thiserror::Error)]
#[error("another process keeps its state in {path}; give each a `state_dir` of its own", path = .0.display())]
pub struct Taken(PathBuf);

impl Claim {
    /// Takes `directory`, which is made if it is not there. Where that cannot be, or nothing can be
    /// locked, as on some network file systems, nobody holds it: whoever writes there learns why.
    ///
    /// # Errors
    ///
    /// If another process holds it.
    pub fn of(directory: &Path) -> Result<Self, Taken> {
        // What keeps it from being made keeps it from being opened.
        let _ = fs::create_dir_all(directory);
        let Ok(opened) = File::open(directory) else { return Ok(Claim { directory: None }) };
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Taken(directory.to_owned())),
            Err(TryLockError::Error(_)) | Ok(()) => Ok(Claim { directory: Some(opened) }),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // In so many words: a program that is being started may have the file open for a moment longer.
        if let Some(directory) = &self.directory {
            let _ = directory.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_holder() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("state");
        let held = Claim::of(&directory).expect("nobody holds it");
        let refused = Claim::of(&directory).expect_err("it is held").to_string();
        assert!(refused.contains("another process keeps its state in "), "{refused}");
        drop(held);
        let _again = Claim::of(&directory).expect("it was let go of");
    }

    #[test]
    fn what_cannot_be_held_is_for_others_to_tell() {
        let parent = tempfile::tempdir().expect("a directory");
        let file = parent.path().join("file");
        fs::write(&file, "").expect("it can be written");
        assert!(Claim::of(&file.join("state")).is_ok());
    }
}
