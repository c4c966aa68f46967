//! What requests bring, as JSON.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::Problem;

/// Enough to say why, for whoever reads it in a line of status.
pub(super) const LONGEST_REASON: usize = 200;

/// The object that a request brings.
pub(super) fn object(body: &Bytes) -> Result<Map<String, Value>, Problem> {
    let malformed = |why: String| Problem::new(StatusCode::BAD_REQUEST, "Malformed request", why);
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(malformed("the body is to be a JSON object".to_owned())),
        Err(error) => Err(malformed(format!("not JSON: {error}"))),
    }
}

/// Takes a text out of `members`; `None`: it is left out or null.
pub(super) fn text(
    members: &mut Map<String, Value>,
    name: &'static str,
    longest: usize,
) -> Result<Option<String>, Problem> {
    match members.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            check_length(name, Some(&text), longest)?;
            Ok(Some(text))
        }
        Some(other) => Err(Problem::invalid(name, format!("`{name}` is to be a string, not {other}"))),
    }
}

/// Takes a span of time, as in the configuration, out of `members`; `None`: it is left out or null.
pub(super) fn span(
    members: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<Duration>, Problem> {
    text(members, name, LONGEST_SPAN)?.map(|text| parse_span(name, &text)).transpose()
}

/// A span of time as in the configuration, longer than nothing.
pub(super) fn parse_span(name: &'static str, text: &str) -> Result<Duration, Problem> {
    match humantime::parse_duration(text) {
        Ok(span) if !span.is_zero() => Ok(span),
        Ok(_) => Err(Problem::invalid(name, format!("`{name}` is to be longer than nothing"))),
        Err(_) => Err(Problem::invalid(
            name,
            format!("`{text}` is no span of time; write it as in \"30s\" or \"5m\""),
        )),
    }
}

/// That `text` is not longer than that, in characters.
pub(super) fn check_length(name: &'static str, text: Option<&str>, longest: usize) -> Result<(), Problem> {
    match text {
        Some(text) if text.chars().count() > longest => {
            Err(Problem::invalid(name, format!("`{name}` is longer than {longest} characters")))
        }
        _ => Ok(()),
    }
}

/// No span of time takes more characters.
const LONGEST_SPAN: usize = 100;

/// The members of an object that a request brings.
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Takes a body apart that may have members of these names only.
    pub(super) fn read(body: &Bytes, known: &[&str]) -> Result<Self, Problem> {
        let members = object(body)?;
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
    pub(super) fn text(&mut self, name: &'static str, longest: usize) -> Result<Option<String>, Problem> {
        text(&mut self.0, name, longest)
    }

    /// A span of time as in the configuration; `None`: it is left out or null.
    pub(super) fn span(&mut self, name: &'static str) -> Result<Option<Duration>, Problem> {
        span(&mut self.0, name)
    }

    /// What is there under a name, whatever it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }
}
