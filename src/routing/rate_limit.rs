//! Response rate limiting: no network of clients is sent more of one kind of reply than any
//! resolver asks for, so that nobody's address can be flooded by asking in its name.

use std::net::IpAddr;

use ipnet::IpNet;
use prefetch_index::prefetch_index;

/// How many replies a network of clients may be sent by one worker, and what becomes of the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Replies of one kind per second to one network, at least 1.
    pub replies_per_second: u32,
    /// Of those beyond, every so manieth is sent truncated, so that who really asks can come by
    /// TCP; the others are not sent. 0: none is sent.
    pub slip: u32,
    /// Networks that are sent everything.
    pub exempt: Vec<IpNet>,
}

/// What is alike among replies, and so limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whatever comes from this node of the table: a name, a wildcard with all names that it
    /// stands for, a delegation or DNAME with all below.
    Node(u32),
    /// That a name does not exist in this zone.
    Missing(u32),
    /// All else: refusals, errors, questions about the server.
    Other,
}

/// Where a reply is entered: what comes of its client's network and its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(u64);

/// What to do with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Send it.
    Send,
    /// Send it truncated, so that the client asks by TCP.
    Slip,
    /// Send nothing.
    Withhold,
}

/// The accounts of one worker. All memory is taken at the start: see [`BUCKETS`].
pub(super) struct RateLimiter {
    buckets: Box<[Bucket]>,
    limit: RateLimit,
    /// Replies of one kind per second to one network.
    rate: i32,
    /// So that nobody can tell which networks share a bucket.
    seed: u64,
    /// How many replies were not sent as they were.
    limited: u32,
}

/// Buckets of accounts, a cache line each: 512 KiB and 40,960 accounts per worker. As many
/// networks ask one worker within a second only at rates at which most of them ask once, and an
/// account that is pushed out costs no more than a fresh start.
const BUCKETS: usize = 8192;
/// Accounts that share a cache line.
const WAYS: usize = 5;
/// For how many seconds of its rate a network can be in debt: so long a flood has to pause until
/// the first reply goes out again (BIND's window is as long).
const WINDOW: i32 = 15;
/// A rate above this is no limit, and this many seconds' worth fit an account.
pub const MAX_RATE: u32 = 1_000_000;
/// Bits of an IPv6 address that tell one site from another: a household is usually given a /56, of
/// which one host can use all addresses (ripe-690).
pub const NETWORK_V6: u32 = 56;

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([Account; WAYS]);

const _: () = assert!(size_of::<Bucket>() == 64);

/// What one network may still be sent of one kind.
#[derive(Clone, Copy, Default)]
struct Account {
    /// Which network and kind, by a part of their hash that the bucket does not tell.
    tag: u32,
    /// When the balance was last filled up.
    second: u32,
    /// Replies that may be sent; below 0 none may.
    balance: i32,
}

impl RateLimiter {
    pub(super) fn new(limit: RateLimit, seed: u64) -> Self {
        let rate = limit.replies_per_second.clamp(1, MAX_RATE).cast_signed();
        RateLimiter { buckets: vec![Bucket::default(); BUCKETS].into(), limit, rate, seed, limited: 0 }
    }

    /// Where a reply of `kind` to `client` is entered. Has that fetched from memory, without waiting for it.
    #[inline(always)]
    pub(super) fn entry(&self, client: IpAddr, kind: Kind) -> Entry {
        let hash = self.hash(client, kind);
        prefetch_index(&self.buckets, hash as usize % BUCKETS);
        Entry(hash)
    }

    /// Enters a reply to `client` at `now` seconds, which may wrap and jump.
    pub(super) fn rule(&mut self, Entry(hash): Entry, client: IpAddr, now: u32) -> Ruling {
        let rate = self.rate;
        let Bucket(accounts) = &mut self.buckets[hash as usize % BUCKETS];
        // Never 0, which is that of an account that nobody has.
        let tag = (hash >> 32) as u32 | 1;
        let balance = |account: &Account| {
            // A clock that was set back counts as a long time.
            let seconds = now.wrapping_sub(account.second).min(WINDOW.cast_unsigned() + 1).cast_signed();
            (account.balance + seconds * rate).min(rate)
        };
        let account = match accounts.iter().position(|account| account.tag == tag) {
            Some(known) => {
                let account = &mut accounts[known];
                account.balance = balance(account);
                account
            }
            None => {
                // The richest has the least to lose. Debtors stay: or else a flood could wash
                // itself clean.
                let richest = accounts.iter_mut().max_by_key(|account| balance(account));
                let account = richest.expect("a bucket has accounts");
                *account = Account { tag, second: now, balance: rate };
                account
            }
        };
        account.second = now;
        account.balance = (account.balance - 1).max(-WINDOW * rate);
        if account.balance >= 0 || self.is_exempt(client) { Ruling::Send } else { self.limited() }
    }

    #[cold]
    fn limited(&mut self) -> Ruling {
        self.limited = self.limited.wrapping_add(1);
        match self.limit.slip {
            0 => Ruling::Withhold,
            slip if self.limited.is_multiple_of(slip) => Ruling::Slip,
            _ => Ruling::Withhold,
        }
    }

