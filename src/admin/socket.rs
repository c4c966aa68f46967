//! The admin API's Unix socket.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, Uid, User, geteuid};
use tokio::net::{UnixListener, UnixStream};

use super::principal::Principal;
use crate::config::{Role, SocketSettings};

/// As the audit log says where a request came from.
const FROM: &str = "socket";

/// A Unix socket, which is removed when it is dropped.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: another may take its place in the meantime.
    file: (u64, u64),
    role: Role,
}

impl Socket {
    /// Makes the socket, for the group that `settings` name, and for `user` if the process becomes
    /// another than it is now. What a daemon that is gone has left there is replaced.
    ///
    /// # Errors
    ///
    /// If somebody listens there, or something else is there, or the file cannot be made, or there is
    /// no such group or user.
    pub fn bind(settings: &SocketSettings, user: Option<&str>) -> io::Result<Self> {
        let SocketSettings { path, mode, group, role } = settings;
        ensure_free(path)?;
        let user = match user {
            Some(name) => Some(
                User::from_name(name)?
                    .ok_or_else(|| io::Error::other(format!("there is no user `{name}`")))?,
            ),
            None => None,
        };
        let group = match group {
            Some(name) => {
                let found = Group::from_name(name)?;
                let group = found.ok_or_else(|| io::Error::other(format!("there is no group `{name}`")))?;
                Some(group.gid)
            }
            None => user.as_ref().map(|user| user.gid),
        };
        // Under another name until it is whole: whoever connects to it at its own is let in by its mode.
        let mut making = path.clone().into_os_string();
        making.push(".new");
        let making = PathBuf::from(making);
        remove_socket(&making)?;
        let listener = UnixListener::bind(&making)?;
        let made = chown(&making, user.map(|user| user.uid.as_raw()), group.map(|group| group.as_raw()))
            .and_then(|()| fs::set_permissions(&making, Permissions::from_mode(*mode)))
            .and_then(|()| fs::rename(&making, path))
            .and_then(|()| fs::symlink_metadata(path));
        match made {
            Ok(file) => {
                Ok(Socket { listener, path: path.clone(), file: (file.dev(), file.ino()), role: *role })
            }
            Err(error) => {
                let _ = fs::remove_file(&making);
                Err(error)
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// What those may whom the mode of the file lets in.
    pub(super) fn role(&self) -> Role {
        self.role
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_own = fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.file);
        if is_own && let Err(error) = fs::remove_file(&self.path) {
            // The next start replaces it.
            tracing::debug!(path = %self.path.display(), %error, "the admin socket stays behind");
        }
    }
}

/// That nothing is at `path` but what a daemon that is gone has left.
fn ensure_free(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other("there is something else, which is no socket"));
        }
        Ok(_) => {}
    }
    match BlockingStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
    }
}

fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Who has connected: root and the daemon's own user may everything, whom the mode of the file lets in
/// beside them has `role`.
///
/// # Errors
///
/// If the operating system does not say.
pub(super) async fn principal(stream: &UnixStream, role: Role) -> io::Result<Principal> {
    let uid = Uid::from_raw(stream.peer_cred()?.uid());
    // It may ask a directory service.
    let user = tokio::task::spawn_blocking(move || User::from_uid(uid).ok().flatten()).await;
    let name = user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let role = if uid.is_root() || uid == geteuid() { Role::Edit } else { role };
    Ok(Principal::named(name, FROM.to_owned(), role))
}
