//! What is served and believed.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::{Context, PendingRecord, Problem, Reply, Request};
use crate::control::{PoolStatus, Status};
use crate::dns::Name;

pub(super) async fn status(State(context): State<Context>) -> Result<Json<Status>, Problem> {
    Ok(Json(context.status().await?))
}

/// The pool as it is now.
pub(super) async fn pool(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<Json<PoolStatus>, Problem> {
    context.pool_status(&name).await.map(Json)
}

impl Context {
    /// The pool of this name.
    pub(super) async fn pool_status(&self, name: &str) -> Result<PoolStatus, Problem> {
        let pool = self.ask(|reply| Request::Pool(name.to_owned(), reply)).await?;
        pool.ok_or_else(|| Problem::unknown("pool", name))
    }

    /// The pool of this name, as JSON.
    pub(super) async fn pool(&self, name: &str) -> Result<Map<String, Value>, Problem> {
        Ok(members(&self.pool_status(name).await?))
    }

    /// The domain of this name, as JSON.
    pub(super) async fn domain(&self, name: &Name) -> Result<Map<String, Value>, Problem> {
        let domain = self.ask(|reply| Request::Domain(name.clone(), reply)).await?;
        let domain = domain.ok_or_else(|| Problem::unknown("domain", &name.to_string()))?;
        Ok(members(&domain))
    }

    /// Waits until this process may change what is no matter of the control loop, and note it: not while another is
    /// taking over, which has the audit log then.
    ///
    /// # Errors
    ///
    /// If it has.
    pub(super) async fn permit(&self) -> Result<PendingRecord, Problem> {
        let ((), pending) = self.change(Request::Permit).await?;
        Ok(pending)
    }

    /// Has the control loop change something: what came of it, and that it is to be noted.
    pub(super) async fn change<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<(T, PendingRecord), Problem> {
        let (reply, answer) = Reply::audited(&self.audit);
        self.requests.send(request(reply)).await.map_err(|_| Problem::stopping())?;
        answer.await.map_err(|_| Problem::stopping())
    }

    /// What the control loop answers to a request.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Problem::stopping())?;
        answer.await.map_err(|_| Problem::stopping())
    }
}

fn members(status: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
