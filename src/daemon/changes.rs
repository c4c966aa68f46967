//! Changes of what is wanted. Each is made on a thread of its own, since a large configuration takes
//! seconds and health must not wait for it; and one after the other, so that none is lost to
//! another.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::DaemonError;
use super::access::Keys;
use super::control_loop::now;
use super::destinations::Destinations;
use super::edits::{self, Journal, Made, Reply};
use super::measured::Measured;
use super::secrets;
use super::traced::Span;
use crate::admin::{self, Editing, Expected, NotMeasured, ReloadReport, ReloadTrigger};
use crate::config::{
    self, Content, Desired, Edit, FilesRead, Loaded, Outcome, ServerSettings, ServiceSettings, Settings,
    Tokens,
};
use crate::control::Prepared;
use crate::plan::{Plan, difference};
use crate::routing::CookieSecrets;

/// Edits that are made together at most: each has to be answered before long.
const TOGETHER: usize = 1000;

/// Changes to be made, in the order in which they were asked for.
pub(super) struct Changes {
    /// What a reload reads; `None`: there is no file, and nothing to reload.
    file: Option<PathBuf>,
    server: ServerSettings,
    keys: Keys,
    wanted: Wanted,
    journal: Journal,
    /// What was read for the last reload, carried out or refused.
    files: watch::Sender<FilesRead>,
    waiting: VecDeque<Change>,
    /// At most one.
    under_way: JoinSet<(Wanted, Changed)>,
    /// Since when that is so.
    began: Instant,
    /// From when to when the last one took.
    took: Span,
}

/// What is wanted, as of the last change that was made.
#[derive(Clone)]
pub(super) struct Wanted {
    /// The file, with edits over it.
    pub(super) desired: Arc<Desired>,
    /// The latencies that were given by API, over that.
    pub(super) measured: Measured,
    /// What comes of both.
    pub(super) plan: Arc<Plan>,
    /// Who is told what happens.
    pub(super) destinations: Destinations,
    /// What the file and what it names were read from.
    pub(super) files: FilesRead,
}

/// To whom wants a reload: what it has done, or what is wrong with the configuration.
pub(super) type ReloadReply = admin::Reply<Result<ReloadReport, String>>;

/// A change, and who waits for it.
pub(super) enum Change {
    /// The configuration is read anew.
    Reload(ReloadTrigger, ReloadReply),
    /// Other measurements take the place of those that were given before, if these are as expected.
    Measured(Bytes, Option<Expected>, admin::Reply<Result<usize, NotMeasured>>),
    /// Edits are made or taken back.
    Edit(Editing, Reply),
    /// Edits are over.
    Expire,
}

/// What came of a change; it takes effect, and is answered, elsewhere.
pub(super) enum Changed {
    /// A configuration, or what is wrong with it.
    Reload(Result<Box<Reloaded>, String>, (ReloadTrigger, ReloadReply)),
    /// The world with the measurements, of which there are so many; or why there is none.
    Measured(Result<(Box<Prepared>, usize), NotMeasured>, admin::Reply<Result<usize, NotMeasured>>),
    /// Edits, and the world that follows from them if it is another one.
    Edited(Box<Made>, Option<Box<Prepared>>),
}

/// A configuration, read anew.
pub(super) struct Reloaded {
    pub(super) settings: Settings,
    pub(super) world: Box<Prepared>,
    /// What it changes, as far as that can be told without what the process has started with.
    pub(super) report: ReloadReport,
    /// The secrets of cookies, where a file of them is named and can be read.
    pub(super) cookies: Option<CookieSecrets>,
    /// Edits that the file says by now, and that no longer stand.
    pub(super) retired: Vec<Arc<Edit>>,
    /// The tokens of the admin API, likewise.
    pub(super) tokens: Option<Tokens>,
    /// Who is told what happens.
    pub(super) destinations: Destinations,
}

impl Changes {
    /// None so far.
    pub(super) fn new(
        file: Option<PathBuf>,
        server: ServerSettings,
        keys: Keys,
        wanted: Wanted,
        journal: Journal,
    ) -> Self {
        let files = watch::Sender::new(wanted.files.clone());
        let (waiting, under_way) = (VecDeque::new(), JoinSet::new());
        let began = now();
        let took = (began, began);
        Changes { file, server, keys, wanted, journal, files, waiting, under_way, began, took }
    }

    /// What was read for the last reload, carried out or refused; at first, for the start.
    pub(super) fn files(&self) -> watch::Receiver<FilesRead> {
        self.files.subscribe()
    }

    /// The measurements that were given by API, as they were given.
    pub(super) fn given(&self) -> Bytes {
        self.wanted.measured.given().clone()
    }

