//! Who has changed what: one record for each change.
//!
//! Records are written by a thread of their own, so that a slow disk makes nobody wait. They are read
//! beside it, so that nobody who reads much holds up what is written.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot, watch};
use utoipa::ToSchema;

use super::principal::Principal;
use super::{Context, Problem, clock};
use kept::{Found, Kept};
use reader::Wanted;

mod kept;
mod reader;

/// Records that may wait to be written: more than are made in the time for which a disk that works
/// may stand still.
const WAITING: usize = 10_000;

/// How many records an answer has, if nothing else is asked for.
const USUAL: usize = 100;

/// The most that an answer has.
const MOST: usize = 1000;

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(super) struct Record {
    /// Each has one more than the one before, over restarts as well.
    seq: u64,
    /// When, as RFC 3339 has it.
    at: String,
    /// Who: the name of a token, a user of this host or `anyone`; `signal`, `file`, `takeover` or `expiry` if it was nobody.
    who: String,
    /// From where: an IP address or `socket`, or what else it was that did it.
    from: String,
    /// What was done.
    action: String,
    /// To what, by its path below `/v1/`.
    object: String,
    /// How it was; null: nothing of it is known.
    before: Value,
    /// How it is.
    after: Value,
    /// Why, in the words of who did it.
    reason: Option<String>,
}

/// What the thread is asked.
enum Ask {
    /// To keep this, under the next number.
    Keep(Box<Record>),
    /// For these records, or the files in which they are, with all that was asked to be kept before.
    Look(Wanted, oneshot::Sender<Found>),
    /// To go on behind what another process has kept meanwhile.
    Resume,
    /// To tell when all that was asked before is done.
    Flush(oneshot::Sender<()>),
}

/// That a change was made whose record is not in the audit log yet. To be let go of when it is.
#[derive(Debug, Default)]
pub struct PendingRecord(Option<Arc<watch::Sender<usize>>>);

impl Drop for PendingRecord {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.send_modify(|count| *count -= 1);
        }
    }
}

/// Keeps the records.
#[derive(Clone, Debug)]
pub struct Audit {
    asks: SyncSender<Ask>,
    /// How many changes were made and are not noted yet.
    pending: Arc<watch::Sender<usize>>,
    /// Whose turn it is to read: one at a time, since an answer may be large.
    turn: Arc<Semaphore>,
}

impl Audit {
    /// Keeps them in `state_dir`; without one, or where that cannot be, the last of them in memory.
    ///
    /// # Errors
    ///
    /// If the thread cannot be had.
    pub fn start(state_dir: Option<&Path>) -> std::io::Result<Self> {
        let mut kept = Kept::start(state_dir);
        let (asks, asked) = mpsc::sync_channel(WAITING);
        thread::Builder::new().name("audit".to_owned()).spawn(move || {
            while let Ok(first) = asked.recv() {
                for ask in std::iter::once(first).chain(asked.try_iter()) {
                    match ask {
                        Ask::Keep(record) => kept.keep(*record),
                        // Whoever asked may have gone away.
                        Ask::Look(wanted, reply) => drop(reply.send(kept.look(wanted))),
                        Ask::Resume => kept.resume(),
                        Ask::Flush(reply) => drop(reply.send(())),
                    }
                }
                // What came together is made to outlast a crash together.
                kept.sync();
            }
        })?;
        Ok(Audit { asks, pending: Arc::default(), turn: Arc::new(Semaphore::new(1)) })
    }

    /// Notes that `principal` has done `action` to `object`, a path below `/v1/`: as it was, as it is,
    /// and why. It waits for nothing.
    pub(super) fn note(
        &self,
        principal: &Principal,
        action: &'static str,
        object: impl Into<String>,
        before: Value,
        after: Value,
        reason: Option<&str>,
    ) {
        let Principal { name, from, .. } = principal;
        let done = Done { action, object: object.into(), before, after, reason };
        self.keep(name.clone(), from.clone(), done);
    }

    /// Notes what nobody did who has a name, but `cause`: a signal, a file that has changed, or time.
    pub fn note_cause(
        &self,
        cause: &'static str,
        action: &'static str,
        object: impl Into<String>,
        before: Value,
        after: Value,
    ) {
        let done = Done { action, object: object.into(), before, after, reason: None };
        self.keep(cause.to_owned(), cause.to_owned(), done);
    }

    fn keep(&self, who: String, from: String, done: Done<'_>) {
        let Done { action, object, before, after, reason } = done;
        let record = Record {
            seq: 0,
            at: humantime::format_rfc3339_millis(UNIX_EPOCH + clock::now()).to_string(),
            who,
            from,
            action: action.to_owned(),
            object,
            before,
            after,
            reason: reason.map(str::to_owned),
        };
        // The thread ends only when the last sender does.
        if let Err(TrySendError::Full(Ask::Keep(record))) = self.asks.try_send(Ask::Keep(Box::new(record))) {
            let Record { who, from, action, object, .. } = *record;
            tracing::error!(%who, %from, %action, %object, "not in the audit log, which is far behind");
        }
    }

    /// The records that are `wanted`, newest first, with all that was noted so far.
    async fn read(&self, wanted: Wanted) -> Result<Vec<Record>, Problem> {
        let turn = self.turn.clone().acquire_owned().await.map_err(|_| Problem::stopping())?;
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(Ask::Look(wanted, reply)).map_err(|_| Problem::stopping())?;
        let found = answer.await.map_err(|_| Problem::stopping())?;
        let reading = tokio::task::spawn_blocking(move || {
            let records = found.read(wanted);
            // Whoever has gone away does not make room for another while the reading goes on.
            drop(turn);
            records
        });
        reading.await.map_err(|_| Problem::stopping())
    }

