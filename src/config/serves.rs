//! Sources of clients as written in a pool's `serves`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::reader::{Value, string};
use crate::geo::{Country, Subdivision};
use crate::plan::Source;

/// "VN", "continent:OC", "US-CA", "AS64500" or "203.0.113.0/24".
pub(super) fn source(value: Value<'_>) -> Option<Source> {
    let text = string(value)?;
    if let Some(code) = text.strip_prefix("continent:") {
        return match code.parse() {
            Ok(continent) => Some(Source::Continent(continent)),
            Err(_) => value.refuse(
                format!("there is no continent `{code}`"),
                "the continents are AF, AN, AS, EU, NA, OC and SA".to_owned(),
            ),
        };
    }
    if text.contains(['/', ':']) || text.parse::<IpAddr>().is_ok() {
        return prefix(value, &text).map(Source::Prefix);
    }
    if let Some(digits) = as_number(&text) {
        return match digits.parse() {
            // RFC 7607: AS 0 announces nothing.
            Ok(number) if number != 0 => Some(Source::Asn(number)),
            _ => value
                .refuse(format!("`{text}` is not an AS number"), "they go from 1 to 4294967295".to_owned()),
        };
    }
    if text.contains('-') {
        return match text.parse::<Subdivision>() {
            Ok(subdivision) if subdivision.country.is_known() => Some(Source::Subdivision(subdivision)),
            _ => value.refuse(
                format!("`{text}` is not a subdivision"),
                "write its ISO 3166-2 code, as in \"US-CA\"".to_owned(),
            ),
        };
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

/// What follows `AS` if it is digits; "AS" alone is American Samoa.
fn as_number(text: &str) -> Option<&str> {
    let (head, digits) = text.split_at_checked(2)?;
    let is_number = head.eq_ignore_ascii_case("AS") && !digits.is_empty();
    (is_number && digits.bytes().all(|octet| octet.is_ascii_digit())).then_some(digits)
}

/// The prefix that `text`, the string `value`, is.
pub(super) fn prefix(value: Value<'_>, text: &str) -> Option<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        let whole = IpNet::from(ip);
        return value.refuse(format!("`{text}` has no prefix length"), format!("write \"{whole}\""));
    }
    let Ok(net) = text.parse::<IpNet>() else {
        return value.refuse(
            format!("`{text}` is not an IP prefix"),
            "write it as in \"203.0.113.0/24\" or \"2001:db8::/32\"".to_owned(),
        );
    };
    if net != net.trunc() {
        return value.refuse(
            format!("`{text}` has bits set behind the prefix"),
            format!("write \"{}\"", net.trunc()),
        );
    }
    Some(net)
}
