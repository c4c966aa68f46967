//! How it all stands, in a few numbers.

use std::fmt;

use super::Controller;
use super::target::Owner;
use crate::health::{Stage, Verdict};

/// How much there is, and how much of it serves. [`fmt::Display`] makes a line of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Domains of the configuration.
    pub domains: usize,
    /// Pools of the configuration.
    pub pools: usize,
    /// Those of them that are in service, be it with a growing share.
    pub in_service: usize,
    /// Addresses that a check watches for a pool.
    pub watched: usize,
    /// Those of them that are up, whatever is ordered of them.
    pub up: usize,
}

impl Controller {
    /// How it all stands. It looks at each address once: a millisecond for 100,000 of them.
    pub fn summary(&self) -> Summary {
        let is_in_service = |stage| matches!(stage, Stage::InService | Stage::Returning { .. });
        let verdicts = self.targets.values().filter_map(|target| match target.owner {
            Owner::Pool(_) => Some(target.machine().verdict()),
            Owner::Condition(_) => None,
        });
        let (watched, up) = verdicts
            .fold((0, 0), |(watched, up), verdict| (watched + 1, up + usize::from(verdict == Verdict::Up)));
        Summary {
            domains: self.published.load().plan().domains.len(),
            pools: self.pools.len(),
            in_service: self.pools.iter().filter(|pool| is_in_service(pool.stage())).count(),
            watched,
            up,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { domains, pools, in_service, watched, up } = self;
        let plural = if *domains == 1 { "" } else { "s" };
        write!(f, "{domains} domain{plural}, {in_service} of {pools} pools in service")?;
        // Where nothing is watched, nothing is known of addresses.
        if *watched > 0 {
            write!(f, ", {up} of {watched} addresses up")?;
        }
        Ok(())
    }
}
