//! A pool that is kept away may come back.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::principal::Principal;
use super::{Context, Problem, Request, state};
use crate::control::{NotReleasable, PoolStatus};

/// Answers with the pool as it is then.
pub(super) async fn release(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    Path(pool): Path<String>,
) -> Result<Json<PoolStatus>, Problem> {
    let standing = |pool: &PoolStatus| json!({ "standing": pool.standing });
    let before = state::pool(State(context.clone()), Path(pool.clone()))
        .await
        .map_or(Value::Null, |Json(pool)| standing(&pool));
    let (released, _pending) = context.change(|reply| Request::Release(pool.clone(), reply)).await?;
    released.map_err(|reason| match &reason {
        NotReleasable::Unknown(name) => Problem::unknown("pool", name),
        NotReleasable::InService(_) | NotReleasable::Out(..) => {
            Problem::new(StatusCode::CONFLICT, "Nothing to release", reason.to_string())
        }
    })?;
    let current = state::pool(State(context.clone()), Path(pool.clone())).await;
    // It was released, whether or not it can be told how it is by now.
    let after = current.as_ref().map_or(Value::Null, |Json(pool)| standing(pool));
    context.audit.note(&principal, "release", format!("pools/{pool}"), before, after, None);
    current
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use axum::extract::Query;
    use futures_util::future::BoxFuture;
    use tokio::sync::{mpsc, watch};

    use super::super::access::Access;
    use super::super::{
        Audit, Destination, Feed, Insight, LogState, LogWanted, Notifications, QueryLogState, Telling, audit,
    };
    use super::*;
    use crate::routing::RoutingTable;

    /// Nobody asks for it here.
    struct Unasked;

    impl Telling for Unasked {
        fn log(&self) -> LogState {
            panic!("nobody asks")
        }
        fn set_log(&self, _: LogWanted, _: Option<std::time::Duration>) {}
        fn reset_log(&self) {}
        fn query_log(&self) -> QueryLogState {
            panic!("nobody asks")
        }
        fn sample(&self, _: f32, _: Option<std::time::Duration>) -> bool {
            false
        }
        fn reset_query_log(&self) {}
    }

    impl Notifications for Unasked {
        fn list(&self) -> Vec<Destination> {
            Vec::new()
        }
        fn test(&self, _: String) -> BoxFuture<'_, Option<Result<(), String>>> {
            Box::pin(async { None })
        }
    }

    /// What requests are carried out with, and where they arrive.
    fn context() -> (Context, mpsc::Receiver<Request>) {
        let (requests, requested) = mpsc::channel(1);
        let context = Context {
            published: Arc::new(ArcSwap::from_pointee(RoutingTable::default())),
            ready: watch::channel(true).1,
            requests,
            feed: Feed::new(),
            render_metrics: Arc::new(|_| String::new()),
            served: Arc::new(|_, _| ()),
            insight: Insight::new(Arc::default()),
            access: Arc::new(Access::new(None)),
            audit: Audit::start(None).expect("a thread"),
            telling: Arc::new(Unasked),
            notifications: Arc::new(Unasked),
        };
        (context, requested)
    }

    #[tokio::test]
    async fn a_release_is_noted_though_nobody_can_tell_how_the_pool_is_then() {
        let (context, mut requested) = context();
        // A control loop that ends when it has released the pool.
        let control = async move {
            let Some(Request::Pool(_, reply)) = requested.recv().await else { panic!("it asks how it is") };
            assert!(reply.send(None).is_ok());
            let Some(Request::Release(pool, reply)) = requested.recv().await else {
                panic!("it releases it")
            };
            assert_eq!((pool.as_str(), reply.send(Ok(())).is_ok()), ("vn", true));
        };
        let principal = Principal::anyone("127.0.0.1".to_owned());
        let released = release(State(context.clone()), Extension(principal), Path("vn".to_owned()));
        let (released, ()) = tokio::join!(released, control);
        assert!(released.is_err_and(|problem| problem.status() == StatusCode::SERVICE_UNAVAILABLE));
        let all = Query::try_from_uri(&"/v1/audit".parse().expect("a path"));
        let records = audit::audit(State(context), all).await;
        let records = records.unwrap_or_else(|_| panic!("they can be read"));
        let told = serde_json::to_value(&records.0).expect("it is told as JSON");
        let record = &told["records"][0];
        let noted = (&record["action"], &record["object"], &record["after"]);
        assert_eq!(noted, (&json!("release"), &json!("pools/vn"), &Value::Null), "{told}");
    }
}
