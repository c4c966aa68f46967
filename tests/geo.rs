//! Databases of every schema through [`GeoTable`], and what becomes of damaged ones.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rhumb::geo::{Coordinates, Database, Fields, GeoError, GeoTable, Location, Place};

#[path = "support/mmdb.rs"]
mod mmdb;

use mmdb::{Value, Writer, map, text};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an IP address")
}

fn database(name: &str, writer: &Writer) -> Database {
    Database { name: name.to_owned(), bytes: Cow::Owned(writer.bytes()) }
}

fn table(writers: &[(&str, &Writer)]) -> GeoTable {
    GeoTable::from_databases(writers.iter().map(|(name, writer)| database(name, writer)))
        .expect("sound databases")
}

/// Writes a place as `country subdivision continent AS coordinates`, with `-` for what is not known.
fn written(place: &Place) -> String {
    let Location { country, subdivision, continent, asn, coordinates } = place.location;
    assert_eq!(place.position, coordinates.map(Into::into), "the vector is that of the coordinates");
    let or_dash = |field: Option<String>| field.unwrap_or_else(|| "-".to_owned());
    [
        or_dash(country.map(|country| country.to_string())),
        or_dash(subdivision.map(|subdivision| subdivision.to_string())),
        or_dash(continent.map(|continent| continent.to_string())),
        or_dash(asn.map(|asn| asn.to_string())),
        or_dash(coordinates.map(|Coordinates { latitude, longitude }| format!("{latitude},{longitude}"))),
    ]
    .join(" ")
}

#[track_caller]
fn check(table: &GeoTable, cases: &[(&str, &str, u8)]) {
    for &(address, place, scope) in cases {
        let located = table.locate(ip(address));
        assert_eq!((written(located.place).as_str(), located.scope), (place, scope), "{address}");
    }
}

/// As in GeoLite2-City and GeoIP2-City.
fn city(country: &str, subdivision: &str, continent: &str, latitude: f64, longitude: f64) -> Value {
    let names = || map([("en", text("a name")), ("de", text("ein Name"))]);
    map([
        ("city", map([("geoname_id", Value::U32(5_368_361)), ("names", names())])),
        ("continent", map([("code", text(continent)), ("names", names())])),
        ("country", map([("geoname_id", Value::U32(1)), ("iso_code", text(country)), ("names", names())])),
        (
            "location",
            map([
                ("accuracy_radius", Value::U32(20)),
                ("latitude", Value::F64(latitude)),
                ("longitude", Value::F64(longitude)),
                ("time_zone", text("Etc/UTC")),
            ]),
        ),
        ("registered_country", map([("iso_code", text("DE"))])),
        (
            "subdivisions",
            Value::List(vec![map([("iso_code", text(subdivision))]), map([("iso_code", text("XX"))])]),
        ),
    ])
}

fn city_database() -> Writer {
    Writer::new("GeoLite2-City")
        .put("192.0.2.0/24", city("US", "CA", "NA", 37.75, -122.5))
        .put("198.51.100.0/25", city("AU", "NSW", "OC", -33.75, 151.25))
        .put("2001:db8::/33", city("US", "CA", "NA", 37.75, -122.5))
}

fn asn_database() -> Writer {
    let record = |number| {
        map([
            ("autonomous_system_number", Value::U32(number)),
            ("autonomous_system_organization", text("Example")),
        ])
    };
    Writer::new("GeoLite2-ASN").put("192.0.2.0/25", record(64500)).put("2001:db8::/32", record(4_200_000_000))
}

#[test]
fn maxmind_city() {
    for record_size in [24, 28, 32] {
        let table = table(&[("city", &city_database().record_size(record_size))]);
        check(
            &table,
            &[
                ("192.0.2.1", "US US-CA NA - 37.75,-122.5", 24),
                ("198.51.100.127", "AU AU-NSW OC - -33.75,151.25", 25),
                ("198.51.100.128", "- - - - -", 25),
                ("2001:db8:7fff::1", "US US-CA NA - 37.75,-122.5", 33),
                ("2001:db8:8000::", "- - - - -", 33),
                ("::ffff:192.0.2.1", "US US-CA NA - 37.75,-122.5", 24),
                ("0.0.0.0", "- - - - -", 1),
                ("255.255.255.255", "- - - - -", 3),
                ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "- - - - -", 1),
            ],
        );
    }
}

