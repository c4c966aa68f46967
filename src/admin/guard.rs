//! The door: who may pass, with what, and how many at once.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::need::{depends_on_body, needs};
use super::principal::{Principal, Role};
use super::{Context, Problem, origin};

/// What a request may bring, in octets, if nothing else is said of its path: a pool of some ten
/// thousand addresses, which is more than any has.
pub(super) const MAX_OCTETS: usize = 1024 * 1024;

/// When who was turned away since too many asked should ask again: a request takes milliseconds.
const SOON: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) from: From,
    /// It came when there were too many connections: it is told whether the daemon lives, and no more.
    pub(super) is_one_too_many: bool,
}

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub(super) enum From {
    /// From this address.
    Network(IpAddr),
    /// By the Unix socket, from somebody whom the operating system has named.
    Socket(Principal),
}

impl From {
    fn text(&self) -> String {
        match self {
            From::Network(address) => address.to_string(),
            From::Socket(principal) => principal.from.clone(),
        }
    }
}

/// Whether a path is for everybody: whoever keeps the daemon running needs no secret for that, and
/// the console is where people are asked for theirs. All other paths are guarded, those that do not
/// exist as well.
fn is_for_everybody(path: &str) -> bool {
    tells_of_life(path)
        || matches!(path, "/" | "/console" | "/openapi.json" | "/favicon.ico")
        || path.starts_with("/console/")
}

fn tells_of_life(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// Lets as many requests pass as can be under way at once.
///
/// What may change something is carried out to its end though its sender goes away: half of it, such
/// as a change without its record in the audit log, is worse than all or nothing.
pub(super) async fn admit(State(context): State<Context>, request: Request, next: Next) -> Response {
    if tells_of_life(request.uri().path()) {
        return next.run(request).await;
    }
    let is_one_too_many = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_one_too_many);
    let permit = match Arc::clone(&context.access.requests).try_acquire_owned() {
        Ok(permit) if !is_one_too_many => permit,
        _ => {
            turned_away("busy");
            let detail = "too many ask at once; try again";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", detail)
                .with_header(header::RETRY_AFTER, seconds(SOON))
                .into_response();
        }
    };
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let carried_out = async move {
        let response = next.run(request).await;
        drop(permit);
        response
    };
    if only_reads {
        return carried_out.await;
    }
    tokio::spawn(carried_out).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request to the admin API was not carried out to its end");
        let detail = "the log of the daemon says more";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "A fault of the daemon", detail).into_response()
    })
}

/// Lets a request pass whose sender may do what it asks for, and says who that is.
pub(super) async fn guard(
    State(context): State<Context>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    if is_for_everybody(request.uri().path()) {
        return next.run(request).await;
    }
    let pool = parameters.as_ref().ok().and_then(|parameters| {
        let mut named = parameters.iter().filter(|(name, _)| *name == "pool");
        named.next().map(|(_, pool)| pool.to_owned())
    });
    let request = match pass(&context, pool.as_deref(), request).await {
        Ok(request) => request,
        Err(refused) => return refused.into_response(),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let principal = request.extensions().get::<Principal>().cloned();
    let response = next.run(request).await;
    if let (StatusCode::FORBIDDEN, Some(principal)) = (response.status(), principal) {
        note_refusal(&context, &principal, &method, &path, "it is about more than they may change");
    }
    response
}

async fn pass(context: &Context, pool: Option<&str>, mut request: Request) -> Result<Request, Problem> {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        let detail = "it cannot be told where the request comes from";
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Unknown", detail));
    };
    if matches!(peer.from, From::Network(_)) {
        let is_open = !context.access.takes_token();
        origin::check(request.method(), request.headers(), is_open).inspect_err(|problem| {
            turned_away("origin");
            let path = request.uri().path();
            tracing::debug!(from = peer.from.text(), path, "admin request refused: {problem}");
        })?;
    }
    let principal = identify(context, &peer.from, request.headers())?;
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", |route| route.as_str());
    let method = request.method().clone();
    let mut body = Value::Null;
    if !principal.may_everything() && depends_on_body(&method, route) {
        // Whoever may not even order need not send all of it.
        principal.require_role(Role::Operate).inspect_err(|problem| {
            note_refusal(context, &principal, &method, request.uri().path(), problem)
        })?;
        let (parts, content) = request.into_parts();
        let content = to_bytes(content, MAX_OCTETS).await.map_err(|_| too_large())?;
        // What is not JSON is refused where it is read; until then it is nothing that needs less.
        body = serde_json::from_slice(&content).unwrap_or_default();
        request = Request::from_parts(parts, Body::from(content));
    }
    for need in needs(&method, route, pool, &body) {
        need.check(&principal).inspect_err(|problem| {
            note_refusal(context, &principal, &method, request.uri().path(), problem)
        })?;
    }
    request.extensions_mut().insert(principal);
    Ok(request)
}

