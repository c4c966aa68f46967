//! A disk that is soon full.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::need_root;

/// A disk of a few pages, mounted somewhere until it is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `path`, which is made if it is not there.
    pub(crate) fn at(path: PathBuf) -> Self {
        need_root();
        fs::create_dir_all(&path).expect("it can be made");
        let options = Some("size=64k");
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), options).expect("root may");
        SmallDisk(path)
    }

    /// Takes up all the room that is left. A file that is there already may go on to the end of its
    /// page, in 4,096 octets at most.
    pub(crate) fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).expect("a name takes no room");
        while filler.write_all(&[0; 64]).is_ok() {}
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).expect("it is there");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever has a file open there, such as a daemon that is killed after this, keeps it.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
