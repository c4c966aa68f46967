//! `[health_check.NAME]`: what all checks share. What a type has of its own stands in its file.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::damping::{check_reach, damping};
use super::reader::{Table, Value, Words, boolean, duration, integer};
use super::report::Report;
use super::source::Located;
use crate::health::Verdict;
use crate::plan::{CheckKind, Damping, HealthCheck};

mod dns;
mod grpc;
mod header;
mod http;
mod icmp;
mod octets;
mod script;
mod tcp;
mod tls;
mod udp;

use dns::DnsSpec;
use grpc::GrpcSpec;
use http::{HttpSpec, HttpsSpec};
use icmp::IcmpSpec;
use script::ScriptSpec;
use tcp::TcpSpec;
use tls::TlsSpec;
pub(super) use tls::roots;
use udp::UdpSpec;

/// Fast enough for a failover within seconds, at a cost that no site notices.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
/// Twice the longest round trip between two places on earth, so that a lost packet is no failure
/// of the connection but a slow site is.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);
/// One probe may be lost by chance, two in a row hardly.
const DEFAULT_FALL: u32 = 2;
/// A site that has passed twice is back, and not merely restarting.
const DEFAULT_RISE: u32 = 2;
/// Oftener would be an attack on the site; the longest is a day.
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);
/// Confirming probes come four times as often: with two failures in a row until down, that a site is
/// down is known after little more than one interval.
const FAST_FACTOR: u32 = 4;
/// Unless told otherwise, what confirms a failure comes this much later at least, so that a moment's
/// trouble, such as a route that changes, is not seen twice.
const MIN_DEFAULT_FAST: Duration = Duration::from_millis(50);
/// Oftener would be an attack on the site, even for the few probes that confirm a change.
const FAST_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(86_400);
/// No connection is made in less than a millisecond beyond the own rack.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);

const INITIAL: Words<Verdict> = Words {
    what: "state",
    known: &[("up", Verdict::Up), ("down", Verdict::Down), ("unknown", Verdict::Unknown)],
    planned: &[],
};

/// What one probe does, by its word.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Dns,
    Grpc,
    Http,
    Https,
    Icmp,
    Script,
    Tcp,
    Tls,
    Udp,
}

const KINDS: Words<Kind> = Words {
    what: "health check type",
    known: &[
        ("http", Kind::Http),
        ("https", Kind::Https),
        ("tcp", Kind::Tcp),
        ("tls", Kind::Tls),
        ("udp", Kind::Udp),
        ("icmp", Kind::Icmp),
        ("dns", Kind::Dns),
        ("grpc", Kind::Grpc),
        ("script", Kind::Script),
    ],
    planned: &[],
};

/// A health check as written.
pub(super) struct HealthCheckSpec {
    kind: Option<KindSpec>,
    interval: Option<Located<Duration>>,
    timeout: Option<Located<Duration>>,
    fall: Option<Located<u32>>,
    rise: Option<Located<u32>>,
    fast_interval: Option<Located<Duration>>,
    initial: Option<Located<Verdict>>,
    tripwire: Option<Located<bool>>,
    damping: Option<Located<Damping>>,
}

/// What one probe does, as written.
enum KindSpec {
    Dns(DnsSpec),
    Grpc(Box<GrpcSpec>),
    Http(HttpSpec),
    Https(Box<HttpsSpec>),
    Icmp(IcmpSpec),
    Script(ScriptSpec),
    Tcp(TcpSpec),
    Tls(TlsSpec),
    Udp(UdpSpec),
}

impl Kind {
    /// How it is written.
    fn word(self) -> &'static str {
        let (word, _) = KINDS.known.iter().find(|(_, kind)| *kind == self).expect("every type has a word");
        word
    }

    /// The keys that apply to checks of this type and not to all.
    fn keys(self) -> Vec<&'static str> {
        match self {
            Kind::Dns => dns::KEYS.to_vec(),
            Kind::Grpc => [grpc::KEYS, tls::KEYS].concat(),
            Kind::Http => http::KEYS.to_vec(),
            Kind::Https => [http::KEYS, tls::KEYS].concat(),
            Kind::Icmp => icmp::KEYS.to_vec(),
            Kind::Script => script::KEYS.to_vec(),
            Kind::Tcp => tcp::KEYS.to_vec(),
            Kind::Tls => tls::KEYS.to_vec(),
            Kind::Udp => udp::KEYS.to_vec(),
        }
    }
}

impl KindSpec {
    /// Takes the keys that are the type's own out of the table, and refuses those of other types.
    fn read(kind: Kind, table: &mut Table<'_>) -> Self {
        let own = kind.keys();
        let others: Vec<&str> = keys_of_all().into_iter().filter(|key| !own.contains(key)).collect();
        table.inapplicable(&others, &format!("to a check of type `{}`", kind.word()));
        match kind {
            Kind::Dns => KindSpec::Dns(DnsSpec::read(table)),
            Kind::Grpc => KindSpec::Grpc(Box::new(GrpcSpec::read(table))),
            Kind::Http => KindSpec::Http(HttpSpec::read(table)),
            Kind::Https => KindSpec::Https(Box::new(HttpsSpec::read(table))),
            Kind::Icmp => KindSpec::Icmp(IcmpSpec::read(table)),
            Kind::Script => KindSpec::Script(ScriptSpec::read(table)),
            Kind::Tcp => KindSpec::Tcp(TcpSpec::read(table)),
            Kind::Tls => KindSpec::Tls(TlsSpec::read(table)),
            Kind::Udp => KindSpec::Udp(UdpSpec::read(table)),
        }
    }

