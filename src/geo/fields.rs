//! Which fields of a location are meant.

use std::ops::{BitOr, BitOrAssign};

/// A set of the fields of a [`Location`](super::Location): those that a decision looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fields(u8);

impl Fields {
    /// None of them: the place plays no part.
    pub const NONE: Fields = Fields(0);
    /// The country.
    pub const COUNTRY: Fields = Fields(1);
    /// The continent.
    pub const CONTINENT: Fields = Fields(1 << 1);
    /// The subdivision.
    pub const SUBDIVISION: Fields = Fields(1 << 2);
    /// The number of the autonomous system.
    pub const ASN: Fields = Fields(1 << 3);
    /// The coordinates, and the position that follows from them.
    pub const COORDINATES: Fields = Fields(1 << 4);
    /// All of them.
    pub const ALL: Fields = Fields(Fields::COUNT as u8 - 1);

    /// How many sets there are.
    pub(super) const COUNT: usize = 1 << 5;

    /// The fields that are in one of the two.
    pub const fn union(self, other: Fields) -> Fields {
        Fields(self.0 | other.0)
    }

    /// Whether all of `other` are among them.
    pub const fn contains(self, other: Fields) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// A number of its own for each set, below [`Fields::COUNT`].
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl BitOr for Fields {
    type Output = Fields;

    fn bitor(self, other: Fields) -> Fields {
        self.union(other)
    }
}

impl BitOrAssign for Fields {
    fn bitor_assign(&mut self, other: Fields) {
        *self = self.union(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: [Fields; 5] =
        [Fields::COUNTRY, Fields::CONTINENT, Fields::SUBDIVISION, Fields::ASN, Fields::COORDINATES];

    #[test]
    fn fields_are_apart_and_make_up_all() {
        for (one, field) in EACH.iter().enumerate() {
            for (other, another) in EACH.iter().enumerate() {
                assert_eq!(field.contains(*another), one == other, "{field:?} {another:?}");
            }
        }
        let mut all = Fields::NONE;
        EACH.into_iter().for_each(|field| all |= field);
        assert_eq!(all, Fields::ALL);
        assert_eq!(Fields::ALL.index(), Fields::COUNT - 1);
    }

    #[test]
    fn a_set_contains_its_parts() {
        let two = Fields::ASN | Fields::COUNTRY;
        assert!(two.contains(Fields::ASN) && two.contains(Fields::COUNTRY) && two.contains(two));
        assert!(two.contains(Fields::NONE) && !two.is_empty() && Fields::NONE.is_empty());
        assert!(!two.contains(Fields::ASN | Fields::COORDINATES));
    }
}
