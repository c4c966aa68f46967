//! What is served and believed.

use axum::Json;
use axum::extract::{Path, State};

use super::{Context, Problem};
use crate::control::{DomainStatus, PoolStatus, Status};
use crate::dns::Name;

pub(super) async fn status(State(context): State<Context>) -> Result<Json<Status>, Problem> {
    Ok(Json(context.status().await?))
}

pub(super) async fn domains(State(context): State<Context>) -> Result<Json<Vec<DomainStatus>>, Problem> {
    Ok(Json(context.status().await?.domains))
}

pub(super) async fn domain(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<Json<DomainStatus>, Problem> {
    let asked: Name = name.parse().map_err(|error| Problem::invalid("name", format!("`{name}`: {error}")))?;
    let domains = context.status().await?.domains;
    let found = domains.into_iter().find(|domain| domain.name == asked.to_string());
    found.map(Json).ok_or_else(|| Problem::unknown("domain", &name))
}

pub(super) async fn pools(State(context): State<Context>) -> Result<Json<Vec<PoolStatus>>, Problem> {
    Ok(Json(context.status().await?.pools))
}

pub(super) async fn pool(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<Json<PoolStatus>, Problem> {
    let pools = context.status().await?.pools;
    let found = pools.into_iter().find(|pool| pool.name == name);
    found.map(Json).ok_or_else(|| Problem::unknown("pool", &name))
}