    /// The word of its type if a probe does not know its port without being told.
    fn without_port(&self) -> Option<&'static str> {
        let kind = match self {
            KindSpec::Dns(_)
            | KindSpec::Http(_)
            | KindSpec::Https(_)
            | KindSpec::Icmp(_)
            | KindSpec::Script(_) => return None,
            KindSpec::Grpc(_) => Kind::Grpc,
            KindSpec::Tcp(_) => Kind::Tcp,
            KindSpec::Tls(_) => Kind::Tls,
            KindSpec::Udp(_) => Kind::Udp,
        };
        Some(kind.word())
    }

    /// Fills in the defaults; `None`: there is a mistake, and it has been noted. Files that it
    /// names are read, relative paths being taken from `base_dir`.
    fn convert(self, base_dir: &Path, report: &Report) -> Option<CheckKind> {
        match self {
            KindSpec::Dns(dns) => dns.convert(report),
            KindSpec::Grpc(grpc) => grpc.convert(base_dir, report),
            KindSpec::Http(http) => Some(http.convert(report)),
            KindSpec::Https(https) => https.convert(base_dir, report),
            KindSpec::Icmp(icmp) => icmp.convert(report),
            KindSpec::Script(script) => script.convert(report),
            KindSpec::Tcp(tcp) => Some(tcp.convert(report)),
            KindSpec::Tls(tls) => tls.convert(base_dir, report),
            KindSpec::Udp(udp) => udp.convert(),
        }
    }
}

impl HealthCheckSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let kind = table.required("type", |value| KINDS.read(value));
        let kind = kind.map(|kind| KindSpec::read(kind.value, &mut table));
        if kind.is_none() {
            // Which of them apply, and what they mean, is up to the type.
            table.pass_over(&keys_of_all());
        }
        let spec = HealthCheckSpec {
            kind,
            interval: table.optional("interval", duration(INTERVALS)),
            timeout: table.optional("timeout", duration(TIMEOUTS)),
            fall: table.optional("fall", integer(1..=u32::MAX)),
            rise: table.optional("rise", integer(1..=u32::MAX)),
            fast_interval: table.optional("fast_interval", duration(FAST_INTERVALS)),
            initial: table.optional("initial", |value| INITIAL.read(value)),
            tripwire: table.optional("tripwire", boolean),
            damping: table.optional("damping", damping),
        };
        table.finish();
        Some(spec)
    }

    /// The word of its type if a probe does not know its port without being told; `None` also if
    /// that cannot be told.
    pub(super) fn without_port(&self) -> Option<&'static str> {
        self.kind.as_ref().and_then(KindSpec::without_port)
    }

    /// Fills in the defaults and reads the files it names, relative paths being taken from
    /// `base_dir`; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, name: String, base_dir: &Path, report: &Report) -> Option<HealthCheck> {
        let HealthCheckSpec {
            kind,
            interval,
            timeout,
            fall,
            rise,
            fast_interval,
            initial,
            tripwire,
            damping,
        } = self;
        let interval_or_default = interval.map_or(DEFAULT_INTERVAL, |interval| interval.value);
        for (what, span) in [("timeout", &timeout), ("fast interval", &fast_interval)] {
            if let Some(span) = span.as_ref().filter(|span| span.value > interval_or_default) {
                report.error(
                    span.place,
                    format!(
                        "the {what} is longer than the interval of {}",
                        humantime::format_duration(interval_or_default)
                    ),
                );
            }
        }
        let kind = kind?.convert(base_dir, report)?;
        let is_over_tcp = kind.is_over_tcp();
        if let Some(tripwire) = tripwire.as_ref().filter(|_| !is_over_tcp) {
            report.error(
                tripwire.place,
                "a tripwire is a TCP connection, which this type of check does not use",
            );
        }
        let check = HealthCheck {
            name,
            kind,
            interval: interval_or_default,
            fast_interval: fast_interval.map_or_else(
                || (interval_or_default / FAST_FACTOR).max(MIN_DEFAULT_FAST).min(interval_or_default),
                |fast| fast.value,
            ),
            timeout: timeout.map_or(DEFAULT_TIMEOUT.min(interval_or_default), |timeout| timeout.value),
            fall: fall.map_or(DEFAULT_FALL, |fall| fall.value),
            rise: rise.map_or(DEFAULT_RISE, |rise| rise.value),
            initial: initial.map_or(Verdict::Unknown, |initial| initial.value),
            tripwire: is_over_tcp && tripwire.is_none_or(|tripwire| tripwire.value),
            damping: damping.as_ref().map(|damping| damping.value),
        };
        if let Some(damping) = &damping {
            check_reach(damping, &check, report);
        }
        Some(check)
    }
}

/// Every key that applies to some types only, once.
fn keys_of_all() -> Vec<&'static str> {
    let mut keys: Vec<&str> = Vec::new();
    for key in KINDS.known.iter().flat_map(|(_, kind)| kind.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests;
