//! When a pool is in service.

use std::fmt;
use std::time::Duration;

/// When a pool is in service, and how it comes back once it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ServiceRules {
    /// What must be up.
    pub min_available: MinAvailable,
    /// Who brings the pool back.
    pub failback: Failback,
    /// How long it stays away after its recovery; nothing where `failback` is manual.
    pub hold_down: Duration,
    /// How long the share of a pool or an address that returns grows.
    pub slow_start: Duration,
}

/// How much of a pool must be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinAvailable {
    /// This many addresses that take traffic; from 1 to as many as there are.
    Addresses(u32),
    /// This percentage of the addresses' weight, from 1 to 100.
    Percent(u8),
}

/// Who brings a pool back that was out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Failback {
    /// Nobody: it comes back when it can.
    #[default]
    Automatic,
    /// The operator, by releasing it.
    Manual,
}

impl MinAvailable {
    /// Whether it is enough that `up` of the addresses' `weights` are up.
    pub fn is_met(self, weights: &[u16], up: impl Fn(usize) -> bool) -> bool {
        let taking = || weights.iter().enumerate().filter(|(position, weight)| **weight > 0 && up(*position));
        match self {
            MinAvailable::Addresses(needed) => taking().count() as u64 >= u64::from(needed),
            MinAvailable::Percent(percent) => {
                let sum = |weight: u64, (_, more): (usize, &u16)| weight + u64::from(*more);
                let (up, all) = (taking().fold(0, sum), weights.iter().enumerate().fold(0, sum));
                up > 0 && up * 100 >= all * u64::from(percent)
            }
        }
    }
}

impl Default for MinAvailable {
    /// One address will do.
    fn default() -> Self {
        MinAvailable::Addresses(1)
    }
}

impl fmt::Display for MinAvailable {
    /// "2 addresses" or "50 % of the weight".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MinAvailable::Addresses(1) => write!(f, "1 address"),
            MinAvailable::Addresses(count) => write!(f, "{count} addresses"),
            MinAvailable::Percent(percent) => write!(f, "{percent} % of the weight"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_no_traffic_does_not_count() {
        use MinAvailable::{Addresses, Percent};
        for (minimum, weights, up, is_met) in [
            (Addresses(1), &[1, 1][..], &[][..], false),
            (Addresses(1), &[1, 1], &[1], true),
            (Addresses(1), &[1, 0], &[1], false),
            (Addresses(2), &[1, 1, 1], &[0], false),
            (Addresses(2), &[1, 1, 1], &[0, 2], true),
            (Percent(50), &[1, 1], &[0], true),
            (Percent(51), &[1, 1], &[0], false),
            (Percent(50), &[3, 1], &[1], false),
            (Percent(25), &[3, 1], &[1], true),
            (Percent(100), &[3, 0], &[0], true),
            (Percent(100), &[65535, 65535], &[0, 1], true),
            (Percent(1), &[65535, 1], &[1], false),
            (Percent(1), &[0], &[0], false),
        ] {
            let found = minimum.is_met(weights, |position| up.contains(&position));
            assert_eq!(found, is_met, "{minimum} of {weights:?}, {up:?} up");
        }
    }
}