    #[cold]
    fn is_exempt(&self, client: IpAddr) -> bool {
        self.limit.exempt.iter().any(|net| net.contains(&client))
    }

    /// A network is what one operator is likely to hold: a /24 of IPv4, a /[`NETWORK_V6`] of IPv6.
    fn hash(&self, client: IpAddr, kind: Kind) -> u64 {
        let network = match client {
            IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
            // The top bit, which neither reaches, tells the families apart.
            IpAddr::V6(ip) => (ip.to_bits() >> (128 - NETWORK_V6)) as u64 | 1 << 63,
        };
        let kind = match kind {
            Kind::Node(node) => u64::from(node),
            Kind::Missing(zone) => 1 << 32 | u64::from(zone),
            Kind::Other => 2 << 32,
        };
        mix(mix(network ^ self.seed) ^ kind)
    }
}

/// A multiplication of 64 by 64 bits whose halves are xored (the mixing of wyhash).
fn mix(word: u64) -> u64 {
    let product = u128::from(word ^ 0x6a09_e667_f3bc_c909) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOODED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn limiter(replies_per_second: u32, slip: u32) -> RateLimiter {
        let exempt = vec!["10.0.0.0/8".parse().expect("a prefix")];
        RateLimiter::new(RateLimit { replies_per_second, slip, exempt }, 7)
    }

    /// How many of `count` replies in one second are sent, slipped and withheld.
    fn ask(limiter: &mut RateLimiter, client: IpAddr, kind: Kind, now: u32, count: usize) -> [usize; 3] {
        let mut rulings = [0; 3];
        for _ in 0..count {
            rulings[limiter.rule(limiter.entry(client, kind), client, now) as usize] += 1;
        }
        rulings
    }

    #[test]
    fn what_is_beyond_the_rate_slips_or_is_withheld() {
        for (slip, rulings) in [(0, [10, 0, 90]), (1, [10, 90, 0]), (2, [10, 45, 45]), (3, [10, 30, 60])] {
            assert_eq!(ask(&mut limiter(10, slip), FLOODED, Kind::Other, 1000, 100), rulings);
        }
    }

    #[test]
    fn at_the_rate_nothing_is_limited() {
        let mut limiter = limiter(10, 2);
        for now in 0..100 {
            assert_eq!(ask(&mut limiter, FLOODED, Kind::Node(1), now, 10), [10, 0, 0]);
        }
    }

    #[test]
    fn a_flood_gets_nothing_until_it_has_paused() {
        let mut limiter = limiter(10, 0);
        ask(&mut limiter, FLOODED, Kind::Node(1), 0, 1000);
        for now in 1..60 {
            assert_eq!(ask(&mut limiter, FLOODED, Kind::Node(1), now, 1000), [0, 0, 1000]);
        }
        assert_eq!(ask(&mut limiter, FLOODED, Kind::Node(1), 59 + 14, 1), [0, 0, 1]);
        assert_eq!(ask(&mut limiter, FLOODED, Kind::Node(1), 59 + 16, 1), [1, 0, 0]);
    }

    #[test]
    fn networks_and_kinds_are_limited_apart() {
        let mut limiter = limiter(1, 0);
        let v6 = |text: &str| -> IpAddr { text.parse().expect("an address") };
        for (client, kind, ruling) in [
            (FLOODED, Kind::Node(1), Ruling::Send),
            ([192, 0, 2, 255].into(), Kind::Node(1), Ruling::Withhold),
            ([192, 0, 3, 1].into(), Kind::Node(1), Ruling::Send),
            (FLOODED, Kind::Node(2), Ruling::Send),
            (FLOODED, Kind::Missing(1), Ruling::Send),
            (FLOODED, Kind::Other, Ruling::Send),
            (v6("2001:db8:0:ff00::1"), Kind::Other, Ruling::Send),
            (v6("2001:db8:0:ffff::2"), Kind::Other, Ruling::Withhold),
            (v6("2001:db8:0:fe00::2"), Kind::Other, Ruling::Send),
            ([10, 1, 2, 3].into(), Kind::Other, Ruling::Send),
            ([10, 1, 2, 3].into(), Kind::Other, Ruling::Send),
        ] {
            assert_eq!(limiter.rule(limiter.entry(client, kind), client, 0), ruling, "{client} {kind:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_forgives() {
        let mut limiter = limiter(10, 0);
        assert_eq!(ask(&mut limiter, FLOODED, Kind::Other, 1000, 100), [10, 0, 90]);
        assert_eq!(ask(&mut limiter, FLOODED, Kind::Other, 900, 10), [10, 0, 0]);
    }

    #[test]
    fn a_debtor_is_not_pushed_out_by_others() {
        let mut limiter = limiter(10, 0);
        ask(&mut limiter, FLOODED, Kind::Node(1), 0, 1000);
        // Four times as many networks as there are accounts.
        for network in 0..4 * (BUCKETS * WAYS) as u32 {
            ask(&mut limiter, std::net::Ipv4Addr::from_bits(network << 8).into(), Kind::Node(1), 0, 1);
        }
        assert_eq!(ask(&mut limiter, FLOODED, Kind::Node(1), 0, 1), [0, 0, 1]);
    }
}
