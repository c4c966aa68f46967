//! Is it alive, does it answer, what has it counted, and a new configuration for it.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::principal::Principal;
use super::{Context, Problem, ReloadReport, ReloadTrigger, Request};

/// The process runs.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// DNS is answered: the first round of probes has ended.
pub(super) async fn readyz(State(context): State<Context>) -> Response {
    if *context.ready.borrow() {
        return "ready\n".into_response();
    }
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Not ready", "the first round of probes has not ended")
        .into_response()
}

pub(super) async fn metrics(State(context): State<Context>) -> Result<Response, Problem> {
    let snapshot = context.snapshot().await?;
    // It may be much, and is written where nothing waits for it.
    let render = context.render_metrics.clone();
    let text = context.insight.work(move || render(&snapshot)).await?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

pub(super) async fn reload(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<ReloadReport>, Problem> {
    let (outcome, _pending) = context.change(|reply| Request::Reload(ReloadTrigger::Api, reply)).await?;
    match outcome {
        Ok(report) => {
            context.audit.note(&principal, "reload", "configuration", Value::Null, json!(report), None);
            Ok(Json(report))
        }
        Err(reason) => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The configuration was refused", reason))
        }
    }
}
