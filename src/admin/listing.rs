//! Lists of what there is, a page at a time.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Context, Problem, Request};
use crate::config::{Object, Specified, UnknownObject};
use crate::control::Page;
use crate::dns::Name;

/// As many there are on a page at most: of pools a megabyte or so.
pub(super) const MOST: usize = 1000;

/// Which page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<usize>,
    after: Option<String>,
}

type Asked = Result<Query<Parameters>, QueryRejection>;

/// Something of the configuration that has a name.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed {
    name: String,
    /// Its table in the configuration, edits included.
    specification: Map<String, Value>,
    /// The edits that made it so.
    edits: Vec<u64>,
}

/// A zone.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedZone {
    /// Its apex.
    name: String,
}

/// An RRset of the configuration.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedRecord {
    /// Its path below `/v1/`.
    #[schema(value_type = String)]
    object: Object,
    /// Its `ttl` and `data`, edits included.
    specification: Map<String, Value>,
    /// The edits that made it so.
    edits: Vec<u64>,
}

pub(super) async fn domains(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    let (limit, after) = page_of(asked)?;
    let after = after.map(|text| name("after", &text)).transpose()?;
    let page = context.ask(|reply| Request::Domains(after, limit, reply)).await?;
    Ok(response("/v1/domains", limit, page, |domain| domain.name.clone()))
}

pub(super) async fn pools(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    let (limit, after) = page_of(asked)?;
    let page = context.ask(|reply| Request::Pools(after, limit, reply)).await?;
    Ok(response("/v1/pools", limit, page, |pool| pool.name.clone()))
}

pub(super) async fn health_checks(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    of_kind(&context, asked, "/v1/health_checks", "health_check", Object::HealthCheck).await
}

pub(super) async fn conditions(State(context): State<Context>, asked: Asked) -> Result<Response, Problem> {
    of_kind(&context, asked, "/v1/conditions", "condition", Object::Condition).await
}

pub(super) async fn zones(State(context): State<Context>) -> Result<Json<Vec<ListedZone>>, Problem> {
    let desired = context.desired().await?;
    let zones = desired.plan().zones.iter().map(|zone| ListedZone { name: zone.name.to_string() });
    Ok(Json(zones.collect()))
}

/// The RRsets that the configuration writes itself; those of a zone file are not its own.
pub(super) async fn records(
    State(context): State<Context>,
    Path(zone): Path<String>,
    uri: Uri,
    asked: Asked,
) -> Result<Response, Problem> {
    let (limit, after) = page_of(asked)?;
    let after: Option<Object> = after
        .map(|text| text.parse())
        .transpose()
        .map_err(|error: UnknownObject| Problem::invalid("after", error.to_string()))?;
    let apex = name("zone", &zone)?;
    let desired = context.desired().await?;
    let work = move || {
        let records = desired.document().records(&apex)?;
        Some(page(records, after.as_ref(), limit, |object| {
            let Specified { specification, edits, tag: _ } = desired.object(&object)?;
            Some(ListedRecord { object, specification, edits })
        }))
    };
    let page = context.insight.work(work).await?.ok_or_else(|| Problem::unknown("zone", &zone))?;
    Ok(response(uri.path(), limit, page, |record| record.object.to_string()))
}

async fn of_kind(
    context: &Context,
    asked: Asked,
    path: &str,
    kind: &'static str,
    object: fn(String) -> Object,
) -> Result<Response, Problem> {
    let (limit, after) = page_of(asked)?;
    let desired = context.desired().await?;
    let work = move || {
        let names = desired.document().names(kind);
        page(names, after.as_ref(), limit, |name| {
            let Specified { specification, edits, tag: _ } = desired.object(&object(name.clone()))?;
            Some(Listed { name, specification, edits })
        })
    };
    let page = context.insight.work(work).await?;
    Ok(response(path, limit, page, |listed| listed.name.clone()))
}

/// At most `limit` of `all`, those behind `after`, in an order in which they can be told apart from those
/// before though `after` itself is no longer among them. Only those of the page are looked up: each takes
/// a search through the whole configuration.
fn page<K: Ord, T>(
    mut all: Vec<K>,
    after: Option<&K>,
    limit: usize,
    look_up: impl Fn(K) -> Option<T>,
) -> Page<T> {
    all.sort_unstable();
    let first = after.map_or(0, |after| all.partition_point(|item| item <= after));
    let has_more = all.len() - first > limit;
    Page { items: all.into_iter().skip(first).take(limit).filter_map(look_up).collect(), has_more }
}

fn page_of(asked: Asked) -> Result<(usize, Option<String>), Problem> {
    let Query(Parameters { limit, after }) =
        asked.map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    Ok((length(limit)?, after))
}

/// How long a page is that is asked for with this `limit`.
pub(super) fn length(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(MOST) {
        limit if (1..=MOST).contains(&limit) => Ok(limit),
        _ => Err(Problem::invalid("limit", format!("`limit` is to be between 1 and {MOST}"))),
    }
}

fn name(field: &'static str, text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|error| Problem::invalid(field, format!("`{text}`: {error}")))
}

/// The header that leads to what follows the item called `last`.
pub(super) fn link_to_next(path: &str, limit: usize, last: &str) -> Option<HeaderValue> {
    let after = utf8_percent_encode(last, NON_ALPHANUMERIC);
    HeaderValue::from_str(&format!("<{path}?limit={limit}&after={after}>; rel=\"next\"")).ok()
}

/// A page, with a link to the next if there is one (RFC 8288).
fn response<T: Serialize>(path: &str, limit: usize, page: Page<T>, name: fn(&T) -> String) -> Response {
    let Page { items, has_more } = page;
    let next = items.last().filter(|_| has_more).and_then(|last| link_to_next(path, limit, &name(last)));
    let mut response = Json(items).into_response();
    response.headers_mut().extend(next.map(|next| (header::LINK, next)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_the_page_is_looked_up() {
        let of = |after: Option<&str>, limit| {
            let all = ["d", "b", "a", "e"].map(str::to_owned).to_vec();
            let looked_up = std::cell::Cell::new(0);
            let after = after.map(str::to_owned);
            let Page { items, has_more } = page(all, after.as_ref(), limit, |name| {
                looked_up.set(looked_up.get() + 1);
                Some(name)
            });
            assert_eq!(looked_up.get(), items.len());
            (items.concat(), has_more)
        };
        for (after, limit, items, has_more) in [
            (None, 4, "abde", false),
            (None, 2, "ab", true),
            (Some("b"), 2, "de", false),
            (Some("c"), 1, "d", true),
            (Some("e"), 1, "", false),
        ] {
            assert_eq!(of(after, limit), (items.to_owned(), has_more), "{after:?} {limit}");
        }
    }
}
