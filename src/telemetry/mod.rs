//! What the process tells of itself: metrics and logs.

mod logs;
mod metrics;

pub use logs::{Format, LogGuard, start_logging};
pub use metrics::{Metrics, Sources};
