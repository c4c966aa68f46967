//! The map as a decision sees it that looks at some fields only.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::interner::Interner;
use super::{Fields, Located, Place, RangeMap};

/// Where clients are, by some of the fields of a location.
///
/// Neighbouring addresses that differ in other fields only are one range, so that scopes are no
/// longer than the decision needs (RFC 7871 section 7.2.1): what follows from the country does not
/// split a resolver's cache by city.
pub struct GeoView {
    /// Numbers into `places`.
    map: Arc<RangeMap>,
    places: Arc<[Place]>,
}

impl GeoView {
    /// What `map`, of numbers into `places`, shows by `fields`.
    pub(super) fn of(map: &Arc<RangeMap>, places: &Arc<[Place]>, fields: Fields) -> Self {
        let mut distinct = Interner::new();
        let mut shown: Vec<Place> = Vec::new();
        let number_of = |place: &Place| {
            let only = place.only(fields);
            let number = distinct.number(only.location);
            // Numbers are given in order.
            if number as usize == shown.len() {
                shown.push(only);
            }
            number
        };
        let numbers: Vec<u32> = places.iter().map(number_of).collect();
        // Where no two places have become one, each has its own number still.
        let map = if shown.len() == places.len() {
            map.clone()
        } else {
            Arc::new(map.map(|number| numbers[number as usize]))
        };
        let places = if places[..] == shown { places.clone() } else { shown.into() };
        GeoView { map, places }
    }

    /// Has the first fetched from memory that a look-up of `ip` is going to read.
    #[inline(always)]
    pub fn fetch(&self, ip: IpAddr) {
        self.map.fetch(ip);
    }

    /// Where `ip` is, and for whom else that holds. An IPv4-mapped IPv6 address is where its IPv4
    /// address is, with its scope.
    ///
    /// Fields that the view is not of are `None`, and so is the position in a view without
    /// coordinates.
    #[inline(always)]
    pub fn locate(&self, ip: IpAddr) -> Located<'_> {
        let (number, scope) = self.map.lookup(ip);
        Located { place: &self.places[number as usize], scope }
    }

    /// How many ranges of IPv4 and of IPv6 addresses it tells apart.
    pub fn ranges(&self) -> (usize, usize) {
        self.map.len()
    }
}

