//! What the process tells of itself: metrics and logs.

mod answers;
mod logs;
mod metrics;

pub use answers::Answers;
pub use logs::{Format, LogGuard, start_logging};
pub use metrics::{Metrics, Sources};
