//! Checks of types `http` and `https`.

use std::hash::{Hash, Hasher};

use regex::bytes::Regex;

/// An HTTP request and what is expected of the response.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpCheck {
    /// The version that is spoken.
    pub version: HttpVersion,
    /// The method: a token (RFC 9110 section 9.1), not CONNECT.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The Host header, and for https the SNI unless the check has its own; `None`: the name that
    /// the address was resolved from, or else the address itself.
    pub host: Option<String>,
    /// Further headers, each name once and in lowercase.
    pub headers: Vec<(String, String)>,
    /// Statuses that count as a pass. Never empty.
    pub expect_status: Vec<StatusRange>,
    /// What the body has to hold. Not empty.
    pub expect_body: Option<String>,
    /// What has to match somewhere in the body.
    pub expect_body_regex: Option<Pattern>,
    /// Whether one connection is kept for all probes of an address.
    pub reuse: bool,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http1,
    /// HTTP/2 (RFC 9113): inside TLS by ALPN, else with prior knowledge.
    Http2,
}

/// HTTP statuses from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusRange {
    /// The lowest status that passes.
    pub first: u16,
    /// The highest status that passes.
    pub last: u16,
}

/// A regular expression over octets. Two that are written alike are equal.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl HttpCheck {
    /// Whether a response's body has to be read to judge it.
    pub fn looks_at_body(&self) -> bool {
        self.expect_body.is_some() || self.expect_body_regex.is_some()
    }
}
