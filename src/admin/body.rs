//! What requests bring, as JSON.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::Problem;

/// The members of an object that a request brings.
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Takes a body apart that may have members of these names only.
    pub(super) fn read(body: &Bytes, known: &[&str]) -> Result<Self, Problem> {
        let malformed = |why: String| Problem::new(StatusCode::BAD_REQUEST, "Malformed request", why);
        let value = serde_json::from_slice(body).map_err(|error| malformed(format!("not JSON: {error}")))?;
        let Value::Object(members) = value else {
            return Err(malformed("the body is to be a JSON object".to_owned()));
        };
        match members.keys().find(|name| !known.contains(&&name[..])) {
            Some(name) => {
                let known = known.join("`, `");
                let detail = format!("`{name}` is not known here; there is `{known}`");
                Err(Problem::invalid(name.clone(), detail))
            }
            None => Ok(Members(members)),
        }
    }

    /// A text; `None`: it is left out or null.
    pub(super) fn text(&self, name: &'static str, longest: usize) -> Result<Option<&str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= longest => Ok(Some(text)),
            Some(Value::String(_)) => {
                Err(Problem::invalid(name, format!("`{name}` is longer than {longest} characters")))
            }
            Some(other) => Err(Problem::invalid(name, format!("`{name}` is to be a string, not {other}"))),
        }
    }

    /// A span of time as in the configuration; `None`: it is left out or null.
    pub(super) fn span(&self, name: &'static str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.text(name, 100)? else { return Ok(None) };
        match humantime::parse_duration(text) {
            Ok(span) if !span.is_zero() => Ok(Some(span)),
            Ok(_) => Err(Problem::invalid(name, format!("`{name}` is to be longer than nothing"))),
            Err(_) => Err(Problem::invalid(
                name,
                format!("`{text}` is no span of time; write it as in \"30s\" or \"5m\""),
            )),
        }
    }
}
