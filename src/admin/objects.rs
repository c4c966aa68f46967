//! Things of the configuration: looked at and edited.

use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::{self, LONGEST_REASON};
use super::edit::{Edited, Editing, Precondition, stamp};
use super::principal::{Principal, Role};
use super::{Context, Expected, Problem, precondition};
use crate::config::{Change, Object, Refusal};
use crate::plan::AddressState;

/// The header of a reply that carries the number of the edit that was made.
const EDIT: &str = "rhumb-edit";

/// What an operator without the right to edit may change of an address.
const OPERABLE: [&str; 1] = ["weight"];

/// The object that a path names.
pub(super) struct Named(pub(super) Object);

/// What stands behind the question mark of an edit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Circumstances {
    reason: Option<String>,
    expires: Option<String>,
}

type Asked = Result<Query<Circumstances>, QueryRejection>;

/// An edit as it is asked for: of what, by whom, why, for how long, and what has to be so. None of it is
/// judged yet but the object's name.
pub(super) struct Asking {
    context: Context,
    principal: Principal,
    object: Object,
    asked: Asked,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().trim_start_matches("/v1/");
        path.parse().map(Named).map_err(Problem::from)
    }
}

impl FromRequestParts<Context> for Asking {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Response> {
        let principal = Extension::from_request_parts(parts, context).await;
        let Extension(principal) = principal.map_err(IntoResponse::into_response)?;
        let named = Named::from_request_parts(parts, context).await;
        let Named(object) = named.map_err(IntoResponse::into_response)?;
        let asked = Query::from_request_parts(parts, context).await;
        Ok(Asking { context: context.clone(), principal, object, asked, headers: parts.headers.clone() })
    }
}

pub(super) async fn get(
    State(context): State<Context>,
    Named(object): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let shown = shown(&context, &object).await?;
    if precondition::is_known(&headers, shown.tag.as_deref())? {
        return Ok((StatusCode::NOT_MODIFIED, shown.headers(None)).into_response());
    }
    Ok(shown.response(StatusCode::OK, None))
}

pub(super) async fn put(asking: Asking, body: Bytes) -> Result<Response, Problem> {
    asking.require(Role::Edit)?;
    let circumstances = circumstances(&asking.asked)?;
    let content = body::object(&body)?;
    let was_there = asking.context.desired().await?.object(&asking.object).is_some();
    let edited = asking.make(vec![Change::Put(content)], circumstances).await?;
    asking.answer(if was_there { StatusCode::OK } else { StatusCode::CREATED }, &edited).await
}

pub(super) async fn patch(asking: Asking, body: Bytes) -> Result<Response, Problem> {
    let (mut reason, mut lasts) = circumstances(&asking.asked)?;
    let mut members = body::object(&body)?;
    let mut wanted = Vec::new();
    // What is ordered, and said of the edit itself, is no part of any table of the configuration.
    reason = body::text(&mut members, "reason", LONGEST_REASON)?.or(reason);
    lasts = body::span(&mut members, "expires")?.or(lasts);
    if asking.object.pool().is_some()
        && let Some(word) = body::text(&mut members, "state", LONGEST_STATE)?
    {
        let state: AddressState =
            word.parse().map_err(|error| Problem::invalid("state", format!("{error}")))?;
        wanted.push(Change::State(state));
    }
    let is_operable = members.keys().all(|key| OPERABLE.contains(&&key[..]));
    asking.require(if is_operable { Role::Operate } else { Role::Edit })?;
    if !members.is_empty() {
        wanted.insert(0, Change::Merge(members));
    }
    if wanted.is_empty() {
        let detail = "nothing is to be changed: give `state`, or members of the configuration's table";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "Malformed request", detail));
    }
    let edited = asking.make(wanted, (reason, lasts)).await?;
    asking.answer(StatusCode::OK, &edited).await
}

