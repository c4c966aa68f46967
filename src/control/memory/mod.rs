//! What is believed, to be recalled by the next process.
//!
//! A [`Snapshot`] is taken where verdicts wait for it, so it only copies; a [`Memory`] is made of it
//! elsewhere. In there times are those of the wall clock, because no other clock is of use to another
//! process. [`Controller::recall`](super::Controller::recall) makes beliefs of it again: it does not
//! matter by what way it came.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::health::{Failure, Outcome, Verdict};

mod recall;
mod snapshot;

pub use recall::Recalled;
pub use snapshot::Snapshot;

/// What is believed, by the wall clock.
///
/// Orders are not part of it: they are edits, and kept as such.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// When it was taken, like all moments in it in milliseconds since 1970.
    taken: u64,
    addresses: Vec<AddressMemory>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pools: Vec<PoolMemory>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<NameMemory>,
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the clock that never jumps.
    pub now: Instant,
    /// By the wall clock, in milliseconds since 1970.
    pub wall: u64,
}

/// An address, or the place of a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AddressMemory {
    /// `None`: it is the place of the condition of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    address: String,
    endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// By which it is told whether the same was asked: a number that means nothing else.
    check: u64,
    verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    observed: u64,
    passing: bool,
    streak: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_failure: Option<Failure>,
    has_passed: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    is_silent: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flips: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<HoldMemory>,
    /// Whether clients might be given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_up: Option<bool>,
    /// Since when its share grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returned: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    is_damped: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    transitions: Vec<TransitionMemory>,
}

/// That an address is held down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct HoldMemory {
    flips: u32,
    until: u64,
}

/// A change of a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TransitionMemory {
    from: Verdict,
    to: Verdict,
    at: u64,
    streak: u32,
    needed: u32,
    reason: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took: Option<Duration>,
}

/// A pool of which there is more to say than that it is in service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PoolMemory {
    name: String,
    stage: StageMemory,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calm: Option<CalmMemory>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    absences: Vec<AbsenceMemory>,
}

/// How far a pool has come back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StageMemory {
    InService,
    Returning { since: u64 },
    Out,
    Held { since: u64 },
    AwaitsRelease,
}

/// Whether a flip is near, and when one was last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct CalmMemory {
    is_near: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
}

/// What a site has reported of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AbsenceMemory {
    /// `None`: it is said of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    until: u64,
}

/// The last good addresses of a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NameMemory {
    name: String,
    addresses: Vec<std::net::IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<u64>,
    /// Since when it is said to have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    denied: Option<u64>,
}

impl Moment {
    /// What the wall clock shows at `at`.
    fn wall_of(self, at: Instant) -> u64 {
        match at.checked_duration_since(self.now) {
            Some(ahead) => self.wall.saturating_add(millis(ahead)),
            None => self.wall.saturating_sub(millis(self.now.saturating_duration_since(at))),
        }
    }

    /// When the wall clock showed `wall`, which is over; at the latest now.
    fn past(self, wall: u64) -> Instant {
        let ago = Duration::from_millis(self.wall.saturating_sub(wall));
        self.now.checked_sub(ago).unwrap_or(self.now)
    }

    /// When the wall clock shows `wall`, be it over or not.
    fn any(self, wall: u64) -> Instant {
        let ahead = Duration::from_millis(wall.saturating_sub(self.wall));
        // What is too far to be told is damage.
        self.past(wall).checked_add(ahead).unwrap_or(self.now)
    }
}

impl Memory {
    /// When it was taken, in milliseconds since 1970.
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}
