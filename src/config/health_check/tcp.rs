//! Checks of type `tcp`.

use super::super::reader::Table;
use super::super::report::Report;
use super::super::source::Located;
use super::octets::octets;
use crate::plan::{CheckKind, TcpCheck};

/// The keys of a check of type `tcp`.
pub(super) const KEYS: &[&str] = &["send", "expect"];

/// What is said over the connection, as written.
pub(super) struct TcpSpec {
    send: Option<Located<Vec<u8>>>,
    expect: Option<Located<Vec<u8>>>,
    expects: bool,
}

impl TcpSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let expects = table.has("expect");
        TcpSpec { send: table.optional("send", octets), expect: table.optional("expect", octets), expects }
    }

    /// Checks that what is sent is sent for something.
    pub(super) fn convert(self, report: &Report) -> CheckKind {
        let TcpSpec { send, expect, expects } = self;
        if let Some(send) = send.as_ref().filter(|_| !expects) {
            // The connection ends with a reset, and what is on its way then may be lost.
            report.error_with_hint(
                send.place,
                "what is sent checks nothing without `expect`",
                "say what has to come back, or leave out `send`".to_owned(),
            );
        }
        CheckKind::Tcp(TcpCheck {
            send: send.map(|send| send.value),
            expect: expect.map(|expect| expect.value),
        })
    }
}
