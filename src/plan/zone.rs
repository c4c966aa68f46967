//! Zones and their static records.

use crate::dns::{Name, Rrset};

/// A zone that this server is authoritative for.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its apex.
    pub name: Name,
    /// Seconds that a resolver may keep a negative answer: the lesser of the SOA's TTL and its
    /// MINIMUM field (RFC 2308 section 5).
    pub negative_ttl: u32,
    /// Every static RRset with the SOA first; each stands at or below the apex. What a signer has added to a zone file
    /// is among them.
    pub rrsets: Vec<Rrset>,
}
