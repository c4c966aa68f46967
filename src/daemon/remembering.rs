//! What is believed, written down for the next process.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::control_loop::now;
use super::edits;
use crate::control::{Controller, Memory, Moment, Notice, Recalled, Snapshot};
use crate::store::{Sheet, SheetError};

/// How often it is written down that nothing has changed but when it was looked at last. With the defaults a verdict is
/// fresh for 2.5 s, and observed every second: so even a daemon that is killed finds its verdicts fresh, if it is
/// started anew at once.
const EVERY: Duration = Duration::from_secs(1);

/// Less often where that would be more: as many octets a second are 45 GB a day, which a disk bears for years. An
/// address takes some 350, so that up to 1,500 are written every second, and 10,000 every seven.
const OCTETS_PER_SECOND: u32 = 512 * 1024;

/// Between two times when things do change: a site that goes takes hundreds of verdicts with it in a moment.
/// The first of them is written at once.
const REST: Duration = Duration::from_millis(200);

/// As much more a second is written while things change: for as long as they do, 10,000 addresses every 0.8 s.
const WHILE_CHANGING: u32 = 8;

/// It rests for as many times as long as it took, so that no more than a twentieth of a processor goes into it.
const SHARE: u32 = 20;

/// How long the last time may take, on a disk that works.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes down what is believed: soon after it has changed, and every few seconds.
pub(super) struct Remembering {
    /// `None`: nothing is to be written.
    writer: Option<mpsc::Sender<Snapshot>>,
    /// What each time took.
    pub(super) written: UnboundedReceiver<Written>,
    is_writing: bool,
    /// Whether another process is about to have `state_dir`, or has it.
    is_suspended: bool,
    /// Whether anything was heard since the last time, and whether it has changed anything.
    is_old: bool,
    is_wrong: bool,
    /// When the last time ended, and what it took.
    last: (Instant, Written),
}

