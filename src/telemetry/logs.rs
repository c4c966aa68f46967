//! Structured logs on standard error.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, reload};

mod journal;

use journal::Prioritised;

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
    filter: LogFilter,
}

/// What is logged, while the process runs.
#[derive(Clone)]
pub struct LogFilter(Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl LogGuard {
    /// What changes what is logged.
    pub fn filter(&self) -> LogFilter {
        self.filter.clone()
    }
}

impl LogFilter {
    /// Logs what `directives` say from now on, a level and what is another for some modules, as in
    /// `info,rhumb::probe=debug`. What cannot be read of them is passed over.
    pub fn set(&self, directives: &str) {
        // An error means that somebody else, a test or an embedding program, logs already.
        let _ = (self.0)(filter(directives));
    }
}

/// The directives of the environment's `RUST_LOG`, which go over those of the configuration.
pub fn directives_of_environment() -> Option<String> {
    let directives = std::env::var(EnvFilter::DEFAULT_ENV).ok()?;
    EnvFilter::try_new(&directives).is_ok().then_some(directives)
}

/// Without regular expressions: whoever may change what is logged need not be able to keep it busy.
fn filter(directives: &str) -> EnvFilter {
    EnvFilter::builder().with_regex(false).parse_lossy(directives)
}

/// Starts logging what `directives` say, as [`LogFilter::set`] has them. Only the first call of a
/// process has an effect.
///
/// Lines are written by a thread of their own and dropped when that falls far behind: a reader
/// that stops reading must not stop a failover. Where that reader is the journal, lines are as it wants
/// them: it knows the time, and takes the priority from their beginning (sd-daemon(3)).
pub fn start_logging(format: Format, directives: &str) -> LogGuard {
    let (filter, handle) = reload::Layer::new(filter(directives));
    let (writer, worker) = tracing_appender::non_blocking(io::stderr());
    // By default a line that cannot be written is complained about on standard error, by a macro
    // that panics when that cannot be written either: whoever reads the log may go away at any time.
    let lines = fmt::layer().with_target(false).log_internal_errors(false).with_writer(writer);
    let lines = match format {
        Format::Text if is_journal() => lines.with_ansi(false).event_format(Prioritised::default()).boxed(),
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    LogGuard { _worker: worker, filter: LogFilter(Arc::new(move |filter| handle.reload(filter))) }
}

/// Whether standard error goes to the journal: systemd says which file that would be
/// (systemd.exec(5), `$JOURNAL_STREAM`).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(found) = fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", found.dev(), found.ino())
}
