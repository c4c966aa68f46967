//! Structured logs on standard error.

use tracing::Level;
use tracing_subscriber::EnvFilter;

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of text per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging events of `level` and worse; the environment's `RUST_LOG` overrides it. Only
/// the first call of a process has an effect.
pub fn start_logging(format: Format, level: Level) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level.to_string()));
    // By default a line that cannot be written is complained about on standard error, by a macro
    // that panics when that cannot be written either: whoever reads the log may go away at any time.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // An error means that somebody else, a test or an embedding program, logs already.
    let _ = match format {
        Format::Text => {
            use std::io::IsTerminal;
            builder.with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}
