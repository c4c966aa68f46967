//! Zone files (RFC 1035 section 5).

use std::ops::Range;
use std::path::Path;

use super::name::not_a_name;
use super::presentation::{self, Entry, Token};
use super::rdata;
use super::record::{PlacedRecord, type_fault};
use super::report::{File, Report};
use super::source::Place;
use crate::dns::{Name, Rtype};

/// Reads the file at `path`, which the configuration names at `named_at`. `None`: there is a
/// mistake, and it has been noted.
///
/// `default_ttl` is for records in front of which neither they nor `$TTL` say one.
pub(super) fn read(
    path: &Path,
    named_at: Place,
    zone: &Name,
    default_ttl: u32,
    report: &Report,
) -> Option<Vec<PlacedRecord>> {
    let octets = match std::fs::read(path) {
        Ok(octets) => octets,
        Err(reason) => {
            report.error(named_at, format!("cannot read `{}`: {reason}", path.display()));
            return None;
        }
    };
    let File { id, text } = report.add_file(path.display().to_string(), octets)?;
    let reader = Reader { file: id, zone, report, origin: zone.clone(), owner: None, ttl: default_ttl };
    reader.records(&text)
}

/// What one entry leaves for the next.
struct Reader<'r> {
    file: usize,
    zone: &'r Name,
    report: &'r Report,
    origin: Name,
    owner: Option<Name>,
    ttl: u32,
}

/// What is wrong with an entry, and where.
struct Fault {
    message: String,
    span: Range<usize>,
}

impl Reader<'_> {
    fn records(mut self, text: &str) -> Option<Vec<PlacedRecord>> {
        let mut records = Vec::new();
        let mut is_clean = true;
        for entry in presentation::entries(text) {
            let outcome = match entry {
                Ok(entry) => self.entry(&entry),
                Err(presentation::Fault { message, span }) => Err(Fault { message, span }),
            };
            match outcome {
                Ok(record) => records.extend(record),
                Err(Fault { message, span }) => {
                    is_clean = false;
                    self.report.error(Place { file: self.file, start: span.start, end: span.end }, message);
                }
            }
        }
        is_clean.then_some(records)
    }

    /// The record of an entry; `None` for a directive.
    fn entry(&mut self, entry: &Entry<'_>) -> Result<Option<PlacedRecord>, Fault> {
        let [first, rest @ ..] = &entry.tokens[..] else {
            return Ok(None);
        };
        if first.text.starts_with('$') && !first.quoted {
            self.directive(first, rest)?;
            return Ok(None);
        }
        let rest = if entry.starts_blank {
            &entry.tokens[..]
        } else {
            self.owner = Some(self.name(first)?);
            rest
        };
        let Some(owner) = self.owner.clone() else {
            return Err(fault(first, "the first record has no owner"));
        };
        let (ttl, rest) = self.ttl_and_class(first, rest)?;
        let [type_token, data @ ..] = rest else {
            return Err(fault(&entry.tokens[entry.tokens.len() - 1], "the record has no type"));
        };
        let Some(rtype) = Rtype::parse(type_token.text) else {
            return Err(fault(type_token, &format!("unknown record type `{}`", type_token.text)));
        };
        if let Some(message) = type_fault(rtype) {
            return Err(fault(type_token, &message));
        }
        let rdata = rdata::parse(rtype, data, &|text| {
            Name::relative(text, &self.origin).map_err(|reason| not_a_name(text, reason))
        });
        let rdata = rdata.map_err(|rdata::Fault { token, message }| {
            let token = token.map_or(data.last().unwrap_or(type_token), |index| &data[index]);
            fault(token, &format!("not the data of a record of type {rtype}: {message}"))
        })?;
        if !owner.is_within(self.zone) {
            return Err(fault(first, &format!("`{owner}` is outside the zone `{}`", self.zone)));
        }
        let place = Place { file: self.file, start: first.span.start, end: type_token.span.end };
        Ok(Some(PlacedRecord { owner, rtype, ttl, rdata, place }))
    }

    /// TTL and class in either order, each of which may be missing; also what is left.
    fn ttl_and_class<'e, 't>(
        &self,
        first: &Token<'t>,
        tokens: &'e [Token<'t>],
    ) -> Result<(u32, &'e [Token<'t>]), Fault> {
        let mut ttl = None;
        let mut has_class = false;
        let mut rest = tokens;
        while let [token, behind @ ..] = rest {
            let text = token.text;
            if text.starts_with(|character: char| character.is_ascii_digit()) {
                let seconds = rdata::seconds(text);
                let seconds = seconds.ok_or_else(|| {
                    fault(token, &format!("`{text}` is not a TTL: it goes from 0 to 2147483647 seconds"))
                })?;
                if ttl.replace(seconds).is_some() {
                    return Err(fault(token, "the record has two TTLs"));
                }
            } else if text.eq_ignore_ascii_case("IN") && !has_class {
                has_class = true;
            } else if ["CH", "CS", "HS"].iter().any(|class| text.eq_ignore_ascii_case(class)) {
                return Err(fault(token, &format!("class {text} is not served, only IN")));
            } else {
                break;
            }
            rest = behind;
        }
        if rest.is_empty() {
            let last = tokens.last().unwrap_or(first);
            return Err(fault(last, "the record has no type"));
        }
        Ok((ttl.unwrap_or(self.ttl), rest))
    }

    fn directive(&mut self, directive: &Token<'_>, arguments: &[Token<'_>]) -> Result<(), Fault> {
        let keyword = directive.text.to_ascii_uppercase();
        match (&keyword[..], arguments) {
            ("$ORIGIN", [origin]) => self.origin = self.name(origin)?,
            ("$TTL", [ttl]) => {
                let text = ttl.text;
                self.ttl = rdata::seconds(text).ok_or_else(|| {
                    fault(ttl, &format!("`{text}` is not a TTL: it goes from 0 to 2147483647 seconds"))
                })?;
            }
            ("$ORIGIN" | "$TTL", _) => {
                return Err(fault(directive, &format!("`{keyword}` takes one value")));
            }
            ("$INCLUDE", _) => {
                return Err(fault(directive, "`$INCLUDE` is not supported: a zone is one file"));
            }
            _ => return Err(fault(directive, &format!("unknown directive `{}`", directive.text))),
        }
        Ok(())
    }

    fn name(&self, token: &Token<'_>) -> Result<Name, Fault> {
        if token.quoted {
            return Err(fault(token, "a name stands without quotes"));
        }
        Name::relative(token.text, &self.origin)
            .map_err(|reason| fault(token, &not_a_name(token.text, reason)))
    }
}

fn fault(token: &Token<'_>, message: &str) -> Fault {
    Fault { message: message.to_owned(), span: token.span.clone() }
}
