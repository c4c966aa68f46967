//! How often what is asked, and how long it takes.

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::{Context, clock};

/// Counts a request by its route, as that is written, and not by its path: of paths there are as many as anybody likes.
pub(super) async fn measure(State(context): State<Context>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = known(request.method());
    let started = clock::instant();
    let response = next.run(request).await;
    let took = clock::instant().saturating_duration_since(started);
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let status = response.status().as_str().to_owned();
    (context.served)(&route, took);
    let labels = [("route", route), ("method", method.to_owned()), ("status", status)];
    metrics::counter!("rhumb_admin_requests_total", &labels).increment(1);
    response
}

/// The methods that routes have. A client may make up others.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
