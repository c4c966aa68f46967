//! The parameters of SVCB and HTTPS records (RFC 9460).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::presentation::{Token, unescape};
use super::rdata::Rigour;
use super::rdata_parts::unsigned;

/// RFC 9460 section 14.3.2 and what has been registered since with a text form of its own.
const KEYS: [(&str, u16); 8] = [
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4_HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6_HINT),
    ("dohpath", DOHPATH),
];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
const DOHPATH: u16 = 7;
/// RFC 9460 section 14.3.2: reserved as an invalid key.
const INVALID: u16 = 65_535;

/// The wire form of all parameters, in the order of their keys; an error names the token.
pub(super) fn parse(tokens: &[Token<'_>], rigour: Rigour) -> Result<Vec<u8>, (usize, String)> {
    let mut parameters: BTreeMap<u16, (usize, Vec<u8>)> = BTreeMap::new();
    for (index, token) in tokens.iter().enumerate() {
        let parameter = if token.quoted {
            Err("a parameter starts with its key".to_owned())
        } else {
            parameter(token.text, rigour)
        };
        let (key, value) = parameter.map_err(|message| (index, message))?;
        if parameters.insert(key, (index, value)).is_some() {
            return Err((index, format!("`{}` is there twice", token.text)));
        }
    }
    check_consistency(&parameters, rigour)?;
    let mut wire = Vec::new();
    for (key, (index, value)) in parameters {
        let length = u16::try_from(value.len()).map_err(|_| (index, "the value is too long".to_owned()))?;
        wire.extend(key.to_be_bytes());
        wire.extend(length.to_be_bytes());
        wire.extend(value);
    }
    Ok(wire)
}

/// Whether `wire` is a list of keys in ascending order with values (RFC 9460 section 2.2).
pub(super) fn is_well_formed(mut wire: &[u8]) -> bool {
    let mut last = None;
    while !wire.is_empty() {
        let Some((head, rest)) = wire.split_first_chunk::<4>() else { return false };
        let key = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if last.is_some_and(|last| last >= key) || length > rest.len() {
            return false;
        }
        last = Some(key);
        wire = &rest[length..];
    }
    true
}

/// RFC 9460 section 2.4.3: a record that contradicts itself is malformed.
fn check_consistency(
    parameters: &BTreeMap<u16, (usize, Vec<u8>)>,
    rigour: Rigour,
) -> Result<(), (usize, String)> {
    if let Some((index, _)) = parameters.get(&NO_DEFAULT_ALPN)
        && rigour == Rigour::Strict
        && !parameters.contains_key(&ALPN)
    {
        return Err((*index, "`no-default-alpn` needs `alpn`".to_owned()));
    }
    if let Some((index, value)) = parameters.get(&MANDATORY) {
        for pair in value.chunks_exact(2) {
            let key = u16::from_be_bytes([pair[0], pair[1]]);
            if key == MANDATORY || !parameters.contains_key(&key) {
                return Err((*index, "`mandatory` lists a key that is not there".to_owned()));
            }
        }
    }
    Ok(())
}

/// `key` or `key=value`, the value with or without quotes.
fn parameter(text: &str, rigour: Rigour) -> Result<(u16, Vec<u8>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let key = match rigour {
        Rigour::Lenient if name == "key65535" => INVALID,
        _ => key(name)?,
    };
    let value = match value {
        Some(value) => {
            let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            unescape(bare)?
        }
        None => Vec::new(),
    };
    let wire = match key {
        NO_DEFAULT_ALPN if value.is_empty() => Vec::new(),
        NO_DEFAULT_ALPN => return Err(format!("`{name}` has no value")),
        MANDATORY | ALPN | PORT | IPV4_HINT | IPV6_HINT | ECH | DOHPATH if value.is_empty() => {
            return Err(format!("`{name}` needs a value"));
        }
        MANDATORY => mandatory(ascii(&value)?)?,
        ALPN => alpn(&value)?,
        PORT => {
            let text = ascii(&value)?;
            let port = unsigned::<u16>(text).ok_or_else(|| format!("`{text}` is not a port"))?;
            port.to_be_bytes().to_vec()
        }
        IPV4_HINT => addresses::<Ipv4Addr, 4>(ascii(&value)?, |address| address.octets())?,
        IPV6_HINT => addresses::<Ipv6Addr, 16>(ascii(&value)?, |address| address.octets())?,
        ECH => data_encoding::BASE64.decode(&value).map_err(|_| format!("`{name}` is not base64"))?,
        _ => value,
    };
    Ok((key, wire))
}

/// The number of a key by its name, or of `keyNNNNN`.
fn key(name: &str) -> Result<u16, String> {
    if let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == name) {
        return Ok(*key);
    }
    let number = name.strip_prefix("key").filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()));
    match number.and_then(|digits| digits.parse().ok()) {
        Some(key) if key != INVALID => Ok(key),
        _ => Err(format!("`{name}` is not a key; one without a name is written as in `key667`")),
    }
}

/// The keys in order, as RFC 9460 section 8 wants them.
fn mandatory(list: &str) -> Result<Vec<u8>, String> {
    let mut keys = list.split(',').map(key).collect::<Result<Vec<u16>, String>>()?;
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("`mandatory` lists a key twice".to_owned());
    }
    Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
}

/// RFC 9460 section 7.1.1: protocol names with their lengths in front; `\,` is a comma in a name.
fn alpn(value: &[u8]) -> Result<Vec<u8>, String> {
    let mut names = vec![Vec::new()];
    let mut octets = value.iter().copied();
    while let Some(octet) = octets.next() {
        let name = names.last_mut().expect("there is always a last name");
        match octet {
            b',' => names.push(Vec::new()),
            b'\\' => name.extend(octets.next()),
            _ => name.push(octet),
        }
    }
    let mut wire = Vec::new();
    for name in names {
        let length = u8::try_from(name.len()).ok().filter(|&length| length > 0);
        wire.push(length.ok_or("a protocol in `alpn` has 1 to 255 octets")?);
        wire.extend(name);
    }
    Ok(wire)
}

fn addresses<A: std::str::FromStr, const N: usize>(
    list: &str,
    octets: impl Fn(A) -> [u8; N],
) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    for text in list.split(',') {
        let address = text.parse().map_err(|_| format!("`{text}` is not an address of this family"))?;
        wire.extend(octets(address));
    }
    Ok(wire)
}

fn ascii(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|_| "the value is not text".to_owned())
}
