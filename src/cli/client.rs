//! A client of the admin API.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Failed;
use settings::Settings;
use transport::Address;

mod settings;
mod sse;
mod transport;

pub(super) use sse::{Event, Events};

/// Where a daemon's admin API is unless its configuration says otherwise.
pub(super) const DEFAULT_ADMIN: &str = "http://127.0.0.1:8053";

/// After this long somebody who waits wants to know for what.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// Which daemon to ask, and as whom.
#[derive(Args)]
pub(super) struct Endpoint {
    /// The admin API of the daemon to ask: `http://`, `https://`, or `unix:` and the path of a socket;
    /// unless said here or in client.toml http://127.0.0.1:8053
    #[arg(long, value_name = "URL", env = "RHUMB_ADMIN")]
    admin: Option<Address>,
    /// The file whose first line is the token for it
    #[arg(long, value_name = "FILE", env = "RHUMB_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The certificates to trust over https, as PEM, instead of those that this host trusts
    #[arg(long, value_name = "FILE", env = "RHUMB_CA")]
    ca: Option<PathBuf>,
    /// All of it, once it was needed.
    #[arg(skip)]
    settled: OnceLock<Settings>,
    #[arg(skip)]
    is_silent: AtomicBool,
}

/// What has to be so for something to be changed (RFC 9110 section 13.1).
pub(super) enum Precondition {
    /// It still has this entity tag.
    IfMatch(String),
    /// It is not there: `*` matches whatever is.
    IfNoneMatch,
}

/// What a request brings besides its method and path.
#[derive(Default)]
struct Content {
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

/// What is answered.
struct Answer {
    status: StatusCode,
    /// The number of the edit that was made.
    edit: Option<String>,
    /// The entity tag of what is sent.
    tag: Option<String>,
    /// The path of the part of a list that follows on this one.
    next: Option<String>,
    body: Bytes,
}

impl Precondition {
    fn header(&self) -> (&'static str, String) {
        match self {
            Precondition::IfMatch(tag) => ("if-match", tag.clone()),
            Precondition::IfNoneMatch => ("if-none-match", "*".to_owned()),
        }
    }
}

impl From<Bytes> for Content {
    fn from(body: Bytes) -> Self {
        Content { headers: Vec::new(), body }
    }
}

impl Endpoint {
    /// Where the daemon is that is asked, for people to read.
    pub(super) fn name(&self) -> Result<String, Failed> {
        Ok(self.settings()?.admin.to_string())
    }

    /// Says nothing of its own from now on, for who has the terminal in use.
    pub(super) fn be_silent(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// Fetches `path`; `None`: there is no such thing, or the daemon knows of no such things.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failed> {
        Ok(self.find_tagged(path).await?.map(|(found, _)| found))
    }

