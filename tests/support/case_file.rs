//! A file of cases as written, and the comparison of a case with what was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use serde::Deserialize;

use super::message::{Message, Record};

/// A file of `tests/cases`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    /// The configuration itself.
    pub(crate) config: Option<String>,
    /// Or a file of `config/examples`.
    pub(crate) example: Option<String>,
    pub(crate) geo: Geo,
    /// Records under a name, to be named in expectations instead of written out.
    #[serde(default)]
    pub(crate) records: BTreeMap<String, String>,
    /// What the names of pools resolve to, unless a case says otherwise.
    #[serde(default)]
    pub(crate) resolved: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) case: Vec<Case>,
}

/// Where clients are.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Geo {
    Named(Named),
    Entries(Vec<GeoEntry>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Named {
    /// The database inside the program.
    Embedded,
    /// Nothing is known of anybody.
    None,
}

/// What the map says of a prefix; no two overlap.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeoEntry {
    pub(crate) prefix: String,
    pub(crate) country: Option<String>,
    pub(crate) subdivision: Option<String>,
    pub(crate) continent: Option<String>,
    pub(crate) asn: Option<u32>,
    pub(crate) latitude: Option<f64>,
    pub(crate) longitude: Option<f64>,
}

/// One case: what is down, what is asked, what is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) down: Vec<String>,
    pub(crate) resolved: Option<BTreeMap<String, Vec<IpAddr>>>,
    #[serde(default)]
    pub(crate) ramping: BTreeMap<String, f64>,
    #[serde(default)]
    pub(crate) standing: BTreeMap<String, Standing>,
    #[serde(default)]
    pub(crate) calm: BTreeMap<String, u32>,
    pub(crate) ask: String,
    #[serde(default = "super::nowhere")]
    pub(crate) client: IpAddr,
    pub(crate) subnet: Option<String>,
    pub(crate) subnet_octets: Option<String>,
    #[serde(default)]
    pub(crate) transport: Transport,
    #[serde(default)]
    pub(crate) edns: Edns,
    #[serde(default)]
    pub(crate) opcode: u8,
    #[serde(default)]
    pub(crate) response: bool,
    #[serde(default)]
    pub(crate) recursion_desired: bool,
    #[serde(default = "once")]
    pub(crate) repeat: u32,
    /// By this many clients, each in a network of its own.
    #[serde(default = "once")]
    pub(crate) clients: u32,
    pub(crate) between: Option<String>,

    #[serde(default)]
    pub(crate) silence: bool,
    #[serde(default = "no_error")]
    pub(crate) rcode: String,
    aa: Option<bool>,
    #[serde(default)]
    tc: bool,
    #[serde(default)]
    answer: Vec<String>,
    #[serde(default)]
    authority: Vec<String>,
    #[serde(default)]
    additional: Vec<String>,
    scope: Option<u8>,
    size: Option<usize>,
    smallest: Option<usize>,
    #[serde(default)]
    one_of: Vec<Vec<String>>,
    count: Option<usize>,
    #[serde(default)]
    first: BTreeMap<String, u32>,
    #[serde(default)]
    share: BTreeMap<String, f64>,
}

/// Whether domains choose a pool, where it is not simply in service.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Standing {
    Named(NamedStanding),
    With { returning: f64 },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NamedStanding {
    Held,
    AwaitsRelease,
    BelowMinimum,
    Unmet,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    #[default]
    Udp,
    Tcp,
}

/// `false`, or what the OPT record says.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Edns {
    Used(bool),
    With {
        #[serde(default)]
        version: u8,
        #[serde(default = "usual_size")]
        size: u16,
        #[serde(default, rename = "do")]
        dnssec_ok: bool,
    },
}

impl Default for Edns {
    fn default() -> Self {
        Edns::Used(true)
    }
}

fn once() -> u32 {
    1
}

fn no_error() -> String {
    "NOERROR".to_owned()
}

/// What resolvers offer since the DNS flag day of 2020.
fn usual_size() -> u16 {
    1232
}

impl CaseFile {
    /// Reads a file of cases.
    pub(crate) fn parse(text: &str) -> Result<CaseFile, toml::de::Error> {
        toml::from_str(text)
    }
}

impl Case {
    /// Compares what is expected with `reply`, and with `further` replies to the same query.
    pub(crate) fn compare(
        &self,
        reply: &Message,
        further: &[Message],
        octets: usize,
        records: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let mut differences = Differences::default();
        differences.note("rcode", &self.rcode, &reply.rcode_name());
        let is_error = !["NOERROR", "NXDOMAIN", "YXDOMAIN"].contains(&&self.rcode[..]);
        differences.note("aa", &self.aa.unwrap_or(!is_error), &reply.is_authoritative());
        differences.note("tc", &self.tc, &reply.is_truncated());
        let all = || std::iter::once(reply).chain(further);
        if let Some(count) = self.count {
            let unlike = all().map(|reply| distinct(&reply.answer)).find(|got| *got != count);
            differences.note("count", &count, &unlike.unwrap_or(count));
        } else if self.one_of.is_empty() {
            let expected = sorted(&self.answer, records);
            let unlike = all().map(|reply| sorted_records(&reply.answer)).find(|answer| *answer != expected);
            differences.note("answer", &expected, &unlike.unwrap_or_else(|| expected.clone()));
        }
        differences.note("authority", &sorted(&self.authority, records), &sorted_records(&reply.authority));
        differences.note(
            "additional",
            &sorted(&self.additional, records),
            &sorted_records(&reply.additional),
        );
        let subnet = reply.opt.as_ref().and_then(|opt| opt.client_subnet.as_ref());
        differences.note("scope", &self.scope, &subnet.map(|data| data[3]));
        if let Some(size) = self.size {
            differences.note("size", &size, &octets);
        }
        if let Some(smallest) = self.smallest {
            differences.note("smallest", &smallest, &octets.min(smallest));
        }
        self.compare_over_time(reply, further, &mut differences);
        differences.into_result()
    }

