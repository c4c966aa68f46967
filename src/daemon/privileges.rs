//! Giving up root once the sockets are bound.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use nix::unistd::{Gid, Uid, User, getegid, geteuid, initgroups, setgid, setuid};

/// Makes this process run as `name` with that user's groups, for good. `own_directory` becomes that
/// user's, if it is not there yet: nobody else could make it.
///
/// # Errors
///
/// If there is no such user, or this process is neither root nor that user already.
pub(super) fn become_user(name: &str, own_directory: Option<&Path>) -> io::Result<()> {
    let user = User::from_name(name)?.ok_or_else(|| io::Error::other("there is no such user"))?;
    if geteuid() == user.uid {
        return Ok(());
    }
    if let Some(directory) = own_directory.filter(|directory| !directory.exists()) {
        std::fs::create_dir_all(directory)?;
        chown(directory, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    // Groups first: afterwards the right to change them is gone.
    initgroups(&CString::new(name)?, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    confirm(user.uid, user.gid)
}

/// A set*id call that claims success and leaves the process root is worse than none.
fn confirm(uid: Uid, gid: Gid) -> io::Result<()> {
    let is_changed = geteuid() == uid && getegid() == gid;
    let is_root_again = !uid.is_root() && setuid(Uid::from_raw(0)).is_ok();
    if is_changed && !is_root_again { Ok(()) } else { Err(io::Error::other("privileges were not given up")) }
}