/// What it took to write it down.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    time: Duration,
    octets: u32,
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
            is_suspended: false,
            is_old: false,
            is_wrong: false,
            last: (now(), Written::default()),
        }
    }

    /// Something was heard, and has changed something or not.
    pub(super) fn note(&mut self, has_changed: bool) {
        self.is_old = true;
        self.is_wrong |= has_changed;
    }

    /// When it is to be written down next.
    pub(super) fn due(&self) -> Option<Instant> {
        let can_be = self.writer.is_some() && !self.is_writing && !self.is_suspended && self.is_old;
        let (ended, Written { time, octets }) = self.last;
        let on_disk = Duration::from_secs(1) * octets / OCTETS_PER_SECOND;
        let rest = match self.is_wrong {
            true => REST.max(on_disk / WHILE_CHANGING),
            false => EVERY.max(on_disk),
        };
        can_be.then(|| ended + rest.max(time * SHARE))
    }

    /// Has written down what `controller` believes now.
    pub(super) fn write(&mut self, controller: &Controller) {
        let Some(writer) = &self.writer else { return };
        if writer.send(controller.snapshot(moment())).is_err() {
            // It has panicked, and has said so.
            self.writer = None;
            return;
        }
        (self.is_writing, self.is_old, self.is_wrong) = (true, false, false);
    }

    /// It is written, which took this.
    pub(super) fn rest(&mut self, took: Written) {
        self.is_writing = false;
        self.last = (now(), took);
    }

    /// From now on nothing more is begun to be written: the file is to be another process's.
    pub(super) fn suspend(&mut self) {
        self.is_suspended = true;
    }

    /// The file is this process's again.
    pub(super) fn resume(&mut self) {
        self.is_suspended = false;
    }

    /// Whether nothing is being written, or ever will be.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_writing || self.written.is_closed()
    }

    /// Has written down what `controller` believes at the end, unless the file is another process's by then.
    pub(super) async fn finish(mut self, controller: &Controller) {
        if self.is_suspended {
            return;
        }
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

/// Has `controller` believe what the process before it did, up to `remember` old: what it has `told` when this one took
/// over from it, or else what it has written down in `state_dir`. Returns what has changed meanwhile.
pub(super) fn recall(
    controller: &mut Controller,
    told: Option<Value>,
    state_dir: Option<&Path>,
    remember: Duration,
) -> Vec<Notice> {
    let Some(sheet) = state_dir.map(Sheet::of) else { return Vec::new() };
    if remember.is_zero() {
        // It would be found by a later start that is to remember.
        if let Err(error) = sheet.remove() {
            tracing::warn!(path = %sheet.path().display(), %error, "cannot take away what was remembered");
        }
        return Vec::new();
    }
    // One of another version may tell it in another way, and has written it down a moment ago.
    let told = told.and_then(|told| serde_json::from_value(told).ok());
    let memory: Memory = match told.map_or_else(|| read(&sheet), |told| Ok(Some(told))) {
        Ok(Some(memory)) => memory,
        Ok(None) => return Vec::new(),
        Err(error) => {
            tracing::warn!(path = %sheet.path().display(), %error, "nothing is remembered of before the start");
            return Vec::new();
        }
    };
    let moment = moment();
    let ago = Duration::from_secs(moment.wall.saturating_sub(memory.taken()) / 1000);
    let Recalled { known, believed, unknown, pools, notices } = controller.recall(memory, remember, moment);
    let ago = humantime::format_duration(ago);
    tracing::info!(known, believed, unknown, pools, "health remembered, as it was {ago} ago");
    notices
}

/// What is written down; `None`: nothing is.
fn read(sheet: &Sheet) -> Result<Option<Memory>, SheetError> {
    let Some(text) = sheet.read()? else { return Ok(None) };
    // It is as it was written: by another version.
    serde_json::from_str(&text).map(Some).map_err(|_| SheetError::Foreign)
}

/// What is believed, for the process that takes over.
pub(super) fn told(snapshot: Snapshot) -> Value {
    // Numbers, texts and lists of them are all that there is: this does not fail.
    serde_json::to_value(snapshot.into_memory()).unwrap_or_default()
}

/// Writes down each of `snapshots`, and tells of each that it is `done`.
fn write_each(sheet: &Sheet, snapshots: &mpsc::Receiver<Snapshot>, done: &UnboundedSender<Written>) {
    let mut has_failed = false;
    for snapshot in snapshots {
        let began = now();
        let text = serde_json::to_string(&snapshot.into_memory()).map_err(std::io::Error::from);
        let octets = text.as_ref().map_or(0, |text| u32::try_from(text.len()).unwrap_or(u32::MAX));
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
        let _ = done.send(Written { time: now().saturating_duration_since(began), octets });
    }
}

/// Now, by both clocks.
pub(super) fn moment() -> Moment {
    Moment { now: now(), wall: u64::try_from(edits::now().as_millis()).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::geo::GeoTable;

    #[test]
    fn who_writes_no_more_is_idle() {
        let (writer, snapshots) = mpsc::channel();
        let (done, written) = unbounded_channel();
        let mut remembering =
            Remembering { writer: Some(writer), written, ..Remembering::start(None, EVERY) };
        remembering.is_writing = true;
        assert!(!remembering.is_idle(), "it is being written");
        drop(done);
        assert!(remembering.is_idle(), "the thread has ended in the middle");
        remembering.is_writing = false;
        let (_done, written) = unbounded_channel();
        remembering.written = written;
        drop(snapshots);
        remembering.write(&Controller::new(Arc::default(), Arc::new(GeoTable::empty()), now()));
        assert!(remembering.is_idle(), "nobody writes it");
    }

    #[test]
    fn what_changes_is_written_at_once_and_what_does_not_as_often_as_is_good_for_the_disk() {
        let ms = Duration::from_millis;
        let (writer, _snapshots) = mpsc::channel();
        for (has_changed, time, octets, expected) in [
            (false, 0, 0, 1000),
            (false, 1, 300_000, 1000),
            (false, 20, 3_500_000, 6675),
            (false, 400, 3_500_000, 8000),
            (true, 1, 300_000, 200),
            (true, 20, 3_500_000, 834),
            (true, 50, 3_500_000, 1000),
        ] {
            let (_, written) = unbounded_channel();
            let writer = Some(writer.clone());
            let mut remembering = Remembering {
                writer,
                written,
                is_writing: true,
                is_suspended: false,
                is_old: false,
                is_wrong: false,
                last: (now(), Written::default()),
            };
            remembering.note(has_changed);
            assert_eq!(remembering.due(), None, "it is being written");
            remembering.rest(Written { time: ms(time), octets });
            let due = remembering.due().expect("something was heard") - remembering.last.0;
            assert_eq!(due.as_millis(), u128::from(expected as u64), "{has_changed}, {time} ms, {octets}");
            remembering.is_old = false;
            assert_eq!(remembering.due(), None, "nothing was heard");
            remembering.note(has_changed);
            remembering.suspend();
            assert_eq!(remembering.due(), None, "the file is another's");
            remembering.resume();
            assert!(remembering.due().is_some());
        }
    }
}
