//! What is believed, written down for the next process.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::control_loop::now;
use crate::control::{Controller, Memory, Moment, Notice, Recalled, Snapshot};
use crate::store::Sheet;

/// How often it is written down that nothing has changed but when it was looked at last: about as long as
/// a change of an address takes to be noticed with the defaults, so that even a daemon that is killed
/// finds most verdicts fresh if it is started anew at once.
const EVERY: Duration = Duration::from_secs(2);

/// Between two times when things do change: a site that goes takes hundreds of verdicts with it in a moment.
/// The first of them is written at once.
const REST: Duration = Duration::from_millis(200);

/// It rests for as many times as long as it took, so that of 10,000 addresses no more than a twentieth of a
/// processor goes into it.
const SHARE: u32 = 20;

/// How long the last time may take, on a disk that works.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is handed over is believed even where restarts are to remember nothing: it is as old as the
/// handing over takes.
const HANDED: Duration = Duration::from_secs(60);

/// Writes down what is believed: soon after it has changed, and every few seconds.
pub(super) struct Remembering {
    /// `None`: nothing is to be written.
    writer: Option<mpsc::Sender<Snapshot>>,
    /// How long each time took.
    pub(super) written: UnboundedReceiver<Duration>,
    is_writing: bool,
    /// Whether anything was heard since the last time, and whether it has changed anything.
    is_old: bool,
    is_wrong: bool,
    /// When the last time ended, and how long it took.
    last: (Instant, Duration),
}

impl Remembering {
    /// Remembers in `state_dir`; nowhere without one, or where it is `remember` for no time.
    pub(super) fn start(state_dir: Option<&Path>, remember: Duration) -> Self {
        let (done, written) = unbounded_channel();
        let sheet = state_dir.filter(|_| !remember.is_zero()).map(Sheet::of);
        let writer = sheet.and_then(|sheet| {
            let (sender, snapshots) = mpsc::channel();
            let write = move || write_each(&sheet, &snapshots, &done);
            let started = std::thread::Builder::new().name("memory".to_owned()).spawn(write);
            let warn = |error: &_| tracing::warn!(%error, "the next start will remember nothing");
            started.inspect_err(warn).ok().map(|_| sender)
        });
        Remembering {
            writer,
            written,
            is_writing: false,
            is_old: false,
            is_wrong: false,
            last: (now(), Duration::ZERO),
        }
    }

    /// Something was heard, and has changed something or not.
    pub(super) fn note(&mut self, has_changed: bool) {
        self.is_old = true;
        self.is_wrong |= has_changed;
    }

    /// Whether nothing is being written.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_writing
    }

    /// When it is to be written down next.
    pub(super) fn due(&self) -> Option<Instant> {
        let can_be = self.writer.is_some() && !self.is_writing && self.is_old;
        let rest = if self.is_wrong { REST } else { EVERY };
        let (ended, took) = self.last;
        can_be.then(|| ended + rest.max(took * SHARE))
    }

    /// Has written down what `controller` believes now.
    pub(super) fn write(&mut self, controller: &Controller) {
        let Some(writer) = &self.writer else { return };
        if writer.send(controller.snapshot(moment())).is_err() {
            // It has panicked, and has said so.
            self.writer = None;
        }
        (self.is_writing, self.is_old, self.is_wrong) = (true, false, false);
    }

    /// It is written, and took so long.
    pub(super) fn rest(&mut self, took: Duration) {
        self.is_writing = false;
        self.last = (now(), took);
    }

    /// Has written down what `controller` believes at the end.
    pub(super) async fn finish(mut self, controller: &Controller) {
        let last = async {
            if self.is_writing && self.written.recv().await.is_none() {
                return;
            }
            self.write(controller);
            if self.writer.take().is_some() {
                self.written.recv().await;
            }
        };
        if tokio::time::timeout(PATIENCE, last).await.is_err() {
            tracing::warn!("what is believed at the end may be missing at the next start");
        }
    }
}

/// What `controller` believes, for a process that takes over.
pub(super) fn memory(controller: &Controller) -> Value {
    let memory = controller.snapshot(moment()).into_memory();
    serde_json::to_value(memory).unwrap_or_else(|error| {
        tracing::warn!(%error, "what is believed cannot be handed on");
        Value::Null
    })
}

/// Has `controller` believe what another process `handed` over, and else what was written down in `state_dir`, if
/// anything was: up to `remember` old. Returns what has changed meanwhile.
pub(super) fn recall(
    controller: &mut Controller,
    handed: Option<Value>,
    state_dir: Option<&Path>,
    remember: Duration,
) -> Vec<Notice> {
    if let Some(handed) = handed {
        match serde_json::from_value(handed) {
            Ok(memory) => return believe(controller, memory, remember.max(HANDED)),
            Err(error) => tracing::warn!(%error, "nothing is known of what the other process believes"),
        }
    }
    let Some(sheet) = state_dir.map(Sheet::of) else { return Vec::new() };
    if remember.is_zero() {
        // It would be found by a later start that is to remember.
        if let Err(error) = sheet.remove() {
            tracing::warn!(path = %sheet.path().display(), %error, "cannot take away what was remembered");
        }
        return Vec::new();
    }
    let warn = |error: &dyn std::fmt::Display| {
        tracing::warn!(path = %sheet.path().display(), %error, "nothing is remembered of before the start");
    };
    let memory: Memory = match sheet.read() {
        Ok(None) => return Vec::new(),
        Ok(Some(text)) => match serde_json::from_str(&text) {
            Ok(memory) => memory,
            Err(error) => {
                warn(&error);
                return Vec::new();
            }
        },
        Err(error) => {
            warn(&error);
            return Vec::new();
        }
    };
    believe(controller, memory, remember)
}

fn believe(controller: &mut Controller, memory: Memory, remember: Duration) -> Vec<Notice> {
    let moment = moment();
    let ago = Duration::from_secs(moment.wall.saturating_sub(memory.taken()) / 1000);
    let Recalled { known, believed, unknown, pools, notices } = controller.recall(memory, remember, moment);
    let ago = humantime::format_duration(ago);
    tracing::info!(known, believed, unknown, pools, "health remembered, as it was {ago} ago");
    notices
}

/// Writes down each of `snapshots`, and tells of each that it is `done`.
fn write_each(sheet: &Sheet, snapshots: &mpsc::Receiver<Snapshot>, done: &UnboundedSender<Duration>) {
    let mut has_failed = false;
    for snapshot in snapshots {
        let began = now();
        let text = serde_json::to_string(&snapshot.into_memory()).map_err(std::io::Error::from);
        let written = text.and_then(|text| sheet.write(&text));
        let path = sheet.path().display();
        match (&written, has_failed) {
            (Err(error), false) => {
                tracing::warn!(%path, %error, "cannot write down what is believed: a restart would not know it");
            }
            (Ok(()), true) => tracing::info!(%path, "what is believed can be written down again"),
            _ => {}
        }
        has_failed = written.is_err();
        // Whoever has asked may have given up on it.
        let _ = done.send(now().saturating_duration_since(began));
    }
}

/// Now, by both clocks.
#[allow(clippy::disallowed_methods, reason = "the daemon is where time enters")]
pub(super) fn moment() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment { now: now(), wall: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
}
