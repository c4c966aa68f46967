//! What is known of where a client is.

use super::{Continent, Coordinates, Country, Fields, Subdivision, UnitVector};

/// What databases say of an address. Nothing is known of most addresses in every respect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Location {
    /// The country it is in.
    pub country: Option<Country>,
    /// The state, province or region of that country.
    pub subdivision: Option<Subdivision>,
    /// The continent it is on.
    pub continent: Option<Continent>,
    /// The number of the autonomous system that announces it.
    pub asn: Option<u32>,
    /// The point it is at, as well as is known.
    pub coordinates: Option<Coordinates>,
}

/// A location made ready for the query path.
///
/// Where the databases give no coordinates, they are the centroid of the country; where they give
/// no continent, it is the country's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// The location, completed from what is known of its country.
    pub location: Location,
    /// The location's coordinates as a vector.
    pub position: Option<UnitVector>,
}

impl Location {
    /// The same with nothing known but `fields`.
    pub fn only(&self, fields: Fields) -> Location {
        let Location { country, subdivision, continent, asn, coordinates } = *self;
        Location {
            country: country.filter(|_| fields.contains(Fields::COUNTRY)),
            subdivision: subdivision.filter(|_| fields.contains(Fields::SUBDIVISION)),
            continent: continent.filter(|_| fields.contains(Fields::CONTINENT)),
            asn: asn.filter(|_| fields.contains(Fields::ASN)),
            coordinates: coordinates.filter(|_| fields.contains(Fields::COORDINATES)),
        }
    }
}

impl Place {
    /// Nothing is known.
    pub const UNKNOWN: Place = Place {
        location: Location {
            country: None,
            subdivision: None,
            continent: None,
            asn: None,
            coordinates: None,
        },
        position: None,
    };

    /// The same with nothing known but `fields`.
    pub(super) fn only(&self, fields: Fields) -> Self {
        let position = self.position.filter(|_| fields.contains(Fields::COORDINATES));
        Place { location: self.location.only(fields), position }
    }

    /// The place of which no more is known than `location` says.
    pub(super) fn exactly(location: Location) -> Self {
        Place { location, position: location.coordinates.map(UnitVector::from) }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let country = location.country;
        let coordinates = location.coordinates.or_else(|| country?.coordinates());
        let continent = location.continent.or_else(|| country?.continent());
        Place::exactly(Location { continent, coordinates, ..location })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_from_the_country() {
        let vietnam: Country = "VN".parse().unwrap();
        let place = Place::from(Location { country: Some(vietnam), ..Location::default() });
        assert_eq!(place.location.continent, Some(Continent::Asia));
        assert_eq!(place.location.coordinates, vietnam.coordinates());
        assert_eq!(place.position, vietnam.coordinates().map(UnitVector::from));
    }

    #[test]
    fn what_is_given_stays() {
        let location = Location {
            country: Some("TR".parse().unwrap()),
            subdivision: Some("TR-34".parse().unwrap()),
            continent: Some(Continent::Europe),
            asn: Some(64500),
            coordinates: Some(Coordinates::new(41.0, 29.0).unwrap()),
        };
        assert_eq!(Place::from(location).location, location);
    }

    #[test]
    fn nothing_comes_from_nothing() {
        assert_eq!(Place::from(Location::default()), Place::UNKNOWN);
    }

    #[test]
    fn fits_one_cache_line() {
        assert!(size_of::<Place>() <= 64);
    }
}
