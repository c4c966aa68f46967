//! Checks of type `dns`.

use super::super::name::domain_name;
use super::super::reader::{Table, Value, Words, list, string};
use super::super::record::{TYPES, wire_of};
use super::super::report::Report;
use super::super::source::Located;
use crate::dns::{Name, Rcode, Rtype};
use crate::plan::{CheckKind, DnsCheck, DnsTransport};

/// The keys of a check of type `dns`.
pub(super) const KEYS: &[&str] = &["name", "query_type", "expect_rcode", "expect_data", "transport"];

const TRANSPORTS: Words<DnsTransport> = Words {
    what: "transport",
    known: &[("udp", DnsTransport::Udp), ("tcp", DnsTransport::Tcp)],
    planned: &[],
};

/// A question and what is expected of the reply, as written.
pub(super) struct DnsSpec {
    name: Option<Located<Name>>,
    query_type: Option<Located<Rtype>>,
    expect_rcode: Option<Located<Rcode>>,
    expect_data: Option<Located<Vec<Located<String>>>>,
    transport: Option<Located<DnsTransport>>,
}

impl DnsSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        DnsSpec {
            name: table.required("name", domain_name),
            query_type: table.optional("query_type", query_type),
            expect_rcode: table.optional("expect_rcode", rcode),
            expect_data: table.optional("expect_data", list(string)),
            transport: table.optional("transport", |value| TRANSPORTS.read(value)),
        }
    }

    /// Fills in the defaults; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, report: &Report) -> Option<CheckKind> {
        let DnsSpec { name, query_type, expect_rcode, expect_data, transport } = self;
        let rtype = query_type.map_or(Rtype::A, |rtype| rtype.value);
        let rcode = expect_rcode.map_or(Rcode::NoError, |rcode| rcode.value);
        if let Some(data) = expect_data.as_ref().filter(|_| rcode != Rcode::NoError) {
            report.error(data.place, format!("there is no data in a reply with {}", rcode.mnemonic()));
        }
        let expect_data = expect_data.map_or(Vec::new(), |data| data.value);
        let expect_data: Vec<Option<Box<[u8]>>> =
            expect_data.iter().map(|text| wire_of(rtype, text, &Name::root(), report)).collect();
        Some(CheckKind::Dns(DnsCheck {
            name: name?.value,
            rtype,
            expect_rcode: rcode,
            expect_data: expect_data.into_iter().collect::<Option<_>>()?,
            transport: transport.map_or(DnsTransport::Udp, |transport| transport.value),
        }))
    }
}

/// A type that can be asked for in one message and stands in its reply.
fn query_type(value: Value<'_>) -> Option<Rtype> {
    let text = string(value)?;
    match Rtype::parse(&text) {
        Some(rtype) if rtype.is_meta() || rtype == Rtype(0) => {
            value.refuse(format!("no record is of type {rtype}"), None)
        }
        Some(rtype) => Some(rtype),
        None => {
            let hint = value.report.suggest(&text, TYPES);
            value.refuse(format!("unknown record type `{text}`"), hint)
        }
    }
}

/// A response code by its mnemonic.
fn rcode(value: Value<'_>) -> Option<Rcode> {
    let text = string(value)?;
    let found = Rcode::ALL.into_iter().find(|rcode| rcode.mnemonic() == text);
    found.or_else(|| {
        let hint = value.report.suggest(&text, Rcode::ALL.map(Rcode::mnemonic));
        value.refuse(format!("unknown response code `{text}`"), hint)
    })
}
