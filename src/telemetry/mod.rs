//! What the process tells of itself: metrics, logs, traces, and the log of queries.

mod clock;
mod exposition;
mod ledger;
mod logs;
mod metrics;
mod process;
pub mod query_log;
mod spans;
mod state;
mod traces;
mod traffic;

pub use ledger::Ledger;
pub use logs::{Format, LogFilter, LogGuard, directives_of_environment, start_logging};
pub use metrics::{Metrics, Notified, Sources};
pub use traces::{NoTraces, Step, Traces};
pub use traffic::{Answers, Sockets};
