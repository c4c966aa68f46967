//! The data of a record, from its text form to its uncompressed wire form.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::presentation::{Token, unescape};
use super::rdata_format::{Field, check_wire, fields};
use super::rdata_parts;
use super::rdata_signatures;
use super::reader::MAX_TTL;
use super::svcb;
use crate::dns::{Name, Rtype};

/// RFC 1035 section 3.2.1: the length of the data is counted in 16 bits.
const MAX_RDATA: usize = 65_535;
/// RFC 1035 section 3.3: the length of a character string is counted in 8 bits.
const MAX_STRING: usize = 255;

/// Why a text is not the data of a record.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    /// The token that is wrong; `None`: something is missing behind the last.
    pub(super) token: Option<usize>,
    pub(super) message: String,
}

/// How much sense data has to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rigour {
    /// All of it, as in the configuration.
    Strict,
    /// No more than other servers ask of zone files.
    Lenient,
}

/// Parses the data of a record of type `rtype`; `name` resolves names, those relative included.
pub(super) fn parse(
    rtype: Rtype,
    tokens: &[Token<'_>],
    name: &dyn Fn(&str) -> Result<Name, String>,
    rigour: Rigour,
) -> Result<Box<[u8]>, Fault> {
    let known = fields(rtype);
    let is_generic = tokens.first().is_some_and(|token| token.text == r"\#" && !token.quoted);
    let wire = match (known, is_generic) {
        (Some(fields), false) => parse_fields(fields, tokens, name, rigour)?,
        (None, true) => parse_generic(tokens)?,
        (Some(fields), true) => check_wire(fields, &parse_generic(tokens)?)
            .map_err(|what| Fault { token: None, message: format!("it goes wrong at the {what}") })?,
        (None, false) => {
            let message = format!("write the data of {rtype} as \\# LENGTH HEX (RFC 3597 section 5)");
            return Err(Fault { token: Some(0).filter(|_| !tokens.is_empty()), message });
        }
    };
    if wire.len() > MAX_RDATA {
        return Err(Fault { token: None, message: format!("the data is longer than {MAX_RDATA} octets") });
    }
    Ok(wire.into())
}

/// The data of a TXT record that holds `text`, in as many strings as it takes.
pub(super) fn text_record(text: &str) -> Result<Box<[u8]>, Fault> {
    let octets = text.as_bytes();
    let mut wire = Vec::with_capacity(octets.len() + octets.len() / MAX_STRING + 1);
    if octets.is_empty() {
        wire.push(0);
    }
    for string in octets.chunks(MAX_STRING) {
        wire.push(string.len() as u8);
        wire.extend_from_slice(string);
    }
    if wire.len() > MAX_RDATA {
        return Err(Fault { token: None, message: format!("the data is longer than {MAX_RDATA} octets") });
    }
    Ok(wire.into())
}

fn parse_fields(
    fields: &[(&'static str, Field)],
    tokens: &[Token<'_>],
    name: &dyn Fn(&str) -> Result<Name, String>,
    rigour: Rigour,
) -> Result<Vec<u8>, Fault> {
    let mut wire = Vec::new();
    let mut at = 0;
    for &(what, field) in fields {
        let rest = &tokens[at..];
        if rest.is_empty() && !field.is_optional() {
            return Err(Fault { token: None, message: format!("the {what} is missing") });
        }
        let (octets, taken) =
            take(field, rest, name, rigour).map_err(|(index, message)| fault(at + index, what, &message))?;
        wire.extend(octets);
        at += taken;
    }
    if at < tokens.len() {
        return Err(Fault { token: Some(at), message: format!("`{}` is too much", tokens[at].text) });
    }
    Ok(wire)
}

/// The wire form of `field`, which starts with the first of `tokens`, and how many of them it takes.
fn take(
    field: Field,
    tokens: &[Token<'_>],
    name: &dyn Fn(&str) -> Result<Name, String>,
    rigour: Rigour,
) -> Result<(Vec<u8>, usize), (usize, String)> {
    let token = match field {
        Field::Hex => return Ok((hex(tokens)?, tokens.len())),
        Field::Base64 => return Ok((rdata_parts::base64(tokens)?, tokens.len())),
        Field::SvcParams => return Ok((svcb::parse(tokens, rigour)?, tokens.len())),
        Field::Types => return Ok((rdata_parts::types(tokens)?, tokens.len())),
        Field::Prefixes => return Ok((rdata_parts::prefixes(tokens)?, tokens.len())),
        Field::Place => return Ok((rdata_parts::place(tokens)?, tokens.len())),
        Field::Gateway => return Ok((rdata_parts::gateway(tokens, name)?, tokens.len())),
        Field::Services => return Ok((rdata_parts::services(tokens)?, tokens.len())),
        Field::OptionalText if tokens.is_empty() => return Ok((Vec::new(), 0)),
        Field::Texts => {
            let mut wire = Vec::new();
            for (index, token) in tokens.iter().enumerate() {
                wire.extend(character_string(token.text).map_err(|message| (index, message))?);
            }
            return Ok((wire, tokens.len()));
        }
        _ => &tokens[0],
    };
    let text = token.text;
    let octets = match field {
        Field::U8 => number::<u8>(text).map(|number| number.to_be_bytes().to_vec()),
        Field::U16 => number::<u16>(text).map(|number| number.to_be_bytes().to_vec()),
        Field::U32 => number::<u32>(text).map(|number| number.to_be_bytes().to_vec()),
        Field::Seconds => seconds(text)
            .map(|seconds| seconds.to_be_bytes().to_vec())
            .ok_or_else(|| not("a number of seconds", text)),
        Field::Algorithm => match rdata_parts::algorithm(text) {
            Some(number) => Ok(vec![number]),
            None => number::<u8>(text).map(|number| number.to_be_bytes().to_vec()),
        },
        Field::CertificateType => match rdata_parts::certificate_type(text) {
            Some(number) => Ok(number.to_be_bytes().to_vec()),
            None => number::<u16>(text).map(|number| number.to_be_bytes().to_vec()),
        },
        Field::Type => Rtype::parse(text)
            .map(|rtype| rtype.0.to_be_bytes().to_vec())
            .ok_or_else(|| format!("unknown record type `{text}`")),
        Field::Moment => rdata_signatures::moment(text)
            .map(|seconds| seconds.to_be_bytes().to_vec())
            .ok_or_else(|| not("a moment: YYYYMMDDHHmmSS in UTC, or seconds since 1970", text)),
        Field::Salt => {
            rdata_signatures::salt(text).ok_or_else(|| not("at most 255 octets in hexadecimal, or `-`", text))
        }
        Field::HashedName => rdata_signatures::hashed_name(text).ok_or_else(|| not("base32hex", text)),
        Field::Locator => rdata_parts::locator(text)
            .ok_or_else(|| not("four hexadecimal numbers with colons between", text)),
        Field::Eui(count) => rdata_parts::eui(text, count)
            .ok_or_else(|| not(&format!("{count} octets in hexadecimal with hyphens between"), text)),
        Field::Nsap => rdata_parts::nsap(text).ok_or_else(|| not("an address as in 0x47.0005.80", text)),
        Field::Name | Field::CasedName if token.quoted => Err("a name stands without quotes".to_owned()),
        Field::Name => name(text).map(|name| name.wire().to_vec()),
        Field::CasedName => name(text).map(|name| rdata_parts::in_case_of(text, &name)),
        Field::Ipv4 => text
            .parse::<Ipv4Addr>()
            .map(|address| address.octets().to_vec())
            .map_err(|_| not("an IPv4 address", text)),
        Field::Ipv6 => text
            .parse::<Ipv6Addr>()
            .map(|address| address.octets().to_vec())
            .map_err(|_| not("an IPv6 address", text)),
        Field::Tag if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_alphanumeric()) => {
            Err(not("made of letters and digits", text))
        }
        Field::Tag | Field::Text | Field::OptionalText => character_string(text),
        Field::Value
        | Field::Texts
        | Field::Hex
        | Field::Base64
        | Field::SvcParams
        | Field::Types
        | Field::Prefixes
        | Field::Place
        | Field::Gateway
        | Field::Services => unescape(text),
    };
    Ok((octets.map_err(|message| (0, message))?, 1))
}

/// The TTL of a record in a zone file. From 2^31 on it counts as 0, which is what resolvers take it
/// for (RFC 2181 section 8).
pub(super) fn ttl(text: &str) -> Option<u32> {
    any_seconds(text).map(|seconds| if seconds <= MAX_TTL { seconds } else { 0 })
}

/// An SOA's interval, at most 2^31 - 1 seconds.
fn seconds(text: &str) -> Option<u32> {
    any_seconds(text).filter(|&seconds| seconds <= MAX_TTL)
}

/// Seconds, or numbers with units as in `1h30m`, which every common server reads though RFC 1035
/// does not know it.
fn any_seconds(text: &str) -> Option<u32> {
    let mut total: u32 = 0;
    let mut digits = String::new();
    let mut add = |digits: &mut String, unit: u32| {
        let number: u32 = std::mem::take(digits).parse().ok()?;
        total = total.checked_add(number.checked_mul(unit)?)?;
        Some(total)
    };
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            's' | 'S' => 1,
            'm' | 'M' => 60,
            'h' | 'H' => 3600,
            'd' | 'D' => 86_400,
            'w' | 'W' => 604_800,
            _ => return None,
        };
        add(&mut digits, unit)?;
    }
    if !digits.is_empty() {
        add(&mut digits, 1)?;
    }
    Some(total).filter(|_| !text.is_empty())
}

/// RFC 3597 section 5: `\#`, the number of octets, and the octets in hexadecimal.
fn parse_generic(tokens: &[Token<'_>]) -> Result<Vec<u8>, Fault> {
    let Some(length) = tokens.get(1) else {
        return Err(Fault { token: None, message: "the length is missing".to_owned() });
    };
    let expected = usize::from(number::<u16>(length.text).map_err(|message| fault(1, "length", &message))?);
    let wire = hex(&tokens[2..]).map_err(|(index, message)| fault(index + 2, "data", &message))?;
    if wire.len() != expected {
        let message = format!("the length says {expected} octets, the data has {}", wire.len());
        return Err(Fault { token: Some(1), message });
    }
    Ok(wire)
}

/// A character string with its length in front (RFC 1035 section 3.3).
pub(super) fn character_string(text: &str) -> Result<Vec<u8>, String> {
    let octets = unescape(text)?;
    if octets.len() > MAX_STRING {
        return Err(format!("a string is at most {MAX_STRING} octets; split it into several"));
    }
    let mut wire = vec![octets.len() as u8];
    wire.extend(octets);
    Ok(wire)
}

/// The octets of all `tokens` together; an error names the token.
fn hex(tokens: &[Token<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let mut nibbles = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        for character in token.text.chars() {
            match character.to_digit(16) {
                Some(nibble) => nibbles.push(nibble as u8),
                None => return Err((index, not("hexadecimal", token.text))),
            }
        }
    }
    if nibbles.len() % 2 == 1 {
        return Err((tokens.len() - 1, "a hexadecimal digit is missing".to_owned()));
    }
    Ok(nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let most = u64::MAX >> (64 - 8 * size_of::<T>());
    rdata_parts::unsigned(text).ok_or_else(|| not(&format!("a number from 0 to {most}"), text))
}

fn not(what: &str, text: &str) -> String {
    format!("`{text}` is not {what}")
}

fn fault(token: usize, what: &str, message: &str) -> Fault {
    Fault { token: Some(token), message: format!("{what}: {message}") }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{Name as HickoryName, RData, RecordSet, RecordType};
    use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
    use hickory_proto::serialize::txt::Parser;

    use super::super::presentation;
    use super::*;

    fn ours(rtype: Rtype, data: &str) -> Result<Box<[u8]>, Fault> {
        let origin: Name = "ex.test".parse().expect("a name");
        let tokens = presentation::tokens(data).expect("the data can be taken apart");
        let name = |text: &str| Name::relative(text, &origin).map_err(|reason| reason.to_string());
        parse(rtype, &tokens, &name, Rigour::Strict)
    }

    fn theirs(rtype: Rtype, data: &str) -> Vec<u8> {
        let origin = HickoryName::from_ascii("ex.test.").expect("a name");
        let (_, sets) = Parser::new(format!("@ 60 IN {rtype} {data}\n"), None, Some(origin))
            .parse()
            .unwrap_or_else(|reason| panic!("{data}: {reason}"));
        let set: RecordSet = sets.into_values().next().expect("one record was written");
        let rdata: RData = set.into_parts().records.remove(0).data;
        assert_eq!(rdata.record_type(), RecordType::from(rtype.0));
        let mut octets = Vec::new();
        rdata.emit(&mut BinEncoder::new(&mut octets)).expect("the data fits");
        octets
    }

    #[test]
    fn wire_form_agrees_with_another_implementation() {
        for (rtype, data) in [
            (Rtype::A, "192.0.2.1"),
            (Rtype::AAAA, "2001:db8::1"),
            (Rtype::NS, "ns1"),
            (Rtype::CNAME, "www.other.test."),
            (Rtype::PTR, "host.other.test."),
            (Rtype::MX, "10 mail"),
            (Rtype::TXT, r#""v=spf1 -all" two"#),
            (Rtype::HINFO, "RFC8482 \"\""),
            (Rtype::SRV, "1 2 5060 sip"),
            (Rtype::NAPTR, r#"100 50 "s" "http+N2L" "" www.other.test."#),
            (Rtype::CAA, r#"128 issue "ca.test; policy=ev""#),
            (Rtype::SSHFP, "4 2 b049f950d1397b8fee6a61e4d14a9acdc4721e084eff5460bbed80cfaa2ce2cb"),
            (Rtype::TLSA, "3 1 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971"),
            (Rtype::SOA, "ns1 admin.other. 1 4h 1h 2w 5"),
            (Rtype::SVCB, "0 www.other.test."),
            (Rtype::HTTPS, "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1"),
            (Rtype::HTTPS, "1 . mandatory=alpn alpn=\"h2\" no-default-alpn ech=AEX+DQBB"),
        ] {
            assert_eq!(ours(rtype, data).as_deref(), Ok(&theirs(rtype, data)[..]), "{rtype} {data}");
        }
    }

    #[test]
    fn wire_form_is_as_the_standards_say() {
        for (rtype, data, wire) in [
            (Rtype::DNAME, "new", &b"\x03new\x02ex\x04test\0"[..]),
            (Rtype::MX, "0 .", b"\0\0\0"),
            (Rtype::CNAME, "@", b"\x02ex\x04test\0"),
            (Rtype::DS, "60485 5 1 2BB1 83af", b"\xec\x45\x05\x01\x2b\xb1\x83\xaf"),
            (Rtype::TXT, r#""\"\255" """#, b"\x02\"\xff\0"),
            // RFC 9460 appendix D.2: keys sorted, `\\,` a comma within a protocol's name.
            (
                Rtype::SVCB,
                r"16 . port=1 key667=hello\210q",
                b"\0\x10\0\0\x03\0\x02\0\x01\x02\x9b\0\x07hello\xd2q",
            ),
            (
                Rtype::SVCB,
                r"1 . mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 alpn=f\\\\oo\\,bar,h2",
                b"\0\x01\0\0\0\0\x04\0\x01\0\x04\0\x01\0\x0c\x08f\\oo,bar\x02h2\0\x04\0\x04\xc0\0\x02\x01",
            ),
            (Rtype::RP, "admin .", b"\x05admin\x02ex\x04test\0\0"),
            (Rtype::AFSDB, "1 db.", b"\0\x01\x02db\0"),
            (Rtype::SPF, "-all", b"\x04-all"),
            (Rtype::ISDN, "15 4", b"\x0215\x014"),
            (Rtype::ISDN, "15", b"\x0215"),
            (Rtype::URI, r#"10 1 "ftp://x""#, b"\0\x0a\0\x01ftp://x"),
            (Rtype::CERT, "PKIX 1 RSASHA256 AQ ID", b"\0\x01\0\x01\x08\x01\x02\x03"),
            (Rtype::CERT, "9 1 8 AQID", b"\0\x09\0\x01\x08\x01\x02\x03"),
            (Rtype::DNSKEY, "257 3 ED25519 AQID", b"\x01\x01\x03\x0f\x01\x02\x03"),
            (Rtype::CDS, "0 0 0 00", b"\0\0\0\0\0"),
            (Rtype::OPENPGPKEY, "AQID", b"\x01\x02\x03"),
            (Rtype::SMIMEA, "3 0 0 aabb", b"\x03\0\0\xaa\xbb"),
            (Rtype::EUI48, "00-00-5e-00-53-2a", b"\0\0\x5e\0\x53\x2a"),
            (Rtype::NID, "10 0014:4fff:ff20:ee64", b"\0\x0a\0\x14\x4f\xff\xff\x20\xee\x64"),
            (Rtype::L32, "10 10.1.2.0", b"\0\x0a\x0a\x01\x02\0"),
            // RFC 7477 section 2.1.1.2: A, NS and AAAA are in the first window.
            (Rtype::CSYNC, "66 3 AAAA A NS", b"\0\0\0\x42\0\x03\0\x04\x60\0\0\x08"),
            (Rtype::CSYNC, "0 0 CAA", b"\0\0\0\0\0\0\x01\x01\x40"),
            (Rtype::APL, "1:192.0.2.0/24 !2:fe80::/10", b"\0\x01\x18\x03\xc0\0\x02\0\x02\x0a\x82\xfe\x80"),
            (Rtype::IPSECKEY, "10 1 2 192.0.2.38 AQID", b"\x0a\x01\x02\xc0\0\x02\x26\x01\x02\x03"),
            (Rtype::IPSECKEY, "10 3 0 gw.", b"\x0a\x03\0\x02gw\0"),
            // RFC 1876 section 4: the first example, and its defaults.
            (
                Rtype::LOC,
                "42 21 54 N 71 06 18 W -24m 30m",
                b"\0\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\0\x98\x8d\x20",
            ),
            // RFC 4034 sections 3.3 and 4.3, the signature and the last type cut short.
            (
                Rtype::RRSIG,
                "A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1 W6WN",
                b"\0\x01\x05\x03\0\x01\x51\x80\x3e\x7c\x9d\xd7\x3e\x55\x10\xd7\x0a\x52\
                  \x07example\x03com\0\xa0\x90\x75\x5b\xa5\x8d",
            ),
            (Rtype::NSEC, "host.example.com. A MX RRSIG NSEC", b"\x04host\x07example\x03com\0\0\x06\x40\x01\0\0\0\x03"),
            // RFC 5155 appendix A, and its section 4.3.
            (
                Rtype::NSEC3,
                "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG",
                b"\x01\x01\0\x0c\x04\xaa\xbb\xcc\xdd\x14\x17\x4e\xb2\x40\x9f\xe2\x8b\xcb\x48\x87\xa1\x83\x6f\x95\x7f\x0a\
                  \x84\x25\xe2\x7b\0\x07\x22\x01\0\0\0\x02\x90",
            ),
            (Rtype::NSEC3PARAM, "1 0 12 AABBccdd", b"\x01\0\0\x0c\x04\xaa\xbb\xcc\xdd"),
            (Rtype::NSEC3PARAM, "1 0 0 -", b"\x01\0\0\0\0"),
            (Rtype::NSEC3PARAM, r"\# 5 0100000000", b"\x01\0\0\0\0"),
            // RFC 6840 section 5.1: the case of a name counts where the type is newer than the canonical form.
            (Rtype::NSEC, "HoSt.B A", b"\x04HoSt\x01B\x02ex\x04test\0\0\x01\x40"),
            (Rtype::NSEC, r"\# 8 0348694a00 0001 40", b"\x03HiJ\0\0\x01\x40"),
            (Rtype::NSEC, r"A\.\066\Cd A", b"\x05A.BCd\x02ex\x04test\0\0\x01\x40"),
            (Rtype::NSEC, "@ A", b"\x02ex\x04test\0\0\x01\x40"),
            (Rtype::SVCB, "1 Host", b"\0\x01\x04Host\x02ex\x04test\0"),
            (Rtype::IPSECKEY, "10 3 0 Gw.", b"\x0a\x03\0\x02Gw\0"),
            (Rtype::MX, "0 Host", b"\0\0\x04host\x02ex\x04test\0"),
            (Rtype::RRSIG, r"\# 23 0001 05 03 00000000 00000001 00000002 0003 02 4578 00 ff", b"\0\x01\x05\x03\0\0\0\0\0\0\0\x01\0\0\0\x02\0\x03\x02ex\0\xff"),
            // RFC 1035 section 3.4.2: SMTP and port 80 are bits 25 and 80.
            (Rtype::WKS, "192.0.2.1 tcp SMTP 80", b"\xc0\0\x02\x01\x06\0\0\0\x40\0\0\0\0\0\0\x80"),
            (Rtype::WKS, "192.0.2.1 17", b"\xc0\0\x02\x01\x11"),
            (Rtype::NSAP, "0x47.0005.80", b"\x47\0\x05\x80"),
            (Rtype::DLV, "1 8 1 AB", b"\0\x01\x08\x01\xab"),
            (Rtype::AVC, "a b", b"\x01a\x01b"),
            (Rtype::MD, "a.", b"\x01a\0"),
            (Rtype::A, r"\# 4 c0000201", b"\xc0\0\x02\x01"),
            (Rtype::MX, r"\# 8 000a 044D 61 696C 00", b"\0\x0a\x04mail\0"),
            (Rtype(65280), r"\# 0", b""),
            (Rtype(65280), r"\# 3 01 0203", b"\x01\x02\x03"),
        ] {
            assert_eq!(ours(rtype, data).as_deref(), Ok(wire), "{rtype} {data}");
        }
    }

    #[test]
    fn data_that_does_not_fit_its_type_is_refused() {
        for (rtype, data) in [
            (Rtype::A, r"\# 3 c00002"),
            (Rtype::A, r"\# 5 c000020100"),
            (Rtype::NS, r"\# 2 c00c"),
            (Rtype::NS, r"\# 2 0161"),
            (Rtype::TXT, r"\# 0"),
            (Rtype::TXT, r"\# 2 0261"),
            (Rtype::SVCB, r"\# 9 0001 00 0003 0003 01bb"),
            (Rtype::LOC, "91 N 0 E 0m"),
            (Rtype::LOC, "90 0 0.001 N 0 E 0m"),
            (Rtype::LOC, "1 60 N 0 E 0m"),
            (Rtype::LOC, "1 1 1 1 N 0 E 0m"),
            (Rtype::LOC, "1 N 1 E"),
            (Rtype::LOC, "1 N 1 E 0m 1m 1m 1m 1m"),
            (Rtype::APL, "1:192.0.2.0/33"),
            (Rtype::APL, "3:192.0.2.0/3"),
            (Rtype::IPSECKEY, "10 1 2 2001:db8::1 AQID"),
            (Rtype::IPSECKEY, "10 1"),
            (Rtype::EUI48, "00-00-5e-00-53"),
            (Rtype::NID, "10 14:4fff::ee64"),
            (Rtype::CERT, "X509 1 8 AQID"),
            (Rtype::OPENPGPKEY, "AQ!D"),
            (Rtype::CSYNC, "1 1 NIX"),
            (Rtype::WKS, "192.0.2.1"),
            (Rtype::WKS, "192.0.2.1 tcp no-such-service"),
            (Rtype::WKS, r"\# 4 c0000201"),
            (Rtype::NSAP, "47"),
            (Rtype::NSAP, "0x4"),
            (Rtype::NULL, "x"),
        ] {
            assert!(ours(rtype, data).is_err(), "{rtype} {data}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_borne_where_other_servers_do() {
        for (data, wire) in [
            ("1 . key65535=x", &b"\0\x01\0\xff\xff\0\x01x"[..]),
            ("1 . no-default-alpn", b"\0\x01\0\0\x02\0\0"),
        ] {
            let tokens = presentation::tokens(data).expect("the data can be taken apart");
            let name = |text: &str| text.parse().map_err(|_| "no name".to_owned());
            let lenient = parse(Rtype::SVCB, &tokens, &name, Rigour::Lenient);
            assert_eq!(lenient.as_deref(), Ok(wire), "{data}");
            assert!(parse(Rtype::SVCB, &tokens, &name, Rigour::Strict).is_err(), "{data}");
        }
    }

    #[test]
    fn a_long_text_is_split() {
        let wire = text_record(&"x".repeat(300)).expect("it fits");
        assert_eq!((wire.len(), wire[0], wire[256]), (302, 255, 45));
        assert_eq!(text_record("").as_deref(), Ok(&[0][..]));
        assert!(text_record(&"x".repeat(MAX_RDATA)).is_err());
        assert!(ours(Rtype::TXT, &"x".repeat(256)).is_err());
    }

    #[test]
    fn seconds_may_have_units() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("1h30M", Some(5400)),
            ("2w", Some(1_209_600)),
            ("2147483647", Some(MAX_TTL)),
            ("9999999999w", None),
            ("", None),
            ("h", None),
            ("1x", None),
            ("-1", None),
        ] {
            assert_eq!((super::seconds(text), ttl(text)), (seconds, seconds), "{text}");
        }
        for beyond in ["2147483648", "4294967295"] {
            assert_eq!((super::seconds(beyond), ttl(beyond)), (None, Some(0)), "{beyond}");
        }
    }
}
