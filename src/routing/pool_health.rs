//! What is believed of a pool, as far as answers depend on it.

/// What clients may be given of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolHealth {
    /// By position of the address: what part of its weight it takes.
    pub shares: Box<[Share]>,
    /// Whether domains choose the pool.
    pub standing: Standing,
    /// By position: addresses that the operator has taken out, which are given in no need; `None`:
    /// there are none.
    pub withdrawn: Option<Box<[bool]>>,
    /// Seconds for which no flip of the pool has been near, at least: the TTL of its answers is no
    /// longer than this, but never below the domain's `ttl_min`. `u32::MAX`: nothing is near.
    pub calm: u32,
}

/// A part of something, from none of it to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

/// Whether domains choose a pool that has something to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is in service.
    Full,
    /// It is in service for a growing share of the clients.
    Returning(Share),
    /// What it depends on is not there: passed over while another pool has something.
    Unmet,
    /// Less than its minimum is up: passed over while another pool has something.
    BelowMinimum,
    /// Healthy again, and held back for a while: passed over while another pool has something.
    Held,
    /// Healthy again, and held back until the operator releases it: likewise.
    AwaitsRelease,
}

/// How much a pool must be to be chosen, from the most to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// Up and in service.
    InService,
    /// Up, though held back or below its minimum.
    Healthy,
    /// There at all.
    Configured,
    /// There, or missing only because no name of the pool has resolved yet.
    Expected,
}

impl Tier {
    pub(super) const COUNT: usize = 4;
    pub(super) const ALL: [Tier; Tier::COUNT] =
        [Tier::InService, Tier::Healthy, Tier::Configured, Tier::Expected];
}

impl Share {
    /// None of it.
    pub const NONE: Share = Share(0);
    /// All of it.
    pub const FULL: Share = Share(u8::MAX);

    /// The share closest to `part` of 1; none only if `part` is 0 or less.
    pub fn of(part: f64) -> Self {
        match (part * f64::from(u8::MAX)).round() {
            rounded if rounded >= 1.0 => Share(rounded.min(f64::from(u8::MAX)) as u8),
            _ if part > 0.0 => Share(1),
            _ => Share::NONE,
        }
    }

    /// From 0 to 255.
    pub fn parts(self) -> u8 {
        self.0
    }

    /// From 0 to 1.
    pub fn part(self) -> f32 {
        f32::from(self.0) / f32::from(u8::MAX)
    }

    /// How likely it is that it [`includes`](Self::includes) a hash.
    pub(super) fn chance(self) -> f64 {
        if self == Share::FULL { 1.0 } else { f64::from(self.0) / 256.0 }
    }

    /// Whether `hash`, of which every value is as likely, falls into this share.
    pub(super) fn includes(self, hash: u64) -> bool {
        self == Share::FULL || (hash >> 56) < u64::from(self.0)
    }
}

impl Standing {
    /// Whether the pool is in service, if only for a share of the clients.
    pub fn is_in_service(self) -> bool {
        matches!(self, Standing::Full | Standing::Returning(_))
    }
}

impl PoolHealth {
    /// A pool of this many addresses, of which nothing bad is known.
    pub fn well(addresses: usize) -> Self {
        PoolHealth::from_up(addresses, |_| true)
    }

    /// A pool of this many addresses in service, of which those are up that `is_up` says.
    pub fn from_up(addresses: usize, is_up: impl Fn(usize) -> bool) -> Self {
        let share = |position| if is_up(position) { Share::FULL } else { Share::NONE };
        PoolHealth {
            shares: (0..addresses).map(share).collect(),
            standing: Standing::Full,
            withdrawn: None,
            calm: u32::MAX,
        }
    }

    /// Whether the operator has taken out the address at `position`.
    pub fn is_withdrawn(&self, position: usize) -> bool {
        self.withdrawn.as_ref().is_some_and(|withdrawn| withdrawn.get(position) == Some(&true))
    }

    /// Whether the address at `position` is given at all.
    pub fn is_up(&self, position: usize) -> bool {
        self.shares.get(position).is_some_and(|share| *share > Share::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_nothing_is_some() {
        for (part, parts) in
            [(-1.0, 0), (0.0, 0), (1e-9, 1), (0.5, 128), (0.999, 255), (1.0, 255), (7.0, 255)]
        {
            assert_eq!(Share::of(part).parts(), parts, "{part}");
        }
    }

    #[test]
    fn a_share_includes_as_many_hashes() {
        for share in [Share::NONE, Share(1), Share(128), Share::FULL] {
            let included = (0..=u8::MAX).filter(|octet| share.includes(u64::from(*octet) << 56)).count();
            assert_eq!(included, usize::from(share.0) + usize::from(share == Share::FULL));
        }
    }
}
