//! Counters of one worker, written by it alone and summed when scraped.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dns::{Rcode, Rtype};

/// What one worker has counted since it started.
///
/// Aligned to two cache lines, since the adjacent-line prefetcher of x86 fetches them in pairs:
/// no two workers write to one line.
#[derive(Default, Debug)]
#[repr(align(128))]
pub struct Counters {
    /// Messages that got no reply: shorter than a header, or responses themselves.
    pub dropped: Counter,
    /// Replies by code, in the order of [`Counters::RCODES`].
    rcodes: [Counter; Counters::RCODES.len()],
    /// Queries by type, in the order of [`Counters::TYPES`], and behind them those of other types.
    types: [Counter; Counters::TYPES.len() + 1],
    /// Queries without a question that could be read; some of them are answered all the same.
    pub questionless: Counter,
    /// Replies that were cut, so that the client asks again by TCP.
    pub truncated: Counter,
    /// Queries with a client subnet.
    pub client_subnets: Counter,
    /// Queries with a client's cookie alone.
    pub cookies_new: Counter,
    /// Queries with a server cookie that is not accepted.
    pub cookies_bad: Counter,
    /// Queries with a server cookie that is.
    pub cookies_good: Counter,
    /// Replies that the rate limit has ruled out, of which nothing was sent.
    pub limited_withheld: Counter,
    /// Replies that the rate limit has ruled out, and that were sent truncated, or as the short
    /// errors that they are.
    pub limited_slipped: Counter,
    /// Replies that the rate limit has ruled out, and in whose place BADCOOKIE was sent.
    pub limited_bad_cookie: Counter,
}

impl Counters {
    /// Every code that a reply may carry.
    pub const RCODES: [Rcode; 9] = [
        Rcode::NoError,
        Rcode::FormErr,
        Rcode::ServFail,
        Rcode::NxDomain,
        Rcode::NotImp,
        Rcode::Refused,
        Rcode::YxDomain,
        Rcode::BadVers,
        Rcode::BadCookie,
    ];

    /// The types that are counted apart: those that clients ask for, and those that say something about who asks.
    pub const TYPES: [Rtype; 19] = [
        Rtype::A,
        Rtype::AAAA,
        Rtype::NS,
        Rtype::CNAME,
        Rtype::SOA,
        Rtype::PTR,
        Rtype::MX,
        Rtype::TXT,
        Rtype::SRV,
        Rtype::NAPTR,
        Rtype::DS,
        Rtype::DNSKEY,
        Rtype::TLSA,
        Rtype::SVCB,
        Rtype::HTTPS,
        Rtype::IXFR,
        Rtype::AXFR,
        Rtype::ANY,
        Rtype::CAA,
    ];

    /// How many queries asked for `rtype`, one of [`Counters::TYPES`].
    pub fn queries(&self, rtype: Rtype) -> u64 {
        self.types[type_position(rtype)].read()
    }

    /// How many queries asked for a type that is not counted apart.
    pub fn other_queries(&self) -> u64 {
        self.types[Counters::TYPES.len()].read()
    }

    #[inline(always)]
    pub(super) fn asked(&self, rtype: Rtype) {
        self.types[type_position(rtype)].add(1);
    }

    /// How many replies carried `rcode`.
    pub fn replies(&self, rcode: Rcode) -> u64 {
        self.rcodes[position(rcode)].read()
    }

    pub(super) fn replied(&self, rcode: Rcode, truncated: bool) {
        self.rcodes[position(rcode)].add(1);
        if truncated {
            self.truncated.add(1);
        }
    }
}

/// Where [`Counters::RCODES`] has `rcode`.
const fn position(rcode: Rcode) -> usize {
    match rcode {
        Rcode::NoError => 0,
        Rcode::FormErr => 1,
        Rcode::ServFail => 2,
        Rcode::NxDomain => 3,
        Rcode::NotImp => 4,
        Rcode::Refused => 5,
        Rcode::YxDomain => 6,
        Rcode::BadVers => 7,
        Rcode::BadCookie => 8,
    }
}

/// Where [`Counters::TYPES`] has `rtype`; behind them all if it has not. A match, since it is asked for each query.
const fn type_position(rtype: Rtype) -> usize {
    match rtype {
        Rtype::A => 0,
        Rtype::AAAA => 1,
        Rtype::NS => 2,
        Rtype::CNAME => 3,
        Rtype::SOA => 4,
        Rtype::PTR => 5,
        Rtype::MX => 6,
        Rtype::TXT => 7,
        Rtype::SRV => 8,
        Rtype::NAPTR => 9,
        Rtype::DS => 10,
        Rtype::DNSKEY => 11,
        Rtype::TLSA => 12,
        Rtype::SVCB => 13,
        Rtype::HTTPS => 14,
        Rtype::IXFR => 15,
        Rtype::AXFR => 16,
        Rtype::ANY => 17,
        Rtype::CAA => 18,
        _ => Counters::TYPES.len(),
    }
}

/// A number that one thread writes and any may read. Not a read-modify-write: an uncontended
/// plain store, since there is one writer.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; only the owning thread may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The current value, from any thread.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_place() {
        for (index, rcode) in Counters::RCODES.into_iter().enumerate() {
            assert_eq!(position(rcode), index);
        }
        for (index, rtype) in Counters::TYPES.into_iter().enumerate() {
            assert_eq!(type_position(rtype), index, "{rtype:?}");
        }
        assert_eq!(type_position(Rtype::LOC), Counters::TYPES.len());
    }
}
