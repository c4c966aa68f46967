//! Outcomes to verdicts.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Failure, Outcome};

/// What is believed of an address.
///
/// What an operator orders (drain, up, down) is another dimension and lives elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No probe has told anything yet.
    #[default]
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down,
}

/// What is believed of an address when somebody begins to watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belief {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it is [from too long ago](HealthMachine::grown_old) to need more than one outcome to be turned.
    pub is_stale: bool,
}

/// What a machine has come to, for another one to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The verdict.
    pub verdict: Verdict,
    /// When it last changed.
    pub since: Option<Instant>,
    /// Whether the last outcome was a pass.
    pub passing: bool,
    /// How many outcomes in a row were like it.
    pub streak: u32,
    /// The last failure.
    pub last_failure: Option<Failure>,
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
/// The first outcome decides alone, so that one round of probes settles every address, unless the
/// machine was made to [believe](Self::believing) something from the start, or to [go on](Self::resuming) from what
/// another has seen. From then on a single contrary outcome ends the other side's streak, and a [`Failure::Local`] is
/// as if the probe had not been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthMachine {
    thresholds: Thresholds,
    verdict: Verdict,
    since: Option<Instant>,
    passing: bool,
    streak: u32,
    last_failure: Option<Failure>,
    /// Whether the verdict is from too long ago to need more than one outcome to be turned.
    is_stale: bool,
}

/// A verdict has changed.
///
/// Displayed, it is the reason in an operator's words: "connection refused after 0.3 ms, 2 of 2".
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
    /// How long its probe took, where that is known.
    pub took: Option<Duration>,
    /// When an outcome last spoke for the verdict until now, where that is known.
    pub confirmed: Option<Instant>,
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
            is_stale: false,
        }
    }

    /// A machine that believes `verdict` before it has seen anything, so that the thresholds count
    /// from the first outcome on.
    pub fn believing(verdict: Verdict, thresholds: Thresholds) -> Self {
        HealthMachine { verdict, passing: verdict == Verdict::Up, ..HealthMachine::new(thresholds) }
    }

    /// A machine that goes on from where another was.
    pub fn resuming(past: Past, thresholds: Thresholds) -> Self {
        let Past { verdict, since, passing, streak, last_failure } = past;
        HealthMachine { thresholds, verdict, since, passing, streak, last_failure, is_stale: false }
    }

    /// The same belief, from so long ago that it is worth no more than none: the next outcome that counts decides
    /// alone, as the first one ever does.
    pub fn grown_old(self) -> Self {
        let (passing, is_stale) = (self.verdict == Verdict::Up, self.verdict != Verdict::Unknown);
        HealthMachine { passing, streak: 0, is_stale, ..self }
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
        let decides_alone = self.verdict == Verdict::Unknown || std::mem::take(&mut self.is_stale);
        let needed = if decides_alone { 1 } else { threshold.max(1) };
        if to == self.verdict || self.streak < needed {
            return None;
        }
        let from = std::mem::replace(&mut self.verdict, to);
        self.since = Some(now);
        Some(Transition {
            from,
            to,
            at: now,
            streak: self.streak,
            needed,
            reason: outcome.clone(),
            took: None,
            confirmed: None,
        })
    }

    /// Forgets the outcomes that speak against the verdict: they have to come anew. Returns whether
    /// there were any.
    pub fn forgive(&mut self) -> bool {
        let had_streak = self.flip_is_near();
        if had_streak {
            self.passing = self.verdict == Verdict::Up;
            self.streak = 0;
        }
        had_streak
    }

    /// Something has spoken for the verdict, whatever is made of it: it is not from too long ago any more.
    pub fn confirm(&mut self) {
        self.is_stale = false;
    }

    /// Whether the verdict is from too long ago to need more than one outcome to be turned.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// What whoever begins to watch the address has to know.
    pub fn belief(&self) -> Belief {
        Belief { verdict: self.verdict, is_stale: self.is_stale }
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

    /// Whether the last outcome spoke against the verdict, so that a few more will turn it.
    pub fn flip_is_near(&self) -> bool {
        match self.verdict {
            Verdict::Up => !self.passing,
            Verdict::Down => self.passing,
            Verdict::Unknown => false,
        }
    }

    /// The last failure that counted, kept also when passes have followed.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }
}

impl Belief {
    /// Whether the first round of probes is to tell, because nothing of today is known.
    pub fn is_awaited(self) -> bool {
        self.is_stale || self.verdict == Verdict::Unknown
    }
}

