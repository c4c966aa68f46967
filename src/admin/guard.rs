//! Who may.

use std::fmt;
use std::path::Path;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::principal::Principal;
use super::{Context, Problem};

/// The secret that requests carry as `Authorization: Bearer TOKEN` (RFC 6750).
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Reads the token file: its first line, without white space around it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or its first line is empty.
    pub fn read(path: &Path) -> std::io::Result<Token> {
        let text = std::fs::read_to_string(path)?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.is_empty() {
            return Err(std::io::Error::other("the first line is empty; it should be the token"));
        }
        Ok(Token(token.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Lets a request pass that carries the token, where one is needed.
pub(super) async fn require_token(
    State(context): State<Context>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Principal::anyone(String::new()));
    let Some(Token(token)) = &context.token else {
        return next.run(request).await;
    };
    let carried = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map_or("", |(_, token)| token.trim());
    // In constant time, so that a wrong token does not tell how much of it is right.
    if bool::from(carried.as_bytes().ct_eq(token.as_bytes())) {
        return next.run(request).await;
    }
    let problem =
        Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", "send `Authorization: Bearer TOKEN`");
    ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()
}
