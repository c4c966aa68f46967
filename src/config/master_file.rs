//! Zone files (RFC 1035 section 5).

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::name::not_a_name;
use super::presentation::{self, Entry, Token};
use super::rdata::{self, Rigour};
use super::record::{PlacedRecord, type_fault};
use super::report::{File, Report};
use super::source::Place;
use crate::dns::{Name, Rtype};

/// How many files deep `$INCLUDE` goes: as NSD has it, and deeper than anybody's zones.
const MAX_DEPTH: usize = 10;

/// Reads the file at `path`, which the configuration names at `named_at`, and those that it
/// includes. `None`: there is a mistake, and it has been noted.
///
/// `default_ttl` is for records in front of which neither they nor `$TTL` say one.
pub(super) fn read(
    path: &Path,
    named_at: Place,
    zone: &Name,
    default_ttl: u32,
    report: &Report,
) -> Option<Vec<PlacedRecord>> {
    let mut reading = Reading { zone, report, open: Vec::new(), records: Vec::new(), is_clean: true };
    reading.file(path, named_at, zone.clone(), default_ttl);
    reading.is_clean.then_some(reading.records)
}

/// A zone's files, read one into the other.
struct Reading<'r> {
    zone: &'r Name,
    report: &'r Report,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    records: Vec<PlacedRecord>,
    is_clean: bool,
}

/// What one entry of a file leaves for the next. An included file starts with the origin and the
/// TTL of the place that includes it, and leaves nothing behind (RFC 1035 section 5.1).
struct Context {
    file: u32,
    origin: Name,
    owner: Option<Name>,
    ttl: u32,
}

/// What is wrong with an entry, and where.
struct Fault {
    message: String,
    span: Range<usize>,
}

/// What an entry is.
enum Item<'e> {
    Record(PlacedRecord),
    /// Another file goes here: its name, and the origin for it.
    Include(&'e Token<'e>, Name),
    /// It concerns the entries that follow.
    Setting,
}

impl Reading<'_> {
    /// Reads one file, which is named at `named_at`.
    fn file(&mut self, path: &Path, named_at: Place, origin: Name, ttl: u32) {
        let Some(File { id: file, text }) = self.open(path, named_at) else {
            self.is_clean = false;
            return;
        };
        let mut context = Context { file, origin, owner: None, ttl };
        for entry in presentation::entries(&text) {
            let fault = match &entry {
                Ok(entry) => self.entry(&mut context, entry, path).err(),
                Err(presentation::Fault { message, span }) => {
                    Some(Fault { message: message.clone(), span: span.clone() })
                }
            };
            if let Some(Fault { message, span }) = fault {
                self.is_clean = false;
                self.report.error(Place::new(file, span), message);
            }
        }
        self.open.pop();
    }

    /// The text of a file, which becomes the innermost that is open.
    fn open(&mut self, path: &Path, named_at: Place) -> Option<File> {
        let fault = |message: String| {
            self.report.error(named_at, message);
            None
        };
        // One file may have several names; what has none cannot be read either.
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.open.contains(&canonical) {
            return fault(format!("`{}` includes itself", path.display()));
        }
        if self.open.len() > MAX_DEPTH {
            return fault(format!("files are included at most {MAX_DEPTH} deep"));
        }
        let octets = match self.report.read_kept(path) {
            Ok(octets) => octets,
            Err(reason) => return fault(format!("cannot read `{}`: {reason}", path.display())),
        };
        let file = self.report.add_file(path.display().to_string(), octets)?;
        self.open.push(canonical);
        Some(file)
    }

    fn entry(&mut self, context: &mut Context, entry: &Entry<'_>, path: &Path) -> Result<(), Fault> {
        match context.item(entry, self.zone)? {
            Item::Record(record) => self.records.push(record),
            Item::Include(token, origin) => {
                let octets = presentation::unescape(token.text).map_err(|message| fault(token, &message))?;
                let included = path.with_file_name(OsStr::from_bytes(&octets));
                let named_at = Place::new(context.file, token.span.clone());
                self.file(&included, named_at, origin, context.ttl);
            }
            Item::Setting => {}
        }
        Ok(())
    }
}

impl Context {
    fn item<'e>(&mut self, entry: &'e Entry<'_>, zone: &Name) -> Result<Item<'e>, Fault> {
        let [first, rest @ ..] = &entry.tokens[..] else {
            return Ok(Item::Setting);
        };
        if first.text.starts_with('$') && !first.quoted {
            return self.directive(first, rest);
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
        let resolve =
            |text: &str| Name::relative(text, &self.origin).map_err(|reason| not_a_name(text, reason));
        let rdata = rdata::parse(rtype, data, &resolve, Rigour::Lenient).map_err(
            |rdata::Fault { token, message }| {
                let token = token.map_or(data.last().unwrap_or(type_token), |index| &data[index]);
                fault(token, &format!("not the data of a record of type {rtype}: {message}"))
            },
        )?;
        if !owner.is_within(zone) {
            return Err(fault(first, &format!("`{owner}` is outside the zone `{zone}`")));
        }
        let place = Place::new(self.file, first.span.start..type_token.span.end);
        Ok(Item::Record(PlacedRecord { owner, rtype, ttl, rdata, place, is_lenient: true }))
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
                let seconds = rdata::ttl(text).ok_or_else(|| {
                    fault(token, &format!("`{text}` is not a TTL: it goes from 0 to 2147483647 seconds"))
                })?;
                if ttl.replace(seconds).is_some() {
                    return Err(fault(token, "the record has two TTLs"));
                }
            } else if ["IN", "CLASS1"].iter().any(|class| text.eq_ignore_ascii_case(class)) && !has_class {
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

    fn directive<'e>(
        &mut self,
        directive: &Token<'_>,
        arguments: &'e [Token<'_>],
    ) -> Result<Item<'e>, Fault> {
        let keyword = directive.text.to_ascii_uppercase();
        match (&keyword[..], arguments) {
            ("$ORIGIN", [origin]) => self.origin = self.name(origin)?,
            ("$TTL", [ttl]) => {
                let text = ttl.text;
                self.ttl = rdata::ttl(text).ok_or_else(|| {
                    fault(ttl, &format!("`{text}` is not a TTL: it goes from 0 to 2147483647 seconds"))
                })?;
            }
            ("$INCLUDE", [file]) => return Ok(Item::Include(file, self.origin.clone())),
            ("$INCLUDE", [file, origin]) => return Ok(Item::Include(file, self.name(origin)?)),
            ("$ORIGIN" | "$TTL", _) => {
                return Err(fault(directive, &format!("`{keyword}` takes one value")));
            }
            ("$INCLUDE", _) => {
                return Err(fault(directive, "`$INCLUDE` takes a file and, if need be, an origin"));
            }
            ("$GENERATE", _) => {
                return Err(fault(directive, "`$GENERATE` is not supported: write the records out"));
            }
            _ => return Err(fault(directive, &format!("unknown directive `{}`", directive.text))),
        }
        Ok(Item::Setting)
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
