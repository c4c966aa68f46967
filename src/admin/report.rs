//! What sites report of their addresses.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use serde_json::{Value, json};

use super::body::{LONGEST_REASON, Members};
use super::principal::Principal;
use super::{Context, Problem, Reply, Request, state};
use crate::control::{Absence, AddressStatus, PoolStatus};

/// How long a site is away that does not say for how long: as long as Kubernetes gives a container
/// to stop, and as much again for it to come back.
const DEFAULT_ABSENCE: Duration = Duration::from_secs(60);

/// What is spoken of: a pool, and an address of it or all of them.
type Subject = (String, Option<String>);

pub(super) async fn of_address(
    context: State<Context>,
    principal: Extension<Principal>,
    Path((pool, address)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<PoolStatus>, Problem> {
    reported(context, principal, (pool, Some(address)), body).await
}

pub(super) async fn of_pool(
    context: State<Context>,
    principal: Extension<Principal>,
    Path(pool): Path<String>,
    body: Bytes,
) -> Result<Json<PoolStatus>, Problem> {
    reported(context, principal, (pool, None), body).await
}

/// Answers with the pool as it is then.
async fn reported(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    subject: Subject,
    body: Bytes,
) -> Result<Json<PoolStatus>, Problem> {
    let mut members = Members::read(&body, &["outcome", "reason", "for"])?;
    let reason = members.text("reason", LONGEST_REASON)?;
    let lasts = members.span("for")?.unwrap_or(DEFAULT_ABSENCE);
    let absence = match members.text("outcome", 10)?.as_deref() {
        Some("fail") => Some(Absence { reason: reason.clone(), lasts }),
        Some("pass") => None,
        _ => return Err(Problem::invalid("outcome", "`outcome` is to be \"fail\" or \"pass\"")),
    };
    let change = Change { action: "report", reason, told: told_absence };
    ask(context, &principal, subject, change, |subject, reply| Request::Report(subject, absence, reply)).await
}

/// What the audit log says of a change.
struct Change {
    action: &'static str,
    reason: Option<String>,
    /// What there is to tell of the pool, or of an address of it.
    told: fn(&PoolStatus, Option<&AddressStatus>) -> Value,
}

fn told_absence(pool: &PoolStatus, address: Option<&AddressStatus>) -> Value {
    let is_away = |address: &AddressStatus| json!({ "away": address.away.is_some() });
    match address {
        Some(address) => is_away(address),
        None => pool.addresses.iter().map(|address| (address.name.clone(), is_away(address))).collect(),
    }
}

impl Change {
    fn tell(&self, pool: &PoolStatus, address: Option<&str>) -> Value {
        let found = address.map(|name| pool.addresses.iter().find(|address| address.name == name));
        match found {
            Some(None) => Value::Null,
            found => (self.told)(pool, found.flatten()),
        }
    }
}

async fn ask<E>(
    context: Context,
    principal: &Principal,
    subject: Subject,
    change: Change,
    request: impl FnOnce(Subject, Reply<Result<(), E>>) -> Request,
) -> Result<Json<PoolStatus>, Problem>
where
    Problem: From<E>,
{
    let (pool, address) = subject.clone();
    let known = state::pool(State(context.clone()), Path(pool.clone())).await;
    let before = known.map_or(Value::Null, |Json(pool)| change.tell(&pool, address.as_deref()));
    let (done, _pending) = context.change(|reply| request(subject, reply)).await?;
    done?;
    let current = state::pool(State(context.clone()), Path(pool.clone())).await;
    let after = match &current {
        Ok(Json(pool)) => change.tell(pool, address.as_deref()),
        // What is gone can still be spoken free.
        Err(_) => Value::Null,
    };
    // Who renews a lease every few seconds has changed nothing.
    if before != after || before.is_null() {
        let object =
            address.map_or(format!("pools/{pool}"), |address| format!("pools/{pool}/addresses/{address}"));
        context.audit.note(principal, change.action, object, before, after, change.reason.as_deref());
    }
    current
}
