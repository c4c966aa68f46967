//! `[query_log]`: what was asked and answered, for whoever collects it.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::name::domain_name;
use super::reader::{Value, Words, list, number, string};
use super::report::Report;
use super::settings::path;
use super::source::{Located, Place};
use super::unique::Unique;
use crate::dns::{Name, Rcode};

/// `[query_log]`
#[derive(Clone, Debug, PartialEq)]
pub struct QueryLogSettings {
    /// How records are written.
    pub format: QueryLogFormat,
    /// Where they go.
    pub target: QueryLogTarget,
    /// Which share of the queries is recorded, from 0 to 1.
    pub sample: f32,
    /// What this server calls itself in dnstap; `None`: as its host is called.
    pub identity: Option<String>,
    /// Only replies with one of these are recorded, without repeats; empty: whatever comes of a query.
    pub rcodes: Vec<Rcode>,
    /// Only names in one of these zones are, the zones' own included, without repeats; empty: all names.
    pub zones: Vec<Name>,
}

/// How records of queries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryLogFormat {
    /// One JSON object per line.
    Json,
    /// Messages of dnstap in Frame Streams.
    Dnstap,
}

/// Where records of queries go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryLogTarget {
    /// To the end of this file.
    File(PathBuf),
    /// To whoever listens at this Unix socket.
    Socket(PathBuf),
}

const FORMATS: Words<QueryLogFormat> = Words {
    what: "format",
    known: &[("json", QueryLogFormat::Json), ("dnstap", QueryLogFormat::Dnstap)],
    planned: &[],
};

const RCODES: Words<Rcode> = Words {
    what: "rcode",
    known: &{
        let mut known = [("", Rcode::NoError); Rcode::ALL.len()];
        let mut index = 0;
        while index < known.len() {
            known[index] = (Rcode::ALL[index].mnemonic(), Rcode::ALL[index]);
            index += 1;
        }
        known
    },
    planned: &[],
};

/// The longest path that an address of a Unix socket holds on Linux.
const LONGEST_SOCKET: usize = 107;

/// Longer than any name of a host (RFC 1035 section 2.3.4), which is what is said there.
const LONGEST_IDENTITY: usize = 255;

/// `[query_log]` as written.
pub(super) struct QueryLogSpec {
    format: Option<Located<QueryLogFormat>>,
    file: Option<Located<String>>,
    socket: Option<Located<String>>,
    sample: Option<Located<f32>>,
    identity: Option<Located<String>>,
    rcodes: Option<Located<Vec<Located<Rcode>>>>,
    zones: Option<Located<Vec<Located<Name>>>>,
    /// Whether a place is written, even one that does not fit.
    has_target: bool,
}

impl QueryLogSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let has_target = ["file", "socket"].iter().any(|key| table.has(key));
        let spec = QueryLogSpec {
            format: table.optional("format", |value| FORMATS.read(value)),
            file: table.optional("file", path),
            socket: table.optional("socket", path),
            sample: table.optional("sample", number(0.0..=1.0)),
            identity: table.optional("identity", identity),
            rcodes: table.optional("rcodes", list(|value| RCODES.read(value))),
            zones: table.optional("zones", list(domain_name)),
            has_target,
        };
        table.finish();
        Some(spec)
    }

    /// Fills in the defaults and takes relative paths from `base_dir`; `place` is the table's.
    pub(super) fn convert(self, base_dir: &Path, place: Place, report: &Report) -> Option<QueryLogSettings> {
        let QueryLogSpec { format, file, socket, sample, identity, rcodes, zones, has_target } = self;
        let format = format.map_or(QueryLogFormat::Json, |format| format.value);
        if let (Some(identity), QueryLogFormat::Json) = (&identity, format) {
            report.error(identity.place, "`identity` is for `format = \"dnstap\"`");
        }
        let rcodes = each_once("rcode", rcodes, |rcode| rcode.mnemonic(), report);
        let zones = each_once("zone", zones, Name::to_string, report);
        let target = match (file, socket) {
            (Some(file), None) => QueryLogTarget::File(base_dir.join(file.value)),
            (None, Some(socket)) => {
                let path = base_dir.join(socket.value);
                if path.as_os_str().len() > LONGEST_SOCKET {
                    let message = format!("the path of a socket has at most {LONGEST_SOCKET} octets");
                    report.error(socket.place, message);
                }
                QueryLogTarget::Socket(path)
            }
            (Some(_), Some(socket)) => {
                report.error(socket.place, "a query log goes to a `file` or to a `socket`, not to both");
                return None;
            }
            (None, None) => {
                if !has_target {
                    report.error(place, "a query log needs a `file` or a `socket`");
                }
                return None;
            }
        };
        Some(QueryLogSettings {
            format,
            target,
            sample: sample.map_or(1.0, |sample| sample.value),
            identity: identity.map(|identity| identity.value),
            rcodes,
            zones,
        })
    }
}

/// The elements of a list; that one is there twice is noted.
fn each_once<T, U: Ord + Clone + Display>(
    what: &'static str,
    list: Option<Located<Vec<Located<T>>>>,
    shown: impl Fn(&T) -> U,
    report: &Report,
) -> Vec<T> {
    let mut unique = Unique::new(what);
    let elements = list.map_or(Vec::new(), |list| list.value);
    for element in &elements {
        unique.note(&shown(&element.value), element.place, report);
    }
    elements.into_iter().map(|element| element.value).collect()
}

fn identity(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    if text.is_empty() || text.len() > LONGEST_IDENTITY {
        let message = format!("the text has {} octets, not 1 to {LONGEST_IDENTITY}", text.len());
        return value.refuse(message, None);
    }
    Some(text)
}
