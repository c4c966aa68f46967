//! The process that is taken over from.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::geteuid;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::protocol::{
    self, DESCRIPTORS, LONGEST, Message, PROTOCOL, ROOM_FOR_TURNS, Use, VERSION, WireError,
};
use super::wire::Peer;
use super::{Ask, FILE, Quiet};
use crate::admin::{Audit, SocketFile};
use crate::daemon::control_loop::now;
use crate::daemon::edits::Journal;
use crate::daemon::manager::Manager;
use crate::daemon::rotation::Rotations;
use crate::store::Claim;

/// How long the new process may take to say who it is.
const HELLO: Duration = Duration::from_secs(5);

/// How long it may take to prepare: it binds what it was not given, and reads tokens and certificates.
const PREPARATION: Duration = Duration::from_secs(60);

/// How long the changes may take that were asked for before. Less than the other side waits, so that it
/// is told why nothing comes of it.
const CHANGES: Duration = Duration::from_secs(100);

/// How long a change may take to be noted after it was made. Those who make one note it as soon as they have a
/// turn, but for tests of notifications, which take as long as they take.
const NOTING: Duration = Duration::from_secs(5);

/// How long it may take until it answers: it lays edits over the file, compiles, and probes every address
/// once. Edits wait as long.
const START: Duration = Duration::from_secs(120);

/// How much of that its first round may take at most: the rest is for what comes before and after. What it was told
/// is known of most addresses even so.
pub(in crate::daemon) const FIRST_ROUND: Duration = Duration::from_secs(90);

/// How often it is looked whether a process has let go of the state that it was given and made no use of.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The directory of the state, as long as it is this process's.
pub(in crate::daemon) type Holding = Arc<Mutex<Option<Claim>>>;

/// What is handed on.
pub(in crate::daemon) struct Estate {
    /// Where the state is kept.
    pub(in crate::daemon) directory: PathBuf,
    /// That it is this process's.
    pub(in crate::daemon) holding: Holding,
    /// Each socket once more.
    pub(in crate::daemon) sockets: Vec<(Use, OwnedFd)>,
    /// The file of the admin socket.
    pub(in crate::daemon) admin_file: Option<Arc<SocketFile>>,
    pub(in crate::daemon) journal: Journal,
    pub(in crate::daemon) audit: Audit,
    pub(in crate::daemon) rotations: Rotations,
    /// The way to the control loop.
    pub(in crate::daemon) asks: mpsc::Sender<Ask>,
}

/// What waits for a process that takes over. It ends when it is dropped.
pub(in crate::daemon) struct Offer {
    task: JoinHandle<()>,
    /// For which process.
    left: watch::Receiver<Option<i32>>,
}

impl Offer {
    /// Offers `estate`. Where that cannot be, an upgrade takes a restart, and the log says so.
    pub(in crate::daemon) fn start(estate: Estate) -> Option<Self> {
        let (listener, file) = match listen(&estate.directory) {
            Ok(listening) => listening,
            Err(error) => {
                let path = estate.directory.join(FILE);
                tracing::warn!(path = %path.display(), %error, "no other process can take over from this one");
                return None;
            }
        };
        let (leave, left) = watch::channel(None);
        let task = tokio::spawn(async move {
            // Removed when this is cut short.
            let file = file;
            let process = estate.wait(&listener).await;
            file.leave();
            leave.send_replace(Some(process));
        });
        Some(Offer { task, left })
    }

    /// Waits until another process has taken over; its number.
    pub(in crate::daemon) async fn taken(&mut self) -> i32 {
        // It ends with nothing said only if it panics; then nobody ever takes over.
        let process = self.left.wait_for(Option::is_some).await.ok().and_then(|left| *left);
        match process {
            Some(process) => process,
            None => std::future::pending().await,
        }
    }

    /// Takes it back: all descriptors are closed when this returns.
    pub(in crate::daemon) async fn withdraw(self) {
        self.task.abort();
        // It was meant to be cut short.
        let _ = self.task.await;
    }
}

/// How far a process came that wanted to take over.
enum End {
    /// It has.
    Taken,
    /// Not so far that anything has changed.
    Unchanged(Abandoned),
    /// It was given what only one can have.
    Released(Abandoned),
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
enum Abandoned {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl Estate {
    /// Waits until a process has taken over; its number.
    async fn wait(&self, listener: &UnixListener) -> i32 {
        loop {
            let Some(stream) = accept(listener).await else { continue };
            let mut session = pin!(self.session(stream));
            let taken = loop {
                tokio::select! {
                    taken = &mut session => break taken,
                    Some(other) = accept(listener) => {
                        let _ = refuse(&mut Peer(other), "another process is taking over").await;
                    }
                }
            };
            if let Some(process) = taken {
                return process;
            }
        }
    }

