//! A connection that speaks HTTP of one version or the other.

use std::net::SocketAddr;

use hyper::Request;
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::Budget;
use super::super::tls::Expiry;
use super::http1::Http1;
use super::http2::Http2;
use crate::health::{Failure, Phase};
use crate::plan::HttpVersion;

/// A response's head may be this long, in octets: servers and proxies accept 8 to 16 KiB
/// themselves, and each probe under way may hold this much.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// As much of a body, in octets, is looked through for what is expected: a page that tells health
/// is shorter, and each probe under way may hold this much. A body up to this long is read to keep
/// the connection; behind a longer one it is cheaper to connect anew.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// What carries HTTP: TCP, or TLS on it.
pub(in super::super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What went wrong, in the words of the library that speaks the version.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("HTTP/1.1")]
    Http1(#[from] hyper::Error),
    #[error("HTTP/2")]
    Http2(#[from] h2::Error),
}

/// A connection that speaks HTTP, pinned to the address it was made to.
///
/// There is no task behind it: it moves only inside its functions, and dropping it closes the
/// socket.
pub(in super::super) struct Session {
    address: SocketAddr,
    expiry: Expiry,
    wire: Wire,
    /// How much of the last response's body may still be read.
    room: usize,
    /// Whether some of it had no room.
    is_cut: bool,
}

enum Wire {
    Http1(Http1),
    Http2(Http2),
}

/// Calls the same function of either version.
macro_rules! on_wire {
    ($wire:expr, $http:ident => $call:expr) => {
        match $wire {
            Wire::Http1($http) => $call,
            Wire::Http2($http) => $call,
        }
    };
}

impl Session {
    /// Speaks HTTP over `stream`: sends `request` and returns the status of the response as well.
    pub(super) async fn open(
        address: SocketAddr,
        (stream, expiry): (Box<dyn Stream>, Expiry),
        version: HttpVersion,
        request: Request<()>,
        budget: &mut Budget,
    ) -> Result<(u16, Self), Failure> {
        let asking = async {
            let mut wire = match version {
                HttpVersion::Http1 => Wire::Http1(Http1::open(stream).await?),
                HttpVersion::Http2 => Wire::Http2(Http2::open(stream).await?),
            };
            let status = on_wire!(&mut wire, http => http.ask(request).await)?;
            Ok::<_, Fault>((status, wire))
        };
        let (status, wire) = budget.spend(Phase::Response, asking).await?;
        Ok((status, Session { address, expiry, wire, room: MAX_BODY, is_cut: false }))
    }

    /// What it is connected to.
    pub(in super::super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When the certificate that was shown expires.
    pub(super) fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// Whether another request may be sent: the last body is read and nobody has closed.
    pub(in super::super) fn is_reusable(&self) -> bool {
        on_wire!(&self.wire, http => http.is_reusable())
    }

    /// Whether the other side has ended the connection.
    pub(in super::super) fn is_over(&self) -> bool {
        on_wire!(&self.wire, http => http.is_over())
    }

    /// Sends another `request` and returns the status of the response as soon as its head is there.
    pub(super) async fn ask(&mut self, request: Request<()>, budget: &mut Budget) -> Result<u16, Failure> {
        (self.room, self.is_cut) = (MAX_BODY, false);
        budget.spend(Phase::Reply, async { on_wire!(&mut self.wire, http => http.ask(request).await) }).await
    }

    /// The next part of the last response's body; `None`: there is no more, or it is too long.
    /// May be dropped and called again.
    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, Fault>> {
        if self.room == 0 {
            return None;
        }
        let mut chunk = on_wire!(&mut self.wire, http => http.chunk().await)?;
        if let Ok(data) = &mut chunk {
            self.is_cut |= data.len() > self.room;
            data.truncate(self.room);
            self.room -= data.len();
        }
        Some(chunk)
    }

    /// Whether all of the last response's body has been given out in chunks.
    pub(super) fn is_body_whole(&self) -> bool {
        !self.is_cut && on_wire!(&self.wire, http => !http.has_body())
    }

    /// Reads the rest of the last response, then waits. Returns when the connection has ended or
    /// is not worth keeping; may be dropped and called again at any time.
    pub(in super::super) async fn linger(&mut self) {
        while let Some(chunk) = self.chunk().await {
            if chunk.is_err() {
                return;
            }
        }
        if self.is_body_whole() {
            on_wire!(&mut self.wire, http => http.end().await);
        }
    }
}
