//! The client's place, as far as an answer needs it.

use std::net::IpAddr;

use super::recorder::Recorder;
use super::rendezvous::client_hash;
use crate::geo::{GeoView, Place};

/// Who the client is, and how much of its address has mattered so far.
pub(super) struct Whereabouts<'q> {
    /// What the query says of the client, or where it comes from.
    client: &'q IpAddr,
    /// Where the query comes from.
    source: &'q IpAddr,
    /// Whether the client subnet does not count.
    by_source: bool,
    scope: u8,
}

impl<'q> Whereabouts<'q> {
    /// Of a query from `source`, for a client at `client`.
    pub(super) fn new(client: &'q IpAddr, source: &'q IpAddr) -> Self {
        Whereabouts { client, source, by_source: false, scope: 0 }
    }

    /// Goes on for a domain that heeds the client subnet, or does not.
    pub(super) fn heed_subnet(&mut self, heeds: bool) {
        self.by_source = !heeds;
    }

    /// Where the query comes from.
    pub(super) fn source(&self) -> IpAddr {
        *self.source
    }

    /// The address that is looked up.
    #[inline(always)]
    pub(super) fn client(&self) -> IpAddr {
        if self.by_source { *self.source } else { *self.client }
    }

    /// Where the client is, as far as `view` shows it. From here on the decision holds for those
    /// clients only that share that.
    #[inline(always)]
    pub(super) fn seen_by<'v>(&mut self, view: &'v GeoView, recorder: &mut impl Recorder) -> &'v Place {
        let client = self.client();
        let located = view.locate(client);
        recorder.located(client);
        self.narrow(located.scope);
        located.place
    }

    /// What the client is chosen for by hash. From here on the decision holds for those clients
    /// only that share the prefix it is made from.
    pub(super) fn hash(&mut self) -> u64 {
        let (hash, bits) = client_hash(self.client().to_canonical());
        self.narrow(bits);
        hash
    }

    /// The decision holds for clients that share the first `scope` bits, at the widest.
    pub(super) fn narrow(&mut self, scope: u8) {
        // For a domain that does not heed it, no bit of the client's address matters.
        if !self.by_source {
            self.scope = self.scope.max(scope);
        }
    }

    /// How many leading bits of the client's address decided: the scope of RFC 7871 section
    /// 7.2.1. 0: place played no part. It may be longer than the prefix that was given, which
    /// then was too short to decide.
    pub(super) fn scope(&self) -> u8 {
        self.scope
    }
}
