//! Who has done what is refused, how often.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// As many refusals may come from a source at once: somebody who mends a script by trial gets
/// by, and the log is not filled.
const BURST: u32 = 10;

/// So much later one more may come.
const EACH: Duration = Duration::from_secs(6);

/// Sources of which is known how many came: at a hundred octets or so each, less than a megabyte.
/// When there are more, those are forgotten that would have been soonest.
const SOURCES: usize = 4096;

/// The sources of wrong tokens, or the names of those who ask for what they may not.
///
/// It decides what a wrong token is answered and what is logged, and never whether a right one is let in:
/// those who are behind one address with whoever floods it would be locked out. Nor need it, to keep
/// anyone from guessing: a token is one of 2^256.
pub(super) struct Throttle<S> {
    /// When each will be as if nothing had come from it.
    clear_at: HashMap<S, Instant>,
}

impl<S> Default for Throttle<S> {
    fn default() -> Self {
        Throttle { clear_at: HashMap::new() }
    }
}

impl<S: Eq + Hash> Throttle<S> {
    /// Notes a refusal of `source` at `now`. Returns, if these are too many, how long it is until
    /// another may come.
    pub(super) fn note(&mut self, source: S, now: Instant) -> Option<Duration> {
        let clear_at = self.clear_at.get(&source).copied().unwrap_or(now).max(now);
        let next = clear_at + EACH;
        let over = next.saturating_duration_since(now + EACH * BURST);
        if !over.is_zero() {
            return Some(over);
        }
        if self.clear_at.len() >= SOURCES && !self.clear_at.contains_key(&source) {
            self.make_room(now);
        }
        self.clear_at.insert(source, next);
        None
    }

    /// Half of it at once, so that under a flood of sources not each has to look for one to forget.
    fn make_room(&mut self, now: Instant) {
        self.clear_at.retain(|_, clear_at| *clear_at > now);
        if self.clear_at.len() < SOURCES {
            return;
        }
        let mut ends: Vec<Instant> = self.clear_at.values().copied().collect();
        ends.sort_unstable();
        let median = ends[ends.len() / 2];
        self.clear_at.retain(|_, clear_at| *clear_at > median);
    }
}

/// What one person may have many of counts as one: the addresses of an IPv6 link (RFC 4291 section 2.5.1).
pub(super) fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::instant;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("it is an address")
    }

    #[test]
    fn a_few_at_once_then_a_few_a_minute() {
        let (mut throttle, start) = (Throttle::default(), instant());
        let mut note = |seconds| throttle.note(ip("192.0.2.1"), start + Duration::from_secs(seconds));
        for _ in 0..10 {
            assert_eq!(note(0), None);
        }
        assert_eq!(note(0), Some(Duration::from_secs(6)));
        // What is too much does not make it longer.
        assert_eq!(note(4), Some(Duration::from_secs(2)));
        assert_eq!(note(6), None);
        assert_eq!(note(6), Some(Duration::from_secs(6)));
        for _ in 0..10 {
            assert_eq!(note(600), None);
        }
        assert_eq!(note(600), Some(Duration::from_secs(6)));
    }

    #[test]
    fn each_network_has_its_own_account() {
        let (mut throttle, start) = (Throttle::default(), instant());
        let mut fill = |source: &str| (0..10).all(|_| throttle.note(network(ip(source)), start).is_none());
        assert!(fill("192.0.2.1") && fill("192.0.2.2") && fill("2001:db8::1") && fill("2001:db8:0:1::1"));
        let mut is_over = |source: &str| throttle.note(network(ip(source)), start).is_some();
        assert!(is_over("::ffff:192.0.2.1"));
        assert!(is_over("2001:db8::ffff:1:2"));
        assert!(!is_over("2001:db8:0:2::1"));
    }

    #[test]
    fn it_grows_no_further_and_remembers_the_worst() {
        let (mut throttle, start) = (Throttle::default(), instant());
        for _ in 0..10 {
            throttle.note(ip("192.0.2.1"), start);
        }
        for source in 0..20_000 {
            throttle.note(IpAddr::V4((0x0a00_0000 + source).into()), start);
            assert!(throttle.clear_at.len() <= SOURCES);
        }
        assert!(throttle.note(ip("192.0.2.1"), start).is_some());
    }
}
