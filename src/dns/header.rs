//! The fixed header of a message (RFC 1035 section 4.1.1) and the codes in it.

/// Octets in a message's header.
pub const HEADER: usize = 12;

/// QR, in the header's third octet: this is a response.
pub(super) const FLAG_RESPONSE: u8 = 0x80;
/// AA, in the third octet: the answer is authoritative.
pub(super) const FLAG_AUTHORITATIVE: u8 = 0x04;
/// TC, in the third octet: the answer did not fit.
pub(super) const FLAG_TRUNCATED: u8 = 0x02;
/// RD, in the third octet: copied from query to response.
pub(super) const FLAG_RECURSION_DESIRED: u8 = 0x01;
/// OPCODE, in the third octet: copied from query to response.
pub(super) const MASK_OPCODE: u8 = 0x78;
/// CD, in the fourth octet: copied from query to response (RFC 4035 section 3.1.6).
pub(super) const FLAG_CHECKING_DISABLED: u8 = 0x10;

/// The class of the internet; the only one that zones are of.
pub const CLASS_IN: u16 = 1;
/// The class in which a server is asked about itself (RFC 4892 section 2).
pub const CLASS_CHAOS: u16 = 3;

/// The outcome of a query (RFC 1035 section 4.1.1, RFC 6895 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Rcode {
    /// There is an answer, or the name exists without one (NODATA).
    NoError = 0,
    /// The query could not be read.
    FormErr = 1,
    /// The server could not answer.
    ServFail = 2,
    /// The name does not exist.
    NxDomain = 3,
    /// The opcode is not served.
    NotImp = 4,
    /// The server does not answer this, by policy: a name it is not authoritative for.
    Refused = 5,
    /// A DNAME substitution would make too long a name (RFC 6672 section 2.2).
    YxDomain = 6,
    /// The EDNS version is not served (RFC 6891 section 6.1.3). Needs an OPT record.
    BadVers = 16,
    /// The query should be repeated with the cookie that this brings (RFC 7873 section 8). Needs
    /// an OPT record.
    BadCookie = 23,
}

impl Rcode {
    /// All of them.
    pub const ALL: [Rcode; 9] = [
        Rcode::NoError,
        Rcode::FormErr,
        Rcode::ServFail,
        Rcode::NxDomain,
        Rcode::NotImp,
        Rcode::Refused,
        Rcode::YxDomain,
        Rcode::BadVers,
        Rcode::BadCookie,
    ];

    /// The one of that number, if it has a name here.
    pub fn of(number: u16) -> Option<Rcode> {
        Rcode::ALL.into_iter().find(|&rcode| rcode as u16 == number)
    }

    /// The mnemonic as dig prints it.
    pub const fn mnemonic(self) -> &'static str {
        match self {
            Rcode::NoError => "NOERROR",
            Rcode::FormErr => "FORMERR",
            Rcode::ServFail => "SERVFAIL",
            Rcode::NxDomain => "NXDOMAIN",
            Rcode::NotImp => "NOTIMP",
            Rcode::Refused => "REFUSED",
            Rcode::YxDomain => "YXDOMAIN",
            Rcode::BadVers => "BADVERS",
            Rcode::BadCookie => "BADCOOKIE",
        }
    }
}
