//! `[health_check.NAME]`

use std::ops::RangeInclusive;
use std::time::Duration;

use super::damping::{check_reach, damping};
use super::name::host_name;
use super::reader::{Value, Words, boolean, duration, integer, one_or_list, string};
use super::report::Report;
use super::source::Located;
use crate::plan::{CheckKind, Damping, HealthCheck, HttpCheck, StatusRange};

/// Fast enough for a failover within seconds, at a cost that no site notices.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
/// Twice the longest round trip between two places on earth, so that a lost packet is no failure
/// of the connection but a slow site is.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);
/// One probe may be lost by chance, two in a row hardly.
const DEFAULT_FALL: u32 = 2;
/// A site that has passed twice is back, and not merely restarting.
const DEFAULT_RISE: u32 = 2;
/// Oftener would be an attack on the site; the longest is a day.
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);
/// No connection is made in less than a millisecond beyond the own rack.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
/// What "it works" means to HTTP (RFC 9110 section 15.3).
const SUCCESS: StatusRange = StatusRange { first: 200, last: 299 };

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Http,
    Https,
    Tcp,
}

const KINDS: Words<Kind> = Words {
    what: "health check type",
    known: &[("http", Kind::Http), ("https", Kind::Https), ("tcp", Kind::Tcp)],
    planned: &["icmp", "grpc", "dns", "script"],
};

/// A health check as written.
pub(super) struct HealthCheckSpec {
    kind: Option<Located<Kind>>,
    path: Option<Located<String>>,
    host: Option<Located<String>>,
    expect_status: Option<Located<Vec<Located<StatusRange>>>>,
    reuse: Option<Located<bool>>,
    verify: Option<Located<bool>>,
    interval: Option<Located<Duration>>,
    timeout: Option<Located<Duration>>,
    fall: Option<Located<u32>>,
    rise: Option<Located<u32>>,
    damping: Option<Located<Damping>>,
}

impl HealthCheckSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let kind = table.required("type", |value| KINDS.read(value));
        match kind.as_ref().map(|kind| kind.value) {
            Some(Kind::Tcp) => {
                let keys = ["path", "host", "expect_status", "reuse", "verify"];
                table.inapplicable(&keys, "to a check of type `tcp`");
            }
            Some(Kind::Http) => table.inapplicable(&["verify"], "to a check of type `http`"),
            Some(Kind::Https) | None => {}
        }
        let spec = HealthCheckSpec {
            kind,
            path: table.optional("path", request_target),
            host: table.optional("host", host_name),
            expect_status: table.optional("expect_status", one_or_list(status_range)),
            reuse: table.optional("reuse", boolean),
            verify: table.optional("verify", boolean),
            interval: table.optional("interval", duration(INTERVALS)),
            timeout: table.optional("timeout", duration(TIMEOUTS)),
            fall: table.optional("fall", integer(1..=u32::MAX)),
            rise: table.optional("rise", integer(1..=u32::MAX)),
            damping: table.optional("damping", damping),
        };
        table.finish();
        Some(spec)
    }

    /// Whether a probe knows its port without being told; true if that cannot be told.
    pub(super) fn has_default_port(&self) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind.value != Kind::Tcp)
    }

    /// Fills in the defaults; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, name: String, report: &Report) -> Option<HealthCheck> {
        let HealthCheckSpec {
            kind,
            path,
            host,
            expect_status,
            reuse,
            verify,
            interval,
            timeout,
            fall,
            rise,
            damping,
        } = self;
        let interval_or_default = interval.map_or(DEFAULT_INTERVAL, |interval| interval.value);
        if let Some(timeout) = timeout.filter(|timeout| timeout.value > interval_or_default) {
            report.error(
                timeout.place,
                format!(
                    "the timeout is longer than the interval of {}",
                    humantime::format_duration(interval_or_default)
                ),
            );
        }
        let kind = kind?.value;
        let http = HttpCheck {
            path: path.map_or("/".to_owned(), |path| path.value),
            host: host.map(|host| host.value),
            expect_status: expect_status
                .map_or(vec![SUCCESS], |ranges| ranges.value.into_iter().map(|range| range.value).collect()),
            reuse: reuse.is_some_and(|reuse| reuse.value),
        };
        let check = HealthCheck {
            name,
            kind: match kind {
                Kind::Tcp => CheckKind::Tcp,
                Kind::Http => CheckKind::Http(http),
                Kind::Https => CheckKind::Https { http, verify: verify.is_none_or(|verify| verify.value) },
            },
            interval: interval_or_default,
            timeout: timeout.map_or(DEFAULT_TIMEOUT.min(interval_or_default), |timeout| timeout.value),
            fall: fall.map_or(DEFAULT_FALL, |fall| fall.value),
            rise: rise.map_or(DEFAULT_RISE, |rise| rise.value),
            damping: damping.as_ref().map(|damping| damping.value),
        };
        if let Some(damping) = &damping {
            check_reach(damping, &check, report);
        }
        Some(check)
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
