//! Where answers go, and where clients are sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::{Context, Problem, listing};
use crate::dns::{Name, Rtype};
use crate::plan::{Addresses, PoolId};
use crate::routing::{self, Covered, DomainFlow, Flow, RoutingTable};

/// How many requests are worked on at once: one that takes long leaves room for another, and what answers
/// DNS needs the other cores.
const AT_ONCE: usize = 2;

/// What it takes to tell where answers go.
#[derive(Clone)]
pub struct Insight {
    flow: Arc<Flow>,
    turns: Arc<Semaphore>,
}

impl Insight {
    /// Tells what `flow` counts.
    pub fn new(flow: Arc<Flow>) -> Self {
        Insight { flow, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Does `work`, which may take long, beside what is waited for, and in its turn.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Problem::stopping())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // Whoever has gone away does not make room for another while the work goes on.
            drop(turn);
            done
        });
        done.await.map_err(|_| Problem::stopping())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowParameters {
    domain: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// How often domains have taken their pools.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowReport)]
pub(super) struct FlowReply {
    domains: Vec<DomainFlow>,
}

pub(super) async fn flow(
    State(context): State<Context>,
    parameters: Result<Query<FlowParameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(FlowParameters { domain, limit, after }) = parameters.map_err(malformed)?;
    let limit = listing::length(limit)?;
    let table = context.published.load_full();
    if let Some(domain) = domain {
        let name = known_domain(&table, "domain", &domain)?;
        let flow = context.insight.flow.clone();
        let domains = context.insight.work(move || flow.of(&table, &name)).await?.into_iter().collect();
        return Ok(Json(FlowReply { domains }).into_response());
    }
    let after = match after {
        Some(after) => Some(known_domain(&table, "after", &after)?),
        None => None,
    };
    let flow = context.insight.flow.clone();
    // One more tells whether there are more.
    let domains = context.insight.work(move || flow.read(&table, after.as_ref(), limit + 1)).await;
    let mut domains = domains?;
    let has_more = domains.len() > limit;
    domains.truncate(limit);
    let next = domains.last().filter(|_| has_more);
    let next = next.and_then(|last| listing::link_to_next("/v1/flow", limit, &last.name));
    let mut response = Json(FlowReply { domains }).into_response();
    response.headers_mut().extend(next.map(|next| (header::LINK, next)));
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CoverageParameters {
    domain: Option<String>,
    #[serde(rename = "type")]
    rtype: Option<String>,
    down: Option<String>,
}

/// Where the clients of a domain are sent.
#[derive(Serialize, ToSchema)]
pub(super) struct Coverage {
    domain: String,
    #[serde(rename = "type")]
    rtype: String,
    clients: Vec<Covered>,
}

pub(super) async fn coverage(
    State(context): State<Context>,
    parameters: Result<Query<CoverageParameters>, QueryRejection>,
) -> Result<Json<Coverage>, Problem> {
    let Query(CoverageParameters { domain, rtype, down }) = parameters.map_err(malformed)?;
    let domain = domain.ok_or_else(|| Problem::invalid("domain", "the name of the domain is missing"))?;
    let rtype = rtype.unwrap_or_else(|| "A".to_owned());
    let rtype = Rtype::parse(&rtype)
        .ok_or_else(|| Problem::invalid("type", format!("`{rtype}` is not a record type")))?;
    let table = context.published.load_full();
    let name = known_domain(&table, "domain", &domain)?;
    let down = down.map(|down| pool_to_lose(&table, &down)).transpose()?;
    let work = move || {
        let clients = routing::coverage(&table, &name, rtype, table.geo().clients(), down);
        Coverage { domain: name.to_string(), rtype: rtype.to_string(), clients }
    };
    Ok(Json(context.insight.work(work).await?))
}

fn malformed(rejection: QueryRejection) -> Problem {
    Problem::invalid("query", rejection.body_text())
}

/// The name of the domain that a parameter is.
fn known_domain(table: &RoutingTable, parameter: &'static str, text: &str) -> Result<Name, Problem> {
    let name: Name =
        text.parse().map_err(|error| Problem::invalid(parameter, format!("`{text}`: {error}")))?;
    if table.domain(&name).is_none() {
        return Err(Problem::unknown("domain", text));
    }
    Ok(name)
}

/// The pool that is to be thought away.
fn pool_to_lose(table: &RoutingTable, name: &str) -> Result<PoolId, Problem> {
    let position = table.plan().pools.iter().position(|pool| pool.name == name);
    let position = position.ok_or_else(|| Problem::invalid("down", format!("there is no pool `{name}`")))?;
    let pool = PoolId(position as u32);
    match table.pool(pool).addresses {
        Addresses::Domain(domain) => {
            let domain = &table.plan().domains[domain.index()].name;
            let detail = format!(
                "pool `{name}` has no addresses of its own: it is the domain `{domain}`, whose pools can be down"
            );
            Err(Problem::invalid("down", detail))
        }
        Addresses::Ip(_) | Addresses::Cname(_) => Ok(pool),
    }
}
