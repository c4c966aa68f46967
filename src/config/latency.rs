//! `[[latency]]`: files of measured latencies.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;

use super::reader::Value;
use super::report::{File, Report};
use super::serves::{Fault, parse_as_number, parse_prefix};
use super::settings::path;
use super::source::{Located, Place};
use super::unique::Unique;
use crate::plan::{LatencySource, Measurement, PoolId};

/// The first line of a file may name the fields.
const HEADER: [&str; 3] = ["source", "pool", "milliseconds"];
/// Longer than any client waits for an answer: what is above is in another unit.
const MILLISECONDS: RangeInclusive<f32> = 0.0..=60_000.0;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A file of measurements as the configuration names it.
pub(super) struct LatencySpec {
    file: Option<Located<String>>,
}

impl LatencySpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = LatencySpec { file: table.required("file", path) };
        table.finish();
        Some(spec)
    }
}

/// Reads the files that `specs` name. What is wrong in them is noted, each line for itself.
pub(super) fn convert(
    specs: Vec<Located<LatencySpec>>,
    base_dir: &Path,
    pools: &BTreeMap<String, PoolId>,
    report: &Report,
) -> Vec<Measurement> {
    let mut reading = Reading { pools, report, unique: Unique::new("measurement"), measurements: Vec::new() };
    let mut unique = Unique::new("file");
    for file in specs.into_iter().filter_map(|spec| spec.value.file) {
        // Of a file that is there twice, every line would be.
        if unique.note(&file.value, file.place, report) {
            reading.file(&base_dir.join(&file.value), file.place);
        }
    }
    reading.measurements
}

/// Files of measurements, read one after the other.
struct Reading<'r> {
    pools: &'r BTreeMap<String, PoolId>,
    report: &'r Report,
    /// Measurements as written, so far.
    unique: Unique<String>,
    measurements: Vec<Measurement>,
}

impl Reading<'_> {
    /// Reads the file at `path`, which is named at `named_at`.
    fn file(&mut self, path: &Path, named_at: Place) {
        let octets = match std::fs::read(path) {
            Ok(octets) => octets,
            Err(reason) => {
                self.report.error(named_at, format!("cannot read `{}`: {reason}", path.display()));
                return;
            }
        };
        if let Some(file) = self.report.add_file(path.display().to_string(), octets) {
            self.lines(&file);
        }
    }

    fn lines(&mut self, &File { id, ref text }: &File) {
        let mut is_first = true;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let content = line.split('#').next().unwrap_or(line);
            let whole =
                Located { value: content, place: Place { file: id, start, end: start + content.len() } };
            start += line.len();
            let whole = trimmed(whole);
            if whole.value.is_empty() {
                continue;
            }
            let fields = fields(whole);
            if !(is_first && fields.iter().map(|field| field.value).eq(HEADER)) {
                self.line(whole.place, &fields);
            }
            is_first = false;
        }
    }

    fn line(&mut self, place: Place, fields: &[Located<&str>]) {
        let [source, pool, milliseconds] = fields else {
            self.report.error_with_hint(
                place,
                format!("a measurement has 3 fields, not {}", fields.len()),
                "write a prefix or AS number, the pool and the milliseconds, as in 203.0.113.0/24,vietnam,12.5"
                    .to_owned(),
            );
            return;
        };
        let (source, pool_id, milliseconds) =
            (self.source(source), self.pool(pool), self.milliseconds(milliseconds));
        let (Some(source), Some(pool_id), Some(milliseconds)) = (source, pool_id, milliseconds) else {
            return;
        };
        self.unique.note(&format!("{source},{}", pool.value), place, self.report);
        self.measurements.push(Measurement { source, pool: pool_id, milliseconds });
    }

    fn source(&self, field: &Located<&str>) -> Option<LatencySource> {
        let text = field.value;
        let source = match parse_as_number(text) {
            Some(number) => number.map(LatencySource::Asn),
            None if text.contains('/') || text.parse::<IpAddr>().is_ok() => {
                parse_prefix(text).map(LatencySource::Prefix)
            }
            None => Err(Fault {
                message: format!("`{text}` is neither a prefix nor an AS number"),
                hint: "write it as in 203.0.113.0/24 or AS64500".to_owned(),
            }),
        };
        source.map_err(|Fault { message, hint }| self.report.error_with_hint(field.place, message, hint)).ok()
    }

    fn pool(&self, field: &Located<&str>) -> Option<PoolId> {
        let id = self.pools.get(field.value).copied();
        if id.is_none() {
            let hint = self.report.suggest(field.value, self.pools.keys().map(String::as_str));
            self.report.error_with_hint(field.place, format!("pool `{}` does not exist", field.value), hint);
        }
        id
    }

    fn milliseconds(&self, field: &Located<&str>) -> Option<f32> {
        let text = field.value;
        let fault = match text.parse::<f32>() {
            // Adding zero makes a negative zero positive.
            Ok(milliseconds) if MILLISECONDS.contains(&milliseconds) => return Some(milliseconds + 0.0),
            Ok(_) => {
                format!("{text} is out of range: {} to {}", MILLISECONDS.start(), MILLISECONDS.end())
            }
            Err(_) => format!("`{text}` is not a number of milliseconds"),
        };
        self.report.error(field.place, fault);
        None
    }
}