    /// Goes on behind what another process has kept in the same place meanwhile.
    pub fn resume(&self) {
        // Where so many wait that there is no room, some of the numbers are there twice.
        let _ = self.asks.try_send(Ask::Resume);
    }

    /// That a change was made, which somebody is to note.
    pub(super) fn pending_record(&self) -> PendingRecord {
        self.pending.send_modify(|count| *count += 1);
        PendingRecord(Some(Arc::clone(&self.pending)))
    }

    /// Waits until all changes that were made are kept, at most for `noting` until they are noted: from then on
    /// another process may go on with the log.
    pub async fn settle(&self, noting: Duration) {
        let mut pending = self.pending.subscribe();
        let changes = *pending.borrow_and_update();
        if changes > 0 {
            tracing::info!(changes, "waiting for the records of changes that were made");
        }
        if tokio::time::timeout(noting, pending.wait_for(|count| *count == 0)).await.is_err() {
            // What is noted later has the number of another change, or is lost.
            let changes = *pending.borrow();
            tracing::warn!(changes, after = ?noting, "changes were made whose records are not in the audit log yet");
        }
        self.flush().await;
    }

    /// Waits until all that was noted so far is kept.
    async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        if self.asks.try_send(Ask::Flush(reply)).is_ok() {
            // An error means that the thread is gone.
            let _ = done.await;
        }
    }
}

/// What was done.
struct Done<'r> {
    action: &'static str,
    object: String,
    before: Value,
    after: Value,
    reason: Option<&'r str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<usize>,
    before: Option<u64>,
}

/// Records, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecords)]
pub(super) struct Records {
    records: Vec<Record>,
}

/// `GET /v1/audit`
pub(super) async fn audit(
    State(context): State<Context>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Records>, Problem> {
    let Query(Parameters { limit, before }) =
        parameters.map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    let limit = limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid("limit", format!("`limit` is out of range: 1 to {MOST}")));
    }
    Ok(Json(Records { records: context.audit.read(Wanted { limit, before }).await? }))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::Reply;
    use super::*;

    const LONG_ENOUGH: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn who_was_told_of_a_change_notes_it_before_another_process_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = Audit::start(Some(directory.path())).expect("a thread");
        let (reply, answer) = Reply::audited(&audit);
        // Nothing was made so far.
        audit.settle(LONG_ENOUGH).await;
        assert_eq!(reply.send("made"), Ok(()));
        let (action, pending) = answer.await.expect("it was sent");
        let mut handing_over = std::pin::pin!(audit.settle(LONG_ENOUGH));
        for _ in 0..3 {
            assert!(handing_over.as_mut().now_or_never().is_none(), "it is not noted yet");
            // Had it waited for the thread alone, it would be done.
            audit.flush().await;
        }
        audit.note_cause("test", action, "pools/vn", Value::Null, Value::Null);
        drop(pending);
        handing_over.await;
        let next = Audit::start(Some(directory.path())).expect("a thread");
        next.note_cause("test", "next", "pools/vn", Value::Null, Value::Null);
        let records = next.read(Wanted { limit: 10, before: None }).await;
        let records = records.unwrap_or_else(|_| panic!("it goes on"));
        let told: Vec<(u64, &str)> =
            records.iter().map(|record| (record.seq, record.action.as_str())).collect();
        assert_eq!(told, [(2, "next"), (1, "made")]);
    }

    #[tokio::test]
    async fn a_hand_over_that_does_not_wait_for_a_record_says_so() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let file = std::fs::File::create(&path).expect("it is ours");
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(std::sync::Mutex::new(file));
        let _logged = tracing::subscriber::set_default(log.finish());
        let warnings = || {
            let log = std::fs::read_to_string(&path).expect("it is text");
            log.lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect::<Vec<_>>()
        };
        let audit = Audit::start(None).expect("a thread");
        audit.settle(Duration::from_millis(1)).await;
        assert_eq!(warnings(), Vec::<String>::new(), "nothing was made");
        let pending = audit.pending_record();
        audit.settle(Duration::from_millis(1)).await;
        let warned = warnings();
        assert_eq!(warned.len(), 1, "{warned:?}");
        let words = ["records are not in the audit log yet", "changes=1", "after=1ms"];
        assert!(words.iter().all(|words| warned[0].contains(words)), "{warned:?}");
        drop(pending);
        audit.settle(LONG_ENOUGH).await;
        assert_eq!(warnings(), warned, "it is noted");
    }

    #[tokio::test]
    async fn who_has_gone_away_is_not_waited_for() {
        let audit = Audit::start(None).expect("a thread");
        let (gone, answer) = Reply::audited(&audit);
        drop(answer);
        assert_eq!(gone.send(1), Err(1));
        let (unread, answer) = Reply::audited(&audit);
        assert_eq!(unread.send(2), Ok(()));
        assert_eq!(*audit.pending.borrow(), 1);
        drop(answer);
        assert_eq!(*audit.pending.borrow(), 0);
        let (nobodys, answer) = Reply::unaudited();
        assert_eq!(nobodys.send(3), Ok(()));
        assert_eq!(answer.await.map(|(answer, _)| answer), Ok(3));
        assert_eq!(*audit.pending.borrow(), 0);
    }
}
