//! Edits that are asked for, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::principal::Principal;
use super::{Context, Expected, Problem, Request, clock};
use crate::config::{Change, Desired, Object, Refusal, Stamp};

/// What is to be edited.
#[derive(Debug)]
pub enum Editing {
    /// All of these changes, or none.
    Make {
        /// What becomes of what, in this order.
        wanted: Vec<(Object, Change)>,
        /// Who wants it.
        stamp: Stamp,
        /// What has to be so before the first of them.
        preconditions: Vec<Precondition>,
    },
    /// All of these edits are taken back, or none.
    Revert(Vec<u64>),
}

/// What an object has to be before it is edited.
#[derive(Clone, Debug)]
pub struct Precondition {
    /// The position of the edit that it belongs to.
    pub at: usize,
    /// The object.
    pub object: Object,
    /// Compared with [`crate::config::Specified::tag`].
    pub expected: Expected,
}

impl Precondition {
    /// Whether `desired` is as it has to be.
    ///
    /// # Errors
    ///
    /// If an object is another: the first that is.
    pub fn check(all: &[Precondition], desired: &Desired) -> Result<(), NotEdited> {
        let is_met = |Precondition { object, expected, .. }: &&Precondition| {
            expected.is_met(desired.object(object).as_ref().map(|found| &found.tag[..]))
        };
        match all.iter().find(|precondition| !is_met(precondition)) {
            Some(Precondition { at, object, .. }) => Err(NotEdited::Lost(*at, object.clone())),
            None => Ok(()),
        }
    }
}

/// Edits that are in force, and will be after a restart.
#[derive(Clone, Debug, Default)]
pub struct Edited {
    /// The numbers of the edits that stand now.
    pub ids: Vec<u64>,
    /// What has changed by it.
    pub told: Vec<Told>,
}

/// What an object was, and what has become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The object.
    pub object: Object,
    /// Whether it is what is ordered of it that has changed, and not what the configuration says.
    pub is_order: bool,
    /// What it was; null: it was not there.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

/// What is said of `objects` now: what the configuration says, and what is ordered.
#[derive(Debug)]
pub struct Glance(Vec<(Object, bool, Value)>);

impl Glance {
    /// What `desired` says of each of `objects`, once.
    pub fn at<'o>(desired: &Desired, objects: impl Iterator<Item = (&'o Object, bool)>) -> Self {
        let mut seen: Vec<(Object, bool, Value)> = Vec::new();
        for (object, is_order) in objects {
            if !seen.iter().any(|(known, kind, _)| known == object && *kind == is_order) {
                seen.push((object.clone(), is_order, said(desired, object, is_order)));
            }
        }
        Glance(seen)
    }

    /// What of it is something else in `desired`.
    pub fn differences(self, desired: &Desired) -> Vec<Told> {
        let told = self.0.into_iter().map(|(object, is_order, before)| {
            let after = said(desired, &object, is_order);
            Told { object, is_order, before, after }
        });
        told.filter(|told| told.before != told.after).collect()
    }
}

fn said(desired: &Desired, object: &Object, is_order: bool) -> Value {
    if !is_order {
        return desired.object(object).map_or(Value::Null, |found| Value::Object(found.specification));
    }
    // The last one lies over those before.
    let order = desired.edits().iter().rev().find_map(|standing| match standing.edit.change {
        Change::State(state) if standing.edit.object == *object => Some((state, &standing.edit.stamp)),
        _ => None,
    });
    match order {
        Some((state, Stamp { reason, until: None, .. })) => {
            json!({ "state": state.to_string(), "reason": reason })
        }
        // Not when: who renews a lease every few seconds changes nothing.
        Some((state, Stamp { reason, until: Some(_), .. })) => {
            json!({ "state": state.to_string(), "reason": reason, "expires": true })
        }
        None => json!({ "state": "auto", "reason": null }),
    }
}

/// Why edits are not in force.
#[derive(Debug, thiserror::Error)]
pub enum NotEdited {
    /// They do not fit.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The object of the edit at this position is not what it was expected to be.
    #[error("{1} is not what it was: somebody else has changed it meanwhile")]
    Lost(usize, Object),
    /// They cannot be kept, for this reason.
    #[error("{0}")]
    NotKept(String),
}

