//! Points on the globe and the distances between them.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::PlaceError;

/// The mean radius of the earth as the IUGG defines it; the globe is taken as a sphere, which is
/// off by at most 0.6 %.
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A point on the globe, in degrees.
///
/// Points are equal if they are so to the bit.
#[derive(Clone, Copy, Debug)]
pub struct Coordinates {
    /// North positive, -90 to 90.
    pub latitude: f32,
    /// East positive, -180 to 180.
    pub longitude: f32,
}

/// A point on the globe as a vector of length 1 from the earth's centre.
///
/// What nearness is computed with when a query is answered: the great-circle distance needs
/// trigonometry, the comparison of two of them does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitVector {
    /// Towards latitude 0, longitude 0.
    pub x: f32,
    /// Towards latitude 0, longitude 90 east.
    pub y: f32,
    /// Towards the north pole.
    pub z: f32,
}

impl Coordinates {
    /// The point at `latitude` and `longitude`, in degrees; refuses what is out of range or not a number.
    pub fn new(latitude: f32, longitude: f32) -> Result<Self, PlaceError> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(PlaceError::Latitude(latitude));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(PlaceError::Longitude(longitude));
        }
        // Adding zero makes a negative zero positive.
        Ok(Coordinates { latitude: latitude + 0.0, longitude: longitude + 0.0 })
    }

    /// The great-circle distance to `other`, in kilometres.
    pub fn distance_km(&self, other: &Coordinates) -> f32 {
        let (from, to) = (self.radians(), other.radians());
        // The haversine formula: unlike the arc cosine it keeps its precision at small distances.
        let half_chord_squared =
            haversine(to.0 - from.0) + from.0.cos() * to.0.cos() * haversine(to.1 - from.1);
        // Rounding can carry it past 1 at antipodes, where the arc sine would be NaN.
        (2.0 * EARTH_RADIUS_KM * half_chord_squared.min(1.0).sqrt().asin()) as f32
    }

    fn bits(&self) -> (u32, u32) {
        (self.latitude.to_bits(), self.longitude.to_bits())
    }

    fn radians(&self) -> (f64, f64) {
        (f64::from(self.latitude).to_radians(), f64::from(self.longitude).to_radians())
    }
}

impl PartialEq for Coordinates {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Coordinates {}

impl Hash for Coordinates {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

impl UnitVector {
    /// The square of the straight line through the earth to `other`, in earth radii: 0 to 4.
    ///
    /// It grows with the great-circle distance, so the smallest of one is the smallest of the other.
    #[inline]
    pub fn chord_squared(&self, other: &UnitVector) -> f32 {
        let (x, y, z) = (self.x - other.x, self.y - other.y, self.z - other.z);
        x * x + y * y + z * z
    }

    /// The great-circle distance to `other`, in kilometres; to within a few of them.
    #[inline]
    pub fn distance_km(&self, other: &UnitVector) -> f32 {
        let half_chord = self.chord_squared(other).sqrt() / 2.0;
        // Rounding can carry it past 1 at antipodes, where the arc sine would be NaN.
        2.0 * EARTH_RADIUS_KM as f32 * half_chord.min(1.0).asin()
    }
}

impl From<Coordinates> for UnitVector {
    fn from(point: Coordinates) -> Self {
        let (latitude, longitude) = point.radians();
        UnitVector {
            x: (latitude.cos() * longitude.cos()) as f32,
            y: (latitude.cos() * longitude.sin()) as f32,
            z: latitude.sin() as f32,
        }
    }
}

impl fmt::Display for Coordinates {
    /// Latitude and longitude in degrees, to a hundredth (about a kilometre): `10.80, 106.60`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}, {:.2}", self.latitude, self.longitude)
    }
}

fn haversine(angle: f64) -> f64 {
    (angle / 2.0).sin().powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(latitude: f32, longitude: f32) -> Coordinates {
        Coordinates::new(latitude, longitude).unwrap()
    }

    #[test]
    fn ranges_are_checked() {
        for (latitude, longitude) in [(90.0, 180.0), (-90.0, -180.0), (0.0, 0.0)] {
            assert!(Coordinates::new(latitude, longitude).is_ok());
        }
        for latitude in [90.1, -90.1, f32::INFINITY, f32::NAN] {
            assert!(matches!(Coordinates::new(latitude, 0.0), Err(PlaceError::Latitude(_))));
        }
        for longitude in [180.1, -180.1, f32::NEG_INFINITY, f32::NAN] {
            assert!(matches!(Coordinates::new(0.0, longitude), Err(PlaceError::Longitude(_))));
        }
    }

    #[test]
    fn known_distances() {
        let half_circumference = 20_015.1;
        let cases = [
            // Hanoi to Hong Kong.
            (at(21.03, 105.85), at(22.32, 114.17), 871.0),
            // Across the antimeridian: Suva to Apia.
            (at(-18.14, 178.44), at(-13.83, -171.77), 1_151.0),
            (at(90.0, 0.0), at(-90.0, 0.0), half_circumference),
            (at(0.0, -90.0), at(0.0, 90.0), half_circumference),
            (at(48.0, 11.0), at(48.0, 11.0), 0.0),
        ];
        for (from, to, kilometres) in cases {
            let distance = from.distance_km(&to);
            assert!((distance - kilometres).abs() < 10.0, "{from} to {to}: {distance}");
        }
    }

    #[test]
    fn display_is_rounded() {
        assert_eq!(at(10.8, 106.6).to_string(), "10.80, 106.60");
    }

    fn anywhere() -> impl Strategy<Value = Coordinates> {
        (-90.0f32..=90.0, -180.0f32..=180.0).prop_map(|(latitude, longitude)| at(latitude, longitude))
    }

    proptest! {
        #[test]
        fn chords_order_as_great_circles(client in anywhere(), one in anywhere(), other in anywhere()) {
            let (near, far) = (client.distance_km(&one), client.distance_km(&other));
            // Closer than this, rounding of the vectors' f32 may decide.
            prop_assume!((near - far).abs() > 10.0);
            let chord = |to: Coordinates| UnitVector::from(client).chord_squared(&to.into());
            prop_assert_eq!(near < far, chord(one) < chord(other));
        }

        #[test]
        fn distances_of_vectors_are_those_of_points(one in anywhere(), other in anywhere()) {
            let vectors = UnitVector::from(one).distance_km(&UnitVector::from(other));
            prop_assert!((vectors - one.distance_km(&other)).abs() < 10.0);
        }

        #[test]
        fn distance_is_symmetric(one in anywhere(), other in anywhere()) {
            prop_assert_eq!(one.distance_km(&other), other.distance_km(&one));
        }
    }
}
