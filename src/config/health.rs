//! `[health]`

use std::time::Duration;

use super::isolation::IsolationSpec;
use super::reader::{Value, duration, integer};
use super::source::Located;

/// `[health]`: what all health checks share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Scripts that run at the same time, at least 1.
    pub max_scripts: usize,
    /// Probes that may be under way at once, at least 1; more wait for their turn.
    pub max_in_flight: usize,
    /// How old what is believed may be to outlive a restart; zero: nothing does.
    pub remember: Duration,
}

/// Enough to hide that scripts wait for their targets, few enough that a small machine still answers
/// when all of them compute.
const DEFAULT_MAX_SCRIPTS: usize = 16;
/// A machine that runs more processes than that at once is no name server any more.
const MAX_MAX_SCRIPTS: usize = 1024;
/// So many that 10,000 addresses probed every second are still probed in time when all of them are cut
/// off at once, and each probe takes its timeout of half a second; so few that their sockets do not
/// use up a host's memory.
const DEFAULT_IN_FLIGHT: usize = 8192;
/// No process has as many descriptors.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// As long as a restart takes that somebody has to see to. What is that old is believed until the first round of
/// probes has ended, and no longer.
const DEFAULT_REMEMBER: Duration = Duration::from_secs(3600);
/// Who was away for longer has to begin anew.
const MAX_REMEMBER: Duration = Duration::from_secs(7 * 86_400);

/// `[health]` as written.
#[derive(Default)]
pub(super) struct HealthSpec {
    max_scripts: Option<Located<usize>>,
    max_in_flight: Option<Located<usize>>,
    remember: Option<Located<Duration>>,
    isolation: Option<Located<IsolationSpec>>,
}

impl HealthSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = HealthSpec {
            max_scripts: table.optional("max_scripts", integer(1..=MAX_MAX_SCRIPTS)),
            max_in_flight: table.optional("max_in_flight", integer(1..=MAX_IN_FLIGHT)),
            remember: table.optional("remember", duration(Duration::ZERO..=MAX_REMEMBER)),
            isolation: table.optional("isolation", IsolationSpec::read),
        };
        table.finish();
        Some(spec)
    }

    /// What it says of isolation, which a reload changes like the checks themselves.
    pub(super) fn take_isolation(&mut self) -> Option<IsolationSpec> {
        self.isolation.take().map(|isolation| isolation.value)
    }

    /// Fills in the defaults.
    pub(super) fn convert(self) -> HealthSettings {
        HealthSettings {
            max_scripts: self.max_scripts.map_or(DEFAULT_MAX_SCRIPTS, |count| count.value),
            max_in_flight: self.max_in_flight.map_or(DEFAULT_IN_FLIGHT, |count| count.value),
            remember: self.remember.map_or(DEFAULT_REMEMBER, |remember| remember.value),
        }
    }
}
