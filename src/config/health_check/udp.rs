//! Checks of type `udp`.

use super::super::reader::Table;
use super::super::source::Located;
use super::octets::octets;
use crate::plan::{CheckKind, UdpCheck};

/// The keys of a check of type `udp`.
pub(super) const KEYS: &[&str] = &["send", "expect"];

/// A datagram and its answer, as written. Both are needed: silence is what UDP answers with where
/// all is well, too.
pub(super) struct UdpSpec {
    send: Option<Located<Vec<u8>>>,
    expect: Option<Located<Vec<u8>>>,
}

impl UdpSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        UdpSpec { send: table.required("send", octets), expect: table.required("expect", octets) }
    }

    /// `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self) -> Option<CheckKind> {
        Some(CheckKind::Udp(UdpCheck { send: self.send?.value, expect: self.expect?.value }))
    }
}
