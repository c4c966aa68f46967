//! Errors as problem details (RFC 9457).

use std::borrow::Cow;
use std::fmt;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::NotEdited;
use super::edit::NotMade;
use crate::config::{Refusal, UnknownObject};
use crate::control::NoSuch;

/// Why a request was not carried out.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    #[schema(value_type = String)]
    title: &'static str,
    status: u16,
    detail: String,
    /// The parameter or member of the request that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    field: Option<Cow<'static, str>>,
    /// What the head of the answer says besides.
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Problem { title, status: status.as_u16(), detail: detail.into(), field: None, headers: Vec::new() }
    }

    pub(super) fn invalid(field: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "Invalid parameter", detail);
        Problem { field: Some(field.into()), ..problem }
    }

    /// The status of the reply.
    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same about a member of the request.
    pub(super) fn with_field(self, field: Option<String>) -> Self {
        Problem { field: field.map(Cow::Owned), ..self }
    }

    /// The same, with another line in the head of the answer.
    pub(super) fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn unknown(kind: &str, name: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "Not found", format!("there is no {kind} `{name}`"))
    }

    pub(super) fn stopping() -> Self {
        // Another may be there already: of the same host after an upgrade.
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Stopping", "the daemon is shutting down")
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }
}

impl From<NoSuch> for Problem {
    fn from(missing: NoSuch) -> Self {
        match missing {
            NoSuch::Pool(name) => Problem::unknown("pool", &name),
            NoSuch::Address(_, name) => Problem::unknown("address", &name),
        }
    }
}

impl From<UnknownObject> for Problem {
    fn from(reason: UnknownObject) -> Self {
        match reason {
            UnknownObject::Kind(_) => Problem::new(StatusCode::NOT_FOUND, "Not found", reason.to_string()),
            UnknownObject::Name(_) => Problem::invalid("name", reason.to_string()),
            UnknownObject::Type(_) => Problem::invalid("type", reason.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(reason: Refusal) -> Self {
        Problem::from(NotMade::Edit(NotEdited::Refused(reason)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "Not found", format!("there is nothing at {}", uri.path()))
}

pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "this cannot be done here")
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let status = self.status();
        let headers = std::mem::take(&mut self.headers);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().extend(headers);
        response
    }
}
