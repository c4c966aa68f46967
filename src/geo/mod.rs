//! Where a client is: IP to location.
mod place;
pub use place::{Continent, Coordinates, Country, Subdivision};
