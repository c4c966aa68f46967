//! `[server]`, `[admin]` and `[log]`: what only a restart changes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is fixed for the life of the process; a reload changes the plan only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[server]`
    pub server: ServerSettings,
    /// `[admin]`
    pub admin: AdminSettings,
    /// `[log]`
    pub log: LogSettings,
}

/// `[server]`: the sockets of DNS and the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where DNS is served, over UDP and TCP on each. Never empty, no repeats.
    pub listen: Vec<SocketAddr>,
    /// UDP threads; 0: one per core.
    pub workers: usize,
    /// Where edits are kept.
    pub state_dir: PathBuf,
    /// Whom the process becomes after it has bound its sockets; `None`: it stays who it is.
    pub user: Option<String>,
    /// TCP connections.
    pub tcp: TcpSettings,
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

/// `[admin]`: the HTTP API and the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it is served; loopback unless there is a token.
    pub listen: SocketAddr,
    /// The file with the token that requests must carry; `None`: they need none.
    pub token_file: Option<PathBuf>,
}

/// `[log]`: what the process says of itself, on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// For people or for programs.
    pub format: LogFormat,
    /// The least severe kind that is logged.
    pub level: LogLevel,
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
