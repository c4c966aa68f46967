//! What notifications can be about.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// What something that happens is about, as `events` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// No pool of a domain has a healthy address.
    Domain,
    /// The daemon takes itself to be cut off from the network.
    Isolation,
    /// A pool is out of service.
    Pool,
    /// A pool has recovered, and waits for the operator to release it.
    Release,
    /// A check that looks wrong.
    Check,
    /// A configuration was refused.
    Reload,
    /// Edits are orphaned.
    Edits,
    /// An address is down.
    Address,
    /// An address is held down for flipping too often.
    Damping,
    /// A name in a pool does not resolve.
    Name,
    /// An order has expired, or a drained address is empty.
    Order,
    /// The daemon has started, or stops.
    Daemon,
    /// Somebody wants to see whether notifications arrive; goes where it is sent, whatever `events` says.
    Test,
}

/// How bad it is, from the least to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is missing, or waits for the operator.
    Warning,
    /// Clients may be given addresses that do not answer, or nobody can tell.
    Critical,
}

impl Topic {
    /// What `events` takes, and what each stands for.
    pub(super) const WORDS: &[(&str, Topic)] = &[
        ("domain", Topic::Domain),
        ("isolation", Topic::Isolation),
        ("pool", Topic::Pool),
        ("release", Topic::Release),
        ("check", Topic::Check),
        ("reload", Topic::Reload),
        ("edits", Topic::Edits),
        ("address", Topic::Address),
        ("damping", Topic::Damping),
        ("name", Topic::Name),
        ("order", Topic::Order),
        ("daemon", Topic::Daemon),
    ];

    /// What an operator wants to be woken for: what clients notice, and what waits for somebody. That one
    /// address of several is down is neither.
    pub(super) const DEFAULT: [Topic; 7] = [
        Topic::Domain,
        Topic::Isolation,
        Topic::Pool,
        Topic::Release,
        Topic::Check,
        Topic::Reload,
        Topic::Edits,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Topic::WORDS.iter().find(|(_, topic)| *topic == self).map_or("test", |(word, _)| word)
    }

    /// How bad it is when it is so; its end is as important.
    pub fn severity(self) -> Severity {
        match self {
            Topic::Domain | Topic::Isolation => Severity::Critical,
            Topic::Pool
            | Topic::Release
            | Topic::Check
            | Topic::Reload
            | Topic::Edits
            | Topic::Address
            | Topic::Damping
            | Topic::Name => Severity::Warning,
            Topic::Order | Topic::Daemon | Topic::Test => Severity::Info,
        }
    }
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
