//! What binding low ports takes, and giving up root once the sockets are bound.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use nix::unistd::{Gid, Uid, User, getegid, geteuid, initgroups, setgid, setuid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Calls `bind` with the right to bind ports below 1024 in effect, if this thread is permitted it.
///
/// As a file capability without its effective bit (`setcap cap_net_bind_service=p`), the right is for
/// programs that take it themselves. With that bit the kernel would refuse to start the program at all
/// wherever a container is not given the capability, though it may be for another port.
pub(super) fn with_low_ports<T>(bind: impl FnOnce() -> T) -> T {
    let before = raise(CapabilitySet::NET_BIND_SERVICE);
    let bound = bind();
    if let Some(before) = before {
        // To give up what one has is never refused.
        let _ = set_capabilities(None, before);
    }
    bound
}

/// Puts `capability` into effect. Returns how it was before, unless nothing has changed: whoever has the
/// capability already needs none, and who may not have it hears of it from what it is needed for.
fn raise(capability: CapabilitySet) -> Option<CapabilitySets> {
    let before = capabilities(None).ok()?;
    let is_possible = before.permitted.contains(capability) && !before.effective.contains(capability);
    let raised = CapabilitySets { effective: before.effective | capability, ..before };
    (is_possible && set_capabilities(None, raised).is_ok()).then_some(before)
}

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