    /// What is wanted.
    pub(super) fn desired(&self) -> &Arc<Desired> {
        &self.wanted.desired
    }

    /// How long it is until an edit is over, for which [`Change::Expire`] is to be asked; `None`: none
    /// ever is, or it was asked for already.
    pub(super) fn due(&self) -> Option<Duration> {
        let until = Duration::from_millis(self.wanted.desired.due()?);
        self.under_way.is_empty().then(|| until.saturating_sub(edits::now()))
    }

    /// From when to when that took which [`Changes::next`] has given last.
    pub(super) fn took(&self) -> Span {
        self.took
    }

    /// Whether nothing is being made, nor waits to be.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Has `tokens` be those that are good from now on.
    pub(super) fn put_tokens(&self, tokens: Tokens) {
        self.keys.access.replace(tokens);
    }

    /// Has `change` made after those that were asked for before.
    pub(super) fn ask(&mut self, change: Change) {
        self.waiting.push_back(change);
        self.go_on();
    }

    /// Waits for what comes of the next; `None`: nothing was asked for. Nothing is lost if it is
    /// dropped.
    pub(super) async fn next(&mut self) -> Option<Changed> {
        loop {
            let done = self.under_way.join_next().await?;
            if let Ok((wanted, _)) = &done {
                self.wanted = wanted.clone();
            }
            self.took = (self.began, now());
            self.go_on();
            match done {
                Ok((_, changed)) => return Some(changed),
                // Whoever waits for it learns that there will be no answer.
                Err(error) => tracing::error!(%error, "a change was not made"),
            }
        }
    }

    fn go_on(&mut self) {
        if !self.under_way.is_empty() {
            return;
        }
        let Some(change) = self.waiting.pop_front() else { return };
        self.began = now();
        let (wanted, journal) = (self.wanted.clone(), self.journal.clone());
        match change {
            Change::Reload(trigger, reply) => {
                let (file, server, files) = (self.file.clone(), self.server.clone(), self.files.clone());
                let keys = self.keys.clone();
                self.under_way.spawn_blocking(move || {
                    let (result, read) = reload(file.as_deref(), &server, &keys, &wanted, &journal);
                    files.send_replace(read);
                    match result {
                        Ok((wanted, reloaded)) => (wanted, Changed::Reload(Ok(reloaded), (trigger, reply))),
                        Err(reason) => (wanted, Changed::Reload(Err(reason), (trigger, reply))),
                    }
                });
            }
            Change::Measured(given, expected, reply) => {
                self.under_way.spawn_blocking(move || {
                    match wanted.measured.replaced(given, expected.as_ref()) {
                        Ok((measured, plan, count)) => {
                            let geo = Arc::clone(wanted.desired.origin().geo());
                            let world = Box::new(Prepared::new(Arc::clone(&plan), geo));
                            (
                                Wanted { measured, plan, ..wanted },
                                Changed::Measured(Ok((world, count)), reply),
                            )
                        }
                        Err(reason) => (wanted, Changed::Measured(Err(reason), reply)),
                    }
                });
            }
            Change::Edit(editing, reply) => {
                // Those that came while the last ones were made share one reading and one sync.
                let mut asked = vec![(editing, reply)];
                while asked.len() < TOGETHER && matches!(self.waiting.front(), Some(Change::Edit(..))) {
                    if let Some(Change::Edit(editing, reply)) = self.waiting.pop_front() {
                        asked.push((editing, reply));
                    }
                }
                self.under_way.spawn_blocking(move || {
                    let made = edits::make(&wanted.desired, asked, &journal);
                    edited(&wanted, made)
                });
            }
            Change::Expire => {
                let now = u64::try_from(edits::now().as_millis()).unwrap_or(u64::MAX);
                self.under_way.spawn_blocking(move || {
                    let made = Made::over(&wanted.desired, now, &journal);
                    edited(&wanted, made)
                });
            }
        }
    }
}

/// Lays latencies over what has come of edits.
fn edited(wanted: &Wanted, made: Made) -> (Wanted, Changed) {
    let desired = Arc::clone(&made.desired);
    if !made.is_respecified {
        return (Wanted { desired, ..wanted.clone() }, Changed::Edited(Box::new(made), None));
    }
    let (measured, plan) = wanted.measured.again_over(Arc::clone(desired.plan()));
    let world = Box::new(Prepared::new(Arc::clone(&plan), Arc::clone(desired.origin().geo())));
    let wanted = Wanted { desired, measured, plan, ..wanted.clone() };
    (wanted, Changed::Edited(Box::new(made), Some(world)))
}

