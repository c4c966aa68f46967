//! Latencies that somebody measured, as CSV.

use std::io;

use axum::Json;
use axum::body::{Bytes, HttpBody};
use axum::extract::{self, Extension, FromRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::principal::Principal;
use super::{Context, Expected, NotMeasured, Problem, Request, precondition};

/// What a request may bring, in octets. The round trips of every AS number there is, some 80,000,
/// to ten pools take as much; a request is held in memory several times over while it is read.
pub(super) const MAX_OCTETS: usize = 16 * 1024 * 1024;

/// What was taken over.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// How many measurements there are.
    measurements: usize,
}

/// The measurements that were given, as they were given.
pub(super) async fn show(State(context): State<Context>, headers: HeaderMap) -> Result<Response, Problem> {
    let given = given_before(&context).await?;
    let tag = precondition::tag_of(&given);
    let mut response = if precondition::is_known(&headers, Some(&tag))? {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], given).into_response()
    };
    response.headers_mut().extend(precondition::quoted(&tag).map(|tag| (header::ETAG, tag)));
    Ok(response)
}

/// Puts what the request brings in the place of all that was given before.
pub(super) async fn replace(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    request: extract::Request,
) -> Result<Response, Problem> {
    if !is_csv(request.headers()) {
        let kind = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(kind, "Unsupported media type", "send it as text/csv"));
    }
    let expected = precondition::of_change(request.headers())?;
    // Before any of it is read: who announces too much need not send it.
    if request.body().size_hint().lower() > MAX_OCTETS as u64 {
        return Err(too_large());
    }
    let given = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status => Problem::new(status, "The request cannot be read", rejection.body_text()),
    })?;
    let tag = precondition::quoted(&precondition::tag_of(&given)).map(|tag| (header::ETAG, tag));
    let measurements = measured(&context, &principal, given, expected).await?;
    let mut response = Json(Accepted { measurements }).into_response();
    response.headers_mut().extend(tag);
    Ok(response)
}

/// Forgets what was given.
pub(super) async fn clear(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    measured(&context, &principal, Bytes::new(), precondition::of_change(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn measured(
    context: &Context,
    principal: &Principal,
    given: Bytes,
    expected: Option<Expected>,
) -> Result<usize, Problem> {
    let before = given_before(context).await?.len();
    let after = given.len();
    let (measured, _pending) = context.change(|reply| Request::Measured(given, expected, reply)).await?;
    let measurements = measured.map_err(Problem::from)?;
    // They may be megabytes, and are no reading for people.
    let after = json!({ "octets": after, "measurements": measurements });
    context.audit.note(principal, "latency", "latency", json!({ "octets": before }), after, None);
    Ok(measurements)
}

async fn given_before(context: &Context) -> Result<Bytes, Problem> {
    let (reply, answer) = oneshot::channel();
    context.requests.send(Request::Latencies(reply)).await.map_err(|_| Problem::stopping())?;
    answer.await.map_err(|_| Problem::stopping())
}

/// Whether it is said to be CSV, or not said to be anything.
fn is_csv(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_none_or(|kind| {
        let essence = kind.to_str().ok().and_then(|kind| kind.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/csv"))
    })
}

fn too_large() -> Problem {
    let detail = format!("measurements take at most {} MiB", MAX_OCTETS / (1024 * 1024));
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail)
}

impl From<NotMeasured> for Problem {
    fn from(reason: NotMeasured) -> Self {
        let detail = reason.to_string();
        let (status, title) = match reason {
            NotMeasured::Mistaken(_) => (StatusCode::UNPROCESSABLE_ENTITY, "The measurements were refused"),
            NotMeasured::Lost => (StatusCode::PRECONDITION_FAILED, "Changed meanwhile"),
            NotMeasured::NotKept(_, error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    (StatusCode::INSUFFICIENT_STORAGE, "No space")
                }
                _ => (StatusCode::SERVICE_UNAVAILABLE, "The measurements cannot be kept"),
            },
        };
        Problem::new(status, title, detail)
    }
}
