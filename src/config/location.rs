//! Places as written: of pools and of networks.

use super::reader::{Table, Value, number};
use super::report::Report;
use super::serves::{continent, country, subdivision};
use super::source::Located;
use crate::geo::{Continent, Coordinates, Country, Location, Subdivision};

/// Where a pool is: `{ country = "VN" }` or `{ latitude = 10.8, longitude = 106.6 }`.
pub(super) fn location(value: Value<'_>) -> Option<Coordinates> {
    let mut table = value.table()?;
    let is_empty = table.is_empty();
    if table.has("country") && is_point(&table) {
        value.refuse::<()>("a location is a country or a point, not both", None);
    }
    let country = table.optional("country", country);
    let point = point(&mut table);
    table.finish();
    if is_empty {
        return value.refuse(
            "the location is empty",
            "write { country = \"VN\" } or { latitude = 10.8, longitude = 106.6 }".to_owned(),
        );
    }
    match country {
        // Every country that is known has coordinates.
        Some(country) => country.value.coordinates(),
        None => point,
    }
}

/// What is known of where clients are, as written.
pub(super) struct LocationSpec {
    country: Option<Located<Country>>,
    subdivision: Option<Located<Subdivision>>,
    continent: Option<Located<Continent>>,
    coordinates: Option<Coordinates>,
}

impl LocationSpec {
    /// Takes its keys out of `table`.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        LocationSpec {
            country: table.optional("country", country),
            subdivision: table.optional("subdivision", subdivision),
            continent: table.optional("continent", continent),
            coordinates: point(table),
        }
    }

    /// The location, whose country is that of its subdivision if it says none.
    pub(super) fn convert(self, report: &Report) -> Location {
        let LocationSpec { country, subdivision, continent, coordinates } = self;
        if let (Some(country), Some(subdivision)) = (&country, &subdivision)
            && country.value != subdivision.value.country
        {
            report.error(
                subdivision.place,
                format!("`{}` is no subdivision of `{}`", subdivision.value, country.value),
            );
        }
        let subdivision = subdivision.map(|subdivision| subdivision.value);
        Location {
            country: country
                .map(|country| country.value)
                .or_else(|| subdivision.map(|subdivision| subdivision.country)),
            subdivision,
            continent: continent.map(|continent| continent.value),
            asn: None,
            coordinates,
        }
    }
}

fn is_point(table: &Table<'_>) -> bool {
    table.has("latitude") || table.has("longitude")
}

/// `latitude` and `longitude` of a table: both or none.
fn point(table: &mut Table<'_>) -> Option<Coordinates> {
    let is_point = is_point(table);
    let mut degrees = |key, most: f32| {
        let read = number(-most..=most);
        if is_point { table.required(key, read) } else { table.optional(key, read) }
    };
    let (latitude, longitude) = (degrees("latitude", 90.0), degrees("longitude", 180.0));
    // What has been read is in range.
    Coordinates::new(latitude?.value, longitude?.value).ok()
}
