//! The HTTP endpoint that breaks and mends the demo's sites.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::cli::loopback::{Fault, FaultError, Site, Sites};

type Shared = State<Arc<Mutex<Sites>>>;

/// Serves it until dropped: `GET /sites`, and `POST /sites/{site}?fault=kill|hang|none`, whose
/// answer means that it has happened.
pub(super) async fn serve(listener: TcpListener, sites: Arc<Mutex<Sites>>) {
    let router = Router::new().route("/sites", get(list)).route("/sites/{site}", post(set)).with_state(sites);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the sites' control has ended");
    }
}

#[derive(Serialize)]
struct SiteState {
    name: &'static str,
    fault: Fault,
    addresses: Vec<SocketAddr>,
}

impl SiteState {
    fn of(site: &Site) -> Self {
        SiteState { name: site.name(), fault: site.fault(), addresses: site.addresses().collect() }
    }
}

#[derive(Deserialize)]
struct Order {
    fault: Fault,
}

async fn list(State(sites): Shared) -> impl IntoResponse {
    described(&*sites.lock().await)
}

async fn set(
    State(sites): Shared,
    Path(name): Path<String>,
    Query(Order { fault }): Query<Order>,
) -> Result<impl IntoResponse, (StatusCode, String)> {
    let mut sites = sites.lock().await;
    sites.set(&name, fault).await.map_err(|error| {
        let status = match error {
            FaultError::UnknownSite(_) => StatusCode::NOT_FOUND,
            FaultError::Listen(..) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{error}\n"))
    })?;
    Ok(described(&sites))
}

/// With a line feed at the end, for whoever reads it in a terminal.
fn described(sites: &Sites) -> impl IntoResponse + use<> {
    let states: Vec<_> = sites.iter().map(SiteState::of).collect();
    ([(CONTENT_TYPE, "application/json")], format!("{}\n", json!(states)))
}
