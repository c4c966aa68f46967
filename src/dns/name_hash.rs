//! The hash of a name, as the table of names uses it.

use super::{HEADER, MAX_LABEL, MAX_NAME};

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

/// The [`hash_name`] of the name, in lowercase, that the question of `message` begins with; `None` where there is none
/// to be read.
///
/// For whoever wants to know ahead of reading the query where its name is going to be looked for: a name that a hash is
/// given of may still be too long for one.
pub fn hash_question(message: &[u8]) -> Option<u64> {
    let question = message.get(HEADER..)?;
    let mut length = 1;
    loop {
        match usize::from(*question.get(length - 1)?) {
            0 => break,
            label @ 1..=MAX_LABEL if length < MAX_NAME => length += 1 + label,
            _ => return None,
        }
    }
    let mut hash = NameHash::new(length);
    lowercase_words(question, length, |word| hash.add(word));
    Some(hash.finish())
}

/// Hands the first `length` octets of `message` to `each` in lowercase, eight at a time, the last ones filled up with
/// zeros.
///
/// Length octets of labels are at most 63 and no letters: a whole name in wire form can be folded at once.
#[inline(always)]
pub(super) fn lowercase_words(message: &[u8], length: usize, mut each: impl FnMut(u64)) {
    let (whole, tail) = message[..length].as_chunks::<8>();
    for octets in whole {
        each(lowercase(u64::from_le_bytes(*octets)));
    }
    if !tail.is_empty() {
        // What is behind the name is read along and left out, unless the message ends with it.
        let word = match message[length - tail.len()..].first_chunk() {
            Some(octets) => u64::from_le_bytes(*octets) & ((1 << (8 * tail.len())) - 1),
            None => tail.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet)),
        };
        each(lowercase(word));
    }
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
fn lowercase(word: u64) -> u64 {
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
    use proptest::prelude::*;

    use super::*;
    use crate::dns::{Name, NameBuffer, Query, Rtype, query_message};

    proptest! {
        #[test]
        fn a_question_is_hashed_as_it_is_going_to_be_read(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=63), 0..5),
            behind in any::<bool>(),
        ) {
            let mut wire: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], &label[..]].concat()).collect();
            wire.push(0);
            let Some(name) = Name::from_wire(&wire) else { return Ok(()) };
            let mut message = query_message(1, &name, Rtype::A, None);
            // As it was sent, before names are made lowercase.
            message[HEADER..HEADER + wire.len()].copy_from_slice(&wire);
            let mut read = NameBuffer::root();
            prop_assert_eq!(Query::unread().read(&message, &mut read), Ok(()));
            if !behind {
                message.truncate(HEADER + wire.len());
            }
            prop_assert_eq!(hash_question(&message), Some(read.hash()));
            for cut in 0..HEADER + wire.len() {
                prop_assert_eq!(hash_question(&message[..cut]), None);
            }
        }

        #[test]
        fn no_octets_are_too_odd_to_be_hashed(message in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = hash_question(&message);
        }
    }

    #[test]
    fn a_question_is_looked_at_no_further_than_a_name_may_reach() {
        let of =
            |label: &[u8], count| hash_question(&[&[0; HEADER], &label.repeat(count)[..], &[0]].concat());
        assert!(of(b"\x01a", 127).is_some());
        assert!(of(b"\x01a", 128).is_none());
        assert!(of(&[&[64][..], &[b'a'; 64]].concat(), 1).is_none(), "no label is as long");
        assert!(of(b"\xc0\x0c", 1).is_none(), "there is nothing to point to");
    }

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
