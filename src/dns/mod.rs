//! The wire: bytes and their meaning (RFC 1034, RFC 1035 and what updates them).
//!
//! No sockets and no clock. The answer path parses a query in place and writes the reply
//! into the caller's buffer; nothing here allocates except where a `Name` or an `Rrset`
//! is made at load.

mod name;

pub use name::{MAX_LABEL, MAX_NAME, Name, NameError};
mod rrset;
pub use rrset::{Rrset, Rtype};
