//! What of a configuration can be edited, and what it is called.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::dns::{Name, Rtype};

/// What cannot stand as it is in a segment of a path (RFC 3986 section 3.3).
const SEGMENT: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b'?').add(b'<').add(b'>');

/// A thing of the configuration that can be edited, written as its path in the API: `pools/a`,
/// `pools/a/addresses/b`, `domains/a.example`, `health_checks/a`, `conditions/a`, or
/// `zones/a.example/records/b/TXT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Object {
    /// `[pool.NAME]`
    Pool(String),
    /// An element of `[[pool.NAME.address]]`.
    Address {
        /// The pool's name.
        pool: String,
        /// Its own name within the pool.
        name: String,
    },
    /// An element of `[[domain]]`.
    Domain(Name),
    /// `[health_check.NAME]`
    HealthCheck(String),
    /// `[condition.NAME]`
    Condition(String),
    /// The elements of `[[zone.record]]` with this owner and type: an RRset.
    Record {
        /// The zone's apex.
        zone: Name,
        /// The whole name that the records are of.
        owner: Name,
        /// Their type.
        rtype: Rtype,
    },
}

/// A text that names no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownObject {
    /// There is no such kind of thing.
    #[error(
        "`{0}` names nothing that can be edited; write it as in pools/NAME, pools/NAME/addresses/NAME, \
         domains/NAME, health_checks/NAME, conditions/NAME or zones/NAME/records/NAME/TYPE"
    )]
    Kind(String),
    /// A domain name in it is none.
    #[error("`{0}` is not a domain name")]
    Name(String),
    /// A record type in it is none.
    #[error("`{0}` is not a record type")]
    Type(String),
}

impl Object {
    /// An RRset of `zone`, whose owner is written relative to it; `@` is the apex.
    ///
    /// # Errors
    ///
    /// If one of the texts is no name or no type.
    pub fn record(zone: &str, owner: &str, rtype: &str) -> Result<Self, UnknownObject> {
        let zone: Name = zone.parse().map_err(|_| UnknownObject::Name(zone.to_owned()))?;
        let owner = Name::relative(owner, &zone).map_err(|_| UnknownObject::Name(owner.to_owned()))?;
        let rtype = Rtype::parse(rtype).ok_or_else(|| UnknownObject::Type(rtype.to_owned()))?;
        Ok(Object::Record { zone, owner, rtype })
    }

    /// The pool that it is or is part of.
    pub fn pool(&self) -> Option<&str> {
        match self {
            Object::Pool(pool) | Object::Address { pool, .. } => Some(pool),
            _ => None,
        }
    }

    /// Whether it is `other` or a part of it.
    pub fn is_within(&self, other: &Object) -> bool {
        self == other
            || matches!((self, other), (Object::Address { pool, .. }, Object::Pool(of)) if pool == of)
    }
}

/// `owner` as it is written in `zone`.
pub(super) fn relative(owner: &Name, zone: &Name) -> String {
    if owner == zone {
        return "@".to_owned();
    }
    let whole = owner.to_string();
    if zone.label_count() == 0 {
        return whole;
    }
    match whole.strip_suffix(&format!(".{zone}")) {
        Some(relative) if owner.is_within(zone) => relative.to_owned(),
        _ => format!("{}.", whole.trim_end_matches('.')),
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segment = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        match self {
            Object::Pool(name) => write!(f, "pools/{}", segment(name)),
            Object::Address { pool, name } => {
                write!(f, "pools/{}/addresses/{}", segment(pool), segment(name))
            }
            Object::Domain(name) => write!(f, "domains/{}", segment(&name.to_string())),
            Object::HealthCheck(name) => write!(f, "health_checks/{}", segment(name)),
            Object::Condition(name) => write!(f, "conditions/{}", segment(name)),
            Object::Record { zone, owner, rtype } => {
                let (apex, owner) = (segment(&zone.to_string()), segment(&relative(owner, zone)));
                write!(f, "zones/{apex}/records/{owner}/{rtype}")
            }
        }
    }
}

impl FromStr for Object {
    type Err = UnknownObject;

    fn from_str(text: &str) -> Result<Self, UnknownObject> {
        let unknown = || UnknownObject::Kind(text.to_owned());
        let segments: Vec<String> = text
            .trim_start_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().map(Into::into))
            .collect::<Result<_, _>>()
            .map_err(|_| unknown())?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if segments.contains(&"") {
            return Err(unknown());
        }
        match segments[..] {
            ["pools", name] => Ok(Object::Pool(name.to_owned())),
            ["pools", pool, "addresses", name] => {
                Ok(Object::Address { pool: pool.to_owned(), name: name.to_owned() })
            }
            ["domains", name] => {
                name.parse().map(Object::Domain).map_err(|_| UnknownObject::Name(name.to_owned()))
            }
            ["health_checks", name] => Ok(Object::HealthCheck(name.to_owned())),
            ["conditions", name] => Ok(Object::Condition(name.to_owned())),
            ["zones", zone, "records", owner, rtype] => Object::record(zone, owner, rtype),
            _ => Err(unknown()),
        }
    }
}

impl From<Object> for String {
    fn from(object: Object) -> String {
        object.to_string()
    }
}

impl TryFrom<String> for Object {
    type Error = UnknownObject;

    fn try_from(text: String) -> Result<Self, UnknownObject> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_are_their_paths() {
        for text in [
            "pools/a",
            "pools/a/addresses/b%2F192.0.2.1",
            "domains/a.example",
            "domains/a%2Fb.example",
            "domains/*.example",
            "health_checks/web",
            "conditions/db",
            "zones/a.example/records/@/TXT",
            "zones/a.example/records/www.b/A",
            "zones/a.example/records/*/TYPE65400",
            "zones/./records/com/NS",
        ] {
            let object: Object = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(object.to_string(), text);
        }
        let upper: Object = "domains/A.EXAMPLE.".parse().expect("case does not matter in DNS");
        assert_eq!(upper.to_string(), "domains/a.example");
    }

    #[test]
    fn nothing_else_is_an_object() {
        for (text, error) in [
            ("", "`` names nothing that can be edited"),
            ("pools", "`pools` names nothing"),
            ("pools//addresses/a", "`pools//addresses/a` names nothing"),
            ("server/listen", "`server/listen` names nothing"),
            ("domains/a..b", "`a..b` is not a domain name"),
            ("zones/a.example/records/b/NOTYPE", "`NOTYPE` is not a record type"),
            ("pools/%ff", "`pools/%ff` names nothing"),
        ] {
            let found = text.parse::<Object>().expect_err(text).to_string();
            assert!(found.starts_with(error), "{text}: {found}");
        }
    }
}
