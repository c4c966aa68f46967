//! The gRPC health checking protocol over HTTP/2, be it inside TLS.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use h2::client::{Builder, SendRequest};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri, Version};

mod message;

#[cfg(test)]
mod tests;

use super::budget::Budget;
use super::http::Stream;
use super::tcp;
use super::tls::{Alpn, Tls, TlsProbe, endpoint_name};
use super::words::shown;
use crate::health::{Failure, LocalFailure, Phase};
use crate::plan::{Endpoint, GrpcCheck, Watch};
use message::ServingStatus;

/// The headers of a response may be this long, in octets: what gRPC's own clients take by default.
const MAX_HEAD: u32 = 8 * 1024;

/// A response may be this long, in octets. One with a status has 7.
const MAX_RESPONSE: usize = 1024;

/// Where the health of services is asked for.
const PATH: &str = "/grpc.health.v1.Health/Check";

const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// A check of type `grpc`, made ready for one target.
pub(super) struct GrpcProbe {
    request: Request<()>,
    message: Bytes,
    tls: Option<TlsProbe>,
}

/// What came back.
struct Response {
    status: StatusCode,
    headers: HeaderMap,
    message: Vec<u8>,
    trailers: HeaderMap,
}

impl GrpcProbe {
    /// Makes ready what `check` asks of what is watched.
    ///
    /// # Errors
    ///
    /// [`LocalFailure::BadRequest`] if the host cannot stand in a request, or what
    /// [`TlsProbe::new`] fails with.
    pub(super) async fn new(watch: &Watch, check: &GrpcCheck, tls: &Tls) -> Result<Self, LocalFailure> {
        let scheme = if check.tls.is_some() { "https" } else { "http" };
        let request = request(scheme, &authority(watch, check), watch.check.timeout)?;
        let tls = match &check.tls {
            None => None,
            Some(inside) => {
                let host = check.host.clone().or_else(|| endpoint_name(watch));
                Some(TlsProbe::new(tls, inside, host, Alpn::Http2).await?)
            }
        };
        Ok(GrpcProbe { request, message: message::request(&check.service).into(), tls })
    }

    /// Asks `address` and judges what it says.
    pub(super) async fn probe(&self, address: SocketAddr, budget: &mut Budget) -> Result<(), Failure> {
        let stream = tcp::connect(address, budget).await?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.handshake(address, stream, budget).await?.0),
        };
        let mut builder = Builder::new();
        let builder = builder.enable_push(false).max_header_list_size(MAX_HEAD);
        let asking = async {
            let (sender, mut connection) = builder.handshake::<_, Bytes>(stream).await?;
            let response = self.ask(sender);
            tokio::pin!(response);
            let mut is_over = false;
            loop {
                tokio::select! {
                    biased;
                    response = &mut response => return response,
                    ended = &mut connection, if !is_over => {
                        is_over = true;
                        // The response does not always learn of what it was.
                        ended?;
                    }
                }
            }
        };
        judge(&budget.spend(Phase::Response, asking).await?.ok_or(Failure::Malformed)?)
    }

    /// Sends the request and reads the response to its end; `None`: it is longer than any is.
    async fn ask(&self, sender: SendRequest<Bytes>) -> Result<Option<Response>, h2::Error> {
        let mut sender = sender.ready().await?;
        let (response, mut stream) = sender.send_request(self.request.clone(), false)?;
        stream.send_data(self.message.clone(), true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut message = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            if message.len() + data.len() > MAX_RESPONSE {
                return Ok(None);
            }
            message.extend_from_slice(&data);
            // Fails where the stream has ended, which needs no more room.
            let _ = body.flow_control().release_capacity(data.len());
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        Ok(Some(Response { status: head.status, headers: head.headers, message, trailers }))
    }
}

/// What a response says, by the rules for clients of gRPC ("gRPC over HTTP2").
fn judge(response: &Response) -> Result<(), Failure> {
    let Response { status, headers, message, trailers } = response;
    if *status != StatusCode::OK {
        return Err(Failure::Status(status.as_u16()));
    }
    let is_grpc = headers.get(CONTENT_TYPE).is_some_and(|is| is.as_bytes().starts_with(b"application/grpc"));
    // Without a message, the trailers are the headers.
    let of_call = |name: &str| trailers.get(name).or_else(|| headers.get(name));
    let code = of_call(GRPC_STATUS).and_then(|code| code.to_str().ok());
    let (true, Some(code)) = (is_grpc, code) else { return Err(Failure::Malformed) };
    if code != "0" {
        let name = message::status_name(code).map_or_else(|| shown(code), str::to_owned);
        let said = of_call(GRPC_MESSAGE).map(|said| shown(&message::status_message(said.as_bytes())));
        return Err(Failure::Grpc { status: name, said: said.unwrap_or_default() });
    }
    match message::response(message) {
        Some(ServingStatus::Serving) => Ok(()),
        Some(other) => Err(Failure::NotServing(other.name())),
        None => Err(Failure::Malformed),
    }
}

/// The request without its message.
fn request(scheme: &str, authority: &str, timeout: Duration) -> Result<Request<()>, LocalFailure> {
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(PATH).build();
    let uri =
        uri.map_err(|_| LocalFailure::BadRequest(format!("{authority:?} cannot stand in a request")))?;
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(USER_AGENT, HeaderValue::from_static("rhumb"));
    // At most eight digits, says the protocol: more than a day in milliseconds.
    let millis = timeout.as_millis().min(99_999_999) as u64;
    let value = HeaderValue::try_from(format!("{millis}m")).expect("digits and a letter");
    headers.insert(GRPC_TIMEOUT, value);
    Ok(request)
}

/// The check's host as it is written; without one the name that was resolved, or the endpoint, and
/// its port.
fn authority(watch: &Watch, check: &GrpcCheck) -> String {
    if let Some(host) = &check.host {
        return host.clone();
    }
    let host = match (&watch.resolved_from, &watch.endpoint) {
        (Some(name), _) => name.to_string(),
        (None, Endpoint::Ip(IpAddr::V6(ip))) => format!("[{ip}]"),
        (None, endpoint) => endpoint.to_string(),
    };
    format!("{host}:{}", watch.port.unwrap_or_default())
}
