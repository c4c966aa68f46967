//! Requests that a browser was talked into by somebody else's page.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};

use super::Problem;

/// That a request comes from no other place on the web than the API itself.
///
/// Programs send no `Origin`. Browsers send it with whatever may change something, and pages of
/// others cannot make them leave it out (RFC 6454 section 7.3). `is_open`: no token is asked for; then
/// a page may not even read, which it could where its own name was made to mean this address (DNS
/// rebinding), so that only names of this host are answered to.
///
/// # Errors
///
/// 403, if it does.
pub(super) fn check(method: &Method, headers: &HeaderMap, is_open: bool) -> Result<(), Problem> {
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if is_open && let Some(host) = host.filter(|host| !is_this_host(host)) {
        return Err(forbidden(format!(
            "without a `token_file` the admin API is for this host only: ask `localhost`, not `{}`",
            host.escape_default()
        )));
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let is_own = origin.split_once("://").is_some_and(|(scheme, authority)| {
        // Whoever ends TLS in front of it leaves the port out where it is the scheme's.
        let port = if scheme == "https" { 443 } else { 80 };
        let parts = |text: &str| {
            let authority: Authority = text.parse().ok()?;
            Some((authority.host().to_ascii_lowercase(), authority.port_u16().unwrap_or(port)))
        };
        parts(authority).is_some_and(|origin| host.and_then(parts) == Some(origin))
    });
    if is_own {
        return Ok(());
    }
    Err(forbidden(format!("`{}` is another origin, which may change nothing here", origin.escape_default())))
}

/// Whether `host`, as in the header of this name, can only mean this host.
fn is_this_host(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    // RFC 6761 section 6.3.
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let of_v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match of_v6 {
        Some(address) => {
            address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback())
        }
        None => name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

fn forbidden(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "Forbidden", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_through(method: Method, headers: &[(header::HeaderName, &str)], is_open: bool) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("it can stand in a header")));
        check(&method, &headers.collect(), is_open).is_ok()
    }

    #[test]
    fn other_origins_change_nothing() {
        for (host, origin, may) in [
            ("127.0.0.1:8053", "http://127.0.0.1:8053", true),
            ("LOCALHOST:8053", "http://localhost:8053", true),
            ("[::1]:8053", "http://[::1]:8053", true),
            ("localhost", "http://localhost:80", true),
            ("localhost:443", "https://localhost", true),
            ("127.0.0.1:8053", "http://127.0.0.1:8054", false),
            ("127.0.0.1:8053", "http://localhost:8053", false),
            ("127.0.0.1:8053", "https://evil.example", false),
            ("127.0.0.1:8053", "null", false),
            ("127.0.0.1:8053", "", false),
        ] {
            let headers = [(header::HOST, host), (header::ORIGIN, origin)];
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert_eq!(is_let_through(method, &headers, true), may, "{host} {origin}");
            }
            assert!(is_let_through(Method::GET, &headers, true));
        }
        assert!(is_let_through(Method::POST, &[(header::HOST, "localhost")], true));
    }

    #[test]
    fn without_tokens_only_names_of_this_host_are_answered_to() {
        for (host, is_own) in [
            ("localhost", true),
            ("localhost.:8053", true),
            ("rhumb.localhost:8053", true),
            ("127.9.9.9:8053", true),
            ("[::1]:8053", true),
            ("[::ffff:127.0.0.1]", true),
            ("evil.example:8053", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("192.0.2.1", false),
            ("[2001:db8::1]", false),
            ("", false),
        ] {
            for method in [Method::GET, Method::POST] {
                assert_eq!(is_let_through(method.clone(), &[(header::HOST, host)], true), is_own, "{host}");
                assert!(is_let_through(method, &[(header::HOST, host)], false), "{host}");
            }
        }
        // Of HTTP/1.0, which no browser speaks.
        assert!(is_let_through(Method::GET, &[], true));
    }
}
