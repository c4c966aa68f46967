//! Resource records as they stand in a zone.

use std::fmt;

use super::Name;

/// A record type (RFC 1035 section 3.2.2 and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rtype(pub u16);

/// Types that the server itself has to know, with their mnemonic.
macro_rules! rtypes {
    ($($constant:ident = $number:literal, $doc:literal;)*) => {
        impl Rtype {
            $(#[doc = $doc] pub const $constant: Rtype = Rtype($number);)*

            /// The mnemonic, where this server knows the type.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self {
                    $(Rtype::$constant => Some(stringify!($constant)),)*
                    _ => None,
                }
            }

            /// The type of a mnemonic in any case, or of `TYPE123` (RFC 3597 section 5).
            pub fn parse(text: &str) -> Option<Rtype> {
                let upper = text.to_ascii_uppercase();
                match &upper[..] {
                    $(stringify!($constant) => Some(Rtype::$constant),)*
                    other => other.strip_prefix("TYPE")?.parse().ok().map(Rtype),
                }
            }
        }
    };
}

rtypes! {
    A = 1, "IPv4 address (RFC 1035).";
    NS = 2, "Name server (RFC 1035).";
    CNAME = 5, "Canonical name (RFC 1035).";
    SOA = 6, "Start of authority (RFC 1035).";
    PTR = 12, "Pointer (RFC 1035).";
    HINFO = 13, "Host information (RFC 1035; the answer to ANY of RFC 8482).";
    MX = 15, "Mail exchange (RFC 1035).";
    TXT = 16, "Text (RFC 1035).";
    AAAA = 28, "IPv6 address (RFC 3596).";
    SRV = 33, "Service (RFC 2782).";
    NAPTR = 35, "Naming authority pointer (RFC 3403).";
    DNAME = 39, "Delegation of a subtree of names (RFC 6672).";
    OPT = 41, "EDNS pseudo record (RFC 6891).";
    DS = 43, "Delegation signer (RFC 4034).";
    SSHFP = 44, "SSH key fingerprint (RFC 4255).";
    RRSIG = 46, "Signature (RFC 4034).";
    NSEC = 47, "Next name (RFC 4034).";
    DNSKEY = 48, "Zone key (RFC 4034).";
    TLSA = 52, "TLS certificate association (RFC 6698).";
    SVCB = 64, "Service binding (RFC 9460).";
    HTTPS = 65, "Service binding of HTTP (RFC 9460).";
    IXFR = 251, "Incremental transfer (RFC 1995).";
    AXFR = 252, "Transfer (RFC 5936).";
    ANY = 255, "Any type (RFC 8482).";
    CAA = 257, "Certification authority authorisation (RFC 8659).";
}

impl Rtype {
    /// Whether the type is only ever asked for or carried, never held by a zone
    /// (RFC 6895 section 3.1: OPT, and 128 to 255).
    pub fn is_meta(self) -> bool {
        self == Rtype::OPT || (128..=255).contains(&self.0)
    }
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.write_str(mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// All records of one type at one name: what a DNS answer is made of (RFC 2181 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// The name that the records stand at.
    pub owner: Name,
    /// Their type.
    pub rtype: Rtype,
    /// Seconds that a resolver may keep them; below 2^31 (RFC 2181 section 8).
    pub ttl: u32,
    /// The data of each record, in uncompressed wire form. Never empty.
    pub rdata: Vec<Box<[u8]>>,
}
