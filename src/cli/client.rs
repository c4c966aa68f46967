//! A client of the admin API.

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;

use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Failed;
use transport::Address;

mod transport;

/// Where a daemon's admin API is unless its configuration says otherwise.
pub(super) const DEFAULT_ADMIN: &str = "http://127.0.0.1:8053";

/// Which daemon to ask, and as whom.
#[derive(Args)]
pub(super) struct Endpoint {
    /// The admin API of the daemon to ask: `http://`, `https://`, or `unix:` and the path of a socket
    #[arg(long, value_name = "URL", env = "RHUMB_ADMIN", default_value = DEFAULT_ADMIN)]
    admin: Address,
    /// The file whose first line is the token for it
    #[arg(long, value_name = "FILE", env = "RHUMB_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The certificates to trust over https, as PEM, instead of those that this host trusts
    #[arg(long, value_name = "FILE", env = "RHUMB_CA")]
    ca: Option<PathBuf>,
}

impl Endpoint {
    /// Fetches `path`, which starts with `/`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        self.parse(&self.ask(Method::GET, path, Bytes::new()).await?)
    }

    /// Fetches what is text.
    pub(super) async fn get_text(&self, path: &str) -> Result<String, Failed> {
        let text = self.ask(Method::GET, path, Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Has done what `path` stands for, which starts with `/`.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        self.parse(&self.ask(Method::POST, path, Bytes::new()).await?)
    }

    /// Changes what is there as `content` says.
    pub(super) async fn patch<T: DeserializeOwned>(&self, path: &str, content: &Value) -> Result<T, Failed> {
        self.parse(&self.ask(Method::PATCH, path, content.to_string().into()).await?)
    }

    /// Puts `content` there.
    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, content: Vec<u8>) -> Result<T, Failed> {
        self.parse(&self.ask(Method::PUT, path, content.into()).await?)
    }

    /// Removes what is there.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Failed> {
        self.ask(Method::DELETE, path, Bytes::new()).await.map(drop)
    }

    fn parse<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, Failed> {
        serde_json::from_slice(text).map_err(|error| {
            Failed::new(format_args!("{} sent what this version cannot read: {error}", self.admin))
        })
    }

    async fn ask(&self, method: Method, path: &str, content: Bytes) -> Result<Bytes, Failed> {
        let response = self.send(method, path, content).await?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| self.unreachable(root_cause(&error)))?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        // RFC 9457; whatever else answers there has at least a status.
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no reason given");
        Err(Failed::new(format_args!("{} answered {status}: {detail}", self.admin)))
    }

    /// Sends a request, on a connection of its own; of what is answered, the body is still to come.
    async fn send(&self, method: Method, path: &str, content: Bytes) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.admin.path(path))
            .header(header::HOST, self.admin.host());
        if let Some(file) = &self.token_file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failed::new(format_args!("token file {}: {error}", file.display())))?;
            let token = text.lines().next().unwrap_or_default().trim();
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(content)).map_err(Failed::new)?;
        let stream = self.admin.connect(self.ca.as_deref()).await;
        let stream = TokioIo::new(stream.map_err(|reason| self.unreachable(reason))?);
        let (mut sender, connection) =
            http1::handshake(stream).await.map_err(|error| self.unreachable(root_cause(&error)))?;
        // It ends with the last of the body, or when nobody reads that any more.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.unreachable(root_cause(&error)))
    }

    fn unreachable(&self, reason: impl Display) -> Failed {
        let admin = &self.admin;
        Failed(format!(
            "error: no answer from {admin}: {reason}\nhint: is the daemon running, and is this its [admin] listen address?"
        ))
    }
}

/// What is at the bottom of `error`: hyper says only at which step it failed.
fn root_cause(mut error: &dyn Error) -> &dyn Error {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}

/// `text` as a part of a URI's query (RFC 3986 section 2.1).
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(octet).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
