//! What a `dns` check asks.

use crate::dns::{Name, Rcode, Rtype};

/// A question, and what is expected of the reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsCheck {
    /// The name that is asked for.
    pub name: Name,
    /// The type that is asked for.
    pub rtype: Rtype,
    /// The code that passes.
    pub expect_rcode: Rcode,
    /// The data of records of that type, in uncompressed wire form, each of which must be among
    /// the answers.
    pub expect_data: Vec<Box<[u8]>>,
    /// What the question travels by.
    pub transport: DnsTransport,
}

/// What a DNS message travels by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsTransport {
    /// A datagram; what it has no room for is fetched over TCP.
    Udp,
    /// A connection.
    Tcp,
}
