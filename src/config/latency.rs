//! `[[latency]]`: files of measured latencies, and the same from elsewhere.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;

use super::diagnostics::Diagnostics;
use super::reader::Value;
use super::report::{File, Report};
use super::serves::{Fault, parse_as_number, parse_prefix};
use super::settings::path;
use super::source::{Located, Place};
use super::unique::Unique;
use crate::plan::{LatencySource, Measurement, Plan, PoolId};

/// The first line of a file may name the fields.
const HEADER: [&str; 3] = ["source", "pool", "milliseconds"];
/// Longer than any client waits for an answer: what is above is in another unit.
const MILLISECONDS: RangeInclusive<f32> = 0.0..=60_000.0;
const BYTE_ORDER_MARK: char = '\u{feff}';
/// How many mistakes of a file are told. Of a million lines with the wrong separator nobody reads
/// more, and to tell of each takes a hundred times the memory of the file.
const MAX_MISTAKES: usize = 1000;

/// What becomes of a measurement whose pool does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPool {
    /// It is a mistake.
    Refuse,
    /// It is passed over.
    PassOver,
}

/// Measurements as they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    /// Those of pools that exist, in the order of the file.
    pub measurements: Vec<Measurement>,
    /// How many were passed over.
    pub passed_over: usize,
}

/// Reads `octets`, which messages call `name`: measurements as a file of `[[latency]]` has them,
/// of the pools of `plan`.
///
/// # Errors
///
/// If a line cannot be read, or the same source and pool stand there twice.
pub fn read_latencies(
    name: &str,
    octets: Vec<u8>,
    plan: &Plan,
    unknown_pool: UnknownPool,
) -> Result<Latencies, Diagnostics> {
    let pools = plan.pools.iter().zip(0..).map(|(pool, id)| (pool.name.clone(), PoolId(id))).collect();
    let report = Report::default();
    let latencies = {
        let mut reading = Reading::new(&pools, &report, unknown_pool);
        if let Some(file) = report.add_file(name.to_owned(), octets) {
            reading.lines(&file);
        }
        Latencies { measurements: reading.measurements, passed_over: reading.passed_over }
    };
    report.end().map(|_| latencies)
}

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
    let mut reading = Reading::new(pools, report, UnknownPool::Refuse);
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
    unknown_pool: UnknownPool,
    /// Measurements as written, so far.
    unique: Unique<String>,
    measurements: Vec<Measurement>,
    passed_over: usize,
}

impl<'r> Reading<'r> {
    fn new(pools: &'r BTreeMap<String, PoolId>, report: &'r Report, unknown_pool: UnknownPool) -> Self {
        let unique = Unique::new("measurement");
        Reading { pools, report, unknown_pool, unique, measurements: Vec::new(), passed_over: 0 }
    }

