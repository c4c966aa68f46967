//! What the last probes of an address found.

use axum::Json;
use axum::extract::{Path, State};
use tokio::sync::oneshot;

use super::{Context, Problem, Request};
use crate::control::HistoryStatus;

pub(super) async fn history(
    State(context): State<Context>,
    Path((pool, address)): Path<(String, String)>,
) -> Result<Json<HistoryStatus>, Problem> {
    let (reply, answer) = oneshot::channel();
    let request = Request::History((pool, address), reply);
    context.requests.send(request).await.map_err(|_| Problem::stopping())?;
    Ok(Json(answer.await.map_err(|_| Problem::stopping())??))
}
