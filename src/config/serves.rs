//! Sources of clients as written in a pool's `serves`, and the codes that they are made of.

use std::net::IpAddr;

use ipnet::IpNet;

use super::reader::{Value, integer, string};
use crate::geo::{Continent, Country, Subdivision};
use crate::plan::Source;

/// "VN", "continent:OC", "US-CA", "AS64500" or "203.0.113.0/24".
pub(super) fn source(value: Value<'_>) -> Option<Source> {
    let text = string(value)?;
    if let Some(code) = text.strip_prefix("continent:") {
        return known_continent(value, code).map(Source::Continent);
    }
    if text.contains(['/', ':']) || text.parse::<IpAddr>().is_ok() {
        return prefix(value, &text).map(Source::Prefix);
    }
    if let Some(number) = parse_as_number(&text) {
        return or_refuse(value, number).map(Source::Asn);
    }
    if text.contains('-') {
        return known_subdivision(value, &text).map(Source::Subdivision);
    }
    match known_country(&text) {
        Some(country) => Some(Source::Country(country)),
        None => value.refuse(format!("there is no country `{text}`"), source_hint(&text)),
    }
}

/// A country by its code.
pub(super) fn country(value: Value<'_>) -> Option<Country> {
    let text = string(value)?;
    known_country(&text)
        .or_else(|| value.refuse(format!("there is no country `{text}`"), country_hint(&text)))
}

/// A subdivision by its code.
pub(super) fn subdivision(value: Value<'_>) -> Option<Subdivision> {
    known_subdivision(value, &string(value)?)
}

fn known_subdivision(value: Value<'_>, code: &str) -> Option<Subdivision> {
    code.parse().ok().filter(|subdivision: &Subdivision| subdivision.country.is_known()).or_else(|| {
        value.refuse(
            format!("`{code}` is not a subdivision"),
            "write its ISO 3166-2 code, as in \"US-CA\"".to_owned(),
        )
    })
}

/// A continent by its code.
pub(super) fn continent(value: Value<'_>) -> Option<Continent> {
    known_continent(value, &string(value)?)
}

fn known_continent(value: Value<'_>, code: &str) -> Option<Continent> {
    code.parse().ok().or_else(|| {
        value.refuse(
            format!("there is no continent `{code}`"),
            "the continents are AF, AN, AS, EU, NA, OC and SA".to_owned(),
        )
    })
}

/// An AS number: 64500 or "AS64500".
pub(super) fn asn(value: Value<'_>) -> Option<u32> {
    if !value.is_string() {
        return integer(1..=u32::MAX)(value);
    }
    let text = string(value)?;
    or_refuse(value, parse_as_number(&text).unwrap_or_else(|| Err(not_an_as_number(&text))))
}

fn known_country(code: &str) -> Option<Country> {
    code.parse().ok().filter(Country::is_known)
}

/// What was probably meant by a code that is no country's.
fn country_hint(text: &str) -> String {
    match &text.to_ascii_uppercase()[..] {
        "UK" => "the United Kingdom is `GB`".to_owned(),
        _ => "countries go by their ISO 3166-1 code of two letters, as in \"VN\"".to_owned(),
    }
}

fn source_hint(text: &str) -> String {
    match &text.to_ascii_uppercase()[..] {
        "EU" => "Europe is `continent:EU`".to_owned(),
        "OC" | "ASIA" | "EUROPE" | "AFRICA" | "OCEANIA" => {
            "continents are written as in \"continent:OC\"".to_owned()
        }
        other if other.len() == 2 => country_hint(text),
        _ => "write a country \"VN\", \"continent:OC\", a subdivision \"US-CA\", \"AS64500\" or a prefix \
              \"203.0.113.0/24\""
            .to_owned(),
    }
}

/// Why a text is not what it should be, and what would be right.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: String,
}

fn or_refuse<T>(value: Value<'_>, parsed: Result<T, Fault>) -> Option<T> {
    parsed.map_or_else(|Fault { message, hint }| value.refuse(message, hint), Some)
}

/// The number in "AS64500"; `None`: it does not look like one. "AS" alone is American Samoa.
pub(super) fn parse_as_number(text: &str) -> Option<Result<u32, Fault>> {
    let (head, digits) = text.split_at_checked(2)?;
    let is_number = head.eq_ignore_ascii_case("AS") && !digits.is_empty();
    if !is_number || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    // RFC 7607: AS 0 announces nothing.
    let number = digits.parse().ok().filter(|&number| number != 0);
    Some(number.ok_or_else(|| not_an_as_number(text)))
}

fn not_an_as_number(text: &str) -> Fault {
    let message = format!("`{text}` is not an AS number");
    Fault { message, hint: "they go from 1 to 4294967295".to_owned() }
}

/// The prefix that `text`, the string `value`, is.
pub(super) fn prefix(value: Value<'_>, text: &str) -> Option<IpNet> {
    or_refuse(value, parse_prefix(text))
}

/// A prefix as in "203.0.113.0/24".
pub(super) fn parse_prefix(text: &str) -> Result<IpNet, Fault> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        let hint = format!("write \"{}\"", IpNet::from(ip));
        return Err(Fault { message: format!("`{text}` has no prefix length"), hint });
    }
    let Ok(net) = text.parse::<IpNet>() else {
        let hint = "write it as in \"203.0.113.0/24\" or \"2001:db8::/32\"".to_owned();
        return Err(Fault { message: format!("`{text}` is not an IP prefix"), hint });
    };
    if net != net.trunc() {
        let hint = format!("write \"{}\"", net.trunc());
        return Err(Fault { message: format!("`{text}` has bits set behind the prefix"), hint });
    }
    Ok(net)
}
