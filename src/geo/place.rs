//! Countries, their subdivisions and the continents, by their codes.

use std::fmt;
use std::str::FromStr;

/// A country by its ISO 3166-1 alpha-2 code.
///
/// Any two letters make one; [`Country::is_known`] says whether such a country exists.
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

/// Why a text or a number does not say a place.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PlaceError {
    /// Not two letters.
    #[error("a country is written as the two letters of ISO 3166-1, such as VN")]
    Country,
    /// Not two letters, a hyphen and one to three letters or digits.
    #[error("a subdivision is written as in ISO 3166-2, such as US-CA")]
    Subdivision,
    /// None of the seven codes.
    #[error("a continent is one of AF, AN, AS, EU, NA, OC and SA")]
    Continent,
    /// Not a number of degrees from -90 to 90.
    #[error("a latitude is from -90 to 90 degrees, not {0}")]
    Latitude(f32),
    /// Not a number of degrees from -180 to 180.
    #[error("a longitude is from -180 to 180 degrees, not {0}")]
    Longitude(f32),
}

impl Country {
    /// The two letters, in upper case.
    pub fn as_bytes(&self) -> [u8; 2] {
        self.0
    }
}

impl Subdivision {
    /// The subdivision of `country` whose own code, the part after the hyphen, is `code`.
    pub fn new(country: Country, code: &str) -> Result<Self, PlaceError> {
        let mut padded = [0; 3];
        let code = code.as_bytes();
        if code.is_empty() || code.len() > padded.len() || !code.iter().all(u8::is_ascii_alphanumeric) {
            return Err(PlaceError::Subdivision);
        }
        padded[..code.len()].copy_from_slice(code);
        padded.make_ascii_uppercase();
        Ok(Subdivision { country, code: padded })
    }
}

impl Continent {
    /// All seven, in the order of their codes.
    pub const ALL: [Continent; 7] = [
        Continent::Africa,
        Continent::Antarctica,
        Continent::Asia,
        Continent::Europe,
        Continent::NorthAmerica,
        Continent::Oceania,
        Continent::SouthAmerica,
    ];

    /// The two letters.
    pub fn code(self) -> &'static str {
        match self {
            Continent::Africa => "AF",
            Continent::Antarctica => "AN",
            Continent::Asia => "AS",
            Continent::Europe => "EU",
            Continent::NorthAmerica => "NA",
            Continent::Oceania => "OC",
            Continent::SouthAmerica => "SA",
        }
    }

    /// The English name.
    pub fn name(self) -> &'static str {
        match self {
            Continent::Africa => "Africa",
            Continent::Antarctica => "Antarctica",
            Continent::Asia => "Asia",
            Continent::Europe => "Europe",
            Continent::NorthAmerica => "North America",
            Continent::Oceania => "Oceania",
            Continent::SouthAmerica => "South America",
        }
    }
}

impl FromStr for Country {
    type Err = PlaceError;

    /// Two ASCII letters in either case.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match *text.as_bytes() {
            [first, second] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() => {
                Ok(Country([first.to_ascii_uppercase(), second.to_ascii_uppercase()]))
            }
            _ => Err(PlaceError::Country),
        }
    }
}

impl FromStr for Subdivision {
    type Err = PlaceError;

    /// A country, a hyphen and one to three letters or digits, in either case.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let (country, code) = text.split_once('-').ok_or(PlaceError::Subdivision)?;
        Subdivision::new(country.parse().map_err(|_| PlaceError::Subdivision)?, code)
    }
}

impl FromStr for Continent {
    type Err = PlaceError;

    /// One of the seven codes, in either case.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        Continent::ALL
            .into_iter()
            .find(|continent| continent.code().eq_ignore_ascii_case(text))
            .ok_or(PlaceError::Continent)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.0).expect("a country is two ASCII letters"))
    }
}

impl fmt::Display for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.country)?;
        let code = self.code.iter().take_while(|&&octet| octet != 0);
        code.copied().map(char::from).try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Display for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is as the type `T`, written back.
    fn check<T: FromStr<Err = PlaceError> + fmt::Display>(text: &str, expected: Result<&str, PlaceError>) {
        let written = text.parse::<T>().map(|place| place.to_string());
        assert_eq!(written, expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn countries() {
        check::<Country>("VN", Ok("VN"));
        check::<Country>("vn", Ok("VN"));
        for text in ["", "V", "VNM", "V1", "ß", "É"] {
            check::<Country>(text, Err(PlaceError::Country));
        }
    }

    #[test]
    fn subdivisions() {
        check::<Subdivision>("US-CA", Ok("US-CA"));
        check::<Subdivision>("gb-eng", Ok("GB-ENG"));
        check::<Subdivision>("AT-9", Ok("AT-9"));
        for text in ["", "US", "US-", "-CA", "US-ABCD", "US-C A", "US-é", "USA-C", "US-C-A"] {
            check::<Subdivision>(text, Err(PlaceError::Subdivision));
        }
    }

    #[test]
    fn continents() {
        for continent in Continent::ALL {
            check::<Continent>(continent.code(), Ok(continent.code()));
            check::<Continent>(&continent.code().to_lowercase(), Ok(continent.code()));
        }
        for text in ["", "Asia", "XX", "E"] {
            check::<Continent>(text, Err(PlaceError::Continent));
        }
    }

    #[test]
    fn subdivisions_differ_by_country_and_code() {
        let codes = ["US-CA", "US-C", "CA-US", "US-CAL"];
        let parsed: std::collections::HashSet<Subdivision> =
            codes.iter().map(|code| code.parse().unwrap()).collect();
        assert_eq!(parsed.len(), codes.len());
    }
}
