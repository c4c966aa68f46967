//! What the data of each type is made of.

use super::reader::MAX_TTL;
use super::svcb;
use crate::dns::{Name, Rtype};

/// A part of a record's data.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// A number of 8 bits.
    U8,
    /// A number of 16 bits.
    U16,
    /// A number of 32 bits.
    U32,
    /// A number of seconds, with or without units.
    Seconds,
    /// A DNSSEC algorithm: a number of 8 bits, or its mnemonic.
    Algorithm,
    /// A kind of certificate: a number of 16 bits, or its mnemonic.
    CertificateType,
    /// A record type.
    Type,
    /// A moment: `YYYYMMDDHHmmSS` in UTC, or seconds since 1970 modulo 2^32.
    Moment,
    /// What names are hashed with: hexadecimal with its length in front, `-` for nothing.
    Salt,
    /// A hashed name: base32hex with its length in front.
    HashedName,
    /// A domain name.
    Name,
    /// A domain name whose letters keep the case that they are written in: it is of a type that was not
    /// there when DNSSEC's canonical form was made, so that signatures are over the name as it stands
    /// (RFC 4034 section 6.2, RFC 6840 section 5.1).
    CasedName,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// 64 bits as four numbers in hexadecimal with colons between.
    Locator,
    /// So many octets in hexadecimal with hyphens between.
    Eui(usize),
    /// A character string.
    Text,
    /// The rest: one character string or more.
    Texts,
    /// The rest: one character string or nothing.
    OptionalText,
    /// A string with its length in front, of letters and digits only.
    Tag,
    /// A string to the end of the data.
    Value,
    /// The rest: octets in hexadecimal, white space allowed between.
    Hex,
    /// The rest: octets in base64, white space allowed between.
    Base64,
    /// The rest: the parameters of a service binding.
    SvcParams,
    /// The rest: record types.
    Types,
    /// The rest: address prefixes.
    Prefixes,
    /// The rest: a place on the globe.
    Place,
    /// The rest: a gateway and its key.
    Gateway,
    /// The rest: a protocol and the ports on which it is spoken.
    Services,
    /// An OSI address in hexadecimal.
    Nsap,
}

impl Field {
    /// Whether there may be nothing of it.
    pub(super) fn is_optional(self) -> bool {
        matches!(self, Field::SvcParams | Field::OptionalText | Field::Types | Field::Prefixes)
    }
}

/// The parts of a type's data, each with what it is called; `None`: this server has no text form for it.
pub(super) fn fields(rtype: Rtype) -> Option<&'static [(&'static str, Field)]> {
    Some(match rtype {
        Rtype::A => &[("address", Field::Ipv4)],
        Rtype::AAAA => &[("address", Field::Ipv6)],
        Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => &[("target", Field::Name)],
        Rtype::MB | Rtype::MD | Rtype::MF | Rtype::MG | Rtype::MR => &[("target", Field::Name)],
        Rtype::SOA => &[
            ("primary name server", Field::Name),
            ("contact", Field::Name),
            ("serial", Field::U32),
            ("refresh", Field::Seconds),
            ("retry", Field::Seconds),
            ("expire", Field::Seconds),
            ("minimum", Field::Seconds),
        ],
        Rtype::MX => &[("preference", Field::U16), ("exchange", Field::Name)],
        Rtype::WKS => &[("address", Field::Ipv4), ("services", Field::Services)],
        Rtype::TXT | Rtype::SPF | Rtype::AVC => &[("text", Field::Texts)],
        Rtype::HINFO => &[("CPU", Field::Text), ("operating system", Field::Text)],
        Rtype::MINFO => &[("mailbox", Field::Name), ("mailbox for errors", Field::Name)],
        Rtype::RP => &[("mailbox", Field::Name), ("name of a text", Field::Name)],
        Rtype::AFSDB => &[("subtype", Field::U16), ("host", Field::Name)],
        Rtype::X25 => &[("address", Field::Text)],
        Rtype::ISDN => &[("address", Field::Text), ("subaddress", Field::OptionalText)],
        Rtype::NSAP => &[("address", Field::Nsap)],
        Rtype::RT | Rtype::KX => &[("preference", Field::U16), ("target", Field::Name)],
        Rtype::LP => &[("preference", Field::U16), ("target", Field::CasedName)],
        Rtype::PX => {
            &[("preference", Field::U16), ("RFC 822 name", Field::Name), ("X.400 name", Field::Name)]
        }
        Rtype::LOC => &[("place", Field::Place)],
        Rtype::SRV => {
            &[("priority", Field::U16), ("weight", Field::U16), ("port", Field::U16), ("target", Field::Name)]
        }
        Rtype::NAPTR => &[
            ("order", Field::U16),
            ("preference", Field::U16),
            ("flags", Field::Text),
            ("services", Field::Text),
            ("regular expression", Field::Text),
            ("replacement", Field::Name),
        ],
        Rtype::CERT => &[
            ("type", Field::CertificateType),
            ("key tag", Field::U16),
            ("algorithm", Field::Algorithm),
            ("certificate", Field::Base64),
        ],
        Rtype::APL => &[("prefixes", Field::Prefixes)],
        Rtype::CAA => &[("flags", Field::U8), ("tag", Field::Tag), ("value", Field::Value)],
        Rtype::DS | Rtype::CDS | Rtype::DLV => &[
            ("key tag", Field::U16),
            ("algorithm", Field::Algorithm),
            ("digest type", Field::U8),
            ("digest", Field::Hex),
        ],
        Rtype::DNSKEY | Rtype::CDNSKEY | Rtype::KEY => &[
            ("flags", Field::U16),
            ("protocol", Field::U8),
            ("algorithm", Field::Algorithm),
            ("key", Field::Base64),
        ],
        Rtype::RRSIG => &[
            ("type covered", Field::Type),
            ("algorithm", Field::Algorithm),
            ("labels", Field::U8),
            ("original TTL", Field::U32),
            ("expiration", Field::Moment),
            ("inception", Field::Moment),
            ("key tag", Field::U16),
            ("signer", Field::Name),
            ("signature", Field::Base64),
        ],
        Rtype::NSEC => &[("next name", Field::CasedName), ("types", Field::Types)],
        Rtype::NSEC3 => &[
            ("hash algorithm", Field::U8),
            ("flags", Field::U8),
            ("iterations", Field::U16),
            ("salt", Field::Salt),
            ("next hashed name", Field::HashedName),
            ("types", Field::Types),
        ],
        Rtype::NSEC3PARAM => &[
            ("hash algorithm", Field::U8),
            ("flags", Field::U8),
            ("iterations", Field::U16),
            ("salt", Field::Salt),
        ],
        Rtype::SSHFP => &[("algorithm", Field::U8), ("type", Field::U8), ("fingerprint", Field::Hex)],
        Rtype::IPSECKEY => &[("precedence", Field::U8), ("gateway", Field::Gateway)],
        Rtype::DHCID => &[("identifier", Field::Base64)],
        Rtype::OPENPGPKEY => &[("key", Field::Base64)],
        Rtype::TLSA | Rtype::SMIMEA => &[
            ("usage", Field::U8),
            ("selector", Field::U8),
            ("matching type", Field::U8),
            ("certificate data", Field::Hex),
        ],
        Rtype::CSYNC => &[("serial", Field::U32), ("flags", Field::U16), ("types", Field::Types)],
        Rtype::ZONEMD => &[
            ("serial", Field::U32),
            ("scheme", Field::U8),
            ("hash algorithm", Field::U8),
            ("digest", Field::Hex),
        ],
        Rtype::SVCB | Rtype::HTTPS => {
            &[("priority", Field::U16), ("target", Field::CasedName), ("parameters", Field::SvcParams)]
        }
        Rtype::NID | Rtype::L64 => &[("preference", Field::U16), ("locator", Field::Locator)],
        Rtype::L32 => &[("preference", Field::U16), ("locator", Field::Ipv4)],
        Rtype::EUI48 => &[("address", Field::Eui(6))],
        Rtype::EUI64 => &[("address", Field::Eui(8))],
        Rtype::URI => &[("priority", Field::U16), ("weight", Field::U16), ("target", Field::Value)],
        _ => return None,
    })
}