#[test]
fn maxmind_country() {
    let writer = Writer::new("GeoIP2-Country")
        .put(
            "192.0.2.0/24",
            map([
                ("continent", map([("code", text("AS"))])),
                ("country", map([("iso_code", text("VN"))])),
                ("registered_country", map([("iso_code", text("US"))])),
            ]),
        )
        .put("198.51.100.0/24", map([("registered_country", map([("iso_code", text("HK"))]))]))
        .put("203.0.113.0/24", map([("continent", map([("code", text("EU"))]))]));
    check(
        &table(&[("country", &writer)]),
        &[
            ("192.0.2.1", "VN - AS - 16.5,106.32", 24),
            ("198.51.100.1", "HK - AS - 22.42,114.16", 24),
            ("203.0.113.1", "- - EU - -", 24),
        ],
    );
}

#[test]
fn maxmind_asn_of_ipv4_only() {
    let record = map([("autonomous_system_number", Value::U32(64500))]);
    let writer = Writer::new("GeoLite2-ASN")
        .only_v4()
        .put("192.0.2.0/25", record.clone())
        .put("192.0.2.128/25", record);
    // Two networks of one AS are one range.
    check(
        &table(&[("asn", &writer)]),
        &[
            ("192.0.2.1", "- - - 64500 -", 24),
            ("::1", "- - - - -", 0),
            ("::ffff:192.0.2.1", "- - - 64500 -", 24),
        ],
    );
}

#[test]
fn ipinfo() {
    let writer = Writer::new("ipinfo generic_lite.mmdb")
        .record_size(32)
        .put(
            "192.0.2.0/24",
            map([
                ("as_domain", text("example.com")),
                ("asn", text("AS64500")),
                ("continent", text("Asia")),
                ("continent_code", text("AS")),
                ("country", text("Viet Nam")),
                ("country_code", text("VN")),
            ]),
        )
        .put(
            "198.51.100.0/24",
            map([
                ("city", text("Mountain View")),
                ("continent", text("NA")),
                ("country", text("US")),
                ("lat", text("37.5")),
                ("lng", text("-122.25")),
                ("region", text("California")),
                ("region_code", text("CA")),
            ]),
        )
        // The region's short name is not its code.
        .put("203.0.113.0/24", map([("country", text("PE")), ("region", text("Ica"))]));
    check(
        &table(&[("lite", &writer)]),
        &[
            ("192.0.2.1", "VN - AS 64500 16.5,106.32", 24),
            ("198.51.100.1", "US US-CA NA - 37.5,-122.25", 24),
            ("203.0.113.1", "PE - SA - -9.07,-74.4", 24),
        ],
    );
}

#[test]
fn ip_location_db() {
    let writer = Writer::new("city ipvAll")
        .record_size(24)
        .put("192.0.2.0/24", map([("country_code", text("VN"))]))
        .put(
            "198.51.100.0/24",
            map([
                ("city", text("Sydney")),
                ("country_code", text("AU")),
                ("latitude", Value::F64(-33.75)),
                ("longitude", Value::F64(151.25)),
                ("postcode", text("")),
                ("state1", text("New South Wales")),
            ]),
        );
    check(
        &table(&[("flat", &writer)]),
        &[("192.0.2.1", "VN - AS - 16.5,106.32", 24), ("198.51.100.1", "AU - OC - -33.75,151.25", 24)],
    );
}

#[test]
fn what_is_no_place_says_nothing() {
    let writer = Writer::new("odd")
        .put("192.0.2.0/28", map([("country_code", text("ZZ")), ("asn", text("AS0"))]))
        .put(
            "192.0.2.16/28",
            map([("country_code", text("EU")), ("latitude", text("north")), ("lng", text("1"))]),
        )
        .put("192.0.2.32/28", map([("latitude", Value::F64(91.0)), ("longitude", Value::F64(0.0))]))
        .put("192.0.2.48/28", map([("country", Value::U32(7)), ("continent", Value::List(vec![text("EU")]))]))
        .put("192.0.2.64/28", text("VN"))
        .put("192.0.2.80/28", map([("country_code", text("VN"))]));
    let table = table(&[("odd", &writer)]);
    // Nothing is known of the first five, so they are one range with what is around them.
    check(&table, &[("192.0.2.1", "- - - - -", 26), ("192.0.2.80", "VN - AS - 16.5,106.32", 28)]);
    assert_eq!(table.ranges(), (3, 1));
}

