//! Places by their codes and on the globe.

use std::fmt;
use std::str::FromStr;

/// A country by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

/// A first-level subdivision by its ISO 3166-2 code, such as `US-CA`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subdivision {
    /// The country it is a part of.
    pub country: Country,
    /// One to three letters or digits, padded with zero octets.
    code: [u8; 3],
}

/// A continent by the two letters that MaxMind's databases use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Continent {
    /// `AF`
    Africa,
    /// `AN`
    Antarctica,
    /// `AS`
    Asia,
    /// `EU`
    Europe,
    /// `NA`
    NorthAmerica,
    /// `OC`
    Oceania,
    /// `SA`
    SouthAmerica,
}

/// A point on the globe, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    /// North positive, -90 to 90.
    pub latitude: f32,
    /// East positive, -180 to 180.
    pub longitude: f32,
}

impl fmt::Debug for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}-", self.country)
    }
}

impl fmt::Debug for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("?")
    }
}

impl FromStr for Country {
    type Err = ();

    /// Two ASCII letters in any case. Whether such a country exists is [`crate::geo::country`]'s to say.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.as_bytes() {
            [first, second] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() => {
                Ok(Country([first.to_ascii_uppercase(), second.to_ascii_uppercase()]))
            }
            _ => Err(()),
        }
    }
}
impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}
impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
