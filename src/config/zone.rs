//! `[[zone]]`

use std::path::Path;

use super::master_file;
use super::name::{domain_name, not_a_name};
use super::reader::{Value, integer, list, string, ttl};
use super::record::{PlacedRecord, RecordSpec};
use super::report::Report;
use super::settings::path;
use super::source::{Located, Place};
use crate::dns::{Name, NameError, Rtype};

/// Static records hardly ever change; an hour keeps resolvers from asking and operators from waiting.
const DEFAULT_TTL: u32 = 3600;
/// A name that is missing now may be there in a moment, as when its domain is added.
const DEFAULT_NEGATIVE_TTL: u32 = 5;
/// Nothing is transferred to secondaries, so that the serial only has to be there.
const DEFAULT_SERIAL: u32 = 1;
/// How often a secondary asks (RFC 1035 section 3.3.13). None asks here; the value is what
/// checkers of zones expect: Zonemaster wants 4 hours at least, RFC 1912 section 2.2 half a day at most.
const REFRESH: u32 = 14_400;
/// How soon a secondary asks again; below `REFRESH`, and an hour at least as Zonemaster wants it.
const RETRY: u32 = 3_600;
/// When a secondary gives up: two weeks, the least that RFC 1912 section 2.2 advises.
const EXPIRE: u32 = 1_209_600;

/// A zone as written.
pub(super) struct ZoneSpec {
    place: Place,
    /// Its apex.
    pub(super) name: Option<Located<Name>>,
    ttl: Option<Located<u32>>,
    authority: AuthoritySpec,
    record: Option<Located<Vec<Located<RecordSpec>>>>,
}

/// Where the records at the apex come from.
enum AuthoritySpec {
    /// A master file has them.
    File(Option<Located<String>>),
    /// They are made from these.
    Keys {
        nameservers: Option<Located<Vec<Located<Name>>>>,
        contact: Option<Located<Name>>,
        negative_ttl: Option<Located<u32>>,
        serial: Option<Located<u32>>,
    },
}

/// A zone and its records, each with its place, before they are checked against each other.
pub(super) struct PlacedZone {
    /// Its apex.
    pub(super) name: Name,
    /// Where its name stands, or its header.
    pub(super) place: Place,
    /// In the order of the files, those of the apex first.
    pub(super) records: Vec<PlacedRecord>,
    /// Whether every record that was written could be read, so that one that is missing is a mistake.
    pub(super) is_complete: bool,
}

impl ZoneSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let name = table.required("name", domain_name);
        let authority = if table.has("file") {
            let moot = ["nameservers", "contact", "negative_ttl", "serial"];
            table.inapplicable(&moot, "with `file`: the zone file says it");
            AuthoritySpec::File(table.optional("file", path))
        } else {
            AuthoritySpec::Keys {
                nameservers: table.required("nameservers", list(nameserver)),
                contact: table.required("contact", contact),
                negative_ttl: table.optional("negative_ttl", ttl),
                serial: table.optional("serial", integer(0..=u32::MAX)),
            }
        };
        let spec = ZoneSpec {
            place: value.place,
            name,
            ttl: table.optional("ttl", ttl),
            authority,
            record: table.optional("record", list(RecordSpec::read)),
        };
        table.finish();
        Some(spec)
    }

    /// Makes records of everything, zone file included; `None`: the zone has no name.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> Option<PlacedZone> {
        let ZoneSpec { place, name, ttl, authority, record } = self;
        let Located { value: name, place: name_place } = name?;
        let ttl = ttl.map_or(DEFAULT_TTL, |ttl| ttl.value);
        let apex_records = match authority {
            AuthoritySpec::File(Some(file)) => {
                master_file::read(&base_dir.join(&file.value), file.place, &name, ttl, report)
            }
            AuthoritySpec::File(None) => None,
            AuthoritySpec::Keys { nameservers, contact, negative_ttl, serial } => {
                let nameservers = nameservers.map_or(Vec::new(), |nameservers| nameservers.value);
                let soa = contact.zip(nameservers.first()).map(|(contact, primary)| Soa {
                    primary: &primary.value,
                    contact: contact.value,
                    serial: serial.map_or(DEFAULT_SERIAL, |serial| serial.value),
                    minimum: negative_ttl.map_or(DEFAULT_NEGATIVE_TTL, |ttl| ttl.value),
                });
                soa.map(|soa| {
                    let record = |rtype, rdata, place| PlacedRecord {
                        owner: name.clone(),
                        rtype,
                        ttl,
                        rdata,
                        place,
                        is_lenient: false,
                    };
                    let ns = nameservers.iter().map(|nameserver| {
                        record(Rtype::NS, nameserver.value.wire().into(), nameserver.place)
                    });
                    std::iter::once(record(Rtype::SOA, soa.wire(), place)).chain(ns).collect()
                })
            }
        };
        let mut is_complete = apex_records.is_some();
        let mut records = apex_records.unwrap_or_default();
        for spec in record.map_or(Vec::new(), |record| record.value) {
            match spec.value.convert(&name, ttl, report) {
                Some(converted) => records.extend(converted),
                None => is_complete = false,
            }
        }
        Some(PlacedZone { name, place: name_place, records, is_complete })
    }
}

/// The fields of an SOA record that are the operator's to choose.
struct Soa<'n> {
    primary: &'n Name,
    contact: Name,
    serial: u32,
    minimum: u32,
}

impl Soa<'_> {
    /// RFC 1035 section 3.3.13.
    fn wire(&self) -> Box<[u8]> {
        let mut wire = [self.primary.wire(), self.contact.wire()].concat();
        for number in [self.serial, REFRESH, RETRY, EXPIRE, self.minimum] {
            wire.extend(number.to_be_bytes());
        }
        wire.into()
    }
}

/// The whole name of a server.
fn nameserver(value: Value<'_>) -> Option<Name> {
    let name = domain_name(value)?;
    if name.label_count() < 2 {
        return value.refuse(
            format!("`{name}` is not the whole name of a server"),
            "unlike the names of records, these are not relative to the zone".to_owned(),
        );
    }
    Some(name)
}

/// A mailbox as a domain name, or as an e-mail address (RFC 1035 section 8).
fn contact(value: Value<'_>) -> Option<Name> {
    let text = string(value)?;
    let mailbox = match text.rsplit_once('@') {
        Some((local, domain)) => mailbox_name(local, domain),
        None => text.parse(),
    };
    mailbox.map_or_else(|reason| value.refuse(not_a_name(&text, reason), None), Some)
}

/// The local part as the first label, whatever it is made of, in front of the domain.
fn mailbox_name(local: &str, domain: &str) -> Result<Name, NameError> {
    let mut text = String::new();
    for character in local.chars() {
        // A backslash in front of a digit would start a number.
        if !character.is_ascii_alphanumeric() {
            text.push('\\');
        }
        text.push(character);
    }
    format!("{text}.{domain}").parse()
}
