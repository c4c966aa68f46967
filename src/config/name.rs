//! Names as written: of DNS, of hosts, and of the configuration's own things.

use super::reader::{Value, string, text};
use crate::dns::{Name, NameError};

/// The longest name that a pool, an address or a health check may have: as long as a DNS label.
const MAX_IDENTIFIER: usize = 63;

/// A domain name, absolute with or without its trailing dot.
pub(super) fn domain_name(value: Value<'_>) -> Option<Name> {
    let text = text(value)?;
    text.parse().map_or_else(|reason| refuse_name(value, text, reason), Some)
}

/// Notes why `text` is no domain name.
pub(super) fn refuse_name<T>(value: Value<'_>, text: &str, reason: NameError) -> Option<T> {
    value.refuse(not_a_name(text, reason), None)
}

/// The message for a `text` that is no domain name.
pub(super) fn not_a_name(text: &str, reason: NameError) -> String {
    format!("`{text}` is not a domain name: {reason}")
}

/// The name of a host as HTTP and TLS know it: letters, digits, hyphens and underscores between dots.
pub(super) fn host_name(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    let hint = if text.contains("://") || text.contains('/') {
        Some("the host alone; the path goes into `path`".to_owned())
    } else if text.contains(':') {
        Some("the host alone; the port belongs to the pool's addresses".to_owned())
    } else {
        None
    };
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    if !text.bytes().all(plain) {
        return value.refuse(format!("`{text}` is not a host name"), hint);
    }
    match text.parse::<Name>() {
        Ok(_) => Some(text.trim_end_matches('.').to_ascii_lowercase()),
        Err(reason) => value.refuse(format!("`{text}` is not a host name: {reason}"), hint),
    }
}

/// Why `name` cannot name a pool, an address or a health check; they stand in URLs and metrics.
pub(super) fn identifier_fault(name: &str) -> Option<String> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    if name.is_empty() {
        Some("a name is not empty".to_owned())
    } else if name.len() > MAX_IDENTIFIER {
        Some(format!("a name has at most {MAX_IDENTIFIER} characters"))
    } else if !name.bytes().all(plain) {
        Some(format!("`{name}` may hold only letters, digits, `-`, `_` and `.`"))
    } else {
        None
    }
}

/// A name of the configuration's own.
pub(super) fn identifier(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    match identifier_fault(&text) {
        Some(fault) => value.refuse(fault, None),
        None => Some(text),
    }
}