/// The parts of a line between its commas, without the quotes that CSV allows around them.
fn fields(line: Located<&str>) -> Vec<Located<&str>> {
    let Place { file, mut start, .. } = line.place;
    let parts = line.value.split(',').map(|value| {
        let place = Place { file, start, end: start + value.len() };
        start = place.end + 1;
        unquoted(trimmed(Located { value, place }))
    });
    parts.collect()
}

fn unquoted(field: Located<&str>) -> Located<&str> {
    let Place { file, start, end } = field.place;
    match field.value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(value) => Located { value, place: Place { file, start: start + 1, end: end - 1 } },
        None => field,
    }
}

/// Without white space around it. An empty text stays where it was.
fn trimmed(text: Located<&str>) -> Located<&str> {
    let Located { value, place: Place { file, start, .. } } = text;
    let is_blank = |character: char| character.is_whitespace() || character == BYTE_ORDER_MARK;
    let tail = value.trim_start_matches(is_blank);
    let start = start + (value.len() - tail.len());
    let value = tail.trim_end_matches(is_blank);
    Located { value, place: Place { file, start, end: start + value.len() } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Diagnostics;

    fn read(text: &str) -> Result<Vec<Measurement>, Diagnostics> {
        let pools = [("vietnam", 0), ("hongkong", 1)].map(|(name, id)| (name.to_owned(), PoolId(id)));
        let report = Report::default();
        let measurements = {
            let mut reading = Reading {
                pools: &pools.into(),
                report: &report,
                unique: Unique::new("measurement"),
                measurements: Vec::new(),
            };
            reading.lines(&report.add_file("test.csv".to_owned(), text.into()).expect("UTF-8"));
            reading.measurements
        };
        report.into_diagnostics().map_or(Ok(measurements), Err)
    }

    #[test]
    fn lines_are_measurements() {
        let text = "\u{feff}source,pool,milliseconds\r\n\
            # a comment\r\n\
            \r\n\
            203.0.113.0/24,vietnam,12.5\r\n\
            \t2001:db8::/32 ,\"hongkong\", -0 # another\n\
            as4294967295,vietnam,6e4";
        let found: Vec<_> = read(text)
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
            .iter()
            .map(|Measurement { source, pool, milliseconds }| format!("{source} {} {milliseconds}", pool.0))
            .collect();
        assert_eq!(found, ["203.0.113.0/24 0 12.5", "2001:db8::/32 1 0", "AS4294967295 0 60000"]);
        assert!(read("").is_ok_and(|measurements| measurements.is_empty()));
    }

    #[test]
    fn a_header_stands_first_only() {
        assert!(read("# May\n\nsource, pool, milliseconds\n").is_ok());
        assert!(read("AS64500,vietnam,1\nsource,pool,milliseconds\n").is_err());
        assert!(read("source,pool,milliseconds\nsource,pool,milliseconds\n").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([ -~é\t\u{feff}]|,|\"|#|\r?\n|vietnam|AS1|::/0){0,60}") {
            let _ = read(&text).map_err(|diagnostics| diagnostics.to_string());
        }
    }
}
