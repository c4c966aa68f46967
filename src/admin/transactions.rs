//! Edits that stand, and several made at once.

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::{LONGEST_REASON, Members};
use super::edit::{Editing, NotEdited, NotMade, of_several, stamp};
use super::principal::{Principal, Role};
use super::{Context, Problem};
use crate::config::{Change, Draft, Edit, Object, Stamp, Standing};

/// More edits are not made at once: whoever has more puts them into the file.
const MOST: usize = 1000;

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
    #[serde(flatten)]
    change: Change,
}

pub(super) async fn transact(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Query(Parameters { dry_run }) =
        parameters.map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    let mut members = Members::read(&body, &["reason", "expires", "edits"])?;
    let reason = members.text("reason", LONGEST_REASON)?;
    let lasts = members.span("expires")?;
    let wanted = parts(members.take("edits"))?;
    for (object, change) in &wanted {
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
    let editing = Editing::Make { wanted, stamp, expected: None };
    let edited = context.edit(&principal, editing).await.map_err(|reason| of_several(reason, member))?;
    Ok(Json(json!({"edits": edited.ids})))
}

/// What would come of it.
async fn moves(
    context: &Context,
    wanted: Vec<(Object, Change)>,
    stamp: Stamp,
) -> Result<Json<Value>, Problem> {
    let desired = context.desired().await?;
    let ordered = wanted.iter().filter(|(_, change)| matches!(change, Change::State(_)));
    let ordered = ordered.map(|(object, _)| object.clone()).collect();
    let draft = move || {
        let mut draft = Draft::of(&desired);
        draft.add(wanted, &stamp)?;
        draft.finish()
    };
    let refused = |reason| of_several(NotMade::Edit(NotEdited::Refused(reason)), member);
    let (desired, _) = context.insight.work(draft).await?.map_err(refused)?;
    let moves = context.moves(desired, ordered).await?;
    Ok(Json(json!({"moves": moves})))
}

fn member(at: usize) -> String {
    format!("edits[{at}]")
}

fn parts(edits: Option<Value>) -> Result<Vec<(Object, Change)>, Problem> {
    let Some(Value::Array(edits)) = edits else {
        return Err(Problem::invalid("edits", "`edits` is to be a list of edits"));
    };
    if edits.len() > MOST {
        return Err(Problem::invalid("edits", format!("at most {MOST} edits are made at once")));
    }
    let part = |(at, value): (usize, Value)| {
        let known = ["object", "put", "merge", "remove", "state"];
        let unknown = value.as_object().and_then(|part| part.keys().find(|key| !known.contains(&&key[..])));
        if let Some(unknown) = unknown {
            let field = format!("{}.{unknown}", member(at));
            return Err(Problem::invalid(field, format!("`{unknown}` is not known here")));
        }
        let part: Part =
            serde_json::from_value(value).map_err(|error| Problem::invalid(member(at), error.to_string()))?;
        Ok((part.object, part.change))
    };
    edits.into_iter().enumerate().map(part).collect()
}

pub(super) async fn edits(State(context): State<Context>) -> Result<Json<Value>, Problem> {
    let desired = context.desired().await?;
    let edits: Vec<Value> = desired.edits().iter().map(shown).collect();
    Ok(Json(json!({"edits": edits})))
}

pub(super) async fn edit(
    State(context): State<Context>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let desired = context.desired().await?;
    let found = desired.edits().iter().find(|standing| standing.edit.id.to_string() == id);
    found.map(|standing| Json(shown(standing))).ok_or_else(|| Problem::unknown("edit", &id))
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

/// The file with the edits in it.
pub(super) async fn export(State(context): State<Context>) -> Result<Response, Problem> {
    let text = context.desired().await?.document().text();
    let kind = "application/toml; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text.to_string()).into_response())
}

fn shown(standing: &Standing) -> Value {
    let Standing { edit, orphaned } = standing;
    let Edit { id, object, change, stamp: Stamp { reason, by, from, at, until } } = &**edit;
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(id));
    shown.insert("object".to_owned(), json!(object));
    if let Ok(Value::Object(change)) = serde_json::to_value(change) {
        shown.extend(change);
    }
    let rest = json!({
        "reason": reason, "by": by, "from": from, "at": moment(*at),
        "expires_at": until.map(moment), "orphaned": orphaned,
    });
    shown.extend(rest.as_object().cloned().unwrap_or_default());
    Value::Object(shown)
}

/// A moment as RFC 3339 has it.
fn moment(milliseconds: u64) -> String {
    // Later ones cannot be written.
    const LAST: u64 = 253_402_300_799_000;
    let since = Duration::from_millis(milliseconds.min(LAST));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
