//! `[[zone.record]]`, and what holds for records wherever they are written.

use super::name::not_a_name;
use super::presentation;
use super::rdata::{self, Rigour};
use super::reader::{Value, one_or_list, string, ttl};
use super::report::Report;
use super::source::{Located, Place};
use crate::dns::{Name, Rrset, Rtype};

/// What the hint for a misspelt type chooses from: the types in common use that have a text form here.
pub(super) const TYPES: [&str; 17] = [
    "A", "AAAA", "CAA", "CNAME", "DNAME", "DS", "HINFO", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SRV", "SSHFP",
    "SVCB", "TLSA", "TXT",
];
/// What only the signer of a zone makes.
const SIGNATURES: [Rtype; 4] = [Rtype::RRSIG, Rtype::NSEC, Rtype::NSEC3, Rtype::NSEC3PARAM];

/// One record and where it was written.
#[derive(Clone, Debug)]
pub(super) struct PlacedRecord {
    pub(super) owner: Name,
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) rdata: Box<[u8]>,
    pub(super) place: Place,
    /// Whether it comes from a zone file. What other servers load with at most a warning is loaded
    /// from there as well: duplicates, different TTLs, data that a delegation hides, name servers
    /// without addresses.
    pub(super) is_lenient: bool,
}

impl PlacedRecord {
    /// What it covers, if it is a signature (RFC 4034 section 3.1.1).
    pub(super) fn covers(&self) -> Option<Rtype> {
        Rrset::covered(self.rtype, &self.rdata)
    }

    /// Whether its owner is a hash and no name of the zone (RFC 5155 section 7.1).
    pub(super) fn is_hashed(&self) -> bool {
        self.rtype == Rtype::NSEC3 || self.covers() == Some(Rtype::NSEC3)
    }
}

/// Records of one name and type as written.
pub(super) struct RecordSpec {
    name: Option<Located<String>>,
    rtype: Option<Located<Rtype>>,
    data: Option<Located<Vec<Located<String>>>>,
    ttl: Option<Located<u32>>,
}

impl RecordSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = RecordSpec {
            name: table.required("name", string),
            rtype: table.required("type", record_type),
            data: table.required("data", one_or_list(string)),
            ttl: table.optional("ttl", ttl),
        };
        table.finish();
        Some(spec)
    }

    /// The records in wire form; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, zone: &Name, default_ttl: u32, report: &Report) -> Option<Vec<PlacedRecord>> {
        let RecordSpec { name, rtype, data, ttl } = self;
        let owner = name.and_then(|name| match resolve(&name.value, zone) {
            Ok(owner) if owner.is_within(zone) => Some(owner),
            Ok(owner) => {
                report.error(name.place, format!("`{owner}` is outside the zone `{zone}`"));
                None
            }
            Err(message) => {
                report.error(name.place, message);
                None
            }
        });
        let rtype = rtype?.value;
        let data: Vec<(Option<Box<[u8]>>, Place)> =
            data?.value.into_iter().map(|text| (wire_of(rtype, &text, zone, report), text.place)).collect();
        let ttl = ttl.map_or(default_ttl, |ttl| ttl.value);
        let owner = owner?;
        data.into_iter()
            .map(|(rdata, place)| {
                Some(PlacedRecord {
                    owner: owner.clone(),
                    rtype,
                    ttl,
                    rdata: rdata?,
                    place,
                    is_lenient: false,
                })
            })
            .collect()
    }
}

/// Why no zone of this server can hold records of a type.
pub(super) fn type_fault(rtype: Rtype) -> Option<String> {
    (rtype.is_meta() || rtype == Rtype(0))
        .then(|| format!("no zone holds records of type {rtype}: it is only asked for"))
}

/// The data of a record of type `rtype` in wire form; `None`: it is none, which has been noted.
pub(super) fn wire_of(
    rtype: Rtype,
    text: &Located<String>,
    zone: &Name,
    report: &Report,
) -> Option<Box<[u8]>> {
    // A text without quotes is meant as it stands, white space and semicolons included.
    let wire = if rtype == Rtype::TXT && !text.value.trim_start().starts_with('"') {
        rdata::text_record(&text.value).map_err(|fault| fault.message)
    } else {
        presentation::tokens(&text.value).map_err(|fault| fault.message).and_then(|tokens| {
            rdata::parse(rtype, &tokens, &|name| resolve(name, zone), Rigour::Strict)
                .map_err(|fault| fault.message)
        })
    };
    wire.map_err(|message| {
        report.error(text.place, format!("not the data of a record of type {rtype}: {message}"))
    })
    .ok()
}

/// A name as written in a zone of the configuration, relative to it.
fn resolve(text: &str, zone: &Name) -> Result<Name, String> {
    let name = Name::relative(text, zone).map_err(|reason| not_a_name(text, reason))?;
    // `ns1.example.com` in the zone `example.com` is `ns1.example.com.example.com`, which nobody means.
    // A zone of one label is spared: `com.com` exists.
    let as_absolute = text.parse::<Name>().ok().filter(|absolute| absolute.is_within(zone));
    match as_absolute {
        Some(absolute) if absolute != name && zone.label_count() > 1 => Err(format!(
            "`{text}` is relative to the zone and stands for `{name}`; write `{text}.` if it is \
             the whole name"
        )),
        _ => Ok(name),
    }
}

fn record_type(value: Value<'_>) -> Option<Rtype> {
    let text = string(value)?;
    let Some(rtype) = Rtype::parse(&text) else {
        let hint = value
            .report
            .suggest(&text, TYPES)
            .map(|hint| format!("{hint}, or TYPE and the number of any other"));
        return value.refuse(format!("unknown record type `{text}`"), hint);
    };
    if rtype == Rtype::SOA {
        return value.refuse("the SOA record is made from the keys of the zone", None);
    }
    if SIGNATURES.contains(&rtype) {
        let fault = format!("{rtype} records are made by whoever signs a zone");
        return value
            .refuse(fault, "a signed zone is read whole from a zone file: name that in `file`".to_owned());
    }
    match type_fault(rtype) {
        Some(fault) => value.refuse(fault, None),
        None => Some(rtype),
    }
}
