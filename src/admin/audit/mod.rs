//! Who has changed what: one record for each change.
//!
//! Records are written by a thread of their own, so that a slow disk makes nobody wait. They are read
//! beside it, so that nobody who reads much holds up what is written.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread;
use std::time::UNIX_EPOCH;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
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
    /// Who: the name of a token, a user of this host or `anyone`; `signal`, `file` or `expiry` if it was nobody.
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

/// Keeps the records.
#[derive(Clone)]
pub struct Audit {
    asks: SyncSender<Ask>,
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
        Ok(Audit { asks, turn: Arc::new(Semaphore::new(1)) })
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

    /// Waits until all that was noted so far is kept.
    pub async fn flush(&self) {
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
