//! What a `grpc` check asks.

use super::TlsCheck;

/// A service whose health is asked for (the gRPC health checking protocol).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrpcCheck {
    /// The service's name; empty for the server as a whole.
    pub service: String,
    /// The authority that is asked; `None`: the name that the address was resolved from, or else the
    /// address itself, with its port.
    pub host: Option<String>,
    /// What it is asked inside of; `None`: of TCP alone.
    pub tls: Option<TlsCheck>,
}
