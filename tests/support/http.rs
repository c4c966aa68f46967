//! A client of the admin API that shows everything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lowercase.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    /// The value of a header, by its lowercase name; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// `GET path`.
///
/// # Panics
///
/// If nobody answers.
pub(crate) fn get(server: SocketAddr, path: &str) -> Response {
    request(server, "GET", path, &[]).unwrap_or_else(|error| panic!("GET {path} at {server}: {error}"))
}

/// `POST path` with an empty body.
pub(crate) fn post(server: SocketAddr, path: &str) -> Response {
    let headers = [("content-length", "0")];
    request(server, "POST", path, &headers).unwrap_or_else(|error| panic!("POST {path} at {server}: {error}"))
}

/// `PUT path` of CSV.
pub(crate) fn put_csv(server: SocketAddr, path: &str, csv: &str) -> Response {
    try_put_csv(server, path, csv).unwrap_or_else(|error| panic!("PUT {path} at {server}: {error}"))
}

/// The same at a server that may be gone.
pub(crate) fn try_put_csv(server: SocketAddr, path: &str, csv: &str) -> std::io::Result<Response> {
    let length = csv.len().to_string();
    let headers = [("content-type", "text/csv"), ("content-length", &length[..])];
    request_with(server, "PUT", path, &headers, csv)
}

/// A request of JSON, or of what is none.
pub(crate) fn send_json(server: SocketAddr, method: &str, path: &str, json: &str) -> Response {
    try_send_json(server, method, path, json)
        .unwrap_or_else(|error| panic!("{method} {path} at {server}: {error}"))
}

/// The same at a server that may be gone.
pub(crate) fn try_send_json(
    server: SocketAddr,
    method: &str,
    path: &str,
    json: &str,
) -> std::io::Result<Response> {
    let length = json.len().to_string();
    let headers = [("content-type", "application/json"), ("content-length", &length[..])];
    request_with(server, method, path, &headers, json)
}

/// `DELETE path`.
pub(crate) fn delete(server: SocketAddr, path: &str) -> Response {
    request(server, "DELETE", path, &[]).unwrap_or_else(|error| panic!("DELETE {path} at {server}: {error}"))
}

/// A request without a body, on a connection of its own.
pub(crate) fn request(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<Response> {
    request_with(server, method, path, headers, "")
}

/// A request on a connection of its own.
pub(crate) fn request_with(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Response> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let host = [("host", &server.to_string()[..])];
    converse(stream, method, path, &[&host, headers].concat(), body)
}

/// The one request of a connection; the length of the body and the host are among the headers, if
/// they are said.
pub(crate) fn converse(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Response> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "{method} {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n{body}")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).ok_or_else(|| std::io::Error::other(format!("not HTTP: {text:?}")))
}

/// Without transfer codings: every response of the admin API is in one piece.
fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    Some(Response { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
}

/// The value of a sample in Prometheus' text form, by its name and labels as they are written; 0
/// if it is not there.
pub(crate) fn sample(server: SocketAddr, series: &str) -> f64 {
    let metrics = get(server, "/metrics").body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap_or_else(|error| panic!("{series} {value}: {error}")))
}
