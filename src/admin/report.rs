//! What sites report of their addresses.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use tokio::sync::oneshot;

use super::body::{LONGEST_REASON, Members};
use super::{Context, Problem, Request, state};
use crate::control::{Absence, PoolStatus};

/// How long a site is away that does not say for how long: as long as Kubernetes gives a container
/// to stop, and as much again for it to come back.
const DEFAULT_ABSENCE: Duration = Duration::from_secs(60);

/// What is spoken of: a pool, and an address of it or all of them.
type Subject = (String, Option<String>);

pub(super) async fn of_address(
    context: State<Context>,
    Path((pool, address)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<PoolStatus>, Problem> {
    reported(context, (pool, Some(address)), body).await
}

pub(super) async fn of_pool(
    context: State<Context>,
    Path(pool): Path<String>,
    body: Bytes,
) -> Result<Json<PoolStatus>, Problem> {
    reported(context, (pool, None), body).await
}

/// Answers with the pool as it is then.
async fn reported(
    State(context): State<Context>,
    subject: Subject,
    body: Bytes,
) -> Result<Json<PoolStatus>, Problem> {
    let mut members = Members::read(&body, &["outcome", "reason", "for"])?;
    let reason = members.text("reason", LONGEST_REASON)?;
    let lasts = members.span("for")?.unwrap_or(DEFAULT_ABSENCE);
    let absence = match members.text("outcome", 10)?.as_deref() {
        Some("fail") => Some(Absence { reason, lasts }),
        Some("pass") => None,
        _ => return Err(Problem::invalid("outcome", "`outcome` is to be \"fail\" or \"pass\"")),
    };
    let (reply, answer) = oneshot::channel();
    ask(context, subject, |subject| Request::Report(subject, absence, reply), answer).await
}

async fn ask<E>(
    context: Context,
    subject: Subject,
    request: impl FnOnce(Subject) -> Request,
    answer: oneshot::Receiver<Result<(), E>>,
) -> Result<Json<PoolStatus>, Problem>
where
    Problem: From<E>,
{
    let pool = subject.0.clone();
    context.requests.send(request(subject)).await.map_err(|_| Problem::stopping())?;
    answer.await.map_err(|_| Problem::stopping())??;
    state::pool(State(context), Path(pool)).await
}
