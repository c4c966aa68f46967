//! HTTP/1.1 over a connection of our own (RFC 9112).

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::session::{Fault, MAX_HEAD, Stream};

/// The same with hyper's traits instead of tokio's.
type HyperIo = TokioIo<Box<dyn Stream>>;

/// A connection that speaks HTTP/1.1.
pub(super) struct Http1 {
    sender: SendRequest<Empty<Bytes>>,
    /// Boxed because it is most of a session, which moves about a good deal.
    connection: Box<Connection<HyperIo, Empty<Bytes>>>,
    /// Of the last response, as far as it has not been read.
    body: Option<Incoming>,
    over: bool,
}

impl Http1 {
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Self, Fault> {
        let opening = Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream));
        let (sender, connection) = opening.await?;
        Ok(Http1 { sender, connection: Box::new(connection), body: None, over: false })
    }

    pub(super) fn is_reusable(&self) -> bool {
        self.body.is_none() && !self.over && !self.sender.is_closed()
    }

    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub(super) async fn ask(&mut self, request: Request<()>) -> Result<u16, Fault> {
        let Http1 { sender, connection, body, over } = self;
        let response = async {
            sender.ready().await?;
            sender.send_request(request.map(|()| Empty::new())).await
        };
        tokio::pin!(response);
        let response = loop {
            tokio::select! {
                biased;
                response = &mut response => break response?,
                // How it ended is what the response fails with.
                _ = &mut *connection, if !*over => *over = true,
            }
        };
        let status = response.status().as_u16();
        *body = Some(response.into_body()).filter(|body| !body.is_end_stream());
        Ok(status)
    }

    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, Fault>> {
        loop {
            let body = self.body.as_mut()?;
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                _ = &mut self.connection, if !self.over => {
                    self.over = true;
                    continue;
                }
            };
            match frame {
                None => self.body = None,
                Some(Err(error)) => return Some(Err(error.into())),
                // Trailers say nothing that is asked for.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.body.take_if(|body| body.is_end_stream());
                        return Some(Ok(data));
                    }
                    Err(_) => continue,
                },
            }
        }
    }

    /// Whether the other side has ended the connection.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) async fn end(&mut self) {
        if !self.over {
            let _ = (&mut self.connection).await;
            self.over = true;
        }
    }
}
