//! HTTP/2 over a connection of our own (RFC 9113).

use h2::RecvStream;
use h2::client::{Builder, Connection, SendRequest};
use hyper::Request;
use hyper::body::Bytes;

use super::session::{Fault, MAX_HEAD, Stream};

/// A connection that speaks HTTP/2.
pub(super) struct Http2 {
    sender: SendRequest<Bytes>,
    /// Boxed because it is most of a session, which moves about a good deal.
    connection: Box<Connection<Box<dyn Stream>, Bytes>>,
    /// Of the last response, as far as it has not been read.
    body: Option<RecvStream>,
    over: bool,
}

impl Http2 {
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Self, Fault> {
        let mut builder = Builder::new();
        let builder = builder.enable_push(false).max_header_list_size(MAX_HEAD as u32);
        let (sender, connection) = builder.handshake(stream).await?;
        Ok(Http2 { sender, connection: Box::new(connection), body: None, over: false })
    }

    pub(super) fn is_reusable(&self) -> bool {
        self.body.is_none() && !self.over
    }

    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub(super) async fn ask(&mut self, request: Request<()>) -> Result<u16, Fault> {
        let Http2 { sender, connection, body, over } = self;
        let response = async {
            let mut sender = sender.clone().ready().await?;
            let (response, _) = sender.send_request(request, true)?;
            response.await
        };
        tokio::pin!(response);
        let response = loop {
            tokio::select! {
                biased;
                response = &mut response => break response?,
                ended = &mut *connection, if !*over => {
                    *over = true;
                    // The response does not always learn of what it was.
                    ended?;
                }
            }
        };
        let status = response.status().as_u16();
        *body = Some(response.into_body()).filter(|body| !body.is_end_stream());
        Ok(status)
    }

    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, Fault>> {
        loop {
            let body = self.body.as_mut()?;
            let chunk = tokio::select! {
                biased;
                chunk = body.data() => chunk,
                _ = &mut self.connection, if !self.over => {
                    self.over = true;
                    continue;
                }
            };
            return match chunk {
                None => {
                    self.body = None;
                    None
                }
                Some(Err(error)) => Some(Err(error.into())),
                Some(Ok(data)) => {
                    // Fails where the stream has ended, which needs no more room.
                    let _ = body.flow_control().release_capacity(data.len());
                    self.body.take_if(|body| body.is_end_stream());
                    Some(Ok(data))
                }
            };
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
