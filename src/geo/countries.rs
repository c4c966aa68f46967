//! The table of countries: name, continent and centroid of each.

use std::sync::LazyLock;

use super::{Continent, Coordinates, Country};

/// One row per country; its header names source and licence.
const CSV: &str = include_str!("../../geoip/countries.csv");

/// The rows by their codes, one slot for each pair of letters.
static ROWS: LazyLock<Vec<Option<Row>>> = LazyLock::new(rows);

#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    continent: Continent,
    coordinates: Coordinates,
}

impl Country {
    /// All countries of ISO 3166-1, and Kosovo (`XK`), in the order of their codes.
    pub fn all() -> impl Iterator<Item = Country> {
        let letters = || b'A'..=b'Z';
        letters()
            .flat_map(move |first| letters().map(move |second| [first, second]))
            .filter_map(|code| std::str::from_utf8(&code).ok()?.parse().ok())
            .filter(Country::is_known)
    }

    /// Whether it is in ISO 3166-1, or is Kosovo, which uses `XK`.
    pub fn is_known(&self) -> bool {
        self.row().is_some()
    }

    /// Its English short name; `None` for a country that is not known.
    pub fn name(&self) -> Option<&'static str> {
        Some(self.row()?.name)
    }

    /// The continent that most of it lies on; `None` for a country that is not known.
    pub fn continent(&self) -> Option<Continent> {
        Some(self.row()?.continent)
    }

    /// The centroid of its largest contiguous part; `None` for a country that is not known.
    pub fn coordinates(&self) -> Option<Coordinates> {
        Some(self.row()?.coordinates)
    }

    fn row(&self) -> Option<&'static Row> {
        ROWS[slot(*self)].as_ref()
    }
}

fn slot(country: Country) -> usize {
    let [first, second] = country.as_bytes();
    usize::from(first - b'A') * 26 + usize::from(second - b'A')
}

fn rows() -> Vec<Option<Row>> {
    let mut rows = vec![None; 26 * 26];
    let lines = CSV.lines().filter(|line| !line.starts_with('#')).skip(1);
    for line in lines {
        let (country, row) = parse(line).expect("the tests parse every row of the embedded table");
        rows[slot(country)] = Some(row);
    }
    rows
}

/// `code,name,continent,latitude,longitude`, where only the name may be quoted.
fn parse(line: &'static str) -> Option<(Country, Row)> {
    let (code, rest) = line.split_once(',')?;
    let mut fields = rest.rsplitn(4, ',');
    let longitude = fields.next()?.parse().ok()?;
    let latitude = fields.next()?.parse().ok()?;
    let continent = fields.next()?.parse().ok()?;
    let name = fields.next()?.trim_matches('"');
    let coordinates = Coordinates::new(latitude, longitude).ok()?;
    Some((code.parse().ok()?, Row { name, continent, coordinates }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        code.parse().unwrap()
    }

    #[test]
    fn every_country_is_there() {
        // ISO 3166-1 has 249 codes assigned, and XK makes 250.
        assert_eq!(Country::all().count(), 250);
        assert!(Country::all().all(|country| !country.name().unwrap().is_empty()));
    }

    #[test]
    fn some_countries() {
        let cases = [
            ("VN", "Viet", Continent::Asia, 16.0, 107.0),
            ("HK", "Hong", Continent::Asia, 22.3, 114.1),
            ("US", "United States", Continent::NorthAmerica, 39.5, -98.5),
            ("DE", "Germany", Continent::Europe, 51.0, 10.4),
            ("AU", "Australia", Continent::Oceania, -25.5, 134.5),
            ("BR", "Brazil", Continent::SouthAmerica, -10.5, -53.0),
            ("ZA", "South Africa", Continent::Africa, -29.0, 25.0),
            ("FR", "France", Continent::Europe, 46.5, 2.5),
            ("GF", "French Guiana", Continent::SouthAmerica, 4.0, -53.0),
            ("NO", "Norway", Continent::Europe, 64.0, 13.0),
            ("AQ", "Antarctica", Continent::Antarctica, -90.0, 0.0),
            ("RU", "Russia", Continent::Europe, 62.0, 97.0),
            ("FJ", "Fiji", Continent::Oceania, -17.8, 178.0),
            ("XK", "Kosovo", Continent::Europe, 42.6, 20.9),
        ];
        for (code, name, continent, latitude, longitude) in cases {
            let found = country(code);
            assert!(found.name().unwrap().starts_with(name), "{:?}", found.name());
            assert_eq!(found.continent(), Some(continent), "{code}");
            let point = found.coordinates().unwrap();
            let off = point.distance_km(&Coordinates::new(latitude, longitude).unwrap());
            assert!(off < 350.0, "{code} is at {point}, {off} km off");
        }
    }

    #[test]
    fn unknown_countries() {
        for code in ["ZZ", "XX", "EU", "AP"] {
            assert!(!country(code).is_known(), "{code}");
            assert_eq!(country(code).coordinates(), None);
        }
    }
}