    /// Deals with one process; its number, if it has taken over.
    async fn session(&self, stream: UnixStream) -> Option<i32> {
        let process = stream.peer_cred().ok().and_then(|peer| peer.pid()).unwrap_or_default();
        let mut peer = Peer(stream);
        let end = self.hand_over(&mut peer, process).await;
        let (reason, is_released) = match end {
            End::Taken => {
                tracing::info!(process, "another process has taken over: this one leaves");
                return Some(process);
            }
            End::Unchanged(reason) => (reason, false),
            End::Released(reason) => (reason, true),
        };
        if !matches!(reason, Abandoned::Wire(WireError::Closed)) {
            let _ = refuse(&mut peer, &reason.to_string()).await;
        }
        // It learns that nothing comes of it, and lets go of what it has.
        drop(peer);
        tracing::error!(process, "nothing came of a takeover, this process goes on: {reason}");
        if is_released {
            self.take_back().await;
        }
        None
    }

    async fn hand_over(&self, peer: &mut Peer, process: i32) -> End {
        if let Err(reason) = self.introduce(peer).await {
            return End::Unchanged(reason);
        }
        tracing::info!(process, "another process prepares to take over: edits and reloads wait");
        let quiet = match self.release().await {
            Ok(quiet) => quiet,
            Err(reason) => return End::Released(reason),
        };
        match self.leave(peer, process, quiet).await {
            Ok(()) => End::Taken,
            Err(reason) => End::Released(reason),
        }
    }

    /// Up to where the new process has all that both can have.
    async fn introduce(&self, peer: &mut Peer) -> Result<(), Abandoned> {
        let uid = peer.0.peer_cred().map_err(WireError::from)?.uid();
        if uid != 0 && uid != geteuid().as_raw() {
            return Err(Abandoned::Refused(format!("user {uid} is neither root nor the daemon's own")));
        }
        match peer.hear(LONGEST, HELLO).await?.0 {
            Message::Hello { protocol, version: VERSION, .. } if protocol == PROTOCOL => {}
            Message::Hello { protocol, version, .. } => {
                return Err(Abandoned::Refused(format!(
                    "it speaks {protocol} {version}, this one {PROTOCOL} {VERSION}: a restart is needed"
                )));
            }
            other => return Err(WireError::Unexpected(other.name()).into()),
        }
        let mut rest = &self.sockets[..];
        loop {
            let (part, after) = rest.split_at(rest.len().min(DESCRIPTORS));
            let (uses, descriptors): (Vec<Use>, Vec<_>) =
                part.iter().map(|(label, socket)| (label.clone(), socket.as_fd())).unzip();
            let (more, pid) = (!after.is_empty(), std::process::id());
            peer.say(&Message::Sockets { sockets: uses, more, pid }, &descriptors).await?;
            rest = after;
            if !more {
                break;
            }
        }
        match peer.hear(LONGEST, PREPARATION).await?.0 {
            Message::Prepare => Ok(()),
            other => Err(WireError::Unexpected(other.name()).into()),
        }
    }

    /// Lets go of what only one process can have, and returns how things stand then.
    async fn release(&self) -> Result<Quiet, Abandoned> {
        let (reply, suspended) = oneshot::channel();
        // Without a control loop this process is about to end.
        let _ = self.asks.send(Ask::Suspend(reply)).await;
        let Ok(Ok(quiet)) = timeout(CHANGES, suspended).await else {
            return Err(Abandoned::Refused("changes that were asked for before are not done".to_owned()));
        };
        self.audit.settle(NOTING).await;
        let journal = self.journal.clone();
        // It waits for whoever writes to it.
        let _ = tokio::task::spawn_blocking(move || journal.suspend()).await;
        *self.holding() = None;
        if protocol::fits(&quiet.memory) {
            return Ok(quiet);
        }
        // The new process reads what was written down last.
        tracing::warn!("too much is known of addresses to be told to another process");
        Ok(Quiet { memory: Value::Null, ..quiet })
    }

    async fn leave(&self, peer: &mut Peer, process: i32, quiet: Quiet) -> Result<(), Abandoned> {
        let Quiet { memory, reloaded } = quiet;
        let since = reloaded.map(|reloaded| now().saturating_duration_since(reloaded));
        let since_reload = since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        peer.say(&Message::Released { memory, tells_turns: true, since_reload }, &[]).await?;
        timeout(START, self.await_answers(peer)).await.map_err(|_| WireError::TimedOut)??;
        // Before it is told: from then on the file is its own.
        if let Some(file) = &self.admin_file {
            file.leave();
        }
        if let Err(error) = peer.say(&Message::Farewell, &[]).await {
            if let Some(file) = &self.admin_file {
                file.take();
            }
            return Err(error.into());
        }
        // Not before: it could not be taken back where the other one is gone by then.
        Manager::of_environment().main_process(process).await;
        Ok(())
    }

