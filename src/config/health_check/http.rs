//! Checks of types `http` and `https`.

use super::super::name::host_name;
use super::super::reader::{Table, Value, boolean, integer, one_or_list, string};
use super::super::source::Located;
use crate::plan::{CheckKind, HttpCheck, StatusRange};

/// What "it works" means to HTTP (RFC 9110 section 15.3).
const SUCCESS: StatusRange = StatusRange { first: 200, last: 299 };

/// The keys of a check of type `http`.
pub(super) const KEYS: &[&str] = &["path", "host", "expect_status", "reuse"];
/// The keys that a check of type `https` has besides.
pub(super) const TLS_KEYS: &[&str] = &["verify"];

/// The request and what is expected of the response, as written.
pub(super) struct HttpSpec {
    path: Option<Located<String>>,
    host: Option<Located<String>>,
    expect_status: Option<Located<Vec<Located<StatusRange>>>>,
    reuse: Option<Located<bool>>,
}

/// The same inside TLS.
pub(super) struct HttpsSpec {
    http: HttpSpec,
    verify: Option<Located<bool>>,
}

impl HttpSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        HttpSpec {
            path: table.optional("path", request_target),
            host: table.optional("host", host_name),
            expect_status: table.optional("expect_status", one_or_list(status_range)),
            reuse: table.optional("reuse", boolean),
        }
    }

    /// Fills in the defaults.
    pub(super) fn convert(self) -> CheckKind {
        CheckKind::Http(self.check())
    }

    fn check(self) -> HttpCheck {
        let HttpSpec { path, host, expect_status, reuse } = self;
        HttpCheck {
            path: path.map_or("/".to_owned(), |path| path.value),
            host: host.map(|host| host.value),
            expect_status: expect_status
                .map_or(vec![SUCCESS], |ranges| ranges.value.into_iter().map(|range| range.value).collect()),
            reuse: reuse.is_some_and(|reuse| reuse.value),
        }
    }
}

impl HttpsSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        HttpsSpec { http: HttpSpec::read(table), verify: table.optional("verify", boolean) }
    }

    /// Fills in the defaults.
    pub(super) fn convert(self) -> CheckKind {
        let HttpsSpec { http, verify } = self;
        CheckKind::Https { http: http.check(), verify: verify.is_none_or(|verify| verify.value) }
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
