//! Structured logs on standard error.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of text per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// Writes what is left of the log when it is dropped.
pub struct LogGuard {
    _worker: WorkerGuard,
}

/// Starts logging events of `level` and worse; the environment's `RUST_LOG` overrides it. Only
/// the first call of a process has an effect.
///
/// Lines are written by a thread of their own and dropped when that falls far behind: a reader
/// that stops reading must not stop a failover.
pub fn start_logging(format: Format, level: Level) -> LogGuard {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level.to_string()));
    let (writer, worker) = tracing_appender::non_blocking(io::stderr());
    // By default a line that cannot be written is complained about on standard error, by a macro
    // that panics when that cannot be written either: whoever reads the log may go away at any time.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(writer);
    // An error means that somebody else, a test or an embedding program, logs already.
    let _ = match format {
        Format::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    LogGuard { _worker: worker }
}