/// Counts a refusal for want of rights, and logs it. Who asks again and again is a script: more than the
/// first few lines of each would be a way to fill the disk.
fn note_refusal(
    context: &Context,
    principal: &Principal,
    method: &Method,
    path: &str,
    problem: impl Display,
) {
    turned_away("role");
    let Principal { name, from, .. } = principal;
    if context.access.note_refused(name) {
        tracing::debug!(who = %name, %from, %method, path, "admin request refused: {problem}");
    } else {
        tracing::warn!(who = %name, %from, %method, path, "admin request refused: {problem}");
    }
}

/// Who sends a request with these headers. A token goes before what the operating system says: whoever
/// shows one wants to be no more than it makes them.
fn identify(context: &Context, from: &From, headers: &HeaderMap) -> Result<Principal, Problem> {
    let access = &context.access;
    let carried = headers.get(header::AUTHORIZATION).filter(|_| access.takes_token());
    let Some(carried) = carried else {
        return match from {
            From::Socket(principal) => Ok(principal.clone()),
            From::Network(address) if !access.takes_token() => Ok(Principal::anyone(address.to_string())),
            From::Network(_) => {
                turned_away("no_token");
                Err(unauthorized())
            }
        };
    };
    let token = carried
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map_or("", |(_, token)| token.trim());
    if let Some(holder) = access.holder(token.as_bytes()) {
        return Ok(Principal::of_token(&holder, from.text()));
    }
    let wait = match from {
        From::Network(address) => access.note_wrong(*address),
        From::Socket(_) => None,
    };
    match wait {
        None => {
            turned_away("wrong_token");
            tracing::warn!(from = from.text(), "admin request refused: a wrong token");
            Err(unauthorized())
        }
        // Not logged: it would be a way to fill the disk.
        Some(wait) => {
            turned_away("throttled");
            let detail = "too many wrong tokens came from there";
            // Whoever goes on has to connect anew, each time.
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens", detail)
                .with_header(header::RETRY_AFTER, seconds(wait))
                .with_header(header::CONNECTION, HeaderValue::from_static("close")))
        }
    }
}

fn unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", "send `Authorization: Bearer TOKEN`")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn too_large() -> Problem {
    let detail = format!("a request brings at most {} KiB", MAX_OCTETS / 1024);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail)
}

/// In whole seconds, as `Retry-After` has it (RFC 9110 section 10.2.3), and not too early.
fn seconds(span: Duration) -> HeaderValue {
    HeaderValue::from(span.as_secs() + u64::from(span.subsec_nanos() > 0))
}

fn turned_away(reason: &'static str) {
    metrics::counter!("rhumb_admin_refused_total", "reason" => reason).increment(1);
}

/// Makes a problem of every refusal that is none yet: those of the libraries are plain text, or empty.
pub(super) async fn explain_refusals(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || !is_plain {
        return response;
    }
    let problem = match status {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        StatusCode::REQUEST_TIMEOUT => {
            let detail = "it took too long, and may still be carried out";
            Problem::new(status, "Timed out", detail)
        }
        _ => {
            let (_, body) = response.into_parts();
            let text = to_bytes(body, 4096).await.unwrap_or_default();
            let detail = String::from_utf8_lossy(&text);
            Problem::new(status, status.canonical_reason().unwrap_or("Refused"), detail)
        }
    };
    problem.into_response()
}
