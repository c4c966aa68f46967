//! What a server says of itself, and to whom.

use std::time::Duration;

use super::cookie::{CookieSecrets, Credit};
use super::rate_limit::RateLimit;
use super::{Client, Counters, Transport};
use crate::dns::{Edns, FULL_COOKIE, MAX_NSID, ReplyOptions};

/// How a server presents and guards itself, whatever its zones are. The default says nothing and
/// limits nobody.
#[derive(Clone, Default)]
pub struct Service {
    /// How many replies one worker sends over UDP; `None`: as many as are asked for.
    pub rate_limit: Option<RateLimit>,
    /// The identifier of RFC 5001, of at most [`MAX_NSID`] octets; `None`: it is not told.
    pub nsid: Option<String>,
    /// What `version.bind` and `version.server` are answered with, at most 255 octets; `None`:
    /// they are refused.
    pub version: Option<String>,
    /// What `id.server` and `hostname.bind` (RFC 4892) are answered with, at most 255 octets;
    /// `None`: they are refused.
    pub id: Option<String>,
    /// How long a TCP connection may be idle, for clients that ask (RFC 7828); `None`: it is not
    /// told.
    pub tcp_idle_timeout: Option<Duration>,
}

impl Service {
    /// Makes ready in `options` what the reply to a query with `edns` owes. Returns what the
    /// query's cookie is worth, if it has one and there are `cookies`.
    pub(super) fn respond(
        &self,
        cookies: Option<&CookieSecrets>,
        edns: &Edns<'_>,
        client: Client,
        now: u32,
        counters: &Counters,
        options: &mut ReplyOptions,
    ) -> Option<Credit> {
        let received = receive_cookie(cookies, edns, client, now);
        if let Some((credit, cookie)) = &received {
            options.cookie(cookie);
            match credit {
                Credit::New => counters.cookies_new.add(1),
                Credit::Bad => counters.cookies_bad.add(1),
                Credit::Good => counters.cookies_good.add(1),
            }
        }
        if edns.wants_nsid
            && let Some(nsid) = &self.nsid
        {
            debug_assert!(nsid.len() <= MAX_NSID);
            options.nsid(nsid.as_bytes());
        }
        // Over UDP there is no connection to hold (RFC 7828 section 3.2.1).
        if edns.wants_keepalive
            && client.transport == Transport::Tcp
            && let Some(timeout) = self.tcp_idle_timeout
        {
            // In units of 100 ms, as long as two octets can say.
            let units = timeout.as_millis() / 100;
            options.tcp_keepalive(u16::try_from(units).unwrap_or(u16::MAX));
        }
        received.map(|(credit, _)| credit)
    }

    /// What a question of class CHAOS about the server itself is answered with (RFC 4892);
    /// `name` is in lowercase wire form.
    pub(super) fn text(&self, name: &[u8]) -> Option<&str> {
        match name {
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => self.version.as_deref(),
            b"\x08hostname\x04bind\0" | b"\x02id\x06server\0" => self.id.as_deref(),
            _ => None,
        }
    }
}

/// What the cookie of a query is worth, and the one to reply with; `None`: it has none, or cookies
/// are ignored.
pub(super) fn receive_cookie(
    cookies: Option<&CookieSecrets>,
    edns: &Edns<'_>,
    client: Client,
    now: u32,
) -> Option<(Credit, [u8; FULL_COOKIE])> {
    let secrets = cookies.filter(|_| !edns.cookie.is_empty())?;
    Some(secrets.receive(edns.cookie, client.address, now))
}
