//! The client's place, as far as an answer needs it.

use std::net::IpAddr;

use super::recorder::Recorder;
use crate::geo::{GeoTable, Place};

/// Where the client is: looked up when first needed, and how much of its address mattered.
pub(super) struct Whereabouts<'t> {
    client: IpAddr,
    geo: &'t GeoTable,
    place: Option<&'t Place>,
    scope: u8,
}

impl<'t> Whereabouts<'t> {
    pub(super) fn new(client: IpAddr, geo: &'t GeoTable) -> Self {
        Whereabouts { client, geo, place: None, scope: 0 }
    }

    /// The address that is looked up.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    /// Where the client is. From here on the decision holds for those clients only that share
    /// the place.
    pub(super) fn place(&mut self, recorder: &mut impl Recorder) -> &'t Place {
        if let Some(place) = self.place {
            return place;
        }
        let located = self.geo.locate(self.client);
        recorder.located(self.client);
        self.narrow(located.scope);
        self.place = Some(located.place);
        located.place
    }

    /// The decision holds for clients that share the first `scope` bits, at the widest.
    pub(super) fn narrow(&mut self, scope: u8) {
        self.scope = self.scope.max(scope);
    }

    /// How many leading bits of the client's address decided: the scope of RFC 7871 section
    /// 7.2.1. 0: place played no part.
    pub(super) fn scope(&self) -> u8 {
        self.scope
    }
}