pub(super) async fn delete(asking: Asking) -> Result<Response, Problem> {
    asking.require(Role::Edit)?;
    let circumstances = circumstances(&asking.asked)?;
    let (desired, object) = (asking.context.desired().await?, &asking.object);
    let is_removed = |change: &Change| *change == Change::Remove;
    let was_removed = desired
        .edits()
        .iter()
        .any(|standing| object.is_within(&standing.edit.object) && is_removed(&standing.edit.change));
    // To remove what was removed is no mistake (RFC 9110 section 9.2.2).
    if desired.object(object).is_none() && was_removed {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let edited = asking.make(vec![Change::Remove], circumstances).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(number(&edited));
    Ok(response)
}

/// Adds an address to a pool; its name is a member of the body.
pub(super) async fn add_address(
    State(context): State<Context>,
    Extension(principal): Extension<Principal>,
    Path(pool): Path<String>,
    asked: Asked,
    body: Bytes,
) -> Result<Response, Problem> {
    principal.require(Role::Edit, Some(&pool))?;
    let circumstances = circumstances(&asked)?;
    let content = body::object(&body)?;
    let name = match content.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        Some(_) => return Err(Problem::invalid("name", "`name` is to be a string that is not empty")),
        None => return Err(Problem::invalid("name", "`name` is missing")),
    };
    let object = Object::Address { pool, name };
    let wanted = vec![(object.clone(), Change::Put(content))];
    let stamp = stamp(&principal, circumstances.0, circumstances.1);
    let preconditions = vec![Precondition { at: 0, object: object.clone(), expected: Expected::Absent }];
    let edited = match context
        .edit(&principal, Editing::Make { wanted, stamp, preconditions })
        .await
        .map_err(Problem::from)
    {
        Err(problem) if problem.status() == StatusCode::PRECONDITION_FAILED => {
            let detail = format!("there is {object} already");
            return Err(
                Problem::new(StatusCode::CONFLICT, "It is there", detail).with_field(Some("name".to_owned()))
            );
        }
        made => made?,
    };
    let mut response = shown(&context, &object).await?.response(StatusCode::CREATED, Some(&edited));
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/{object}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The longest word that is a state is `drain`; longer ones are told to be none, if not whole novels.
const LONGEST_STATE: usize = 100;

impl Asking {
    /// Refuses whoever may not do what takes `role` with the object.
    fn require(&self, role: Role) -> Result<(), Problem> {
        self.principal.require(role, self.object.pool())
    }

    async fn make(
        &self,
        changes: Vec<Change>,
        (reason, lasts): (Option<String>, Option<Duration>),
    ) -> Result<Edited, Problem> {
        let Asking { context, principal, object, asked: _, headers } = self;
        let precondition = precondition::of_change(headers)?.map(|expected| Precondition {
            at: 0,
            object: object.clone(),
            expected,
        });
        let preconditions = precondition.into_iter().collect();
        let wanted = changes.into_iter().map(|change| (object.clone(), change)).collect();
        let stamp = stamp(principal, reason, lasts);
        Ok(context.edit(principal, Editing::Make { wanted, stamp, preconditions }).await?)
    }

    /// The object as it is then.
    async fn answer(&self, status: StatusCode, edited: &Edited) -> Result<Response, Problem> {
        Ok(shown(&self.context, &self.object).await?.response(status, Some(edited)))
    }
}

/// Why an edit is made, and for how long, as far as it stands behind the question mark.
fn circumstances(asked: &Asked) -> Result<(Option<String>, Option<Duration>), Problem> {
    let Query(Circumstances { reason, expires }) =
        asked.as_ref().map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    body::check_length("reason", reason.as_deref(), LONGEST_REASON)?;
    let lasts = expires.as_deref().map(|text| body::parse_span("expires", text)).transpose()?;
    Ok((reason.clone(), lasts))
}

/// An object as it is shown.
struct Shown {
    content: Map<String, Value>,
    tag: Option<String>,
}

/// What is believed of `object`, and what the configuration says of it.
async fn shown(context: &Context, object: &Object) -> Result<Shown, Problem> {
    let specified = context.desired().await?.object(object);
    let missing = || Problem::from(Refusal::Unknown(0, object.clone()));
    let mut content = match object {
        Object::Pool(name) => context.pool(name).await?,
        Object::Address { pool, name } => {
            let pool = context.pool(pool).await?;
            let addresses = pool.get("addresses").and_then(Value::as_array);
            let is_it = |address: &&Value| address["name"] == **name;
            let found = addresses.and_then(|addresses| addresses.iter().find(is_it));
            match found.and_then(Value::as_object) {
                Some(address) => address.clone(),
                // A name that is resolved stands for several addresses, or for none yet.
                None if specified.is_some() => named(name),
                None => return Err(missing()),
            }
        }
        Object::Domain(name) => context.domain(name).await?,
        Object::HealthCheck(name) | Object::Condition(name) => named(name),
        Object::Record { .. } => Map::new(),
    };
    match specified {
        Some(specified) => {
            content.insert("specification".to_owned(), Value::Object(specified.specification));
            content.insert("edits".to_owned(), json!(specified.edits));
            Ok(Shown { content, tag: Some(specified.tag) })
        }
        None if matches!(object, Object::Address { .. }) => Ok(Shown { content, tag: None }),
        None => Err(missing()),
    }
}

fn named(name: &str) -> Map<String, Value> {
    Map::from_iter([("name".to_owned(), Value::from(name))])
}

impl Shown {
    fn headers(&self, edited: Option<&Edited>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let tag = self.tag.as_deref().and_then(precondition::quoted);
        headers.extend(tag.map(|tag| (header::ETAG, tag)));
        headers.extend(edited.into_iter().flat_map(number));
        headers
    }

    fn response(self, status: StatusCode, edited: Option<&Edited>) -> Response {
        let headers = self.headers(edited);
        (status, headers, axum::Json(self.content)).into_response()
    }
}

fn number(edited: &Edited) -> Option<(header::HeaderName, HeaderValue)> {
    edited.ids.last().map(|id| (header::HeaderName::from_static(EDIT), HeaderValue::from(*id)))
}
