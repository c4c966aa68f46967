//! Parts of records' data whose text form is more than a number, a name or a string.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::presentation::Token;
use crate::dns::{Name, Rtype};

/// RFC 4034 appendix A.1, with what the IANA registry has added since.
const ALGORITHMS: [(&str, u8); 17] = [
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("ECC", 4),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];
/// RFC 4398 section 2.1.
const CERTIFICATE_TYPES: [(&str, u16); 10] = [
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// The services of RFC 1700 and later that a WKS record may name; others go by their ports.
const SERVICES: [(&str, u16); 36] = [
    ("echo", 7),
    ("discard", 9),
    ("systat", 11),
    ("daytime", 13),
    ("netstat", 15),
    ("qotd", 17),
    ("chargen", 19),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("rlp", 39),
    ("nameserver", 42),
    ("whois", 43),
    ("nicname", 43),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("kerberos", 88),
    ("hostnames", 101),
    ("pop2", 109),
    ("pop3", 110),
    ("sunrpc", 111),
    ("auth", 113),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("snmp", 161),
    ("irc", 194),
    ("https", 443),
];

/// The number of a DNSSEC algorithm's mnemonic.
pub(super) fn algorithm(text: &str) -> Option<u8> {
    number_of(text, &ALGORITHMS)
}

/// The number of a certificate type's mnemonic.
pub(super) fn certificate_type(text: &str) -> Option<u16> {
    number_of(text, &CERTIFICATE_TYPES)
}

/// The number that `text` is, of digits alone: `FromStr` takes a plus sign, which no record has.
pub(super) fn unsigned<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn number_of<T: Copy>(text: &str, known: &[(&str, T)]) -> Option<T> {
    known.iter().find(|(mnemonic, _)| mnemonic.eq_ignore_ascii_case(text)).map(|(_, number)| *number)
}

/// `0014:4fff:ff20:ee64` (RFC 6742 section 2.1.2): all four groups are written.
pub(super) fn locator(text: &str) -> Option<Vec<u8>> {
    let groups: Vec<&str> = text.split(':').collect();
    let octets = groups.iter().map(|group| {
        let is_hex = (1..=4).contains(&group.len()) && group.bytes().all(|octet| octet.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(group, 16).ok().map(u16::to_be_bytes)).flatten()
    });
    let octets = octets.collect::<Option<Vec<[u8; 2]>>>()?.concat();
    (groups.len() == 4).then_some(octets)
}

/// `00-00-5e-00-53-2a` (RFC 7043 section 3.2), of `count` octets.
pub(super) fn eui(text: &str, count: usize) -> Option<Vec<u8>> {
    let octets = text.split('-').map(|pair| {
        let is_hex = pair.len() == 2 && pair.bytes().all(|octet| octet.is_ascii_hexdigit());
        is_hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
    });
    octets.collect::<Option<Vec<u8>>>().filter(|octets| octets.len() == count)
}

/// The wire form of `name` with its letters in the case of `text`, of which it was made; what comes from
/// the origin is in lowercase.
pub(super) fn in_case_of(text: &str, name: &Name) -> Vec<u8> {
    let mut wire = name.wire().to_vec();
    let mut octets = text.bytes();
    let mut written = std::iter::from_fn(|| match octets.find(|octet| *octet != b'.')? {
        b'\\' => match octets.next()? {
            first @ b'0'..=b'9' => {
                let digits = [first, octets.next()?, octets.next()?];
                Some(digits.iter().fold(0, |number: u8, digit| {
                    number.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0'))
                }))
            }
            plain => Some(plain),
        },
        plain => Some(plain),
    });
    let mut at = 0;
    while wire[at] != 0 && text != "@" {
        let end = at + 1 + usize::from(wire[at]);
        for octet in &mut wire[at + 1..end] {
            *octet = written.next().unwrap_or(*octet);
        }
        at = end;
    }
    wire
}

/// A protocol and the ports on which it is spoken: its number, and a bit for each port up to the last
/// (RFC 1035 section 3.4.2).
pub(super) fn services(tokens: &[Token<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let [protocol, services @ ..] = tokens else { return Ok(Vec::new()) };
    let number = number_of(protocol.text, &[("TCP", 6), ("UDP", 17)]).or_else(|| unsigned(protocol.text));
    let number =
        number.ok_or_else(|| (0, format!("`{}` is not a protocol: TCP, UDP or 0 to 255", protocol.text)))?;
    let mut wire = vec![number];
    for (index, service) in services.iter().enumerate() {
        let port = number_of(service.text, &SERVICES).or_else(|| unsigned::<u16>(service.text));
        let port = port.ok_or_else(|| {
            (index + 1, format!("`{}` is no service that this server knows: write its port", service.text))
        })?;
        let at = 1 + usize::from(port / 8);
        wire.resize(wire.len().max(at + 1), 0);
        wire[at] |= 0x80 >> (port % 8);
    }
    Ok(wire)
}

/// `0x47.0005.80` (RFC 1706 section 6): dots are where the writer likes them.
pub(super) fn nsap(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?.replace('.', "");
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok().filter(|octets| !octets.is_empty())
}

/// All `tokens` together as base64; an error names the token.
pub(super) fn base64(tokens: &[Token<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let text: String = tokens.iter().map(|token| token.text).collect();
    data_encoding::BASE64.decode(text.as_bytes()).map_err(|_| (0, format!("`{text}` is not base64")))
}

/// The bitmap of record types of RFC 4034 section 4.1.2.
pub(super) fn types(tokens: &[Token<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let mut numbers = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        let rtype = Rtype::parse(token.text);
        numbers.push(rtype.ok_or_else(|| (index, format!("unknown record type `{}`", token.text)))?.0);
    }
    numbers.sort_unstable();
    let mut wire = Vec::new();
    for window in numbers.chunk_by(|one, next| one >> 8 == next >> 8) {
        let mut bits = [0u8; 32];
        let mut length = 0;
        for number in window {
            let bit = number & 0xff;
            bits[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
            length = bit / 8 + 1;
        }
        wire.extend([(window[0] >> 8) as u8, length as u8]);
        wire.extend(&bits[..usize::from(length)]);
    }
    Ok(wire)
}

/// `1:192.0.2.0/24 !2:2001:db8::/32` (RFC 3123 section 5).
pub(super) fn prefixes(tokens: &[Token<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let mut wire = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let octets = prefix(token.text);
        wire.extend(
            octets.ok_or_else(|| (index, format!("`{}` is not [!]FAMILY:ADDRESS/LENGTH", token.text)))?,
        );
    }
    Ok(wire)
}

fn prefix(text: &str) -> Option<Vec<u8>> {
    let (negation, text) = text.strip_prefix('!').map_or((0, text), |rest| (0x80, rest));
    let (family, text) = text.split_once(':')?;
    let (address, length) = text.split_once('/')?;
    let (family, octets, longest) = match family {
        "1" => (1u16, address.parse::<Ipv4Addr>().ok()?.octets().to_vec(), 32),
        "2" => (2, address.parse::<Ipv6Addr>().ok()?.octets().to_vec(), 128),
        _ => return None,
    };
    let length = unsigned(length).filter(|&length: &u8| length <= longest)?;
    // RFC 3123 section 4: zeros at the end are left out.
    let used = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    let mut wire = family.to_be_bytes().to_vec();
    wire.extend([length, negation | used as u8]);
    wire.extend(&octets[..used]);
    Some(wire)
}

/// Gateway type, algorithm, gateway and key of an IPSECKEY record (RFC 4025 section 3.1); the key
/// is left out where the algorithm is 0.
pub(super) fn gateway(
    tokens: &[Token<'_>],
    name: &dyn Fn(&str) -> Result<Name, String>,
) -> Result<Vec<u8>, (usize, String)> {
    let [kind, algorithm, gateway, key @ ..] = tokens else {
        return Err((tokens.len() - 1, "a gateway type, an algorithm and a gateway are needed".to_owned()));
    };
    let number = |index: usize, text: &str| {
        unsigned::<u8>(text).ok_or_else(|| (index, format!("`{text}` is not a number from 0 to 255")))
    };
    let mut wire = vec![number(0, kind.text)?, number(1, algorithm.text)?];
    let address = gateway.text.parse::<IpAddr>();
    match (wire[0], address) {
        (0, _) if gateway.text == "." => {}
        (1, Ok(IpAddr::V4(address))) => wire.extend(address.octets()),
        (2, Ok(IpAddr::V6(address))) => wire.extend(address.octets()),
        (3, _) => {
            let name = name(gateway.text).map_err(|message| (2, message))?;
            wire.extend(in_case_of(gateway.text, &name));
        }
        _ => return Err((2, format!("`{}` is not a gateway of type {}", gateway.text, wire[0]))),
    }
    wire.extend(base64(key).map_err(|(index, message)| (3 + index, message))?);
    Ok(wire)
}

/// A place on the globe (RFC 1876 section 3), as in `52 22 23.5 N 4 53 32 E -2.00m 1m 10000m 10m`.
pub(super) fn place(tokens: &[Token<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let mut at = 0;
    let latitude = angle(tokens, &mut at, ["N", "S"], 90)?;
    let longitude = angle(tokens, &mut at, ["E", "W"], 180)?;
    let mut metres = |what: &str, default: Option<i64>, range: std::ops::RangeInclusive<i64>| {
        let Some(token) = tokens.get(at) else {
            return default.ok_or_else(|| (tokens.len() - 1, format!("the {what} is missing")));
        };
        at += 1;
        let text = token.text.strip_suffix(['m', 'M']).unwrap_or(token.text);
        let centimetres = decimal(text, 2).filter(|centimetres| range.contains(centimetres));
        centimetres.ok_or_else(|| (at - 1, format!("{what}: `{}` is not a number of metres", token.text)))
    };
    // 100,000 m below the spheroid is 0; 32 bits of centimetres from there.
    const LOWEST: i64 = 10_000_000;
    const LARGEST: i64 = 9_000_000_000;
    let altitude = metres("altitude", None, -LOWEST..=i64::from(u32::MAX) - LOWEST)?;
    let size = metres("size", Some(100), 0..=LARGEST)?;
    let horizontal = metres("horizontal precision", Some(1_000_000), 0..=LARGEST)?;
    let vertical = metres("vertical precision", Some(1_000), 0..=LARGEST)?;
    if let Some(token) = tokens.get(at) {
        return Err((at, format!("`{}` is too much", token.text)));
    }
    let mut wire = vec![0, power_of_ten(size), power_of_ten(horizontal), power_of_ten(vertical)];
    for number in [latitude, longitude, altitude + LOWEST] {
        // The ranges above keep them in 32 bits.
        wire.extend((number as u32).to_be_bytes());
    }
    Ok(wire)
}

/// Thousandths of a second of arc from 2^31, the equator or the prime meridian. Minutes and seconds
/// may be left out.
fn angle(
    tokens: &[Token<'_>],
    at: &mut usize,
    [positive, negative]: [&str; 2],
    most: i64,
) -> Result<i64, (usize, String)> {
    const DEGREE: i64 = 3_600_000;
    let mut total = 0;
    for (unit, digits, limit) in [(DEGREE, 0, most + 1), (60_000, 0, 60), (1, 3, 60_000), (0, 0, 0)] {
        let Some(token) = tokens.get(*at) else {
            return Err((tokens.len() - 1, format!("`{positive}` or `{negative}` is missing")));
        };
        *at += 1;
        let is = |hemisphere: &str| token.text.eq_ignore_ascii_case(hemisphere);
        if unit != DEGREE && (is(positive) || is(negative)) && total <= most * DEGREE {
            return Ok((1 << 31) + if is(positive) { total } else { -total });
        }
        let number = decimal(token.text, digits).filter(|number| (0..limit).contains(number));
        let number = number.ok_or_else(|| (*at - 1, format!("`{}` is not part of an angle", token.text)))?;
        total += number * unit;
    }
    unreachable!("the last unit takes no number")
}

/// A decimal number in units of 10^-`digits`.
fn decimal(text: &str, digits: usize) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = whole.bytes().chain(fraction.bytes()).all(|octet| octet.is_ascii_digit());
    if !is_number || whole.is_empty() || whole.len() > 10 || fraction.len() > digits {
        return None;
    }
    let number: i64 = format!("{whole}{fraction:0<digits$}").parse().ok()?;
    Some(sign * number)
}

/// Centimetres as one digit and a power of ten, rounded down (RFC 1876 section 2).
fn power_of_ten(mut centimetres: i64) -> u8 {
    let mut exponent = 0;
    while centimetres > 9 {
        centimetres /= 10;
        exponent += 1;
    }
    (centimetres as u8) << 4 | exponent
}