    /// Reads the file at `path`, which is named at `named_at`.
    fn file(&mut self, path: &Path, named_at: Place) {
        let octets = match self.report.read_kept(path) {
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
        let before = self.report.count();
        for line in text.split_inclusive('\n') {
            let content = line.split('#').next().unwrap_or(line);
            let whole = Located { value: content, place: Place::new(id, start..start + content.len()) };
            start += line.len();
            let whole = trimmed(whole);
            if whole.value.is_empty() {
                continue;
            }
            if self.report.count() - before >= MAX_MISTAKES {
                let message = format!("{MAX_MISTAKES} mistakes, and the file was read no further than here");
                self.report.error(whole.place, message);
                return;
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
        let (Some(source), Some(milliseconds)) = (source, milliseconds) else {
            return;
        };
        match pool_id {
            Some(pool_id) => {
                self.unique.note(&format!("{source},{}", pool.value), place, self.report);
                self.measurements.push(Measurement { source, pool: pool_id, milliseconds });
            }
            None => self.passed_over += 1,
        }
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
        if id.is_none() && self.unknown_pool == UnknownPool::Refuse {
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
    let mut start = line.place.start();
    let parts = line.value.split(',').map(|value| {
        let place = Place::new(line.place.file, start..start + value.len());
        start = place.end() + 1;
        unquoted(trimmed(Located { value, place }))
    });
    parts.collect()
}

fn unquoted(field: Located<&str>) -> Located<&str> {
    let Place { file, .. } = field.place;
    match field.value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(value) => {
            Located { value, place: Place::new(file, field.place.start() + 1..field.place.end() - 1) }
        }
        None => field,
    }
}

/// Without white space around it. An empty text stays where it was.
fn trimmed(text: Located<&str>) -> Located<&str> {
    let Located { value, place } = text;
    let is_blank = |character: char| character.is_whitespace() || character == BYTE_ORDER_MARK;
    let tail = value.trim_start_matches(is_blank);
    let start = place.start() + (value.len() - tail.len());
    let value = tail.trim_end_matches(is_blank);
    Located { value, place: Place::new(place.file, start..start + value.len()) }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// With pools `vietnam` and `hongkong`.
    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let pool = |name, ip| format!("pool.{name}.address = [{{ name = \"a\", ip = \"{ip}\" }}]\n");
        let text = format!(
            "geoip.databases = []\n{}{}",
            pool("vietnam", "192.0.2.1"),
            pool("hongkong", "192.0.2.2")
        );
        let loaded = crate::config::parse("test.toml", &text, Path::new(""));
        loaded.unwrap_or_else(|diagnostics| panic!("{diagnostics}")).plan
    });

    fn read_with(text: &str, unknown_pool: UnknownPool) -> Result<Latencies, Diagnostics> {
        read_latencies("test.csv", text.into(), &PLAN, unknown_pool)
    }

    fn read(text: &str) -> Result<Vec<Measurement>, Diagnostics> {
        read_with(text, UnknownPool::Refuse).map(|latencies| latencies.measurements)
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

    #[test]
    fn unknown_pools_are_refused_or_passed_over() {
        let text = "AS64500,vietnm,1\nAS64500,hongkong,2\nAS64501,singapore,3\n";
        let found = read_with(text, UnknownPool::PassOver).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let measurement =
            Measurement { source: LatencySource::Asn(64500), pool: PoolId(1), milliseconds: 2.0 };
        assert_eq!(found, Latencies { measurements: vec![measurement], passed_over: 2 });
        // What is wrong is wrong all the same.
        assert!(read_with("AS64500,singapore,far\n", UnknownPool::PassOver).is_err());

        let mistakes = read(text).expect_err("two pools do not exist");
        let told: Vec<String> = mistakes
            .iter()
            .map(|mistake| {
                let place = mistake.position.expect("each stands somewhere");
                format!("{}:{} {}", place.line, place.column, mistake.hint.as_deref().unwrap_or_default())
            })
            .collect();
        assert_eq!(told, ["1:9 did you mean `vietnam`?", "3:9 known here: `hongkong`, `vietnam`"]);
    }

    #[test]
    fn not_more_is_told_than_anybody_reads() {
        let told = |lines: usize| {
            let mistakes = read(&"AS64500;vietnam;1\n".repeat(lines)).expect_err("no line can be read");
            let last = mistakes.iter().last().expect("there are some");
            (mistakes.iter().count(), last.position.expect("it stands somewhere").line, last.message.clone())
        };
        let fields = "a measurement has 3 fields, not 1".to_owned();
        assert_eq!(told(MAX_MISTAKES), (MAX_MISTAKES, MAX_MISTAKES, fields));
        let (count, line, message) = told(2 * MAX_MISTAKES);
        assert_eq!((count, line), (MAX_MISTAKES + 1, MAX_MISTAKES + 1));
        assert!(message.contains("read no further"), "{message}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([ -~é\t\u{feff}]|,|\"|#|\r?\n|vietnam|AS1|::/0){0,60}") {
            let _ = read(&text).map_err(|diagnostics| diagnostics.to_string());
        }
    }
}