    /// Fetches `path` likewise, with its entity tag if it has one.
    pub(super) async fn find_tagged<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<(T, Option<String>)>, Failed> {
        let Answer { status, tag, body, .. } = self.exchange(Method::GET, path, Content::default()).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some((self.parse(&body)?, tag))),
            status => Err(self.refusal(status, &body)?),
        }
    }

    /// Fetches all of a list, which the daemon may hand out in parts.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, Failed> {
        let (mut all, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let answer = self.exchange(Method::GET, &path, Content::default()).await?;
            if !answer.status.is_success() {
                return Err(self.refusal(answer.status, &answer.body)?);
            }
            let part: Vec<Value> = self.parse(&answer.body)?;
            // Whatever it links to: what brings nothing new is the end.
            next = answer.next.filter(|next| !part.is_empty() && *next != path);
            all.extend(part);
        }
        Ok(all)
    }

    /// Changes something. Returns what is answered, null if that is nothing, and the number of the
    /// edit that it made.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        content: Option<&Value>,
    ) -> Result<(Value, Option<String>), Failed> {
        self.change_if(method, path, content, None).await
    }

    /// Changes something likewise, if that is so; otherwise nothing is changed.
    pub(super) async fn change_if(
        &self,
        method: Method,
        path: &str,
        content: Option<&Value>,
        precondition: Option<&Precondition>,
    ) -> Result<(Value, Option<String>), Failed> {
        let kind = content.map(|_| ("content-type", "application/json".to_owned()));
        let body = content.map(Value::to_string).unwrap_or_default().into();
        let headers = kind.into_iter().chain(precondition.map(Precondition::header)).collect();
        let content = Content { headers, body };
        let Answer { status, edit, body, .. } = self.exchange(method, path, content).await?;
        if !status.is_success() {
            return Err(self.refusal(status, &body)?);
        }
        Ok((if body.is_empty() { Value::Null } else { self.parse(&body)? }, edit))
    }

    /// Follows the events of `path`; `last`: from the one after that of this number on.
    pub(super) async fn follow(&self, path: &str, last: Option<&str>) -> Result<Events, Failed> {
        let mut headers = vec![("accept", "text/event-stream".to_owned())];
        headers.extend(last.map(|id| ("last-event-id", id.to_owned())));
        let response = self.send(Method::GET, path, Content { headers, body: Bytes::new() }).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Events::new(response.into_body()));
        }
        let body = self.body(response).await?;
        Err(self.refusal(status, &body)?)
    }

    /// Fetches `path`, which starts with `/`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        self.parse(&self.ask(Method::GET, path, Bytes::new()).await?)
    }

    /// Fetches what is text.
    pub(super) async fn get_text(&self, path: &str) -> Result<String, Failed> {
        let text = self.ask(Method::GET, path, Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
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

    fn settings(&self) -> Result<&Settings, Failed> {
        if let Some(settings) = self.settled.get() {
            return Ok(settings);
        }
        let given = (self.admin.clone(), self.token_file.clone(), self.ca.clone());
        let settings = Settings::settle(given)?;
        Ok(self.settled.get_or_init(|| settings))
    }

    fn parse<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, Failed> {
        let admin = self.name()?;
        serde_json::from_slice(text).map_err(|error| {
            Failed(format!(
                "error: {admin} sent what this version cannot read: {error}\n\
                 hint: `rhumb --version` should be that of the daemon"
            ))
        })
    }

    async fn ask(&self, method: Method, path: &str, content: Bytes) -> Result<Bytes, Failed> {
        let Answer { status, body, .. } = self.exchange(method, path, content.into()).await?;
        if status.is_success() { Ok(body) } else { Err(self.refusal(status, &body)?) }
    }

    async fn exchange(&self, method: Method, path: &str, content: Content) -> Result<Answer, Failed> {
        let exchange = async {
            let response = self.send(method, path, content).await?;
            let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
            let (edit, tag) = (header("rhumb-edit"), header("etag"));
            let next = header("link").as_deref().and_then(next);
            Ok(Answer { status: response.status(), edit, tag, next, body: self.body(response).await? })
        };
        let is_told = io::stderr().is_terminal() && !self.is_silent.load(Ordering::Relaxed);
        if is_told { told(&self.name()?, exchange).await } else { exchange.await }
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, Failed> {
        match response.into_body().collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(self.unreachable(root_cause(&error))),
        }
    }

    /// Sends a request, on a connection of its own; of what is answered, the body is still to come.
    async fn send(&self, method: Method, path: &str, content: Content) -> Result<Response<Incoming>, Failed> {
        let Settings { admin, token_file, ca } = self.settings()?;
        let mut request =
            Request::builder().method(method).uri(admin.path(path)).header(header::HOST, admin.host());
        if let Some(file) = token_file {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failed(format!(
                    "error: token file {}: {error}\nhint: --token-file, RHUMB_TOKEN_FILE or client.toml name it",
                    file.display()
                ))
            });
            let text = Zeroizing::new(text?);
            let token = text.lines().next().unwrap_or_default().trim();
            request = request.header(header::AUTHORIZATION, &**Zeroizing::new(format!("Bearer {token}")));
        }
        for (name, value) in content.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(content.body)).map_err(Failed::new)?;
        let stream = admin.connect(ca.as_deref()).await;
        let stream = TokioIo::new(stream.map_err(|reason| self.unreachable(reason))?);
        let (mut sender, connection) =
            http1::handshake(stream).await.map_err(|error| self.unreachable(root_cause(&error)))?;
        // It ends with the last of the body, or when nobody reads that any more.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.unreachable(root_cause(&error)))
    }

    fn unreachable(&self, reason: impl Display) -> Failed {
        let admin = self.name().unwrap_or_default();
        Failed(format!(
            "error: no answer from {admin}: {reason}\nhint: is the daemon running, and is this its [admin] listen address?"
        ))
    }

    /// What an answer other than a success says. The error is the same, of settings that are wrong.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> Result<Failed, Failed> {
        // RFC 9457; whatever else answers there has at least a status.
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no reason given");
        let field = problem["field"].as_str().map(|field| format!(" (at {field})")).unwrap_or_default();
        let admin = self.name()?;
        let hint = hint(status, detail);
        Ok(Failed(format!("error: {admin} answered {status}: {detail}{field}\nhint: {hint}")))
    }
}

