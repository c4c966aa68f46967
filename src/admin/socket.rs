//! The admin API's Unix socket.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Whether it is left where it is when this one is dropped: it is another's.
    is_anothers: Arc<AtomicBool>,
}

impl Socket {
    /// The socket that somebody else has made and listens on: the process before this one, whose file
    /// becomes this one's, or the service manager, whose file it stays (`is_anothers`). Mode and group
    /// are made to be as `settings` say.
    ///
    /// # Errors
    ///
    /// If the file is not there, or is not this process's to change and is to be another.
    pub fn adopt(
        listener: std::os::unix::net::UnixListener,
        settings: &SocketSettings,
        user: Option<&str>,
        is_anothers: bool,
    ) -> io::Result<Self> {
        let SocketSettings { path, mode, role, .. } = settings;
        let found = fs::symlink_metadata(path)?;
        if !is_anothers {
            let (owner, group) = owners(settings, user)?;
            let owner = owner.filter(|uid| *uid != found.uid());
            let group = group.filter(|gid| *gid != found.gid());
            if owner.is_some() || group.is_some() {
                chown(path, owner, group)?;
            }
            if found.mode() & 0o7777 != *mode {
                fs::set_permissions(path, Permissions::from_mode(*mode))?;
            }
        }
        listener.set_nonblocking(true)?;
        let (listener, file) = (UnixListener::from_std(listener)?, (found.dev(), found.ino()));
        let is_anothers = Arc::new(AtomicBool::new(is_anothers));
        Ok(Socket { listener, path: path.clone(), file, role: *role, is_anothers })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What listens there.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Whether its file is left alone in the end, which whoever hands it on can set.
    pub fn is_anothers(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_anothers)
    }

    /// Makes the socket, for the group that `settings` name, and for `user` if the process becomes
    /// another than it is now. What a daemon that is gone has left there is replaced.
    ///
    /// # Errors
    ///
    /// If somebody listens there, or something else is there, or the file cannot be made, or there is
    /// no such group or user.
    pub fn bind(settings: &SocketSettings, user: Option<&str>) -> io::Result<Self> {
        let SocketSettings { path, mode, group: _, role } = settings;
        ensure_free(path)?;
        let (owner, group) = owners(settings, user)?;
        // Under another name until it is whole: whoever connects to it at its own is let in by its mode.
        let mut making = path.clone().into_os_string();
        making.push(".new");
        let making = PathBuf::from(making);
        remove_socket(&making)?;
        let listener = UnixListener::bind(&making)?;
        let made = give(&making, owner, group)
            .and_then(|()| fs::set_permissions(&making, Permissions::from_mode(*mode)))
            .and_then(|()| fs::rename(&making, path))
            .and_then(|()| fs::symlink_metadata(path));
        match made {
            Ok(file) => {
                let (file, is_anothers) = ((file.dev(), file.ino()), Arc::default());
                Ok(Socket { listener, path: path.clone(), file, role: *role, is_anothers })
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
        if is_own
            && !self.is_anothers.load(Ordering::Relaxed)
            && let Err(error) = fs::remove_file(&self.path)
        {
            // The next start replaces it.
            tracing::debug!(path = %self.path.display(), %error, "the admin socket stays behind");
        }
    }
}

/// Whose file it is to be, and of which group; `None`: as it is.
fn owners(settings: &SocketSettings, user: Option<&str>) -> io::Result<(Option<u32>, Option<u32>)> {
    let user = match user {
        Some(name) => Some(
            User::from_name(name)?.ok_or_else(|| io::Error::other(format!("there is no user `{name}`")))?,
        ),
        None => None,
    };
    let group = match &settings.group {
        Some(name) => {
            let found = Group::from_name(name)?;
            Some(found.ok_or_else(|| io::Error::other(format!("there is no group `{name}`")))?.gid)
        }
        None => user.as_ref().map(|user| user.gid),
    };
    Ok((user.map(|user| user.uid.as_raw()), group.map(|group| group.as_raw())))
}

/// Makes `path` this user's and this group's. Nothing is asked of the system where it is theirs already: a
/// service's may be closed to calls that change owners.
fn give(path: &Path, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let is = fs::symlink_metadata(path)?;
    let is_theirs = user.is_none_or(|user| user == is.uid()) && group.is_none_or(|group| group == is.gid());
    if is_theirs { Ok(()) } else { chown(path, user, group) }
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