    /// Waits until the new process answers, and tells it before whose turn it is if it wants to know.
    async fn await_answers(&self, peer: &mut Peer) -> Result<(), WireError> {
        let mut is_told = false;
        loop {
            match peer.hear(LONGEST, START).await?.0 {
                Message::Serving => return Ok(()),
                Message::Rotation if !is_told => {
                    is_told = true;
                    let rotations = self.rotations.clone();
                    // Of 100,000 pools it takes a while, in which others are to be answered.
                    let told = tokio::task::spawn_blocking(move || rotations.told(ROOM_FOR_TURNS));
                    // One that panics has said so.
                    let turns = told.await.unwrap_or_default();
                    peer.say(&Message::Turns { turns }, &[]).await?;
                }
                other => return Err(WireError::Unexpected(other.name())),
            }
        }
    }

    /// Has everything be as if nobody had come.
    async fn take_back(&self) {
        // What was not let go of is still held, and would not be given a second time.
        let is_held = self.holding().is_some();
        if !is_held {
            let claim = self.claim().await;
            *self.holding() = Some(claim);
            self.audit.resume();
        }
        let journal = self.journal.clone();
        match tokio::task::spawn_blocking(move || journal.resume()).await {
            Ok(Ok(())) => tracing::info!("edits and reloads are accepted again"),
            Ok(Err(error)) => tracing::error!("edits will be refused: {error}"),
            Err(error) => tracing::error!(%error, "edits will be refused"),
        }
        let _ = self.asks.send(Ask::Resume).await;
    }

    /// Waits until the other process has let go of the state.
    async fn claim(&self) -> Claim {
        let mut is_told = false;
        loop {
            match Claim::of(&self.directory) {
                Ok(claim) => return claim,
                Err(error) if !is_told => {
                    is_told = true;
                    tracing::warn!("edits and reloads go on waiting: {error}");
                }
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn holding(&self) -> std::sync::MutexGuard<'_, Option<Claim>> {
        // It is there or not, whatever became of whoever looked at it.
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: &UnixListener) -> Option<UnixStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            // There are no descriptors left, which may pass.
            tokio::time::sleep(LOOK_EVERY).await;
            None
        }
    }
}

async fn refuse(peer: &mut Peer, reason: &str) -> Result<(), WireError> {
    peer.say(&Message::Refused { reason: reason.to_owned() }, &[]).await
}

/// The file of the socket, which is removed when this is dropped, unless it is another's by then.
struct File {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    is_own: bool,
}

impl File {
    /// Leaves it to whoever has taken over, and puts another in its place at this moment.
    fn leave(mut self) {
        self.is_own = false;
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.is_own && identity(&self.path).is_ok_and(|found| found == self.identity) {
            // The next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Listens in `directory`, in the place of whoever did before: the directory is this process's.
fn listen(directory: &Path) -> io::Result<(UnixListener, File)> {
    let (path, making) = (directory.join(FILE), directory.join(format!("{FILE}.new")));
    // What a crash has left.
    let _ = fs::remove_file(&making);
    let listener = UnixListener::bind(&making)?;
    fs::set_permissions(&making, Permissions::from_mode(0o600))?;
    let identity = identity(&making)?;
    fs::rename(&making, &path)?;
    Ok((listener, File { path, identity, is_own: true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_not_let_go_of_is_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let claim = Claim::of(directory.path()).expect("nobody holds it");
        let (asks, mut asked) = mpsc::channel(1);
        let estate = Estate {
            directory: directory.path().to_owned(),
            holding: Arc::new(Mutex::new(Some(claim))),
            sockets: Vec::new(),
            admin_file: None,
            journal: Journal::open(Some(directory.path()), false).expect("it can be written"),
            audit: Audit::start(None).expect("a thread"),
            rotations: Rotations::new(Arc::default()),
            asks,
        };
        for is_held in [true, false] {
            if !is_held {
                estate.holding().take();
            }
            timeout(Duration::from_secs(10), estate.take_back()).await.expect("nobody else holds it");
            assert!(matches!(asked.try_recv(), Ok(Ask::Resume)));
            assert!(Claim::of(directory.path()).is_err(), "it is held again");
        }
    }
}
