//! Edits that stand, and several made at once.

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::{LONGEST_REASON, Members};
use super::edit::{Editing, NotEdited, NotMade, Precondition, of_several, stamp};
use super::principal::{Principal, Role};
use super::{Context, Problem, precondition};
use crate::config::{Change, Draft, Edit, Object, Stamp, Standing};
use crate::routing::Move;

/// More edits are not made at once: whoever has more puts them into the file.
pub(super) const MOST: usize = 1000;

/// Whether anything is to come of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    #[serde(default)]
    dry_run: bool,
}

/// One of several edits.
#[derive(Deserialize)]
struct Part {
    object: Object,
    /// As in the header of this name.
    if_match: Option<String>,
    #[serde(flatten)]
    change: Change,
}

/// Edits that are asked for together, and what has to be so before the first of them.
struct Wanted {
    changes: Vec<(Object, Change)>,
    preconditions: Vec<Precondition>,
}

/// What has come of edits, or would come of them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Outcome {
    /// They are in force.
    Made {
        /// The numbers of the edits that stand now.
        edits: Vec<u64>,
    },
    /// It was a dry run.
    Tried {
        /// The domains of which some clients would get another answer.
        moves: Vec<Move>,
    },
}

/// The edits that stand.
#[derive(Serialize, ToSchema)]
pub(super) struct Edits {
    /// From the oldest to the newest.
    edits: Vec<Shown>,
}

/// An edit that stands. It has exactly one of `put`, `merge`, `remove` and `state`.
#[derive(Serialize, ToSchema)]
#[schema(as = Edit)]
pub(super) struct Shown {
    /// Its number.
    id: u64,
    /// What it is about, by its path below `/v1/`.
    #[schema(value_type = String)]
    object: Object,
    #[serde(flatten)]
    change: Change,
    /// Why, in the operator's words.
    reason: Option<String>,
    /// Who made it.
    by: String,
    /// From where: an IP address, or `socket`.
    from: String,
    /// When, as RFC 3339 has it.
    at: String,
    /// Until when it stands; null: until it is taken back.
    expires_at: Option<String>,
    /// Why it is not in force; null: it is.
    orphaned: Option<String>,
}

pub(super) async fn transact(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    body: Bytes,
) -> Result<Json<Outcome>, Problem> {
    let Query(Parameters { dry_run }) =
        parameters.map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    let mut members = Members::read(&body, &["reason", "expires", "edits"])?;
    let reason = members.text("reason", LONGEST_REASON)?;
    let lasts = members.span("expires")?;
    let wanted = parts(members.take("edits"))?;
    for (object, change) in &wanted.changes {
        let is_weight = |patch: &Map<String, Value>| patch.keys().all(|key| key == "weight");
        let is_operable = match change {
            Change::State(_) => true,
            Change::Merge(patch) => is_weight(patch),
            Change::Put(_) | Change::Remove => false,
        };
        principal.require(if is_operable { Role::Operate } else { Role::Edit }, object.pool())?;
    }
    let stamp = stamp(&principal, reason, lasts);
    if dry_run {
        return moves(&context, wanted, stamp).await;
    }
    let Wanted { changes, preconditions } = wanted;
    let editing = Editing::Make { wanted: changes, stamp, preconditions };
    let edited = context.edit(&principal, editing).await.map_err(|reason| of_several(reason, member))?;
    Ok(Json(Outcome::Made { edits: edited.ids }))
}

/// What would come of it.
async fn moves(
    context: &Context,
    Wanted { changes, preconditions }: Wanted,
    stamp: Stamp,
) -> Result<Json<Outcome>, Problem> {
    let desired = context.desired().await?;
    // A pool that is edited, or that comes back, obeys what was ordered of it before.
    let ordered = changes.iter().map(|(object, _)| object.clone()).filter(|object| object.pool().is_some());
    let ordered = ordered.collect();
    let draft = move || {
        Precondition::check(&preconditions, &desired)?;
        let mut draft = Draft::of(&desired);
        draft.add(changes, &stamp)?;
        Ok(draft.finish()?)
    };
    let refused = |reason: NotEdited| of_several(NotMade::Edit(reason), member);
    let (desired, _) = context.insight.work(draft).await?.map_err(refused)?;
    let moves = context.moves(desired, ordered).await?;
    Ok(Json(Outcome::Tried { moves }))
}

