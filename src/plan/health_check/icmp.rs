//! What an `icmp` check asks.

/// Echo requests, and how many of them may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IcmpCheck {
    /// Requests of one probe, at least 1.
    pub packets: u8,
    /// How many of them may stay without a reply; less than `packets`.
    pub loss: u8,
}
