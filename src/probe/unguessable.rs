//! Numbers that whoever answers cannot have known.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that cannot be told from those before it.
///
/// The standard library's hasher is SipHash under a key from the operating system, another one for
/// each state: what comes of it is a pseudo-random function of that key.
pub(super) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_differ_in_all_their_bits() {
        let numbers: Vec<u64> = (0..1000).map(|_| number()).collect();
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
        let ever_set = numbers.iter().fold(0, |bits, number| bits | number);
        let always_set = numbers.iter().fold(u64::MAX, |bits, number| bits & number);
        assert_eq!((ever_set, always_set), (u64::MAX, 0));
    }
}
