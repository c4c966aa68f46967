//! A reload when the files of the configuration have changed.
//!
//! The kernel tells that something has happened to a file, or to a link that leads to it. Once that has
//! come to rest the files are read, and a reload follows if there is something else in them than at the
//! last one, carried out or refused. Where the kernel cannot tell, the files are looked at.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use super::control_loop::{now, until};
use crate::admin::{self, ReloadTrigger, Request};
use crate::config::{Content, FilesRead};

mod entries;
mod eyes;
mod settling;

use entries::entries;
use eyes::{Eyes, Looks};
use settling::Settling;

/// How often files are looked at of which the kernel does not tell: as soon as most people would look
/// whether something has happened, and no load for a handful of files.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches the files of the configuration.
pub(super) struct Watching {
    /// What was read for the last reload.
    files: watch::Receiver<FilesRead>,
    requests: mpsc::Sender<Request>,
    noticed: Arc<Notify>,
    /// What is watched for.
    entries: BTreeSet<PathBuf>,
    /// `None`: the kernel does not tell.
    eyes: Option<Eyes>,
    /// While it does not: what was seen.
    looks: Option<Looks>,
    settling: Settling,
}

impl Watching {
    /// Of the files that were read for the last reload; asks for another by `requests`.
    pub(super) fn new(files: watch::Receiver<FilesRead>, requests: mpsc::Sender<Request>) -> Self {
        Watching {
            files,
            requests,
            noticed: Arc::default(),
            entries: BTreeSet::new(),
            eyes: None,
            looks: None,
            settling: Settling::default(),
        }
    }

    /// Watches until `stopped` says so or is gone.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.watch() => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    /// Ends with the control loop.
    async fn watch(&mut self) {
        self.aim().await;
        if let Some(read) = self.read_if_changed().await {
            warn_of_unreadable(&read);
            // What is only out of reach would be refused, and has been told.
            let is_out_of_reach = |path: &Path| read.content(path) == Some(&OUT_OF_REACH);
            let known = self.files.borrow().clone();
            if known.paths().any(|path| known.content(path) != read.content(path) && !is_out_of_reach(path)) {
                self.settling.note(now());
            }
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.noticed.notified() => self.settling.note(now()),
                _ = look.tick(), if self.eyes.is_none() => self.look().await,
                changed = self.files.changed() => match changed {
                    Ok(()) => self.follow().await,
                    Err(_) => return,
                },
                () = until(self.settling.due()) => {
                    self.settling.end();
                    // First, so that nothing is missed between: directories may be others by now.
                    self.aim().await;
                    if self.read_if_changed().await.is_some() && self.reload().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Watches what leads to the files by now.
    async fn aim(&mut self) {
        let files = self.files.borrow().clone();
        let noticed = Arc::clone(&self.noticed);
        let aimed = tokio::task::spawn_blocking(move || {
            let entries = entries(files.paths());
            let eyes = Eyes::open(&entries, &noticed);
            let looks = eyes.is_err().then(|| Looks::of(files.paths()));
            (entries, eyes, looks)
        });
        // It ends unless it panics, which is told, and then it is as it was.
        let Ok((entries, eyes, looks)) = aimed.await else { return };
        match (&eyes, &self.looks) {
            (Err(error), None) => tracing::warn!(
                "the system does not tell of changes of the configuration ({error}): its files are looked at every {} s",
                LOOK_EVERY.as_secs()
            ),
            (Ok(_), Some(_)) => tracing::info!("the system tells of changes of the configuration again"),
            _ => {}
        }
        self.entries = entries;
        self.eyes = eyes.ok();
        self.looks = looks;
    }

    /// A reload has read other files, perhaps.
    async fn follow(&mut self) {
        let files = self.files.borrow_and_update().clone();
        let leading = tokio::task::spawn_blocking(move || entries(files.paths())).await;
        if leading.is_ok_and(|leading| leading != self.entries) {
            self.aim().await;
            // What has changed before.
            self.settling.note(now());
        }
    }

    /// Looks at the files, as nobody tells of them.
    async fn look(&mut self) {
        let files = self.files.borrow().clone();
        let looks = tokio::task::spawn_blocking(move || Looks::of(files.paths())).await.ok();
        if looks.is_some() && looks != self.looks {
            self.looks = looks;
            self.settling.note(now());
        }
    }

    /// What is in the files, if it is not what was there at the last reload.
    async fn read_if_changed(&self) -> Option<FilesRead> {
        let known = self.files.borrow().clone();
        let read = tokio::task::spawn_blocking(move || known.again()).await.ok()?;
        // A reload may have come in between.
        let has_changed = read != *self.files.borrow();
        if !has_changed {
            tracing::debug!("the files of the configuration hold what they held");
        }
        has_changed.then_some(read)
    }

    /// Reloads; what comes of it is told elsewhere.
    async fn reload(&self) -> Result<(), Ended> {
        // It is noted where it is carried out.
        let (reply, done) = admin::Reply::unaudited();
        let request = Request::Reload(ReloadTrigger::File, reply);
        self.requests.send(request).await.map_err(|_| Ended)?;
        done.await.map(drop).map_err(|_| Ended)
    }
}

/// There is no control loop any more.
struct Ended;

/// A file that this process may not read.
const OUT_OF_REACH: Content = Content::Unreadable(io::ErrorKind::PermissionDenied);

/// Warns of files that were read at the start, with other privileges.
fn warn_of_unreadable(read: &FilesRead) {
    for path in read.paths().filter(|path| read.content(path) == Some(&OUT_OF_REACH)) {
        tracing::warn!(
            path = %path.display(),
            "the configuration cannot be reloaded while this process may not read one of its files"
        );
    }
}
