//! What we believe of an address: outcomes of probes become verdicts. No I/O and no clock.
//!
//! A [`Cadence`] says when an address is due, a probe (floor 4) makes an [`Outcome`] of it, and
//! the address's [`HealthMachine`] makes verdicts of outcomes.

mod cadence;
mod machine;
mod outcome;

pub use cadence::Cadence;
pub use machine::{HealthMachine, Thresholds, Transition, Verdict};
pub use outcome::{Failure, LocalFailure, Outcome, Phase};

/// A watched address, for as long as what is watched stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u64);
