//! What a check asks for, as a request.

use std::net::IpAddr;

use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri, Version};

use crate::health::LocalFailure;
use crate::plan::{Endpoint, HttpCheck, HttpVersion, Watch};

/// The request that `check` asks for.
///
/// # Errors
///
/// [`LocalFailure::BadRequest`] if some part of it cannot stand in a request.
pub(in super::super) fn request(
    watch: &Watch,
    check: &HttpCheck,
    is_inside_tls: bool,
) -> Result<Request<()>, LocalFailure> {
    let bad = |what: &str| LocalFailure::BadRequest(format!("{what:?} cannot stand in a request"));
    let header = |text: &str| HeaderValue::try_from(text).map_err(|_| bad(text));
    let path = Uri::try_from(&check.path[..]).map_err(|_| bad(&check.path))?;
    let host = host_header(watch, check);

    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(check.method.as_bytes()).map_err(|_| bad(&check.method))?;
    match check.version {
        HttpVersion::Http1 => {
            *request.uri_mut() = path;
            request.headers_mut().insert(HOST, header(&host)?);
        }
        // The authority stands in for the Host header (RFC 9113 section 8.3.1).
        HttpVersion::Http2 => {
            let scheme = if is_inside_tls { "https" } else { "http" };
            let built = Uri::builder().scheme(scheme).authority(&host[..]).path_and_query(&check.path[..]);
            *request.uri_mut() = built.build().map_err(|_| bad(&host))?;
            *request.version_mut() = Version::HTTP_2;
        }
    }
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("rhumb"));
    // Methods that have a body say so when it is empty (RFC 9110 section 8.6).
    if matches!(&check.method[..], "POST" | "PUT" | "PATCH") {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    for (name, value) in &check.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?, header(value)?);
    }
    if !check.reuse && check.version == HttpVersion::Http1 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(request)
}

/// The check's host as it is written; without one the name that was resolved, or the endpoint, with
/// its port unless it is the scheme's (RFC 9110 section 7.2).
fn host_header(watch: &Watch, check: &HttpCheck) -> String {
    if let Some(host) = &check.host {
        return host.clone();
    }
    let host = match (&watch.resolved_from, &watch.endpoint) {
        (Some(name), _) => name.to_string(),
        (None, Endpoint::Ip(IpAddr::V6(ip))) => format!("[{ip}]"),
        (None, endpoint) => endpoint.to_string(),
    };
    match watch.check.default_port() {
        default if default == watch.port => host,
        _ => format!("{host}:{}", watch.port.unwrap_or_default()),
    }
}

/// The host that is written in the check, without a port, as TLS wants it.
pub(in super::super) fn bare_host(check: &HttpCheck) -> Option<String> {
    let host = check.host.as_ref()?;
    let uri = Uri::try_from(&host[..]).ok();
    let bare = uri.as_ref().and_then(Uri::host).unwrap_or(host);
    Some(bare.trim_start_matches('[').trim_end_matches(']').to_owned())
}