impl NotEdited {
    /// The reason in a word, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            NotEdited::Refused(Refusal::Unknown(..)) => "unknown",
            NotEdited::Refused(Refusal::Unfit(..)) => "unfit",
            NotEdited::Refused(Refusal::Mistaken { .. }) => "mistaken",
            NotEdited::Refused(Refusal::Needed(_)) => "needed",
            NotEdited::Refused(Refusal::NoSuchEdit(_)) => "no_such_edit",
            NotEdited::Lost(..) => "lost",
            NotEdited::NotKept(_) => "not_kept",
        }
    }
}

impl Context {
    /// What is wanted now.
    pub(super) async fn desired(&self) -> Result<Arc<Desired>, Problem> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Desired(reply)).await.map_err(|_| Problem::stopping())?;
        answer.await.map_err(|_| Problem::stopping())
    }

    /// Has edits made, and notes who made them. When it returns, the next query is answered by them, and
    /// they outlast a crash.
    pub(super) async fn edit(&self, principal: &Principal, editing: Editing) -> Result<Edited, NotMade> {
        let (reason, is_made) = match &editing {
            Editing::Make { stamp, .. } => (stamp.reason.clone(), true),
            Editing::Revert(_) => (None, false),
        };
        let made = self.change(|reply| Request::Edit(editing, reply)).await;
        let (edited, _pending) = made.map_err(|_| NotMade::Stopping)?;
        let edited = edited.map_err(NotMade::Edit)?;
        for Told { object, is_order, before, after } in edited.told.clone() {
            let action = match (is_made, is_order) {
                (false, _) => "revert",
                (true, true) => "order",
                (true, false) => "edit",
            };
            self.audit.note(principal, action, object, before, after, reason.as_deref());
        }
        Ok(edited)
    }
}

/// Why there is no answer but this.
pub(super) enum NotMade {
    /// The daemon stops.
    Stopping,
    /// Edits were refused.
    Edit(NotEdited),
}

impl From<NotMade> for Problem {
    /// For whoever has asked for one edit; of several, see [`of_several`].
    fn from(reason: NotMade) -> Self {
        match reason {
            NotMade::Stopping => Problem::stopping(),
            NotMade::Edit(reason) => problem(reason, |_, field| field.map(str::to_owned)),
        }
    }
}

/// The same for several edits: a field is one of the edit at its position.
pub(super) fn of_several(reason: NotMade, member: impl Fn(usize) -> String) -> Problem {
    match reason {
        NotMade::Stopping => Problem::stopping(),
        NotMade::Edit(reason) => problem(reason, |at, field| {
            Some(match field {
                Some(field) => format!("{}.{field}", member(at)),
                None => member(at),
            })
        }),
    }
}

fn problem(reason: NotEdited, field_of: impl Fn(usize, Option<&str>) -> Option<String>) -> Problem {
    let detail = reason.to_string();
    let (status, title, field) = match &reason {
        NotEdited::Refused(Refusal::Unknown(at, _)) => {
            (StatusCode::NOT_FOUND, "Not found", field_of(*at, None))
        }
        NotEdited::Refused(Refusal::NoSuchEdit(_)) => (StatusCode::NOT_FOUND, "Not found", None),
        NotEdited::Refused(Refusal::Unfit(at, _)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "It does not fit", field_of(*at, None))
        }
        NotEdited::Refused(Refusal::Mistaken { at, field, .. }) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "Mistaken", field_of(*at, field.as_deref()))
        }
        NotEdited::Refused(Refusal::Needed(_)) => {
            (StatusCode::CONFLICT, "Something else would be wrong", None)
        }
        NotEdited::Lost(at, _) => (StatusCode::PRECONDITION_FAILED, "Changed meanwhile", field_of(*at, None)),
        NotEdited::NotKept(_) => (StatusCode::INSUFFICIENT_STORAGE, "Not kept", None),
    };
    Problem::new(status, title, detail).with_field(field)
}

/// Who makes an edit now, why, and for how long.
pub(super) fn stamp(principal: &Principal, reason: Option<String>, lasts: Option<Duration>) -> Stamp {
    // Of the calendar: what is kept has to mean the same after a restart.
    let now = clock::now();
    let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Stamp {
        reason,
        by: principal.name.clone(),
        from: principal.from.clone(),
        at: milliseconds(now),
        until: lasts.map(|lasts| milliseconds(now.saturating_add(lasts))),
    }
}