/// The path that a `Link` header (RFC 8288) names as the next.
fn next(links: &str) -> Option<String> {
    let link = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let target = link.split_once('<')?.1.split_once('>')?.0;
    // The path is on the same daemon, whatever it is called there.
    let path =
        target.split_once("://").map_or(Some(target), |(_, rest)| rest.find('/').map(|at| &rest[at..]));
    path.filter(|path| path.starts_with('/')).map(str::to_owned)
}

/// What somebody can do about a refusal.
fn hint(status: StatusCode, detail: &str) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "give a file with the token: --token-file, RHUMB_TOKEN_FILE or `token_file` in client.toml"
        }
        StatusCode::FORBIDDEN => "`rhumb whoami` tells what this token may",
        StatusCode::NOT_FOUND if detail.starts_with("there is nothing at") => {
            "the daemon is of another version than this program, or it is no daemon"
        }
        StatusCode::NOT_FOUND => {
            let lists = [
                ("pool", "`rhumb pool list` names those there are"),
                ("address", "`rhumb address list` names those there are"),
                ("domain", "`rhumb domain list` names those there are"),
                ("health check", "`rhumb health-check list` names those there are"),
                ("condition", "`rhumb condition list` names those there are"),
                ("record", "`rhumb record list` names those there are"),
                ("zone", "zones are made in the configuration file"),
                ("edit", "`rhumb edits list` names those there are"),
            ];
            let kind = detail.strip_prefix("there is no ").unwrap_or_default();
            let list = lists.iter().find(|(word, _)| kind.starts_with(word));
            list.map_or("`rhumb status` names what there is", |(_, hint)| hint)
        }
        StatusCode::CONFLICT => "`rhumb status` shows how things stand",
        StatusCode::PRECONDITION_FAILED => "somebody has changed it meanwhile: look at it again",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "try again in a moment",
        StatusCode::INSUFFICIENT_STORAGE => "nothing has changed; look at state_dir on the daemon's host",
        status if status.is_server_error() => "the daemon's log may say more",
        _ => "nothing has changed; --help tells what is to be given",
    }
}

/// Waits for `work`, and for that long tells on the terminal whom it waits for, if it takes longer
/// than one would think nothing of.
async fn told<T>(admin: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(WORTH_TELLING) => {}
    }
    // A terminal that cannot be written to tells nothing.
    let _ = write!(io::stderr(), "waiting for {admin} ...");
    let done = work.await;
    let _ = write!(io::stderr(), "\r\x1b[K");
    done
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_part_of_a_list_is_found() {
        for (link, path) in [
            ("</v1/pools?after=b&limit=2>; rel=\"next\"", Some("/v1/pools?after=b&limit=2")),
            (
                "</first>; rel=\"prev\", <http://a:1/v1/pools?after=b>; rel=\"next\"",
                Some("/v1/pools?after=b"),
            ),
            ("</v1/pools>; rel=\"prev\"", None),
            ("next", None),
        ] {
            assert_eq!(next(link).as_deref(), path, "{link}");
        }
    }
}
