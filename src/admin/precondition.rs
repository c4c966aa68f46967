//! What must be so for a request to be carried out (RFC 9110 section 13).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

use super::Problem;

/// Octets of the digest that a tag shows: enough that no two contents ever share one.
const TAG_OCTETS: usize = 16;

/// What an object must be (RFC 9110 section 13.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There, whatever it is.
    Any,
    /// Not there (RFC 9110 section 13.1.2, `If-None-Match: *`).
    Absent,
    /// One with one of these tags.
    Tags(Vec<String>),
}

impl Expected {
    /// Whether an object with `tag` is it; `None`: there is none.
    pub fn is_met(&self, tag: Option<&str>) -> bool {
        match (self, tag) {
            (Expected::Any, tag) => tag.is_some(),
            (Expected::Absent, tag) => tag.is_none(),
            (Expected::Tags(tags), tag) => tag.is_some_and(|tag| tags.iter().any(|known| known == tag)),
        }
    }

    /// Whether an object that is there is it, by what it holds.
    pub fn is_met_by(&self, content: &[u8]) -> bool {
        self.is_met(Some(&tag_of(content)))
    }
}

/// The entity tag of what holds this, without quotes.
pub(super) fn tag_of(content: &[u8]) -> String {
    let digest = digest(&SHA256, content);
    digest.as_ref().get(..TAG_OCTETS).map_or_else(String::new, |octets| HEXLOWER.encode(octets))
}

/// The same as it stands in a header.
pub(super) fn quoted(tag: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{tag}\"")).ok()
}

/// What has to be so before something is changed; `None`: nothing in particular.
pub(super) fn of_change(headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
    match (tags(headers, header::IF_MATCH)?, tags(headers, header::IF_NONE_MATCH)?) {
        (Some(expected), _) => Ok(Some(expected)),
        (None, Some(Expected::Any)) => Ok(Some(Expected::Absent)),
        (None, Some(_)) => {
            let detail = "only `*` makes sense of If-None-Match where something is changed";
            Err(Problem::new(StatusCode::BAD_REQUEST, "Malformed request", detail))
        }
        (None, None) => Ok(None),
    }
}

/// Whether a client that asks with these headers has what has `tag` already (RFC 9110 section 13.1.2).
pub(super) fn is_known(headers: &HeaderMap, tag: Option<&str>) -> Result<bool, Problem> {
    Ok(tags(headers, header::IF_NONE_MATCH)?.is_some_and(|known| known.is_met(tag)))
}

/// The entity tags of a header (RFC 9110 section 8.8.3).
fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Expected>, Problem> {
    let malformed = || {
        let detail = format!("`{name}` is to be `*` or entity tags in quotes");
        Problem::new(StatusCode::BAD_REQUEST, "Malformed request", detail)
    };
    let mut all = Vec::new();
    for value in headers.get_all(&name) {
        match value.to_str().ok().and_then(expected) {
            Some(Expected::Tags(tags)) => all.extend(tags),
            Some(other) => return Ok(Some(other)),
            None => return Err(malformed()),
        }
    }
    Ok((!all.is_empty()).then_some(Expected::Tags(all)))
}

/// What `If-Match` says, `*` or entity tags in quotes; `None`: that is neither.
pub(super) fn expected(text: &str) -> Option<Expected> {
    let mut tags = Vec::new();
    for tag in text.split(',').map(str::trim) {
        if tag == "*" {
            return Some(Expected::Any);
        }
        let quoted = tag.strip_prefix("W/").unwrap_or(tag);
        tags.push(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    }
    Some(Expected::Tags(tags))
}
