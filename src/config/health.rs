//! `[health]`

use super::isolation::IsolationSpec;
use super::reader::{Value, integer};
use super::source::Located;

/// `[health]`: what all health checks share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Scripts that run at the same time, at least 1.
    pub max_scripts: usize,
}

/// Enough to hide that scripts wait for their targets, few enough that a small machine still answers
/// when all of them compute.
const DEFAULT_MAX_SCRIPTS: usize = 16;
/// A machine that runs more processes than that at once is no name server any more.
const MAX_MAX_SCRIPTS: usize = 1024;

/// `[health]` as written.
#[derive(Default)]
pub(super) struct HealthSpec {
    max_scripts: Option<Located<usize>>,
    isolation: Option<Located<IsolationSpec>>,
}

impl HealthSpec {
    /// Takes the table apart.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut table = value.table()?;
        let spec = HealthSpec {
            max_scripts: table.optional("max_scripts", integer(1..=MAX_MAX_SCRIPTS)),
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
        HealthSettings { max_scripts: self.max_scripts.map_or(DEFAULT_MAX_SCRIPTS, |count| count.value) }
    }
}
