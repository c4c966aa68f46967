//! Why a client gets the answer it gets.

use std::net::IpAddr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::{Context, Problem};
use crate::dns::{Name, Rtype};
use crate::routing::{self, Explanation};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    name: Option<String>,
    #[serde(rename = "type")]
    rtype: Option<String>,
    client: Option<String>,
}

pub(super) async fn explain(
    State(context): State<Context>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Explanation>, Problem> {
    let Query(Parameters { name, rtype, client }) =
        parameters.map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    let name = name.ok_or_else(|| Problem::invalid("name", "the name that is asked for is missing"))?;
    let client =
        client.ok_or_else(|| Problem::invalid("client", "the IP address of the client is missing"))?;
    let rtype = rtype.unwrap_or_else(|| "A".to_owned());
    let name: Name = name.parse().map_err(|error| Problem::invalid("name", format!("`{name}`: {error}")))?;
    let rtype = Rtype::parse(&rtype)
        .ok_or_else(|| Problem::invalid("type", format!("`{rtype}` is not a record type")))?;
    let client: IpAddr =
        client.parse().map_err(|_| Problem::invalid("client", format!("`{client}` is not an IP address")))?;
    Ok(Json(routing::explain(&context.published.load(), &name, rtype, client)))
}
