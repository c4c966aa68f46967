//! Durations as they are printed.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A duration that is printed in seconds: to the millisecond for people, to the microsecond for
/// programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(pub(super) Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3} s", self.0.as_secs_f64()))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Microseconds below 2^53 are whole in an f64, and print without a tail of digits.
        serializer.serialize_f64(self.0.as_micros() as f64 / 1e6)
    }
}
