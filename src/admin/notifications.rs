//! Who is told what happens, and whether it arrives.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::principal::Principal;
use super::{Context, Problem};

/// What the admin side needs of whoever notifies.
pub trait Notifications: Send + Sync {
    /// Every destination, in the order of the configuration.
    fn list(&self) -> Vec<Destination>;

    /// Sends the destination of this name a test. `None`: there is none; the error says why it did not arrive.
    fn test(&self, name: String) -> BoxFuture<'_, Option<Result<(), String>>>;
}

/// A destination of notifications.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// Its type, as in the configuration.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// Messages that wait, or are under way.
    pub queued: usize,
    /// Whether the first of them was tried and did not arrive, and will be tried again.
    pub retrying: bool,
    /// Troubles that it was told of, and that last.
    pub standing: usize,
    /// Messages that have arrived since this process has a destination of this name and type.
    pub delivered: u64,
    /// Messages that were given up, and recipients for whom one was not taken.
    pub failed: u64,
    /// Messages and incidents for which there was no room.
    pub dropped: u64,
    /// When a message last arrived (RFC 3339); `None`: none has, yet.
    pub last_delivered: Option<String>,
    /// When an attempt last failed (RFC 3339).
    pub last_failed: Option<String>,
    /// Why it did, in words.
    pub last_error: Option<String>,
}

/// What has come of a test.
#[derive(Serialize, ToSchema)]
pub(super) struct Tested {
    /// Whether it has arrived.
    delivered: bool,
    /// Why not, in words.
    error: Option<String>,
}

/// `GET /v1/notifications`
pub(super) async fn list(State(context): State<Context>) -> Json<Vec<Destination>> {
    Json(context.notifications.list())
}

/// `POST /v1/notifications/{name}/test`. Answers when it has arrived, or when that has failed.
pub(super) async fn test(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
) -> Result<Json<Tested>, Problem> {
    let pending = context.permit().await?;
    let notifications = Arc::clone(&context.notifications);
    // Whoever asks may go away; that it was sent is noted all the same.
    let (audit, asked) = (context.audit.clone(), name.clone());
    let testing = tokio::spawn(async move {
        let tested = notifications.test(asked.clone()).await;
        if let Some(tested) = &tested {
            let after = json!({ "delivered": tested.is_ok() });
            audit.note(&principal, "test", format!("notifications/{asked}"), Value::Null, after, None);
        }
        drop(pending);
        tested
    });
    let tested = testing.await.map_err(|_| Problem::stopping())?;
    let error = tested.ok_or_else(|| Problem::unknown("notification", &name))?.err();
    Ok(Json(Tested { delivered: error.is_none(), error }))
}
