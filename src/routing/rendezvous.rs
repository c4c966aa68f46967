//! Choosing by the client's prefix: rendezvous hashing (Thaler and Ravishankar, 1998), weighted.
//!
//! Every member that can be chosen scores against the client, and the best score wins. When a
//! member goes, only its own clients move, each to the member that was its second best. Hashes
//! depend on nothing but what operators write, so that all servers of a zone agree, whatever
//! their version and the order of their lists.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// How much of an IPv4 client counts: resolvers tell no more than this (RFC 7871 section 11.1), so
/// that clients of theirs and clients known by their own address hash alike.
const V4_BITS: u8 = 24;
/// How much of an IPv6 client counts, for the same reason.
const V6_BITS: u8 = 56;

/// The hash of a client, and how many leading bits of its address it depends on.
pub(super) fn client_hash(client: IpAddr) -> (u64, u8) {
    match client {
        IpAddr::V4(ip) => (mixed(u64::from(ip.to_bits() >> (32 - V4_BITS))), V4_BITS),
        // Another half of the space than IPv4: the upper octet of a shifted IPv6 prefix is free.
        IpAddr::V6(ip) => (mixed((ip.to_bits() >> (128 - V6_BITS)) as u64 | 1 << 63), V6_BITS),
    }
}

/// The hash of something that can be chosen, by what identifies it.
pub(super) fn member_hash(identity: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(identity);
    hasher.finish()
}

/// The hash of a client and a member together.
#[inline]
pub(super) fn joined(client: u64, member: u64) -> u64 {
    mixed(client ^ member)
}

/// How well a member of `weight`, above 0, suits: of several members the one with the *lowest*
/// value wins, each as often as its weight says. An exponential race: the first of several
/// alarms, whose rates are the weights, rings at the one with the lowest value.
#[inline]
pub(super) fn score(joined: u64, weight: f32) -> f32 {
    // From just above 0 to 1, in steps that f32 tells apart.
    let uniform = ((joined >> 40) + 1) as f32 / (1u32 << 24) as f32;
    -uniform.ln() / weight
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014).
#[inline]
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner(client: u64, members: &[(&str, f32)]) -> usize {
        let score =
            |(name, weight): &(&str, f32)| score(joined(client, member_hash(name.as_bytes())), *weight);
        (0..members.len())
            .min_by(|a, b| score(&members[*a]).total_cmp(&score(&members[*b])))
            .expect("one member")
    }

    fn clients() -> impl Iterator<Item = u64> {
        (0..20_000u32).map(|n| client_hash(IpAddr::from((n << 8).to_be_bytes())).0)
    }

    #[test]
    fn shares_follow_the_weights() {
        let members = [("stable", 95.0), ("canary", 5.0)];
        let canary = clients().filter(|client| winner(*client, &members) == 1).count();
        // 1,000 expected, with a standard deviation of 31: five of them, and a fixed outcome anyway.
        assert!((845..=1155).contains(&canary), "{canary}");
    }

    #[test]
    fn the_loss_of_one_moves_its_own_clients_only() {
        let all = [("a", 1.0), ("b", 2.0), ("c", 3.0)];
        for client in clients() {
            let before = winner(client, &all);
            let after = winner(client, &all[..2]);
            assert!(before == 2 || before == after);
        }
    }

    #[test]
    fn clients_of_one_prefix_are_one() {
        let hash = |ip: &str| client_hash(ip.parse().expect("an address"));
        assert_eq!(hash("192.0.2.1"), hash("192.0.2.255"));
        assert_ne!(hash("192.0.2.1"), hash("192.0.3.1"));
        assert_eq!(hash("2001:db8:0:ff::1"), hash("2001:db8:0:1::"));
        assert_ne!(hash("2001:db8:0:ff::1"), hash("2001:db8:0:100::"));
    }

    /// Other servers of a zone may run another version: their choices must be the same.
    #[test]
    fn hashes_never_change() {
        assert_eq!(client_hash("192.0.2.1".parse().expect("an address")).0, 13741521457526567473);
        assert_eq!(member_hash(b"vietnam"), 17976389209524160303);
    }
}
