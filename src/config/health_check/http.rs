//! Checks of types `http` and `https`.

use std::path::Path;

use regex::bytes::Regex;

use super::super::name::host_name;
use super::super::reader::{Table, Value, Words, boolean, integer, one_or_list, string};
use super::super::report::Report;
use super::super::source::{Located, Place};
use super::header::{headers, method};
use super::tls::TlsSpec;
use crate::plan::{CheckKind, HttpCheck, HttpVersion, Pattern, StatusRange};

/// What "it works" means to HTTP (RFC 9110 section 15.3).
const SUCCESS: StatusRange = StatusRange { first: 200, last: 299 };

const VERSIONS: Words<HttpVersion> = Words {
    what: "HTTP version",
    known: &[("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2)],
    planned: &["3"],
};

/// The keys of a check of type `http`.
pub(super) const KEYS: &[&str] = &[
    "method",
    "path",
    "host",
    "headers",
    "http_version",
    "expect_status",
    "expect_body",
    "expect_body_regex",
    "reuse",
];

/// The request and what is expected of the response, as written.
pub(super) struct HttpSpec {
    method: Option<Located<String>>,
    path: Option<Located<String>>,
    host: Option<Located<String>>,
    headers: Option<Located<Vec<(String, String)>>>,
    version: Option<Located<HttpVersion>>,
    expect_status: Option<Located<Vec<Located<StatusRange>>>>,
    expect_body: Option<Located<String>>,
    expect_body_regex: Option<Located<Regex>>,
    reuse: Option<Located<bool>>,
}

/// The same inside TLS.
pub(super) struct HttpsSpec {
    http: HttpSpec,
    tls: TlsSpec,
}

impl HttpSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        HttpSpec {
            method: table.optional("method", method),
            path: table.optional("path", request_target),
            host: table.optional("host", host_name),
            headers: table.optional("headers", headers),
            version: table.optional("http_version", |value| VERSIONS.read(value)),
            expect_status: table.optional("expect_status", one_or_list(status_range)),
            expect_body: table.optional("expect_body", text_of_body),
            expect_body_regex: table.optional("expect_body_regex", pattern),
            reuse: table.optional("reuse", boolean),
        }
    }

    /// Fills in the defaults.
    pub(super) fn convert(self, report: &Report) -> CheckKind {
        CheckKind::Http(self.check(report))
    }

    fn check(self, report: &Report) -> HttpCheck {
        let HttpSpec {
            method,
            path,
            host,
            headers,
            version,
            expect_status,
            expect_body,
            expect_body_regex,
            reuse,
        } = self;
        let method = method.map_or("GET".to_owned(), |method| method.value);
        if method == "HEAD" {
            let text = expect_body.as_ref().map(|text| ("expect_body", text.place));
            let regex = expect_body_regex.as_ref().map(|regex| ("expect_body_regex", regex.place));
            refuse_body([text, regex], report);
        }
        HttpCheck {
            version: version.map_or(HttpVersion::default(), |version| version.value),
            method,
            path: path.map_or("/".to_owned(), |path| path.value),
            host: host.map(|host| host.value),
            headers: headers.map_or(Vec::new(), |headers| headers.value),
            expect_status: expect_status
                .map_or(vec![SUCCESS], |ranges| ranges.value.into_iter().map(|range| range.value).collect()),
            expect_body: expect_body.map(|text| text.value),
            expect_body_regex: expect_body_regex.map(|regex| Pattern(regex.value)),
            reuse: reuse.is_some_and(|reuse| reuse.value),
        }
    }
}

impl HttpsSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        HttpsSpec { http: HttpSpec::read(table), tls: TlsSpec::read(table) }
    }

    /// Fills in the defaults and reads the files; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> Option<CheckKind> {
        let http = self.http.check(report);
        Some(CheckKind::Https { http, tls: self.tls.check(base_dir, report)? })
    }
}

/// Notes what is expected of a body that never comes (RFC 9110 section 9.3.2).
fn refuse_body(expected: [Option<(&str, Place)>; 2], report: &Report) {
    for (key, place) in expected.into_iter().flatten() {
        report.error(place, format!("the response to HEAD has no body for `{key}`"));
    }
}

/// A text to be found in a body.
fn text_of_body(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    if text.is_empty() {
        return value.refuse("an empty text is in every body", None);
    }
    Some(text)
}

/// A regular expression in the syntax of the crate `regex`.
fn pattern(value: Value<'_>) -> Option<Regex> {
    let text = string(value)?;
    match Regex::new(&text) {
        Ok(regex) => Some(regex),
        Err(regex::Error::CompiledTooBig(limit)) => {
            value.refuse(format!("the regular expression takes more than {limit} octets of memory"), None)
        }
        Err(reason) => {
            // What is printed in front of the last line draws the expression, which is shown anyhow.
            let reason = reason.to_string();
            let last = reason.lines().next_back().unwrap_or_default();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            value.refuse(format!("`{text}` is not a regular expression: {reason}"), None)
        }
    }
}

/// Path and query as they stand in an HTTP/1.1 request line (RFC 9112 section 3.2.1).
fn request_target(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    if !text.starts_with('/') {
        return value.refuse(
            "a path starts with `/`",
            Some(format!("write \"/{text}\"")).filter(|_| !text.contains(':')),
        );
    }
    let plain = |octet: u8| octet.is_ascii_graphic() && octet != b'#';
    if !text.bytes().all(plain) {
        return value.refuse(
            "white space, control characters, `#` and what is not ASCII cannot stand in a path",
            "write such an octet as %XX".to_owned(),
        );
    }
    Some(text)
}

/// A status, or the first and the last of a range: `200`, `"204"` or `"200-299"`.
fn status_range(value: Value<'_>) -> Option<StatusRange> {
    if value.is_integer() {
        let status = integer(100..=599)(value)?;
        return Some(StatusRange { first: status, last: status });
    }
    let text = string(value)?;
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    let status = |text: &str| text.trim().parse().ok().filter(|status| (100..=599).contains(status));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Some(StatusRange { first, last }),
        (Some(first), Some(last)) => {
            value.refuse(format!("`{text}` is a range from high to low"), format!("write \"{last}-{first}\""))
        }
        _ => value.refuse(
            format!("`{text}` is neither an HTTP status nor a range of them"),
            "write it as in \"204\" or \"200-299\"; statuses go from 100 to 599".to_owned(),
        ),
    }
}