/// The data `wire`, written octet by octet, with its names in lowercase; `Err` names the part that
/// does not fit.
pub(super) fn check_wire(
    fields: &'static [(&'static str, Field)],
    wire: &[u8],
) -> Result<Vec<u8>, &'static str> {
    let mut checked = Vec::with_capacity(wire.len());
    let mut rest = wire;
    for &(what, field) in fields {
        let length = length_of(field, rest).filter(|&length| length <= rest.len()).ok_or(what)?;
        let (part, behind) = rest.split_at(length);
        let name = || Name::from_wire(part).ok_or(what);
        match field {
            Field::Name => checked.extend(name()?.wire()),
            Field::CasedName => {
                name()?;
                checked.extend(part);
            }
            _ => checked.extend(part),
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(checked) } else { Err("end") }
}

/// How many octets at the start of `wire` are `field`; `None`: it is malformed. May be more than
/// there are.
fn length_of(field: Field, wire: &[u8]) -> Option<usize> {
    let string = |wire: &[u8]| wire.first().map(|&length| 1 + usize::from(length));
    let is_whole = match field {
        Field::U8 | Field::Algorithm => return Some(1),
        Field::U16 | Field::CertificateType | Field::Type => return Some(2),
        Field::U32 | Field::Ipv4 | Field::Moment => return Some(4),
        Field::Seconds => {
            let seconds = u32::from_be_bytes(*wire.first_chunk()?);
            return (seconds <= MAX_TTL).then_some(4);
        }
        Field::Ipv6 => return Some(16),
        Field::Locator => return Some(8),
        Field::Eui(octets) => return Some(octets),
        Field::Text | Field::Tag | Field::Salt | Field::HashedName => return string(wire),
        Field::Name | Field::CasedName => {
            let mut at = 0;
            while let length @ 1.. = *wire.get(at)? {
                at += 1 + usize::from(length);
            }
            return Some(at + 1);
        }
        Field::Texts => {
            let mut rest = wire;
            while let Some(length) = string(rest) {
                rest = rest.get(length..)?;
            }
            !wire.is_empty()
        }
        Field::OptionalText => string(wire).is_none_or(|length| length == wire.len()),
        Field::SvcParams => svcb::is_well_formed(wire),
        // Their inner structure is for those who use them.
        Field::Value
        | Field::Hex
        | Field::Base64
        | Field::Types
        | Field::Prefixes
        | Field::Place
        | Field::Gateway
        | Field::Nsap => true,
        Field::Services => !wire.is_empty(),
    };
    is_whole.then_some(wire.len())
}
