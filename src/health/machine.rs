use std::fmt;
use std::time::Instant;

use super::{Failure, Outcome};

/// What is believed of an address.
///
/// What an operator orders (drain, up, down) is another dimension and lives elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Verdict {
    /// No probe has told anything yet.
    #[default]
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down,
}

/// How many equal outcomes in a row turn a verdict. A zero counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures in a row until down.
    pub fall: u32,
    /// Passes in a row until up.
    pub rise: u32,
}

/// Turns the outcomes of one address into a verdict.
///
/// ```text
///                 +---------+
///                 | Unknown |
///                 +---------+
///       first pass |       | first failure
///                  v       v
///            +------+     +------+
///            |  Up  |     | Down |
///            +------+     +------+
///                |  ^     ^  |
///                |  +-----|--+  `rise` passes in a row
///                +--------+     `fall` failures in a row
/// ```
///
/// The first outcome decides alone, so that one round of probes settles every address. From then
/// on a single contrary outcome ends the other side's streak, and a [`Failure::Local`] is as if
/// the probe had not been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthMachine {
    thresholds: Thresholds,
    verdict: Verdict,
    since: Option<Instant>,
    passing: bool,
    streak: u32,
    last_failure: Option<Failure>,
}

/// A verdict has changed.
///
/// Displayed, it is the reason in an operator's words: "connection refused, 2 of 2".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The verdict until now.
    pub from: Verdict,
    /// The verdict from now on.
    pub to: Verdict,
    /// When the deciding outcome was observed.
    pub at: Instant,
    /// How many outcomes in a row spoke for it.
    pub streak: u32,
    /// How many were needed; 1 when nothing was known before.
    pub needed: u32,
    /// The last of them.
    pub reason: Outcome,
}

impl HealthMachine {
    /// A machine that knows nothing yet.
    pub fn new(thresholds: Thresholds) -> Self {
        HealthMachine {
            thresholds,
            verdict: Verdict::Unknown,
            since: None,
            passing: false,
            streak: 0,
            last_failure: None,
        }
    }

    /// The same belief under other thresholds: what was seen so far stays seen.
    pub fn with_thresholds(self, thresholds: Thresholds) -> Self {
        HealthMachine { thresholds, ..self }
    }

    /// Takes in the outcome of a probe at `now`; says so if the verdict changes by it.
    pub fn observe(&mut self, outcome: &Outcome, now: Instant) -> Option<Transition> {
        let passing = match outcome {
            Outcome::Pass => true,
            Outcome::Fail(Failure::Local(_)) => return None,
            Outcome::Fail(failure) => {
                self.last_failure = Some(failure.clone());
                false
            }
        };
        self.streak = if passing == self.passing { self.streak.saturating_add(1) } else { 1 };
        self.passing = passing;

        let (to, threshold) = match passing {
            true => (Verdict::Up, self.thresholds.rise),
            false => (Verdict::Down, self.thresholds.fall),
        };
        let needed = if self.verdict == Verdict::Unknown { 1 } else { threshold.max(1) };
        if to == self.verdict || self.streak < needed {
            return None;
        }
        let from = std::mem::replace(&mut self.verdict, to);
        self.since = Some(now);
        Some(Transition { from, to, at: now, streak: self.streak, needed, reason: outcome.clone() })
    }

    /// What is believed now.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// When the verdict last changed; `None` while nothing is known.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// How many outcomes in a row, the last one included, were like the last one.
    pub fn streak(&self) -> u32 {
        self.streak
    }

    /// Whether the last outcome that counted was a pass, and so what [`streak`](Self::streak)
    /// counts; false while nothing is known.
    pub fn passing(&self) -> bool {
        self.passing
    }

    /// The last failure that counted, kept also when passes have followed.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Unknown => "unknown",
            Verdict::Up => "up",
            Verdict::Down => "down",
        })
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Verdict::Unknown => write!(f, "{}, first probe", self.reason),
            Verdict::Up | Verdict::Down => {
                write!(f, "{}, {} of {}", self.reason, self.streak, self.needed)
            }
        }
    }
}
