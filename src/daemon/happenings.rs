//! What the controller notices, as those are told who follow it by API.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::ReloadReport;
use crate::config::{Change, Edit, Object};
use crate::control::{Absence, Notice};
use crate::plan::AddressState;

/// The kind of event that `notice` is, and what is said about it; `None`: it is of no interest to
/// operators, or told in another way.
pub(super) fn noticed(notice: &Notice) -> Option<(&'static str, Value)> {
    Some(match notice {
        Notice::Turned { watch, transition } => {
            let (pool, address, target) = (&watch.pool, &watch.address, watch.endpoint.to_string());
            let (to, reason) = (transition.to.to_string(), transition.to_string());
            let data =
                json!({ "pool": pool, "address": address, "target": target, "to": to, "reason": reason });
            ("turned", data)
        }
        Notice::Moved { pool, stage: _, standing, reason } => {
            ("moved", json!({ "pool": pool, "standing": standing, "reason": reason }))
        }
        Notice::Damped { watch, hold } => {
            ("damped", json!({ "pool": watch.pool, "address": watch.address, "flips": hold.flips }))
        }
        Notice::Undamped { watch } => ("undamped", json!({ "pool": watch.pool, "address": watch.address })),
        Notice::Suspected { pool, reason } => ("suspected", json!({ "pool": pool, "reason": reason })),
        Notice::Isolated { silent, of } => ("isolated", json!({ "silent": silent, "of": of })),
        Notice::Reconnected { after } => ("reconnected", json!({ "after_seconds": after.as_secs_f64() })),
        Notice::OrderEnded { pool, address, state, follows } => {
            let (state, follows) = (state.to_string(), follows.to_string());
            let data = json!({ "pool": pool, "address": address, "state": state, "follows": follows });
            ("order_ended", data)
        }
        Notice::Back { pool, address } => ("back", json!({ "pool": pool, "address": address })),
        Notice::Drained { pool, address } => ("drained", json!({ "pool": pool, "address": address })),
        Notice::Resolved { name, addresses } => {
            ("resolved", json!({ "name": name.to_string(), "addresses": addresses }))
        }
        Notice::Unresolved { name, reason, kept } => {
            ("unresolved", json!({ "name": name.to_string(), "reason": reason, "kept": kept }))
        }
        Notice::Settled | Notice::Rewatch { .. } | Notice::Rewatched { .. } | Notice::Published { .. } => {
            return None;
        }
    })
}

/// What is told of edits that stand from now on, and of those that do no longer, at `now`, since the
/// beginning of 1970.
pub(super) fn edited(added: &[Arc<Edit>], gone: &[Arc<Edit>], now: Duration) -> Vec<(&'static str, Value)> {
    let mut told = Vec::new();
    // Who renews a lease every few seconds need not be told of each time.
    let is_renewed = |edit: &&Arc<Edit>| {
        let is_like = |gone: &Edit| gone.change == edit.change && gone.stamp.reason == edit.stamp.reason;
        let is_order = matches!(edit.change, Change::State(_));
        is_order && gone.iter().any(|gone| gone.object == edit.object && is_like(gone))
    };
    let new: Vec<&Arc<Edit>> = added.iter().filter(|edit| !is_renewed(edit)).collect();
    let until = |edit: &Edit| edit.stamp.until.map(Duration::from_millis);
    for edit in &new {
        if let (Some(subject), Change::State(state)) = (subject(&edit.object), &edit.change) {
            let lasts = until(edit).map(|until| until.saturating_sub(Duration::from_millis(edit.stamp.at)));
            told.push(ordered(subject, *state, edit.stamp.reason.as_deref(), lasts));
        }
    }
    let over = gone.iter().filter(|gone| !added.iter().any(|edit| edit.object == gone.object));
    let over: Vec<&Arc<Edit>> = over.collect();
    for edit in &over {
        // That one has expired is told by whoever carried it out.
        let has_expired = until(edit).is_some_and(|until| until <= now);
        if let (Some(subject), Change::State(_), false) = (subject(&edit.object), &edit.change, has_expired) {
            told.push(ordered(subject, AddressState::Auto, None, None));
        }
    }
    if let Some(first) = new.first() {
        let ids: Vec<u64> = new.iter().map(|edit| edit.id).collect();
        let objects: Vec<String> = new.iter().map(|edit| edit.object.to_string()).collect();
        told.push(("edited", json!({ "edits": ids, "objects": objects, "by": first.stamp.by })));
    }
    if !over.is_empty() {
        let ids: Vec<u64> = over.iter().map(|edit| edit.id).collect();
        told.push(("reverted", json!({ "edits": ids })));
    }
    told
}

/// The pool that can be ordered about, and the address of it or all of them.
fn subject(object: &Object) -> Option<(&str, Option<&str>)> {
    match object {
        Object::Pool(pool) => Some((pool, None)),
        Object::Address { pool, name } => Some((pool, Some(name))),
        _ => None,
    }
}

fn ordered(
    (pool, address): (&str, Option<&str>),
    state: AddressState,
    reason: Option<&str>,
    lasts: Option<Duration>,
) -> (&'static str, Value) {
    let (state, seconds) = (state.to_string(), lasts.map(|lasts| lasts.as_secs_f64()));
    let data =
        json!({ "pool": pool, "address": address, "state": state, "reason": reason, "seconds": seconds });
    ("ordered", data)
}

/// What is told of a reload.
pub(super) fn reloaded(outcome: &Result<ReloadReport, String>, trigger: &str) -> (&'static str, Value) {
    match outcome {
        Ok(report) => {
            let mut data = json!(report);
            data["trigger"] = trigger.into();
            ("reloaded", data)
        }
        Err(mistakes) => ("refused", json!({ "trigger": trigger, "detail": mistakes })),
    }
}

/// The kind of event that it is, and what is said, when a site reports itself away or back.
pub(super) fn reported(
    pool: &str,
    address: Option<&str>,
    absence: Option<&Absence>,
) -> (&'static str, Value) {
    match absence {
        Some(Absence { reason, lasts }) => {
            let seconds = lasts.as_secs_f64();
            ("away", json!({ "pool": pool, "address": address, "reason": reason, "seconds": seconds }))
        }
        None => ("back", json!({ "pool": pool, "address": address })),
    }
}