/// Reads all of it: the configuration with its files, the measurements that are kept, the secrets
/// of cookies, and the tokens of the admin API; and lays the edits over it. Also returns what was read, whatever comes of it.
fn reload(
    file: Option<&Path>,
    server: &ServerSettings,
    keys: &Keys,
    wanted: &Wanted,
    journal: &Journal,
) -> (Result<(Wanted, Box<Reloaded>), String>, FilesRead) {
    let Some(file) = file else {
        return (Err("there is no configuration file to read".to_owned()), FilesRead::default());
    };
    let (loaded, mut files) = config::load_files(file);
    if let Some(path) = &server.service.cookie_secret_file {
        // What is wrong with it is told below.
        let _ = files.read(path);
    }
    keys.note_tokens(&mut files);
    match &loaded {
        Ok(loaded) => loaded.notifications.iter().for_each(|it| it.note_files(&mut files)),
        // Those of the last sound configuration, to be read again when they change.
        Err(_) => wanted.destinations.note_files(&mut files),
    }
    let tokens = keys.read_anew();
    let result = loaded
        .map_err(|diagnostics| format!("{diagnostics}{}", out_of_reach(&files, server)))
        .and_then(|loaded| reloaded(loaded, &files, server, tokens.clone(), wanted, journal));
    if let (Err(_), Ok(Some(tokens))) = (&result, tokens) {
        // A token that was taken back must not go on for a mistake elsewhere.
        keys.access.replace(tokens);
    }
    (result, files)
}

fn reloaded(
    loaded: Loaded,
    files: &FilesRead,
    server: &ServerSettings,
    tokens: Result<Option<Tokens>, String>,
    wanted: &Wanted,
    journal: &Journal,
) -> Result<(Wanted, Box<Reloaded>), String> {
    let Loaded { settings, geoip, geo, plan, notifications, origin, files: _ } = loaded;
    let cookies = secrets_anew(&server.service)?;
    let tokens = tokens?;
    let destinations = wanted.destinations.read_anew(notifications)?;
    let edits = wanted.desired.edits().iter().map(|standing| Arc::clone(&standing.edit)).collect();
    let (desired, Outcome { added: _, gone: retired }) =
        Desired::over(origin, Arc::new(plan), edits, wanted.desired.next());
    let (measured, plan) = wanted.measured.over(Arc::clone(desired.plan()))?;
    let outcome = Outcome { added: Vec::new(), gone: retired.clone() };
    if let Err(reason) = journal.keep(&outcome, desired.next()) {
        // The next start finds out by itself that the file says so.
        tracing::warn!("edits that the file says by now stay in the journal: {reason}");
    }
    let has_changed = |path: &PathBuf| files.content(path) != wanted.files.content(path);
    let orphaned = desired.edits().iter().filter(|standing| standing.orphaned.is_some());
    let report = ReloadReport {
        difference: difference(&wanted.plan, &plan),
        databases: geoip != *wanted.desired.origin().geoip() || geoip.databases.iter().any(has_changed),
        retired: retired.iter().map(|edit| edit.id).collect(),
        orphaned: orphaned.map(|standing| standing.edit.id).collect(),
        ..ReloadReport::default()
    };
    let world = Box::new(Prepared::new(Arc::clone(&plan), geo));
    let (desired, files) = (Arc::new(desired), files.clone());
    let wanted = Wanted { desired, measured, plan, destinations: destinations.clone(), files };
    Ok((wanted, Box::new(Reloaded { settings, world, report, cookies, tokens, destinations, retired })))
}

/// What to do about files that this process may not read any more, as it has given up its privileges;
/// empty: there are none.
fn out_of_reach(files: &FilesRead, server: &ServerSettings) -> String {
    let denied = Content::Unreadable(ErrorKind::PermissionDenied);
    let is_denied = |path: &&Path| files.content(path) == Some(&denied);
    let paths: Vec<String> =
        files.paths().filter(is_denied).map(|path| format!("`{}`", path.display())).collect();
    match &server.user {
        Some(user) if !paths.is_empty() => {
            format!("\nhint: the server runs as user `{user}`, who may not read {}", paths.join(", "))
        }
        _ => String::new(),
    }
}

/// The secrets of cookies as their file has them now; `None`: there is none, or it is not for this
/// process to read again, which has given up its privileges.
fn secrets_anew(settings: &ServiceSettings) -> Result<Option<CookieSecrets>, String> {
    match secrets::named(settings) {
        Err(DaemonError::CookieSecret(path, error)) if error.kind() == ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), "cannot read the secrets of cookies again: they stay");
            Ok(None)
        }
        read => read.map_err(|error| error.to_string()),
    }
}
