//! Checks of type `icmp`.

use super::super::reader::{Table, integer};
use super::super::report::Report;
use super::super::source::Located;
use crate::plan::{CheckKind, IcmpCheck};

/// One is answered or it is not; who wants to know of losses asks for more.
const DEFAULT_PACKETS: u8 = 1;
/// More in the time of a probe would be a flood.
const MAX_PACKETS: u8 = 20;

/// The keys of a check of type `icmp`.
pub(super) const KEYS: &[&str] = &["packets", "loss"];

/// Echo requests, as written.
pub(super) struct IcmpSpec {
    packets: Option<Located<u8>>,
    loss: Option<Located<u8>>,
}

impl IcmpSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        IcmpSpec {
            packets: table.optional("packets", integer(1..=MAX_PACKETS)),
            loss: table.optional("loss", integer(0..=MAX_PACKETS - 1)),
        }
    }

    /// Fills in the defaults; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, report: &Report) -> Option<CheckKind> {
        let packets = self.packets.map_or(DEFAULT_PACKETS, |packets| packets.value);
        if let Some(loss) = self.loss.as_ref().filter(|loss| loss.value >= packets) {
            let message = match packets {
                1 => "the one packet of a probe may not be lost".to_owned(),
                _ => format!("of {packets} packets at most {} may be lost", packets - 1),
            };
            report.error_with_hint(
                loss.place,
                message,
                "a check that passes without a reply checks nothing".to_owned(),
            );
            return None;
        }
        let loss = self.loss.map_or(0, |loss| loss.value);
        Some(CheckKind::Icmp(IcmpCheck { packets, loss }))
    }
}
