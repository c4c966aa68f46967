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

/// A Unix socket. Its file is removed when it is dropped, if it is this process's.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: Arc<SocketFile>,
    role: Role,
}

/// The file of a Unix socket: whose it is, and how it is to be.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: another may take its place in the meantime.
    identity: (u64, u64),
    /// Whether the service manager has made it, and keeps it.
    is_managers: bool,
    /// Whether it is this process's to remove.
    is_own: AtomicBool,
    /// What is still to be made of it when it becomes this process's.
    wanted: Option<Wanted>,
}

/// Whose a file is to be, and who may open it; `None`: as it is.
struct Wanted {
    owner: Option<u32>,
    group: Option<u32>,
    mode: u32,
}

impl SocketFile {
    /// Whether the service manager has made it, and keeps it.
    pub fn is_managers(&self) -> bool {
        self.is_managers
    }

    /// Has it be this process's from now on, unless the service manager keeps it. What was adopted gets the owner,
    /// the group and the mode that it is to have; where that cannot be, the log says so.
    pub fn take(&self) {
        self.is_own.store(!self.is_managers, Ordering::Relaxed);
        if let Some(wanted) = &self.wanted
            && !self.is_managers
            && let Err(error) = self.make(wanted)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "the admin socket's owner, group or mode stay until a restart");
        }
    }

    /// Leaves it to another process.
    pub fn leave(&self) {
        self.is_own.store(false, Ordering::Relaxed);
    }

    fn make(&self, wanted: &Wanted) -> io::Result<()> {
        let Wanted { owner, group, mode } = *wanted;
        let narrow = fs::symlink_metadata(&self.path)?.mode() & 0o7777 & mode;
        // At no time is anybody let in whom neither way would let in.
        set_mode(&self.path, narrow)?;
        give(&self.path, owner, group)?;
        set_mode(&self.path, mode)
    }
}

impl Socket {
    /// The socket that somebody else has made and listens on: the process before this one, or the service
    /// manager (`is_managers`). Nothing is done to its file, which stays the other's until
    /// [`SocketFile::take`].
    ///
    /// # Errors
    ///
    /// If the file is not there, or there is no such group or user.
    pub fn adopt(
        listener: std::os::unix::net::UnixListener,
        settings: &SocketSettings,
        user: Option<&str>,
        is_managers: bool,
    ) -> io::Result<Self> {
        let SocketSettings { path, mode, role, .. } = settings;
        let found = fs::symlink_metadata(path)?;
        let wanted = if is_managers {
            None
        } else {
            let (owner, group) = owners(settings, user)?;
            Some(Wanted { owner, group, mode: *mode })
        };
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let (path, identity) = (path.clone(), (found.dev(), found.ino()));
        let is_own = AtomicBool::new(false);
        let file = SocketFile { path: path.clone(), identity, is_managers, is_own, wanted };
        Ok(Socket { listener, path, file: Arc::new(file), role: *role })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What listens there.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Its file, which whoever hands it on can leave to another.
    pub fn file(&self) -> Arc<SocketFile> {
        Arc::clone(&self.file)
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
                let (path, identity) = (path.clone(), (file.dev(), file.ino()));
                let is_own = AtomicBool::new(true);
                let file =
                    SocketFile { path: path.clone(), identity, is_managers: false, is_own, wanted: None };
                Ok(Socket { listener, path, file: Arc::new(file), role: *role })
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
        let is_it = |file: fs::Metadata| (file.dev(), file.ino()) == self.file.identity;
        if self.file.is_own.load(Ordering::Relaxed)
            && fs::symlink_metadata(&self.path).is_ok_and(is_it)
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

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    match fs::symlink_metadata(path)?.mode() & 0o7777 == mode {
        true => Ok(()),
        false => fs::set_permissions(path, Permissions::from_mode(mode)),
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
