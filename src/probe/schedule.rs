//! When the probes of one target start, and why.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::health::{Belief, Cadence, Failure, HealthMachine, Outcome, Thresholds, Verdict};
use crate::plan::HealthCheck;

/// Why a probe was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It was due.
    Scheduled,
    /// A probe before it spoke against what is believed.
    Confirming,
    /// A connection had ended that should have lasted.
    Tripped,
}

/// When the probes of one target start: once an interval, sooner while a change is to be confirmed,
/// and one right after the other when a connection has ended that should have lasted.
///
/// It has a machine of its own, which sees what the controller's sees, so that nobody has to be asked.
pub(super) struct Schedule {
    cadence: Cadence,
    machine: HealthMachine,
    fall: u32,
    fast_interval: Duration,
    /// How many probes may still follow one right after the other.
    burst: u32,
    next: Trigger,
}

impl Schedule {
    /// The schedule of a target that this is believed of, and whose first probe starts in this part of the
    /// time over which first probes are spread.
    pub(super) fn new(
        check: &HealthCheck,
        belief: Belief,
        part: Range<f64>,
        seed: u64,
        now: Instant,
    ) -> Self {
        let thresholds = Thresholds { fall: check.fall, rise: check.rise };
        let machine = HealthMachine::believing(belief.verdict, thresholds);
        Schedule {
            cadence: Cadence::within(part, check.interval, seed, now),
            machine: if belief.is_stale { machine.grown_old() } else { machine },
            fall: check.fall.max(1),
            fast_interval: check.fast_interval,
            burst: 0,
            next: Trigger::Scheduled,
        }
    }

    /// When the next probe starts, and why.
    pub(super) fn due(&self) -> (Instant, Trigger) {
        (self.cadence.due(), self.next)
    }

    /// Whether the target is believed to be up.
    pub(super) fn is_up(&self) -> bool {
        self.machine.verdict() == Verdict::Up
    }

    /// At `now` there is reason to think that the target has gone: as many probes as it takes to
    /// believe it follow one right after the other, until one passes.
    pub(super) fn trip(&mut self, now: Instant) {
        if self.is_up() && self.burst == 0 {
            self.burst = self.fall;
            self.next = Trigger::Tripped;
            self.cadence.hurry(now);
        }
    }

    /// A probe ran from `started` to `finished`.
    pub(super) fn ended(&mut self, outcome: &Outcome, started: Instant, finished: Instant) {
        self.machine.observe(outcome, finished);
        self.cadence.advance(started, finished);
        self.burst = match outcome {
            Outcome::Fail(_) if self.is_up() => self.burst.saturating_sub(1),
            _ => 0,
        };
        let is_ours = matches!(outcome, Outcome::Fail(Failure::Local(_)));
        self.next = Trigger::Confirming;
        if self.burst > 0 && !is_ours {
            self.cadence.hurry(finished);
        } else if self.burst > 0 || self.machine.flip_is_near() {
            self.cadence.hurry((started + self.fast_interval).max(finished));
        } else {
            self.next = Trigger::Scheduled;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;
    use crate::health::{LocalFailure, Phase};
    use crate::plan::{CheckKind, TcpCheck};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn check(fall: u32, fast: u64) -> HealthCheck {
        HealthCheck {
            name: "check".into(),
            kind: CheckKind::Tcp(TcpCheck::default()),
            interval: ms(1000),
            fast_interval: ms(fast),
            timeout: ms(500),
            fall,
            rise: 2,
            initial: Verdict::Unknown,
            tripwire: true,
            damping: None,
        }
    }

    /// Runs a schedule that starts with an address that is up. A probe passes after 1 ms (`+`), fails
    /// after 1 ms (`-`), hangs until the timeout (`h`) or is prevented by ourselves (`!`); `t` trips
    /// the schedule 300 ms after the end of the last probe. Returns the starts, in milliseconds after
    /// the first one, and why.
    fn run(check: &HealthCheck, symbols: &str) -> (Vec<(u128, Trigger)>, Verdict) {
        let mut schedule = Schedule::new(check, Verdict::Up.into(), 0.0..1.0, 7, Instant::now());
        let (origin, _) = schedule.due();
        let mut now = origin;
        let mut starts = Vec::new();
        for symbol in symbols.chars() {
            if symbol == 't' {
                now += ms(300);
                schedule.trip(now);
                continue;
            }
            let (due, trigger) = schedule.due();
            let started = due.max(now);
            starts.push(((started - origin).as_millis(), trigger));
            let timed_out = Failure::TimedOut { phase: Phase::Connect, after: check.timeout };
            let (took, outcome) = match symbol {
                '+' => (ms(1), Outcome::Pass),
                '-' => (ms(1), Outcome::Fail(Failure::Refused)),
                'h' => (check.timeout, Outcome::Fail(timed_out)),
                '!' => (ms(1), Outcome::Fail(Failure::Local(LocalFailure::OutOfDescriptors))),
                other => panic!("{other} is no outcome"),
            };
            now = started + took;
            schedule.ended(&outcome, started, now);
        }
        (starts, schedule.machine.verdict())
    }

    #[test]
    fn changes_are_confirmed_sooner() {
        use Trigger::{Confirming as C, Scheduled as S, Tripped as T};
        use Verdict::{Down, Up};
        for (what, symbols, expected, verdict) in [
            ("nothing happens", "+++", vec![(0, S), (1000, S), (2000, S)], Up),
            ("it goes", "+---+", vec![(0, S), (1000, S), (1250, C), (1500, C), (2000, S)], Down),
            ("it does not", "-+++", vec![(0, S), (250, C), (1000, S), (2000, S)], Up),
            ("it comes back", "---++", vec![(0, S), (250, C), (500, C), (1000, S), (1250, C)], Up),
            ("it hangs", "hhh", vec![(0, S), (500, C), (1000, C)], Down),
            ("we fail in between", "-!--+", vec![(0, S), (250, C), (500, C), (750, C), (1000, S)], Down),
            ("its connection ends", "+t---+", vec![(0, S), (301, T), (302, C), (303, C), (1000, S)], Down),
            ("that meant nothing", "+t+++", vec![(0, S), (301, T), (1000, S), (2000, S)], Up),
            ("at the second look", "+t-+-", vec![(0, S), (301, T), (302, C), (1000, S)], Up),
            ("we cannot look", "+t!--", vec![(0, S), (301, T), (551, C), (552, C)], Up),
        ] {
            let (starts, reached) = run(&check(3, 250), symbols);
            assert_eq!((&starts[..expected.len()], reached), (&expected[..], verdict), "{what}");
        }
    }

    #[test]
    fn a_hang_is_known_within_its_bound() {
        for fall in 1..6 {
            for fast in [10, 250, 600, 1000] {
                // The worst moment is right after a probe has passed, be it one that was due or another.
                for before in ["+", "++t+", "-+"] {
                    let symbols = format!("{before}{}", "h".repeat(fall as usize));
                    let (starts, verdict) = run(&check(fall, fast), &symbols);
                    let passed = starts[starts.len() - fall as usize - 1].0;
                    let known = starts.last().expect("there are probes").0 + 500 - passed;
                    assert_eq!(verdict, Verdict::Down);
                    assert!(known <= u128::from(fall) * 1000 + 500, "{known} ms, {fall}, {fast}, {symbols}");
                }
            }
        }
    }
}
