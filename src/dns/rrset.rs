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
                    // FromStr takes a plus sign as well.
                    other => other
                        .strip_prefix("TYPE")
                        .filter(|number| !number.starts_with('+'))?
                        .parse()
                        .ok()
                        .map(Rtype),
                }
            }
        }
    };
}

rtypes! {
    A = 1, "IPv4 address (RFC 1035).";
    NS = 2, "Name server (RFC 1035).";
    MD = 3, "Mail destination (RFC 1035; obsolete).";
    MF = 4, "Mail forwarder (RFC 1035; obsolete).";
    CNAME = 5, "Canonical name (RFC 1035).";
    SOA = 6, "Start of authority (RFC 1035).";
    MB = 7, "Mailbox (RFC 1035).";
    MG = 8, "Mail group member (RFC 1035).";
    MR = 9, "Renamed mailbox (RFC 1035).";
    NULL = 10, "Anything (RFC 1035; experimental).";
    WKS = 11, "Well-known services (RFC 1035; obsolete).";
    PTR = 12, "Pointer (RFC 1035).";
    HINFO = 13, "Host information (RFC 1035; the answer to ANY of RFC 8482).";
    MINFO = 14, "Mailbox information (RFC 1035).";
    MX = 15, "Mail exchange (RFC 1035).";
    TXT = 16, "Text (RFC 1035).";
    RP = 17, "Responsible person (RFC 1183).";
    AFSDB = 18, "AFS database (RFC 1183).";
    X25 = 19, "X.25 address (RFC 1183).";
    ISDN = 20, "ISDN address (RFC 1183).";
    RT = 21, "Route through (RFC 1183).";
    NSAP = 22, "OSI address (RFC 1706).";
    KEY = 25, "Key of a host (RFC 2535).";
    PX = 26, "X.400 mapping (RFC 2163).";
    AAAA = 28, "IPv6 address (RFC 3596).";
    LOC = 29, "Place on the globe (RFC 1876).";
    SRV = 33, "Service (RFC 2782).";
    NAPTR = 35, "Naming authority pointer (RFC 3403).";
    KX = 36, "Key exchanger (RFC 2230).";
    CERT = 37, "Certificate (RFC 4398).";
    DNAME = 39, "Delegation of a subtree of names (RFC 6672).";
    OPT = 41, "EDNS pseudo record (RFC 6891).";
    APL = 42, "Address prefixes (RFC 3123).";
    DS = 43, "Delegation signer (RFC 4034).";
    SSHFP = 44, "SSH key fingerprint (RFC 4255).";
    IPSECKEY = 45, "IPsec key (RFC 4025).";
    RRSIG = 46, "Signature (RFC 4034).";
    NSEC = 47, "Next name (RFC 4034).";
    DNSKEY = 48, "Zone key (RFC 4034).";
    DHCID = 49, "DHCP client (RFC 4701).";
    NSEC3 = 50, "Hashed next name (RFC 5155).";
    NSEC3PARAM = 51, "Parameters of hashed names (RFC 5155).";
    TLSA = 52, "TLS certificate association (RFC 6698).";
    SMIMEA = 53, "S/MIME certificate association (RFC 8162).";
    CDS = 59, "DS that the child wants (RFC 7344).";
    CDNSKEY = 60, "Zone key that the child wants in a DS (RFC 7344).";
    OPENPGPKEY = 61, "OpenPGP key (RFC 7929).";
    CSYNC = 62, "What the parent is to copy (RFC 7477).";
    ZONEMD = 63, "Digest of the zone (RFC 8976).";
    SVCB = 64, "Service binding (RFC 9460).";
    HTTPS = 65, "Service binding of HTTP (RFC 9460).";
    SPF = 99, "Sender policy (RFC 7208 section 3.1: TXT took its place).";
    NID = 104, "Node identifier (RFC 6742).";
    L32 = 105, "Locator of 32 bits (RFC 6742).";
    L64 = 106, "Locator of 64 bits (RFC 6742).";
    LP = 107, "Locator pointer (RFC 6742).";
    EUI48 = 108, "Address of 48 bits (RFC 7043).";
    EUI64 = 109, "Address of 64 bits (RFC 7043).";
    IXFR = 251, "Incremental transfer (RFC 1995).";
    AXFR = 252, "Transfer (RFC 5936).";
    ANY = 255, "Any type (RFC 8482).";
    URI = 256, "Target of a service (RFC 7553).";
    CAA = 257, "Certification authority authorisation (RFC 8659).";
    AVC = 258, "Application visibility and control.";
    DLV = 32_769, "Lookaside validation (RFC 4431; obsolete).";
}

impl Rtype {
    /// Whether the type is only ever asked for or carried, never held by a zone: OPT, and TKEY to ANY. Of the others that
    /// RFC 6895 section 3.1 keeps for such uses, from 128 on, none is in use by authoritative servers, and zones that have
    /// them are served elsewhere as they stand.
    pub fn is_meta(self) -> bool {
        self == Rtype::OPT || (249..=255).contains(&self.0)
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

/// All records of one type at one name: what a DNS answer is made of (RFC 2181 section 5). Of signatures: those
/// that cover one type, for each has the TTL of what it covers (RFC 4034 section 3).
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

impl Rrset {
    /// The type that a record of type `rtype` with this data covers, if it is a signature (RFC 4034 section 3.1.1).
    pub fn covered(rtype: Rtype, rdata: &[u8]) -> Option<Rtype> {
        let octets = rdata.first_chunk().filter(|_| rtype == Rtype::RRSIG)?;
        Some(Rtype(u16::from_be_bytes(*octets)))
    }

    /// The type that it covers, if it is signatures.
    pub fn covers(&self) -> Option<Rtype> {
        self.rdata.first().and_then(|rdata| Rrset::covered(self.rtype, rdata))
    }
}
