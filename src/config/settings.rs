//! `[server]`, `[admin]`, `[resolver]`, `[health]`, `[log]`, `[query_log]` and `[traces]`: what the
//! process is and does, whatever it serves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing_subscriber::filter::Directive;

use super::admin::{AdminSettings, AdminSpec};
use super::health::{HealthSettings, HealthSpec};
use super::isolation::IsolationSpec;
use super::query_log::{QueryLogSettings, QueryLogSpec};
use super::reader::{Table, Value, Words, boolean, duration, integer, list, string};
use super::report::Report;
use super::resolver::{ResolverSettings, ResolverSpec};
use super::service::{ServiceSettings, ServiceSpec};
use super::source::Located;
use super::traces::{TracesSettings, TracesSpec};
use super::unique::Unique;

/// What the process is and does. Most of it is fixed for its life; what a reload changes is what
/// [`Settings::changed_keys`] does not name.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[server]`
    pub server: ServerSettings,
    /// `[admin]`
    pub admin: AdminSettings,
    /// `[resolver]`
    pub resolver: ResolverSettings,
    /// `[health]`
    pub health: HealthSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[query_log]`; `None`: there is none. A reload changes it.
    pub query_log: Option<QueryLogSettings>,
    /// `[traces]`; `None`: there are none.
    pub traces: Option<TracesSettings>,
}

/// `[server]`: the sockets of DNS and the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where DNS is served, over UDP and TCP on each. Never empty, no repeats.
    pub listen: Vec<SocketAddr>,
    /// UDP threads; 0: one per core.
    pub workers: usize,
    /// Whether each UDP thread is to have what its core receives.
    pub socket_affinity: bool,
    /// Where edits and the secret of cookies are kept.
    pub state_dir: PathBuf,
    /// Whom the process becomes after it has bound its sockets; `None`: it stays who it is.
    pub user: Option<String>,
    /// Whether a reload follows when the configuration's files change.
    pub watch: bool,
    /// TCP connections.
    pub tcp: TcpSettings,
    /// How it presents and guards itself.
    pub service: ServiceSettings,
}

/// The limits on TCP connections (RFC 7766 section 6.2, RFC 9210 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// Connections that may be open at once, at least 1.
    pub max_connections: usize,
    /// How long a connection may wait for its next query.
    pub idle_timeout: Duration,
    /// How long a connection may last, however busy.
    pub lifetime: Duration,
}

/// `[log]`: what the process says of itself, on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// For people or for programs.
    pub format: LogFormat,
    /// The least severe kind that is logged. A reload changes it.
    pub level: LogLevel,
    /// What else is logged of some modules, or less, as `tracing` writes it; empty: nothing. A reload
    /// changes it.
    pub filter: String,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// How severe an event is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened that an operator wants to know.
    Info,
    /// What the program does, step by step.
    Debug,
    /// Everything.
    Trace,
}

/// The port of DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;
/// Far above what resolvers need, far below what a process may open.
const DEFAULT_TCP_CLIENTS: usize = 1000;
/// RFC 7766 section 6.2.3: a few seconds, so that a resolver can send its next query.
const DEFAULT_TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for any resolver, short enough that no client holds a place for good.
const DEFAULT_TCP_LIFETIME: Duration = Duration::from_secs(120);
/// The widest range in which a timeout makes sense.
const TCP_TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(86_400);

const FORMATS: Words<LogFormat> = Words {
    what: "log format",
    known: &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    planned: &[],
};

const LEVELS: Words<LogLevel> = Words {
    what: "log level",
    known: &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ],
    planned: &[],
};

impl LogLevel {
    /// All of them, the worst first.
    pub const ALL: [LogLevel; 5] =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

    /// As the configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }

    /// The level of that word, if there is one.
    pub fn of(word: &str) -> Option<LogLevel> {
        LogLevel::ALL.into_iter().find(|level| level.word() == word)
    }
}

/// The same tables as written.
pub(super) struct SettingsSpec {
    server: Option<Located<ServerSpec>>,
    admin: Option<Located<AdminSpec>>,
    resolver: Option<Located<ResolverSpec>>,
    health: Option<Located<HealthSpec>>,
    log: Option<Located<LogSpec>>,
    query_log: Option<Located<QueryLogSpec>>,
    traces: Option<Located<TracesSpec>>,
}

#[derive(Default)]
struct ServerSpec {
    listen: Option<Located<Vec<Located<SocketAddr>>>>,
    workers: Option<Located<usize>>,
    socket_affinity: Option<Located<bool>>,
    state_dir: Option<Located<String>>,
    user: Option<Located<String>>,
    watch: Option<Located<bool>>,
    tcp_clients: Option<Located<usize>>,
    tcp_idle_timeout: Option<Located<Duration>>,
    tcp_lifetime: Option<Located<Duration>>,
    service: ServiceSpec,
}

#[derive(Default)]
struct LogSpec {
    format: Option<Located<LogFormat>>,
    level: Option<Located<LogLevel>>,
    filter: Option<Located<String>>,
}

impl SettingsSpec {
    /// Takes the tables out of the file's.
    pub(super) fn read(file: &mut Table<'_>) -> Self {
        SettingsSpec {
            server: file.optional("server", ServerSpec::read),
            admin: file.optional("admin", AdminSpec::read),
            resolver: file.optional("resolver", ResolverSpec::read),
            health: file.optional("health", HealthSpec::read),
            log: file.optional("log", LogSpec::read),
            query_log: file.optional("query_log", QueryLogSpec::read),
            traces: file.optional("traces", TracesSpec::read),
        }
    }

    /// What `[health]` says of isolation, which a reload changes.
    pub(super) fn take_isolation(&mut self) -> Option<IsolationSpec> {
        self.health.as_mut().and_then(|health| health.value.take_isolation())
    }

    /// Fills in the defaults and takes relative paths from `base_dir`.
    pub(super) fn convert(self, base_dir: &Path, report: &Report) -> Settings {
        let SettingsSpec { server, admin, resolver, health, log, query_log, traces } = self;
        Settings {
            server: server.map(|spec| spec.value).unwrap_or_default().convert(base_dir, report),
            admin: admin.map(|spec| spec.value).unwrap_or_default().convert(base_dir, report),
            resolver: resolver.map(|spec| spec.value).unwrap_or_default().convert(report),
            health: health.map(|spec| spec.value).unwrap_or_default().convert(),
            log: log.map(|spec| spec.value).unwrap_or_default().convert(),
            query_log: query_log.and_then(|spec| spec.value.convert(base_dir, spec.place, report)),
            traces: traces.and_then(|spec| spec.value.convert()),
        }
    }
}

impl ServerSpec {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = ServerSpec {
            listen: table.optional("listen", list(socket_address)),
            // More threads than any machine has cores would only be a slip of the finger.
            workers: table.optional("workers", integer(0..=1024)),
            socket_affinity: table.optional("socket_affinity", boolean),
            state_dir: table.optional("state_dir", path),
            user: table.optional("user", string),
            watch: table.optional("watch", boolean),
            tcp_clients: table.optional("tcp_clients", integer(1..=1_000_000)),
            tcp_idle_timeout: table.optional("tcp_idle_timeout", duration(TCP_TIMEOUTS)),
            tcp_lifetime: table.optional("tcp_lifetime", duration(TCP_TIMEOUTS)),
            service: ServiceSpec::read(&mut table),
        };
        table.finish();
        Some(spec)
    }

    fn convert(self, base_dir: &Path, report: &Report) -> ServerSettings {
        let ServerSpec {
            listen,
            workers,
            socket_affinity,
            state_dir,
            user,
            watch,
            tcp_clients,
            tcp_idle_timeout,
            tcp_lifetime,
            service,
        } = self;
        let listen = match listen {
            Some(addresses) => {
                let mut unique = Unique::new("address");
                for address in &addresses.value {
                    unique.note(&address.value, address.place, report);
                }
                addresses.value.into_iter().map(|address| address.value).collect()
            }
            None => vec![
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DNS_PORT),
                SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), DNS_PORT),
            ],
        };
        if let Some(user) = user.as_ref().filter(|user| user.value.is_empty()) {
            report.error(user.place, "a user has a name");
        }
        ServerSettings {
            listen,
            workers: workers.map_or(0, |workers| workers.value),
            socket_affinity: socket_affinity.is_some_and(|affinity| affinity.value),
            state_dir: base_dir.join(state_dir.map_or("/var/lib/rhumb".to_owned(), |path| path.value)),
            user: user.map(|user| user.value),
            watch: watch.is_none_or(|watch| watch.value),
            tcp: TcpSettings {
                max_connections: tcp_clients.map_or(DEFAULT_TCP_CLIENTS, |clients| clients.value),
                idle_timeout: tcp_idle_timeout.map_or(DEFAULT_TCP_IDLE_TIMEOUT, |timeout| timeout.value),
                lifetime: tcp_lifetime.map_or(DEFAULT_TCP_LIFETIME, |lifetime| lifetime.value),
            },
            service: service.convert(base_dir, report),
        }
    }
}

impl LogSpec {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = LogSpec {
            format: table.optional("format", |value| FORMATS.read(value)),
            level: table.optional("level", |value| LEVELS.read(value)),
            filter: table.optional("filter", filter),
        };
        table.finish();
        Some(spec)
    }

    fn convert(self) -> LogSettings {
        let LogSpec { format, level, filter } = self;
        LogSettings {
            format: format.map_or(LogFormat::Text, |format| format.value),
            level: level.map_or(LogLevel::Info, |level| level.value),
            filter: filter.map(|filter| filter.value).unwrap_or_default(),
        }
    }
}

/// Directives of `tracing`, each for a module.
fn filter(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    match check_filter(&text) {
        Ok(()) => Some(text),
        Err(reason) => value.refuse(reason, "write it as in \"rhumb::probe=debug\"".to_owned()),
    }
}

/// That `text` is what `filter` of `[log]` takes: directives, separated by commas.
///
/// # Errors
///
/// In words, if it is not.
pub fn check_filter(text: &str) -> Result<(), String> {
    let parts = text.split(',').map(str::trim);
    for part in parts.filter(|_| !text.trim().is_empty()) {
        let module = part.split(['=', '[']).next().unwrap_or_default();
        // A word alone would be taken for a level or, with a slip, for a module that there is none of.
        if !part.contains('=') || module.is_empty() || part.parse::<Directive>().is_err() {
            return Err(format!("`{part}` is no directive of a filter"));
        }
    }
    Ok(())
}

/// A path, not empty.
pub(super) fn path(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    if text.is_empty() {
        return value.refuse("a path is not empty", None);
    }
    Some(text)
}

/// An IP address with a port that clients can reach.
pub(super) fn socket_address(value: Value<'_>) -> Option<SocketAddr> {
    let text = string(value)?;
    let example = || "write it as in \"192.0.2.1:53\" or \"[2001:db8::1]:53\"".to_owned();
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => value.refuse("clients cannot ask port 0", None),
        Ok(address) => Some(address),
        Err(_) if text.parse::<IpAddr>().is_ok() => value.refuse(format!("`{text}` has no port"), example()),
        Err(_) => value.refuse(format!("`{text}` is not an IP address and port"), example()),
    }
}
