//! How much the daemon tells of itself: what it logs, and which queries.

use std::path::PathBuf;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::Members;
use super::principal::Principal;
use super::{Context, Problem};
use crate::config::{LogLevel, check_filter};

/// Directives for more modules than this are no reading for people.
const LONGEST_FILTER: usize = 1000;

/// The longest word for a level, and then some.
const LONGEST_LEVEL: usize = 20;

/// What tells, and can be told to tell more or less. What it was told by API passes: it goes over the
/// configuration for as long as was said, and at most until the next start.
pub trait Telling: Send + Sync {
    /// What is logged.
    fn log(&self) -> LogState;

    /// Has this be logged, for as long as that.
    fn set_log(&self, wanted: LogWanted, lasts: Option<Duration>);

    /// Has that be logged again which the configuration says.
    fn reset_log(&self);

    /// What becomes of queries.
    fn query_log(&self) -> QueryLogState;

    /// Has this share of the queries be recorded, from 0 to 1, for as long as that. False: there is no
    /// place for them.
    fn sample(&self, share: f32, lasts: Option<Duration>) -> bool;

    /// Has that share be recorded again which the configuration says.
    fn reset_query_log(&self);
}

/// What is to be logged; what is not said is as in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogWanted {
    /// The least severe kind.
    pub level: Option<LogLevel>,
    /// What else is logged of some modules.
    pub filter: Option<String>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LogState {
    /// The least severe kind; null: the environment's `RUST_LOG` says all of it, in `filter`.
    #[schema(value_type = Option<String>)]
    pub level: Option<&'static str>,
    /// What else is logged of some modules, or less.
    pub filter: String,
    /// Whether that is not what the configuration says.
    pub passing: bool,
    /// How long it is until that is so again; null: that was not said.
    pub seconds_left: Option<f64>,
}

/// What becomes of queries.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct QueryLogState {
    /// `json` or `dnstap`; null: there is no query log.
    #[schema(value_type = Option<String>)]
    pub format: Option<&'static str>,
    /// The file that they are written to.
    #[schema(value_type = Option<String>)]
    pub file: Option<PathBuf>,
    /// The socket that they are written to.
    #[schema(value_type = Option<String>)]
    pub socket: Option<PathBuf>,
    /// Which share of the queries is recorded, from 0 to 1.
    pub sample: f32,
    /// Whether that is not what the configuration says.
    pub passing: bool,
    /// How long it is until that is so again; null: that was not said.
    pub seconds_left: Option<f64>,
    /// Only replies with one of these are recorded; empty: whatever comes of a query.
    #[schema(value_type = Vec<String>)]
    pub rcodes: Vec<&'static str>,
    /// Only names in one of these zones are recorded; empty: all names.
    pub zones: Vec<String>,
    /// Records that the operating system has taken, since the start.
    pub written: u64,
    /// Records for which there was no room, since the start.
    pub dropped: u64,
    /// Queries that were sampled and that `rcodes` and `zones` kept out, since the start.
    pub filtered: u64,
    /// Why none can be written at the moment; null: nothing is known to be in the way.
    pub problem: Option<String>,
}

/// `GET /v1/log`
pub(super) async fn log(State(context): State<Context>) -> Json<LogState> {
    Json(context.telling.log())
}

/// `PUT /v1/log`
pub(super) async fn set_log(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    body: Bytes,
) -> Result<Json<LogState>, Problem> {
    let mut members = Members::read(&body, &["level", "filter", "for"])?;
    let level = match members.text("level", LONGEST_LEVEL)? {
        None => None,
        Some(word) => Some(LogLevel::of(&word).ok_or_else(|| {
            let known: Vec<&str> = LogLevel::ALL.into_iter().map(LogLevel::word).collect();
            Problem::invalid("level", format!("`{word}` is none of `{}`", known.join("`, `")))
        })?),
    };
    let filter = members.text("filter", LONGEST_FILTER)?;
    if let Some(filter) = &filter {
        check_filter(filter).map_err(|reason| Problem::invalid("filter", reason))?;
    }
    if level.is_none() && filter.is_none() {
        return Err(Problem::invalid("level", "say which `level`, which `filter`, or both"));
    }
    let lasts = members.span("for")?;
    let _pending = context.permit().await?;
    let before = told_log(&context);
    context.telling.set_log(LogWanted { level, filter }, lasts);
    context.audit.note(&principal, "set", "log", before, told_log(&context), None);
    Ok(Json(context.telling.log()))
}

/// `DELETE /v1/log`
pub(super) async fn reset_log(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
) -> Result<StatusCode, Problem> {
    let _pending = context.permit().await?;
    let before = told_log(&context);
    context.telling.reset_log();
    context.audit.note(&principal, "reset", "log", before, told_log(&context), None);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/query_log`
pub(super) async fn query_log(State(context): State<Context>) -> Json<QueryLogState> {
    Json(context.telling.query_log())
}

/// `PUT /v1/query_log`
pub(super) async fn set_query_log(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    body: Bytes,
) -> Result<Json<QueryLogState>, Problem> {
    let mut members = Members::read(&body, &["sample", "for"])?;
    let sample = members.take("sample").as_ref().and_then(Value::as_f64);
    let Some(sample) = sample.filter(|sample| (0.0..=1.0).contains(sample)) else {
        return Err(Problem::invalid("sample", "`sample` is to be a number from 0 to 1"));
    };
    let lasts = members.span("for")?;
    let _pending = context.permit().await?;
    let before = told_sample(&context);
    if !context.telling.sample(sample as f32, lasts) {
        let detail = "the configuration names no place for queries, in `[query_log]`";
        return Err(Problem::new(StatusCode::CONFLICT, "No query log", detail));
    }
    context.audit.note(&principal, "set", "query_log", before, told_sample(&context), None);
    Ok(Json(context.telling.query_log()))
}

/// `DELETE /v1/query_log`
pub(super) async fn reset_query_log(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
) -> Result<StatusCode, Problem> {
    let _pending = context.permit().await?;
    let before = told_sample(&context);
    context.telling.reset_query_log();
    context.audit.note(&principal, "reset", "query_log", before, told_sample(&context), None);
    Ok(StatusCode::NO_CONTENT)
}

/// What the audit log says of it.
fn told_log(context: &Context) -> Value {
    let LogState { level, filter, seconds_left, .. } = context.telling.log();
    json!({ "level": level, "filter": filter, "seconds_left": seconds_left })
}

fn told_sample(context: &Context) -> Value {
    let QueryLogState { sample, seconds_left, .. } = context.telling.query_log();
    json!({ "sample": sample, "seconds_left": seconds_left })
}
