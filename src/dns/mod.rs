//! The wire: bytes and their meaning (RFC 1034, RFC 1035 and what updates them).
//!
//! No sockets and no clock. The answer path parses a query in place and writes the reply
//! into the caller's buffer; nothing here allocates except where a `Name` or an `Rrset`
//! is made at load.

mod edns;
mod header;
mod name;
mod name_hash;
mod options;
mod query;
mod reply;
mod rrset;
mod template;

pub use edns::{BadOptions, ClientSubnet, Edns, MAX_UDP_REPLY, PLAIN_UDP_REPLY};
pub use header::{CLASS_CHAOS, CLASS_IN, HEADER, Rcode};
pub use name::{MAX_LABEL, MAX_NAME, Name, NameError};
pub use name_hash::{hash_name, hash_question};
pub use options::{ExtendedError, FULL_COOKIE, MAX_NSID, ReplyOptions};
pub use query::{NameBuffer, Query, Unanswerable, query_message};
pub use reply::{Full, Mark, Owner, Reply, Section};
pub use rrset::{Rrset, Rtype};
pub use template::Template;