    /// What only many replies can show.
    fn compare_over_time(&self, reply: &Message, further: &[Message], differences: &mut Differences) {
        let all: Vec<&Message> = std::iter::once(reply).chain(further).collect();
        if !self.one_of.is_empty() {
            let expected: BTreeSet<&Vec<String>> = self.one_of.iter().collect();
            let shown: Vec<Vec<String>> =
                all.iter().map(|reply| reply.answer.iter().map(ToString::to_string).collect()).collect();
            let got: BTreeSet<&Vec<String>> = shown.iter().collect();
            differences.note("one_of", &expected, &got);
        }
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for first in all.iter().filter_map(|reply| reply.answer.first()) {
            *counts
                .entry(first.to_string().split(' ').next_back().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        if !self.first.is_empty() {
            differences.note("first", &self.first, &counts);
        }
        if !self.share.is_empty() {
            let queries = f64::from(self.repeat.max(self.clients));
            let got: BTreeMap<String, f64> =
                counts.iter().map(|(data, count)| (data.clone(), f64::from(*count) / queries)).collect();
            // Five standard deviations of a binomial share: one seed in 1.7 million would fail.
            let is_near = |expected: f64, got: f64| {
                (expected - got).abs() <= 5.0 * (expected * (1.0 - expected) / queries).sqrt()
            };
            let is_as_expected = got.keys().eq(self.share.keys())
                && got.iter().all(|(data, share)| is_near(self.share[data], *share));
            if !is_as_expected {
                differences.note("share", &self.share, &got);
            }
        }
    }
}

/// Keys that differ, as TOML.
#[derive(Default)]
struct Differences {
    expected: String,
    got: String,
}

impl Differences {
    fn note<T: PartialEq + Shown>(&mut self, key: &str, expected: &T, got: &T) {
        if expected != got {
            for (text, value) in [(&mut self.expected, expected), (&mut self.got, got)] {
                writeln!(text, "{key} = {}", value.shown()).expect("a string takes everything");
            }
        }
    }

    fn into_result(self) -> Result<(), String> {
        let Differences { expected, got } = self;
        if expected.is_empty() { Ok(()) } else { Err(format!("# expected\n{expected}# got\n{got}")) }
    }
}

/// A value as TOML has it.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($kind:ty: $shown:expr;)*) => {
        $(impl Shown for $kind { fn shown(&self) -> String { let shown: fn(&$kind) -> String = $shown; shown(self) } })*
    };
}

shown! {
    String: |text| format!("{text:?}");
    bool: ToString::to_string;
    usize: ToString::to_string;
    Option<u8>: |number| number.map_or("none # no client subnet option".to_owned(), |number| number.to_string());
    Vec<String>: |list| list_shown(list.iter().map(Shown::shown));
    BTreeSet<&Vec<String>>: |set| list_shown(set.iter().map(|list| list.shown().replace('\n', "\n    ")));
    BTreeMap<String, u32>: |map| table_shown(map.iter().map(|(key, value)| format!("{key:?} = {value}")));
    BTreeMap<String, f64>: |map| table_shown(map.iter().map(|(key, value)| format!("{key:?} = {value:.4}")));
}

fn list_shown(values: impl Iterator<Item = String>) -> String {
    let lines: String = values.map(|value| format!("    {value},\n")).collect();
    if lines.is_empty() { "[]".to_owned() } else { format!("[\n{lines}]") }
}

fn table_shown(entries: impl Iterator<Item = String>) -> String {
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// Expected records, with those that are only named written out.
fn sorted(expected: &[String], records: &BTreeMap<String, String>) -> Vec<String> {
    let mut written: Vec<String> =
        expected.iter().map(|entry| records.get(entry).unwrap_or(entry).clone()).collect();
    written.sort();
    written
}

/// How many different records there are.
fn distinct(records: &[Record]) -> usize {
    records.iter().collect::<BTreeSet<_>>().len()
}

fn sorted_records(records: &[Record]) -> Vec<String> {
    let mut shown: Vec<String> = records.iter().map(ToString::to_string).collect();
    shown.sort();
    shown
}

/// The data of the client subnet option for a prefix (RFC 7871 section 6).
pub(crate) fn subnet_data(prefix: &str) -> Result<Vec<u8>, String> {
    let net: ipnet::IpNet = prefix.parse().map_err(|error| format!("{prefix}: {error}\n"))?;
    let (family, octets) = match net.network() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let told = usize::from(net.prefix_len()).div_ceil(8);
    Ok([&[0, family, net.prefix_len(), 0], &octets[..told]].concat())
}

/// Octets as pairs of hexadecimal digits.
pub(crate) fn octets(text: &str) -> Result<Vec<u8>, String> {
    text.split_whitespace()
        .map(|pair| u8::from_str_radix(pair, 16).map_err(|error| format!("{pair}: {error}\n")))
        .collect()
}
