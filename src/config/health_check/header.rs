//! Methods and headers of HTTP requests, as written.

use hyper::Method;
use hyper::header::HeaderName;

use super::super::reader::{Value, string};

/// Headers that say how the message is framed, or belong to the connection: the request would not
/// be what it says (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2).
const OF_THE_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A method: a token (RFC 9110 section 9.1).
pub(super) fn method(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    if Method::from_bytes(text.as_bytes()).is_err() {
        return value.refuse(format!("`{text}` is not an HTTP method"), None);
    }
    if text == "CONNECT" {
        return value.refuse("`CONNECT` asks a proxy for a tunnel, and not for a path", None);
    }
    let upper = text.to_ascii_uppercase();
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"];
    if text != upper && known.contains(&&upper[..]) {
        return value.refuse("methods are told apart by case", format!("write \"{upper}\""));
    }
    Some(text)
}

/// Names and values of headers, the names in lowercase.
pub(super) fn headers(value: Value<'_>) -> Option<Vec<(String, String)>> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in value.named()? {
        let lowercase = name.value.to_ascii_lowercase();
        let content = content(value);
        let fault = if HeaderName::from_bytes(name.value.as_bytes()).is_err() {
            Some(format!("`{}` is not the name of a header", name.value))
        } else if lowercase == "host" {
            Some("the Host header is `host` of the check".to_owned())
        } else if OF_THE_CONNECTION.contains(&&lowercase[..]) {
            Some(format!("`{}` is up to the check itself", name.value))
        } else if headers.iter().any(|(before, _)| *before == lowercase) {
            Some(format!("`{}` is there twice", name.value))
        } else {
            None
        };
        if let Some(fault) = fault {
            value.report.error(name.place, fault);
            continue;
        }
        headers.extend(content.map(|content| (lowercase, content)));
    }
    Some(headers)
}

/// The content of a header: visible ASCII, and white space between (RFC 9110 section 5.5).
fn content(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    let plain = |octet: u8| octet.is_ascii_graphic() || octet == b' ' || octet == b'\t';
    if !text.bytes().all(plain) {
        return value.refuse("control characters and what is not ASCII cannot stand in a header", None);
    }
    if text.trim() != text {
        return value.refuse("white space at the ends is no part of a header", None);
    }
    Some(text)
}
