//! Where a client is: IP address to location, from MaxMind-format databases.
//!
//! Databases are read once, at load: every record becomes a [`Location`], the databases are laid
//! over each other field by field, and what comes out is one [`GeoTable`] of address ranges. A
//! query then costs one [`GeoTable::locate`]: no decoding, no allocation. What looks at some fields
//! only, such as the country, asks a [`GeoView`] of these, whose ranges are as large as can be.

mod blocks;
mod clients;
mod countries;
mod database;
mod fields;
mod globe;
mod interner;
mod location;
mod merge;
mod overlay;
mod place;
mod poptrie;
mod range_map;
mod record;
mod runs;
mod table;
mod view;

pub use database::{Database, GeoError};
pub use fields::Fields;
pub use globe::{Coordinates, UnitVector};
pub use location::{Location, Place};
pub use overlay::{Network, Overlay};
pub use place::{Continent, Country, PlaceError, Subdivision};
pub use range_map::RangeMap;
pub use table::{Description, GeoTable, Located, Sources};
pub use view::GeoView;

#[cfg(test)]
pub(crate) use range_map::edges;
