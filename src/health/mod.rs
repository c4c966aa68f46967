//! What we believe of an address: outcomes of probes become verdicts. No I/O and no clock.
//!
//! A [`Cadence`] says when an address is due, a probe (floor 4) makes an [`Outcome`] of it, and
//! the address's [`HealthMachine`] makes verdicts of outcomes. What follows from verdicts takes
//! time: [`Damping`] holds down an address that flips too often, a [`Comeback`] brings a pool back
//! along a [`Ramp`], and [`Calm`] says for how long nothing has been about to change. Each says
//! when it changes next by time alone. Before silence is believed, an
//! [`Inquiry`] asks whether others are heard.

mod cadence;
mod calm;
mod comeback;
mod damping;
mod inquiry;
mod machine;
mod outcome;
mod ramp;
mod timings;

pub use cadence::Cadence;
pub use calm::Calm;
pub use comeback::{Comeback, ComebackRules, Stage, Strength};
pub use damping::{Damping, DampingRules, Hold};
pub use inquiry::{Finding, Heard, Inquiry, Witness};
pub use machine::{Belief, HealthMachine, Past, Thresholds, Transition, Verdict};
pub use outcome::{Failure, LocalFailure, Outcome, Phase};
pub use ramp::Ramp;
pub use timings::Timings;

/// A watched address, for as long as what is watched stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u64);