#[test]
fn each_field_is_from_the_first_that_has_it() {
    let country = Writer::new("country")
        .put("192.0.2.0/26", map([("country_code", text("VN"))]))
        .put("203.0.113.0/24", map([("country_code", text("TH"))]));
    let (city, asn) = (city_database(), asn_database());
    let table = table(&[("country.mmdb", &country), ("city.mmdb", &city), ("asn.mmdb", &asn)]);
    check(
        &table,
        &[
            ("192.0.2.1", "VN US-CA NA 64500 37.75,-122.5", 26),
            ("192.0.2.64", "US US-CA NA 64500 37.75,-122.5", 26),
            ("192.0.2.128", "US US-CA NA - 37.75,-122.5", 25),
            ("203.0.113.1", "TH - AS - 15.07,101.01", 24),
            ("2001:db8::1", "US US-CA NA 4200000000 37.75,-122.5", 33),
            ("2001:db8:8000::1", "- - - 4200000000 -", 33),
        ],
    );
    let description = table.describe(ip("::ffff:192.0.2.1"));
    assert_eq!((description.first, description.last), (ip("192.0.2.0"), ip("192.0.2.63")));
    assert_eq!(description.prefix.to_string(), "192.0.2.0/26");
    assert_eq!(description.place, table.locate(ip("192.0.2.1")).place);
    assert_eq!(description.sources.country, Some("country.mmdb"));
    assert_eq!(description.sources.subdivision, Some("city.mmdb"));
    assert_eq!(description.sources.continent, Some("city.mmdb"));
    assert_eq!(description.sources.asn, Some("asn.mmdb"));
    assert_eq!(description.sources.coordinates, Some("city.mmdb"));
    // What follows from the country is of no database.
    let sources = table.describe(ip("203.0.113.1")).sources;
    assert_eq!((sources.country, sources.continent, sources.coordinates), (Some("country.mmdb"), None, None));
}

#[test]
fn views_are_of_the_fields_asked_for_and_shared() {
    let (city, asn) = (city_database(), asn_database());
    let table = table(&[("city.mmdb", &city), ("asn.mmdb", &asn)]);
    let countries = table.view(Fields::COUNTRY);
    // The AS number of its lower half does not split the country's prefix.
    for (address, place, scope) in [
        ("192.0.2.1", "US - - - -", 24),
        ("192.0.2.128", "US - - - -", 24),
        ("::ffff:192.0.2.128", "US - - - -", 24),
        ("2001:db8::1", "US - - - -", 33),
        ("2001:db8:8000::1", "- - - - -", 33),
    ] {
        let located = countries.locate(ip(address));
        assert_eq!((written(located.place).as_str(), located.scope), (place, scope), "{address}");
    }
    assert_eq!(table.locate(ip("192.0.2.128")).scope, 25);
    assert!(countries.ranges() < table.ranges());
    assert!(Arc::ptr_eq(&countries, &table.clone().view(Fields::COUNTRY)));
    assert_eq!(table.view(Fields::ALL).locate(ip("192.0.2.1")), table.locate(ip("192.0.2.1")));
    assert_eq!(table.view(Fields::ALL).ranges(), table.ranges());
}

#[test]
fn an_empty_table_knows_nothing() {
    let table = GeoTable::empty();
    for address in ["0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1"] {
        let located = table.locate(ip(address));
        assert_eq!((*located.place, located.scope), (Place::UNKNOWN, 0));
    }
    let description = table.describe(ip("192.0.2.1"));
    assert_eq!((description.first, description.last), (ip("0.0.0.0"), ip("255.255.255.255")));
}

#[test]
fn the_embedded_database_knows_large_blocks() {
    let table = GeoTable::embedded();
    let cases = [
        ("113.160.0.1", "2405:4800::1", "VN"),
        ("113.252.0.1", "2404:c800::1", "HK"),
        ("6.0.0.1", "2601::1", "US"),
        ("79.192.0.1", "2003:800::1", "DE"),
        ("1.128.0.1", "2001:8000::1", "AU"),
        ("171.96.0.1", "2001:c38::1", "TH"),
        ("111.0.0.1", "240e::1", "CN"),
        ("43.0.0.1", "240d:c000::1", "SG"),
    ];
    for (v4, v6, country) in cases {
        for address in [v4, v6] {
            let found = table.locate(ip(address)).place.location.country;
            assert_eq!(found.map(|country| country.to_string()).as_deref(), Some(country), "{address}");
        }
    }
    // Addresses for documentation and private use are nowhere.
    for address in ["192.0.2.1", "10.0.0.1", "127.0.0.1", "::1", "fe80::1", "2001:db8::1"] {
        assert_eq!(*table.locate(ip(address)).place, Place::UNKNOWN, "{address}");
    }
    assert_eq!(table.describe(ip("113.160.0.1")).sources.country, Some("embedded"));
}

