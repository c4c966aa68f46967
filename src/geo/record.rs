//! A record of a MaxMind-format database, in whatever schema, to a location.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Continent, Coordinates, Country, Location, Subdivision};

/// A decoded value.
#[derive(Debug)]
pub(super) enum Value<'r> {
    Text(&'r str),
    Number(f64),
    Map(Vec<(&'r str, Value<'r>)>),
    List(Vec<Value<'r>>),
    /// Of a type that no field has.
    Other,
}

impl Value<'_> {
    /// What the record says, in the schemas of MaxMind (GeoIP2 and GeoLite2), DB-IP, IPinfo and
    /// ip-location-db.
    pub(super) fn location(&self) -> Location {
        let country = self.country();
        Location {
            country,
            subdivision: country.and_then(|country| self.subdivision(country)),
            continent: self.continent(),
            asn: self.asn(),
            coordinates: self.coordinates(),
        }
    }

    /// How many values it is made of: what decoding it has cost.
    pub(super) fn size(&self) -> usize {
        match self {
            Value::Map(entries) => 1 + entries.iter().map(|(_, value)| value.size()).sum::<usize>(),
            Value::List(values) => 1 + values.iter().map(Value::size).sum::<usize>(),
            Value::Text(_) | Value::Number(_) | Value::Other => 1,
        }
    }

    /// Where the client is, or else where its network is registered. Codes that stand for no
    /// country, such as `EU` and `ZZ`, say nothing.
    fn country(&self) -> Option<Country> {
        let paths: [&[&str]; 4] =
            [&["country", "iso_code"], &["country_code"], &["country"], &["registered_country", "iso_code"]];
        let country = |path: &[&str]| self.text(path)?.parse().ok().filter(Country::is_known);
        paths.into_iter().find_map(country)
    }

    /// Only codes: a name such as `California` is not one.
    fn subdivision(&self, country: Country) -> Option<Subdivision> {
        let first = match self.at(&["subdivisions"]) {
            Some(Value::List(list)) => list.first().and_then(|first| first.text(&["iso_code"])),
            _ => None,
        };
        let code = first.or_else(|| self.text(&["region_code"])).or_else(|| self.text(&["region"]))?;
        // A short name in mixed case, such as Peru's Ica, would otherwise pass for a code.
        if code.bytes().any(|octet| octet.is_ascii_lowercase()) {
            return None;
        }
        let own = code.strip_prefix(&format!("{country}-")).unwrap_or(code);
        Subdivision::new(country, own).ok()
    }

    fn continent(&self) -> Option<Continent> {
        let paths: [&[&str]; 3] = [&["continent", "code"], &["continent_code"], &["continent"]];
        paths.into_iter().find_map(|path| self.text(path)?.parse().ok())
    }

    fn asn(&self) -> Option<u32> {
        let number = self.at(&["autonomous_system_number"]).or_else(|| self.at(&["asn"]))?;
        let asn = match number {
            Value::Number(number)
                if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number) =>
            {
                *number as u32
            }
            Value::Text(text) => {
                let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
                digits.parse().ok()?
            }
            _ => return None,
        };
        // RFC 7607: AS 0 is nobody's.
        (asn != 0).then_some(asn)
    }

    fn coordinates(&self) -> Option<Coordinates> {
        let number = |paths: [&[&str]; 3]| paths.into_iter().find_map(|path| self.at(path)?.number());
        let latitude = number([&["location", "latitude"], &["latitude"], &["lat"]])?;
        let longitude = number([&["location", "longitude"], &["longitude"], &["lng"]])?;
        Coordinates::new(latitude as f32, longitude as f32).ok()
    }

    fn at(&self, path: &[&str]) -> Option<&Self> {
        let [key, rest @ ..] = path else { return Some(self) };
        let Value::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key)?.1.at(rest)
    }

    fn text(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the MaxMind format")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(text))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }
}
