//! What the process tells of itself: metrics and logs.

mod exposition;
mod ledger;
mod logs;
mod metrics;
mod process;
mod state;
mod traffic;

pub use ledger::Ledger;
pub use logs::{Format, LogGuard, start_logging};
pub use metrics::{Metrics, Sources};
pub use traffic::{Answers, Sockets};
