//! A pool that is kept away may come back.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tokio::sync::oneshot;

use super::{Context, Problem, Request, state};
use crate::control::{NotReleasable, PoolStatus};

/// Answers with the pool as it is then.
pub(super) async fn release(
    State(context): State<Context>,
    Path(pool): Path<String>,
) -> Result<Json<PoolStatus>, Problem> {
    let (reply, answer) = oneshot::channel();
    let request = Request::Release(pool.clone(), reply);
    context.requests.send(request).await.map_err(|_| Problem::stopping())?;
    answer.await.map_err(|_| Problem::stopping())?.map_err(|reason| match &reason {
        NotReleasable::Unknown(name) => Problem::unknown("pool", name),
        NotReleasable::InService(_) | NotReleasable::Out(..) => {
            Problem::new(StatusCode::CONFLICT, "Nothing to release", reason.to_string())
        }
    })?;
    state::pool(State(context), Path(pool)).await
}
