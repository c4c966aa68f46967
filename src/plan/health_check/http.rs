//! Checks of types `http` and `https`.

/// An HTTP request and what is expected of the response.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpCheck {
    /// Path and query.
    pub path: String,
    /// The Host header, and for https the SNI; `None`: the address itself.
    pub host: Option<String>,
    /// Statuses that count as a pass. Never empty.
    pub expect_status: Vec<StatusRange>,
    /// Whether one connection is kept for all probes of an address.
    pub reuse: bool,
}

/// HTTP statuses from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusRange {
    /// The lowest status that passes.
    pub first: u16,
    /// The highest status that passes.
    pub last: u16,
}