impl From<Verdict> for Belief {
    /// A verdict of this moment.
    fn from(verdict: Verdict) -> Self {
        Belief { verdict, is_stale: false }
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
        self.reason.fmt(f)?;
        match (&self.reason, self.took) {
            // It says so itself.
            (Outcome::Fail(Failure::TimedOut { .. }), _) | (_, None) => {}
            (_, Some(took)) => write!(f, " after {:.1} ms", took.as_secs_f64() * 1e3)?,
        }
        match self.from {
            Verdict::Unknown => f.write_str(", first probe"),
            Verdict::Up | Verdict::Down => {
                write!(f, ", {} of {}", self.streak, self.needed)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::LocalFailure;

    const PASS: Outcome = Outcome::Pass;
    const FAIL: Outcome = Outcome::Fail(Failure::Refused);
    const LOCAL: Outcome = Outcome::Fail(Failure::Local(LocalFailure::OutOfDescriptors));

    /// `+` passes, `-` fails, `!` is a local failure.
    fn outcome(symbol: char) -> Outcome {
        match symbol {
            '+' => PASS,
            '-' => FAIL,
            '!' => LOCAL,
            other => panic!("{other} is no outcome"),
        }
    }

    #[test]
    fn outcomes_make_verdicts() {
        use Verdict::{Down, Unknown, Up};
        for (fall, rise, outcomes, verdict, streak) in [
            (2, 2, "", Unknown, 0),
            (2, 2, "!!", Unknown, 0),
            (2, 2, "+", Up, 1),
            (2, 2, "-", Down, 1),
            (2, 2, "!-", Down, 1),
            (2, 2, "+-", Up, 1),
            (2, 2, "+--", Down, 2),
            (2, 2, "+-+-", Up, 1),
            (2, 2, "+-!-", Down, 2),
            (2, 2, "+-!", Up, 1),
            (2, 2, "-+", Down, 1),
            (2, 2, "-++", Up, 2),
            (2, 2, "-+-+", Down, 1),
            (3, 1, "+--", Up, 2),
            (3, 1, "+---", Down, 3),
            (3, 1, "+---+", Up, 1),
            (0, 0, "+-", Down, 1),
            (0, 0, "+-+", Up, 1),
        ] {
            let mut machine = HealthMachine::new(Thresholds { fall, rise });
            for symbol in outcomes.chars() {
                machine.observe(&outcome(symbol), Instant::now());
            }
            let found = (machine.verdict(), machine.streak());
            assert_eq!(found, (verdict, streak), "fall {fall}, rise {rise}, {outcomes}");
        }
    }

    #[test]
    fn a_flip_is_near_while_a_streak_speaks_against_the_verdict() {
        for (outcomes, is_near) in [
            ("", false),
            ("+", false),
            ("+-", true),
            ("+-!", true),
            ("+-+", false),
            ("+--", false),
            ("+--+", true),
        ] {
            let mut machine = HealthMachine::new(Thresholds { fall: 2, rise: 2 });
            for symbol in outcomes.chars() {
                machine.observe(&outcome(symbol), Instant::now());
            }
            assert_eq!(machine.flip_is_near(), is_near, "{outcomes}");
        }
    }

    #[test]
    fn transitions_read_as_a_log_line() {
        let start = Instant::now();
        let mut machine = HealthMachine::new(Thresholds { fall: 2, rise: 3 });
        let mut lines = Vec::new();
        for (second, symbol) in "+-!-+++".chars().enumerate() {
            let now = start + Duration::from_secs(second as u64);
            if let Some(mut transition) = machine.observe(&outcome(symbol), now) {
                transition.took = (second > 0).then_some(Duration::from_micros(340));
                assert_eq!((transition.at, machine.since()), (now, Some(now)));
                lines.push(format!("{second}: {} -> {}, {transition}", transition.from, transition.to));
            }
        }
        assert_eq!(
            lines,
            [
                "0: unknown -> up, passed, first probe",
                "3: up -> down, connection refused after 0.3 ms, 2 of 2",
                "6: down -> up, passed after 0.3 ms, 3 of 3",
            ]
        );
        assert_eq!(machine.last_failure(), Some(&Failure::Refused));
    }

    #[test]
    fn what_is_believed_from_the_start_is_turned_by_the_thresholds() {
        let thresholds = Thresholds { fall: 2, rise: 3 };
        for (initial, symbols, expected) in [
            (Verdict::Up, "-", Verdict::Up),
            (Verdict::Up, "--", Verdict::Down),
            (Verdict::Up, "-+-", Verdict::Up),
            (Verdict::Down, "++", Verdict::Down),
            (Verdict::Down, "+++", Verdict::Up),
            (Verdict::Unknown, "-", Verdict::Down),
        ] {
            let mut machine = HealthMachine::believing(initial, thresholds);
            assert_eq!((machine.verdict(), machine.flip_is_near()), (initial, false));
            for symbol in symbols.chars() {
                machine.observe(&outcome(symbol), Instant::now());
            }
            assert_eq!(machine.verdict(), expected, "{initial}, {symbols}");
        }
    }

    #[test]
    fn who_goes_on_needs_what_was_missing_and_what_is_old_is_decided_by_one() {
        use Verdict::{Down, Unknown, Up};
        let thresholds = Thresholds { fall: 3, rise: 3 };
        for (before, is_old, after, expected, turns) in [
            ("+-", false, "-", Up, 0),
            ("+-", false, "--", Down, 1),
            ("+--", false, "+-", Up, 0),
            ("-+", false, "++", Up, 1),
            ("+", true, "-", Down, 1),
            ("+", true, "-+", Down, 1),
            ("+", true, "!", Up, 0),
            ("+", true, "!-", Down, 1),
            ("+", true, "+-", Up, 0),
            ("+--", true, "+--", Up, 0),
            ("-", true, "+", Up, 1),
            ("-++", true, "-++", Down, 0),
            ("", true, "", Unknown, 0),
        ] {
            let mut first = HealthMachine::new(thresholds);
            before.chars().for_each(|symbol| _ = first.observe(&outcome(symbol), Instant::now()));
            let past = Past {
                verdict: first.verdict(),
                since: first.since(),
                passing: first.passing(),
                streak: first.streak(),
                last_failure: first.last_failure().cloned(),
            };
            let second = HealthMachine::resuming(past, thresholds);
            assert_eq!(second, first);
            let mut second = if is_old { second.grown_old() } else { second };
            let belief = second.belief();
            assert_eq!((belief.verdict, belief.is_awaited()), (first.verdict(), is_old), "{before}");
            let turns_seen =
                after.chars().filter_map(|symbol| second.observe(&outcome(symbol), Instant::now())).count();
            assert_eq!((second.verdict(), turns_seen), (expected, turns), "{before}, {is_old}, {after}");
        }
    }

    #[test]
    fn a_local_failure_leaves_no_trace() {
        let now = Instant::now();
        let mut machine = HealthMachine::new(Thresholds { fall: 2, rise: 2 });
        for symbol in "+-".chars() {
            machine.observe(&outcome(symbol), now);
        }
        let before = machine.clone();
        assert_eq!(machine.observe(&LOCAL, now + Duration::from_secs(1)), None);
        assert_eq!(machine, before);
    }

    /// The verdict read off the whole history: the side of the last outcome that completed a
    /// streak of its threshold, or of the first outcome.
    fn verdict_of_history(thresholds: Thresholds, history: &[bool]) -> Verdict {
        let decides = |&end: &usize| {
            let kind = history[end];
            let threshold = if kind { thresholds.rise } else { thresholds.fall } as usize;
            end == 0
                || (end + 1 >= threshold && history[end + 1 - threshold..=end].iter().all(|&k| k == kind))
        };
        match (0..history.len()).rev().find(decides) {
            None => Verdict::Unknown,
            Some(end) if history[end] => Verdict::Up,
            Some(_) => Verdict::Down,
        }
    }

    /// How often an address that is well turns down in an hour of probes twice a second, of which one
    /// in a hundred is lost by chance.
    fn false_falls(fall: u32, seed: u64) -> usize {
        const INTERVAL: Duration = Duration::from_millis(500);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut machine = HealthMachine::new(Thresholds { fall, rise: 2 });
        let mut now = Instant::now();
        machine.observe(&PASS, now);
        let probes = 0..7_200;
        let falls = probes.filter(|_| {
            now += INTERVAL;
            let outcome = if random.u8(..100) == 0 { FAIL } else { PASS };
            machine.observe(&outcome, now).is_some_and(|transition| transition.to == Verdict::Down)
        });
        falls.count()
    }

    #[test]
    fn losses_by_chance_turn_addresses_down_as_often_as_is_to_be_expected() {
        // So many probes times the chance of `fall` in a row: 71, 0.7 and 0.007 in an hour. The bounds
        // lie four standard deviations of as many chance events apart from that.
        for (fall, hours, expected) in [(1, 10, 600..812), (2, 100, 37..106), (3, 1_000, 1..19)] {
            let falls: Vec<usize> = (0..hours).map(|seed| false_falls(fall, seed)).collect();
            let sum: usize = falls.iter().sum();
            assert!(expected.contains(&sum), "fall {fall}: {sum} in {hours} hours, not {expected:?}");
            if fall == 3 {
                let calm = falls.iter().filter(|falls| **falls == 0).count();
                assert!(calm > 980, "{calm} of {hours} hours without a false alarm: 993 are to be expected");
            }
        }
    }

    proptest! {
        #[test]
        fn verdicts_follow_from_the_history(
            fall in 1u32..5,
            rise in 1u32..5,
            symbols in proptest::collection::vec(prop_oneof![Just('+'), Just('-'), Just('!')], 0..60),
        ) {
            let thresholds = Thresholds { fall, rise };
            let start = Instant::now();
            let mut machine = HealthMachine::new(thresholds);
            let mut history = Vec::new();
            let mut verdict = Verdict::Unknown;
            for (step, &symbol) in symbols.iter().enumerate() {
                if symbol != '!' {
                    history.push(symbol == '+');
                }
                let now = start + Duration::from_secs(step as u64);
                let transition = machine.observe(&outcome(symbol), now);
                let expected = verdict_of_history(thresholds, &history);
                prop_assert_eq!(machine.verdict(), expected);
                let changed = (verdict != expected).then_some((verdict, expected, now));
                prop_assert_eq!(transition.map(|t| (t.from, t.to, t.at)), changed);
                verdict = expected;
                let like_last = history.iter().rev().take_while(|k| Some(*k) == history.last()).count();
                prop_assert_eq!(machine.streak() as usize, like_last);
            }
        }
    }
}