#[test]
fn every_unusable_database_is_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file in the temporary folder");
        path
    };
    let other = Writer::new("GeoIP2-Connection-Type")
        .put("192.0.2.0/24", map([("connection_type", text("Cellular"))]));
    let good = city_database().bytes();
    let paths = [
        folder.path().join("missing.mmdb"),
        write("text.mmdb", b"this is not a database"),
        write("good.mmdb", &good),
        write("short.mmdb", &good[..good.len() - 100]),
        write("other.mmdb", &other.bytes()),
    ];
    let errors = GeoTable::load(&paths).expect_err("four of five are unusable");
    let kinds = [
        matches!(errors[0], GeoError::Unreadable { .. }),
        matches!(errors[1], GeoError::NotADatabase { .. }),
        matches!(errors[2], GeoError::NotADatabase { .. }),
        matches!(errors[3], GeoError::NoLocations { .. }),
    ];
    assert_eq!(kinds, [true; 4], "{errors:?}");
    for (error, name) in errors.iter().zip(["missing", "text", "short", "other"]) {
        let path = folder.path().join(format!("{name}.mmdb"));
        assert!(error.to_string().starts_with(path.to_str().expect("a path in UTF-8")), "{error}");
    }
    assert!(GeoTable::load(&paths[2..3]).is_ok());
}

#[test]
fn no_more_databases_than_can_be_numbered() {
    let writer = city_database();
    let many =
        |count: usize| (0..count).map(|number| database(&number.to_string(), &writer)).collect::<Vec<_>>();
    assert!(GeoTable::from_databases(many(GeoTable::MAX_DATABASES)).is_ok());
    let errors = GeoTable::from_databases(many(GeoTable::MAX_DATABASES + 2)).expect_err("two too many");
    assert!(matches!(&errors[..], [GeoError::TooMany { .. }, GeoError::TooMany { .. }]), "{errors:?}");
}

/// A sequence of numbers that is the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Loads what may not be a database; a table that comes of it must answer.
fn survive(bytes: Vec<u8>) -> bool {
    match GeoTable::from_databases([Database { name: "damaged".to_owned(), bytes: Cow::Owned(bytes) }]) {
        Err(errors) => {
            assert_eq!(errors.len(), 1);
            false
        }
        Ok(table) => {
            for address in ["0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "ffff::"] {
                let located = table.locate(ip(address));
                assert!(located.scope <= 128);
                assert_eq!(table.describe(ip(address)).place, located.place);
            }
            true
        }
    }
}

#[test]
fn damaged_databases_give_errors() {
    let mut numbers = Numbers(0x5EED);
    let (city, asn) = (city_database(), asn_database());
    let mut outcomes = [0, 0];
    for writer in [&city, &city.clone().record_size(24), &asn] {
        let good = writer.bytes();
        assert!(survive(good.clone()));
        for length in 0..good.len() {
            assert!(!survive(good[..length].to_vec()), "cut to {length} octets");
        }
        for _ in 0..4000 {
            let mut bytes = good.clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(bytes.len());
                bytes[at] = match numbers.below(3) {
                    0 => bytes[at] ^ (1 << numbers.below(8)),
                    1 => numbers.below(256) as u8,
                    _ => bytes[numbers.below(good.len())],
                };
            }
            outcomes[usize::from(survive(bytes))] += 1;
        }
    }
    // Both happen: some damage is noticed and some, as in a name, is not.
    assert!(outcomes.iter().all(|&count| count > 100), "{outcomes:?}");
    for _ in 0..200 {
        let length = numbers.below(4096);
        assert!(!survive((0..length).map(|_| numbers.below(256) as u8).collect()));
    }
}

/// A database whose tree has 127 nodes of 32 bits, with these children.
fn with_tree(children: impl Fn(u32) -> [u32; 2]) -> Vec<u8> {
    let template =
        Writer::new("odd").record_size(32).put("2001:db8::/127", map([("country_code", text("VN"))]));
    let mut file: Vec<u8> = (0..127).flat_map(children).flat_map(u32::to_be_bytes).collect();
    // The template's tree is as long, so its data and its metadata fit.
    file.extend_from_slice(&template.bytes()[127 * 8..]);
    file
}

#[test]
fn a_tree_with_too_many_ways_through_it_ends() {
    let nothing = 127;
    let trees = [
        // Both children of each node are the next: 2^127 ways to a network without a record.
        with_tree(|node| [node + 1, node + 1]),
        // The same until the root of IPv4, which a walk may pass over in silence.
        with_tree(|node| if node < 96 { [node + 1, node + 1] } else { [nothing, nothing] }),
        // Round and round.
        with_tree(|node| [nothing, node]),
        with_tree(|node| [(node + 1) % 127, nothing]),
    ];
    for tree in trees {
        let errors = GeoTable::from_databases([Database { name: "odd".to_owned(), bytes: Cow::Owned(tree) }])
            .expect_err("a tree without end");
        assert!(errors[0].to_string().contains("search tree has too many ways"), "{errors:?}");
    }
}
