//! What the operator says of where clients are, laid over the databases.

use ipnet::IpNet;

use super::interner::Interner;
use super::merge::{CONFIGURATION, Known, Pairs};
use super::{GeoTable, Location, Place, RangeMap};

/// A network that the operator has placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its addresses.
    pub prefix: IpNet,
    /// Where they are, or of which autonomous system, or both.
    pub location: Location,
}

/// What the operator says of where clients are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Placed networks. The most specific one that says where an address is replaces all that the
    /// databases and larger networks say of it, but for the AS number; that is from the most
    /// specific one that gives a number, else from the databases.
    pub networks: Vec<Network>,
    /// Where those count as being of whom no country, continent or coordinates are known. Its AS
    /// number is not looked at.
    pub unknown: Option<Location>,
}

impl GeoTable {
    /// The same table with `overlay` over it.
    pub fn with_overlay(self, overlay: &Overlay) -> Self {
        let Overlay { networks, unknown } = overlay;
        if networks.is_empty() && unknown.is_none() {
            return self;
        }
        let mut said = Interner::with_first(Location::default());
        let prefixes = networks.iter().map(|network| (network.prefix, network.location));
        let upper = RangeMap::from_covering(prefixes, |covering: &[Location]| {
            let place = covering.iter().find(|location| location.is_somewhere());
            let asn = covering.iter().find_map(|location| location.asn);
            said.number(Location { asn, ..place.copied().unwrap_or_default() })
        });
        let said = said.into_values();
        let (lower, known) = self.parts();
        let mut pairs = Pairs::new(|upper: u32, lower: u32| {
            known[lower as usize].under(&said[upper as usize], unknown.as_ref())
        });
        let map = RangeMap::zip(&upper, lower, |upper, lower| pairs.number(upper, lower));
        GeoTable::new(map, &pairs.into_known(), self.databases().to_vec())
    }
}

impl Location {
    /// Whether it says where, not only of which autonomous system.
    fn is_somewhere(&self) -> bool {
        Location { asn: None, ..*self } != Location::default()
    }
}

impl Known {
    /// What is known where the networks of the configuration say `said`, and of the unknown that
    /// they are at `unknown`.
    fn under(&self, said: &Location, unknown: Option<&Location>) -> Known {
        let mut known = *self;
        let placed =
            if said.is_somewhere() { Some(said) } else { unknown.filter(|_| !self.location.is_somewhere()) };
        if let Some(placed) = placed {
            let source = |is_said: bool| if is_said { CONFIGURATION } else { 0 };
            // What follows from a country is told to be of the country, as it is with databases.
            known.sources = [
                source(placed.country.is_some()),
                source(placed.subdivision.is_some()),
                source(placed.continent.is_some()),
                self.sources[3],
                source(placed.coordinates.is_some()),
            ];
            known.location = Location { asn: self.location.asn, ..Place::from(*placed).location };
        }
        if said.asn.is_some() {
            known.location.asn = said.asn;
            known.sources[3] = CONFIGURATION;
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Location {
        Location { country: Some(code.parse().unwrap()), ..Location::default() }
    }

    fn asn(asn: u32) -> Location {
        Location { asn: Some(asn), ..Location::default() }
    }

    fn overlay(networks: &[(&str, Location)], unknown: Option<Location>) -> Overlay {
        let network = |&(prefix, location): &(&str, Location)| Network { prefix: net(prefix), location };
        Overlay { networks: networks.iter().map(network).collect(), unknown }
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    /// Country, AS number and their sources at an address.
    #[track_caller]
    fn check(table: &GeoTable, address: &str, expected: &str) {
        let description = table.describe(address.parse().unwrap());
        let Location { country, asn, .. } = description.place.location;
        let field = |value: Option<String>, source: Option<&str>| match (value, source) {
            (Some(value), Some(source)) => format!("{value} by {source}"),
            (value, source) => format!("{value:?} {source:?}"),
        };
        let found = [
            field(country.map(|country| country.to_string()), description.sources.country),
            field(asn.map(|asn| asn.to_string()), description.sources.asn),
        ];
        assert_eq!(found.join(", "), expected, "{address}");
    }

    #[test]
    fn the_most_specific_network_wins_by_place_and_by_number() {
        let table = GeoTable::embedded().with_overlay(&overlay(
            &[
                ("10.0.0.0/8", Location { asn: Some(64500), ..country("VN") }),
                ("10.1.0.0/16", asn(64501)),
                ("10.1.1.0/24", country("HK")),
                ("fd00::/8", country("TH")),
                ("113.160.0.0/16", asn(64502)),
                ("6.1.0.0/16", country("SG")),
            ],
            None,
        ));
        check(&table, "10.2.0.1", "VN by configuration, 64500 by configuration");
        check(&table, "10.1.0.1", "VN by configuration, 64501 by configuration");
        check(&table, "10.1.1.1", "HK by configuration, 64501 by configuration");
        check(&table, "fd12::1", "TH by configuration, None None");
        check(&table, "113.160.0.1", "VN by embedded, 64502 by configuration");
        check(&table, "6.1.0.1", "SG by configuration, None None");
        check(&table, "6.0.0.1", "US by embedded, None None");
        check(&table, "192.168.0.1", "None None, None None");
    }

    #[test]
    fn a_placed_network_forgets_the_rest_of_its_place() {
        let point = crate::geo::Coordinates::new(10.0, 106.0).unwrap();
        let below = Location {
            subdivision: Some("US-CA".parse().unwrap()),
            coordinates: Some(point),
            asn: Some(64500),
            ..country("US")
        };
        let table = GeoTable::empty()
            .with_overlay(&overlay(&[("192.0.2.0/24", below)], None))
            .with_overlay(&overlay(&[("192.0.2.0/25", country("DE"))], None));
        let germany = Place::from(Location { asn: Some(64500), ..country("DE") });
        assert_eq!(*table.locate("192.0.2.1".parse().unwrap()).place, germany);
        let description = table.describe("192.0.2.1".parse().unwrap());
        let sources = description.sources;
        assert_eq!((sources.country, sources.asn), (Some("configuration"), Some("configuration")));
        assert_eq!((sources.subdivision, sources.continent, sources.coordinates), (None, None, None));
        assert_eq!(*table.locate("192.0.2.128".parse().unwrap()).place, Place::from(below));
    }

    #[test]
    fn the_unknown_are_where_they_count_as_being() {
        let continent = Location { continent: Some(crate::geo::Continent::Europe), ..Location::default() };
        let networks =
            [("10.0.0.0/8", country("HK")), ("192.0.2.0/24", asn(64500)), ("198.51.100.0/24", continent)];
        let table = GeoTable::embedded().with_overlay(&overlay(&networks, Some(country("VN"))));
        check(&table, "127.0.0.1", "VN by configuration, None None");
        check(&table, "::1", "VN by configuration, None None");
        check(&table, "10.0.0.1", "HK by configuration, None None");
        check(&table, "192.0.2.1", "VN by configuration, 64500 by configuration");
        check(&table, "198.51.100.1", "None None, None None");
        check(&table, "6.0.0.1", "US by embedded, None None");
        let nowhere = GeoTable::empty().with_overlay(&overlay(&[], Some(country("VN"))));
        let located = nowhere.locate("192.0.2.1".parse().unwrap());
        assert_eq!((*located.place, located.scope), (Place::from(country("VN")), 0));
    }

    #[test]
    fn an_empty_overlay_changes_nothing() {
        let table = GeoTable::embedded();
        let ranges = table.ranges();
        assert_eq!(table.with_overlay(&Overlay::default()).ranges(), ranges);
    }
}
