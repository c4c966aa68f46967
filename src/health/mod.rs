//! What we believe of an address: outcomes of probes become verdicts. No I/O and no clock.

/// A watched address, for as long as what is watched stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u64);
