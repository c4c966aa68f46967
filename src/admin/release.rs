//! A pool that is kept away may come back.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::principal::Principal;
use super::{Context, Problem, Request, state};
use crate::control::{NotReleasable, PoolStatus};

/// Answers with the pool as it is then.
pub(super) async fn release(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    Path(pool): Path<String>,
) -> Result<Json<PoolStatus>, Problem> {
    let standing = |pool: &PoolStatus| json!({ "standing": pool.standing });
    let before = state::pool(State(context.clone()), Path(pool.clone()))
        .await
        .map_or(Value::Null, |Json(pool)| standing(&pool));
    let (released, _pending) = context.change(|reply| Request::Release(pool.clone(), reply)).await?;
    released.map_err(|reason| match &reason {
        NotReleasable::Unknown(name) => Problem::unknown("pool", name),
        NotReleasable::InService(_) | NotReleasable::Out(..) => {
            Problem::new(StatusCode::CONFLICT, "Nothing to release", reason.to_string())
        }
    })?;
    let current = state::pool(State(context.clone()), Path(pool.clone())).await;
    // It was released, whether or not it can be told how it is by now.
    let after = current.as_ref().map_or(Value::Null, |Json(pool)| standing(pool));
    context.audit.note(&principal, "release", format!("pools/{pool}"), before, after, None);
    current
}