fn member(at: usize) -> String {
    format!("edits[{at}]")
}

fn parts(edits: Option<Value>) -> Result<Wanted, Problem> {
    let Some(Value::Array(edits)) = edits else {
        return Err(Problem::invalid("edits", "`edits` is to be a list of edits"));
    };
    if edits.len() > MOST {
        return Err(Problem::invalid("edits", format!("at most {MOST} edits are made at once")));
    }
    let mut wanted = Wanted { changes: Vec::with_capacity(edits.len()), preconditions: Vec::new() };
    for (at, value) in edits.into_iter().enumerate() {
        let known = ["object", "if_match", "put", "merge", "remove", "state"];
        let unknown = value.as_object().and_then(|part| part.keys().find(|key| !known.contains(&&key[..])));
        if let Some(unknown) = unknown {
            let field = format!("{}.{unknown}", member(at));
            return Err(Problem::invalid(field, format!("`{unknown}` is not known here")));
        }
        let part: Part =
            serde_json::from_value(value).map_err(|error| Problem::invalid(member(at), error.to_string()))?;
        let Part { object, if_match, change } = part;
        if let Some(text) = if_match {
            let expected = precondition::expected(&text).ok_or_else(|| {
                let field = format!("{}.if_match", member(at));
                Problem::invalid(field, "`if_match` is to be `\"*\"` or an `ETag`, with its quotes")
            })?;
            wanted.preconditions.push(Precondition { at, object: object.clone(), expected });
        }
        wanted.changes.push((object, change));
    }
    Ok(wanted)
}

pub(super) async fn edits(State(context): State<Context>) -> Result<Json<Edits>, Problem> {
    let desired = context.desired().await?;
    Ok(Json(Edits { edits: desired.edits().iter().map(Shown::new).collect() }))
}

pub(super) async fn edit(
    State(context): State<Context>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let desired = context.desired().await?;
    let found = desired.edits().iter().find(|standing| standing.edit.id.to_string() == id);
    found.map(|standing| Json(Shown::new(standing))).ok_or_else(|| Problem::unknown("edit", &id))
}

pub(super) async fn revert(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let missing = || Problem::unknown("edit", &id);
    let number: u64 = id.parse().map_err(|_| missing())?;
    let desired = context.desired().await?;
    let standing = desired.edits().iter().find(|standing| standing.edit.id == number).ok_or_else(missing)?;
    let Edit { object, change, .. } = &*standing.edit;
    let role = if matches!(change, Change::State(_)) { Role::Operate } else { Role::Edit };
    principal.require(role, object.pool())?;
    context.edit(&principal, Editing::Revert(vec![number])).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The file with the edits in it that last.
pub(super) async fn export(State(context): State<Context>) -> Result<Response, Problem> {
    let text = context.desired().await?.exported().text();
    let kind = "application/toml; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text.to_string()).into_response())
}

impl Shown {
    fn new(Standing { edit, orphaned }: &Standing) -> Self {
        let Edit { id, object, change, stamp: Stamp { reason, by, from, at, until } } = Edit::clone(edit);
        Shown {
            id,
            object,
            change,
            reason,
            by,
            from,
            at: moment(at),
            expires_at: until.map(moment),
            orphaned: orphaned.clone(),
        }
    }
}

/// A moment as RFC 3339 has it.
fn moment(milliseconds: u64) -> String {
    // Later ones cannot be written.
    const LAST: u64 = 253_402_300_799_000;
    let since = Duration::from_millis(milliseconds.min(LAST));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