impl fmt::Debug for GeoView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (v4, v6) = self.ranges();
        f.debug_struct("GeoView")
            .field("places", &self.places.len())
            .field("v4_ranges", &v4)
            .field("v6_ranges", &v6)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;
    use crate::geo::edges;
    use crate::geo::{Coordinates, Location};

    /// The view by `fields` of a map in which the prefixes are at these locations.
    fn view(prefixes: &[(IpNet, Location)], fields: Fields) -> GeoView {
        let places = std::iter::once(Place::UNKNOWN)
            .chain(prefixes.iter().map(|(_, location)| Place::from(*location)))
            .collect();
        let numbered = (1..).zip(prefixes).map(|(number, (prefix, _))| (*prefix, number));
        GeoView::of(&Arc::new(RangeMap::from_prefixes(0, numbered)), &places, fields)
    }

    fn location(country: &str, asn: u32) -> Location {
        Location { country: Some(country.parse().unwrap()), asn: Some(asn), ..Location::default() }
    }

    fn neighbours() -> Vec<(IpNet, Location)> {
        [("192.0.2.0/25", location("VN", 1)), ("192.0.2.128/25", location("VN", 2))]
            .map(|(prefix, location)| (prefix.parse().unwrap(), location))
            .to_vec()
    }

    #[test]
    fn a_field_that_is_not_looked_at_does_not_split() {
        let vietnam = location("VN", 1).country;
        for (fields, country, asn, scope) in [
            (Fields::COUNTRY, vietnam, None, 24),
            (Fields::ASN, None, Some(1), 25),
            (Fields::ALL, vietnam, Some(1), 25),
            (Fields::NONE, None, None, 0),
        ] {
            let view = view(&neighbours(), fields);
            let located = view.locate("192.0.2.1".parse().unwrap());
            let found = (located.place.location.country, located.place.location.asn, located.scope);
            assert_eq!(found, (country, asn, scope), "{fields:?}");
        }
    }

    #[test]
    fn what_follows_from_the_country_is_there_without_it() {
        let vietnam = location("VN", 1).country.unwrap();
        let ip = "192.0.2.1".parse().unwrap();
        let view_by = |fields| view(&neighbours(), fields);
        let continent = *view_by(Fields::CONTINENT).locate(ip).place;
        assert_eq!(
            continent,
            Place::exactly(Location { continent: vietnam.continent(), ..Location::default() })
        );
        let point = *view_by(Fields::COORDINATES).locate(ip).place;
        let coordinates = vietnam.coordinates();
        assert_eq!(point, Place::exactly(Location { coordinates, ..Location::default() }));
        assert!(point.position.is_some());
    }

    #[test]
    fn a_view_in_which_nothing_merges_shares_the_map() {
        let prefixes = neighbours();
        let places: Arc<[Place]> =
            [Place::UNKNOWN, Place::from(prefixes[0].1), Place::from(prefixes[1].1)].into();
        let map = Arc::new(RangeMap::from_prefixes(0, [(prefixes[0].0, 1), (prefixes[1].0, 2)]));
        for (fields, shares_map, shares_places) in
            [(Fields::ALL, true, true), (Fields::ASN, true, false), (Fields::COUNTRY, false, false)]
        {
            let view = GeoView::of(&map, &places, fields);
            assert_eq!(Arc::ptr_eq(&view.map, &map), shares_map, "{fields:?}");
            assert_eq!(Arc::ptr_eq(&view.places, &places), shares_places, "{fields:?}");
        }
    }

    /// Few values of each field, so that neighbours often agree in some.
    fn locations() -> impl Strategy<Value = Location> {
        let countries = prop::sample::select(vec!["VN", "HK", "DE"]).prop_map(|code| code.parse().unwrap());
        let points = prop::sample::select(vec![(10.0, 106.0), (21.0, 105.0)])
            .prop_map(|(latitude, longitude)| Coordinates::new(latitude, longitude).unwrap());
        let subdivisions =
            prop::sample::select(vec!["VN-SG", "VN-HN"]).prop_map(|code| code.parse().unwrap());
        let (country, subdivision) = (prop::option::of(countries), prop::option::of(subdivisions));
        let (asn, coordinates) = (prop::option::of(1u32..3), prop::option::of(points));
        (country, subdivision, asn, coordinates).prop_map(|(country, subdivision, asn, coordinates)| {
            Location { country, subdivision, continent: None, asn, coordinates }
        })
    }

    /// Prefixes that nest, touch and reach the ends of both families.
    fn prefixes() -> impl Strategy<Value = Vec<(IpNet, Location)>> {
        let v4 = (prop::sample::select(vec![0u32, 0x0A00_0000, 0xFFFF_FFF0]), 0u32..16, 0u8..=32)
            .prop_map(|(base, offset, length)| IpNet::new(Ipv4Addr::from(base | offset).into(), length));
        let v6 = (prop::sample::select(vec![0x2001_0db8 << 96, !0xF]), 0u128..16, 0u8..=128)
            .prop_map(|(base, offset, length)| IpNet::new(Ipv6Addr::from(base | offset).into(), length));
        let prefix = prop_oneof![v4, v6].prop_map(|net| net.unwrap().trunc());
        prop::collection::vec((prefix, locations()), 0..16)
    }

    proptest! {
        #[test]
        fn a_scope_is_the_shortest_prefix_of_equal_fields(
            prefixes in prefixes(),
            fields in 0..Fields::COUNT as u8,
        ) {
            let sets = [
                Fields::COUNTRY, Fields::CONTINENT, Fields::SUBDIVISION, Fields::ASN, Fields::COORDINATES,
            ];
            let chosen = (0..).zip(sets).filter(|(bit, _)| fields & (1 << bit) != 0);
            let fields = chosen.fold(Fields::NONE, |all, (_, field)| all | field);
            let view = view(&prefixes, fields);
            let expected = |ip: IpAddr| {
                // The first of equal ones counts, and `min_by_key` takes the first as well.
                let covering = prefixes.iter().filter(|(prefix, _)| prefix.contains(&ip));
                let found = covering.min_by_key(|(prefix, _)| u8::MAX - prefix.prefix_len());
                Place::from(found.map_or(Location::default(), |(_, location)| *location)).location.only(fields)
            };
            let edges = edges(prefixes.iter().map(|(prefix, _)| *prefix));
            for &ip in &edges {
                let Located { place, scope } = view.locate(ip);
                prop_assert_eq!(*place, Place::exactly(expected(ip)));
                // Whether all addresses that share `length` bits are alike: the first that is not
                // would be next to an edge.
                let is_alike = |length: u8| {
                    let block = IpNet::new(ip, length).unwrap();
                    edges.iter().filter(|edge| block.contains(*edge)).all(|&edge| expected(edge) == expected(ip))
                };
                prop_assert!(is_alike(scope), "{} with scope {}", ip, scope);
                prop_assert!(scope == 0 || !is_alike(scope - 1), "{} with scope {}", ip, scope);
            }
        }
    }
}
