//! How it is noticed that an entry of a directory has changed.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// The kernel's word on some entries, for as long as it is held.
pub(super) struct Eyes {
    _watcher: RecommendedWatcher,
}

impl Eyes {
    /// Has `noticed` told from now on when one of `entries` changes.
    ///
    /// # Errors
    ///
    /// If a directory cannot be watched: it is not there, or the kernel watches no more.
    pub(super) fn open(entries: &BTreeSet<PathBuf>, noticed: &Arc<Notify>) -> notify::Result<Self> {
        let directories: BTreeSet<PathBuf> =
            entries.iter().filter_map(|entry| entry.parent()).map(Path::to_owned).collect();
        let (entries, watched, noticed) = (entries.clone(), directories.clone(), Arc::clone(noticed));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let matters = match event {
                Ok(event) => {
                    let is_ours = |path: &PathBuf| entries.contains(path) || watched.contains(path);
                    event.need_rescan() || (is_change(event.kind) && event.paths.iter().any(is_ours))
                }
                // What was missed may be what matters.
                Err(_) => true,
            };
            if matters {
                noticed.notify_one();
            }
        })?;
        for directory in &directories {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        Ok(Eyes { _watcher: watcher })
    }
}

/// Whether it is more than that somebody, such as this process, reads a file.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// What can be told of files without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looks(Vec<Option<[i64; 7]>>);

impl Looks {
    /// Of the files at `paths`, as they are now.
    pub(super) fn of<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let look = |file: Metadata| {
            let [device, inode, size] = [file.dev(), file.ino(), file.size()].map(u64::cast_signed);
            [device, inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]
        };
        Looks(paths.into_iter().map(|path| path.metadata().ok().map(look)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_way_to_change_a_file_can_be_seen() {
        let directory = tempfile::tempdir().expect("a directory");
        let [path, other] = ["a", "b"].map(|name| directory.path().join(name));
        let write = |path: &Path, text: &str| fs::write(path, text).expect("it can be written");
        let look = || Looks::of([&*path]);
        let missing = look();
        write(&path, "1");
        let first = look();
        assert_ne!(first, missing);
        assert_eq!(fs::read(&path).expect("it can be read"), b"1");
        assert_eq!(look(), first, "to read it changes nothing");
        write(&path, "12");
        let longer = look();
        assert_ne!(longer, first);
        write(&other, "12");
        fs::rename(&other, &path).expect("it can be moved");
        assert_ne!(look(), longer, "another file of the same size");
    }
}
