//! The hash of a name, as the table of names uses it.

/// Hashes the lowercase wire form of a name, eight octets at a time, the last ones filled up with
/// zeros: a multiplication of 64 by 64 bits each, whose halves are xored (the mixing of wyhash).
///
/// It has no secret. Only names of the configuration are entered in a table by it, so that a
/// client cannot make the table worse.
pub fn hash_name(wire: &[u8]) -> u64 {
    let (words, tail) = wire.as_chunks::<8>();
    let mut hash = NameHash::new(wire.len());
    for word in words {
        hash.add(u64::from_le_bytes(*word));
    }
    if !tail.is_empty() {
        hash.add(tail.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet)));
    }
    hash.finish()
}

/// [`hash_name`], word by word.
#[derive(Clone, Copy)]
pub(super) struct NameHash(u64);

/// Odd, without structure: fractional parts of the golden ratio and of the root of two.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const SEED: u64 = 0x6a09_e667_f3bc_c909;

impl NameHash {
    pub(super) fn new(length: usize) -> Self {
        NameHash(SEED ^ length as u64)
    }

    pub(super) fn add(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word);
    }

    pub(super) fn finish(self) -> u64 {
        fold(self.0 ^ SEED)
    }
}

fn fold(state: u64) -> u64 {
    let product = u128::from(state) * u128::from(MULTIPLIER);
    product as u64 ^ (product >> 64) as u64
}

/// The eight octets of `word` with ASCII letters in lowercase, all at once.
pub(super) fn lowercase(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (0x7f * EACH);
    // The top bit of an octet tells whether it is at least `A`, or beyond `Z`.
    let at_least_a = low_bits + (0x80 - u64::from(b'A')) * EACH;
    let beyond_z = low_bits + (0x80 - u64::from(b'Z') - 1) * EACH;
    let is_upper = at_least_a & !beyond_z & !word & (0x80 * EACH);
    // 0x80 becomes 0x20, the difference between the cases.
    word + (is_upper >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_is_folded_as_ascii_says_in_every_place() {
        for octet in 0..=255u8 {
            for place in 0..8 {
                let mut octets = [b'Q', 0, b'[', b'@', 0xff, b'z', 0xc1, b'Z'];
                octets[place] = octet;
                let folded = lowercase(u64::from_le_bytes(octets)).to_le_bytes();
                assert_eq!(folded, octets.map(|octet| octet.to_ascii_lowercase()), "{octets:?}");
            }
        }
    }
}
