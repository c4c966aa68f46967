//! How a pool comes back once it was away.

use std::fmt;
use std::time::{Duration, Instant};

use super::Ramp;

/// Longer holds count as this one, so that no sum of times overflows.
const MAX_HOLD_DOWN: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a pool that was away has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ComebackRules {
    /// Whether it waits until the operator releases it.
    pub manual: bool,
    /// How long it stays away after its recovery, unless it waits for the operator.
    pub hold_down: Duration,
    /// How long its share of the clients grows after that.
    pub slow_start: Duration,
}

/// What a pool has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// As much as it takes.
    Enough,
    /// That depends on addresses of which nothing is known yet.
    Undecided,
    /// Less than that.
    Short,
}

/// How far a pool has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It serves everybody.
    InService,
    /// It serves a share of the clients that grows from this moment on.
    Returning {
        /// When that began.
        since: Instant,
    },
    /// It has too little to give.
    Out,
    /// It has recovered, and stays away for the time being.
    Held {
        /// When it recovered.
        since: Instant,
    },
    /// It has recovered, and waits for the operator.
    AwaitsRelease,
}

/// Brings a pool back as its rules say.
///
/// ```text
///   +-----------+  too little   +-----+  enough, automatic   +------+
///   | InService | ------------> | Out | -------------------> | Held |
///   +-----------+               +-----+                      +------+
///         ^                        |  enough, manual            |  `hold_down` is over,
///         |                        v                            |  or released
///         |               +---------------+  released    +-----------+
///         |               | AwaitsRelease | -----------> | Returning |
///         |               +---------------+              +-----------+
///         |                                                     |
///         +-----------------------------------------------------+
///                                       `slow_start` is over
/// ```
///
/// From everywhere too little leads to `Out`. A stage whose time is nothing is passed over. A pool
/// starts in service: what was before is not known, and what comes first is no comeback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comeback {
    rules: ComebackRules,
    stage: Stage,
}

impl Comeback {
    /// A pool in service.
    pub fn new(rules: ComebackRules) -> Self {
        Comeback { rules: rules.bounded(), stage: Stage::InService }
    }

    /// A pool in `stage`. What it depends on by time alone moves on with the next observation.
    pub fn resuming(rules: ComebackRules, stage: Stage) -> Self {
        Comeback { rules: rules.bounded(), stage }
    }

    /// The same stage under other rules, which hold from the next observation on.
    pub fn with_rules(self, rules: ComebackRules) -> Self {
        Comeback { rules: rules.bounded(), ..self }
    }

    /// How far the pool had come back when it was last observed.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The rules.
    pub fn rules(&self) -> ComebackRules {
        self.rules
    }

    /// Takes in what the pool has to give at `now`, and moves on what is due.
    pub fn observe(&mut self, strength: Strength, now: Instant) {
        // What was over before now was over before the pool changed.
        self.move_on(now);
        match (strength, self.stage) {
            (Strength::Short, _) => self.stage = Stage::Out,
            (Strength::Enough, Stage::Out) => {
                self.stage = Stage::Held { since: now };
                self.move_on(now);
            }
            (Strength::Enough | Strength::Undecided, _) => {}
        }
    }

    /// Lets a pool that is held or waits return at `now`; false: it is neither.
    pub fn release(&mut self, now: Instant) -> bool {
        self.move_on(now);
        let can_be = self.can_be_released();
        if can_be {
            self.stage = Stage::Returning { since: now };
            self.move_on(now);
        }
        can_be
    }

    /// Whether the pool has recovered and is kept away.
    pub fn can_be_released(&self) -> bool {
        matches!(self.stage, Stage::Held { .. } | Stage::AwaitsRelease)
    }

    /// The share of the clients that the pool serves at `now`, if it serves any.
    pub fn share(&self, now: Instant) -> Option<f64> {
        match self.stage {
            Stage::InService => Some(1.0),
            Stage::Returning { since } => Some(self.ramp(since).share(now)),
            Stage::Out | Stage::Held { .. } | Stage::AwaitsRelease => None,
        }
    }

    /// When the hold ends that the pool is under.
    pub fn held_until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Held { since } => Some(since + self.rules.hold_down),
            _ => None,
        }
    }

    /// When the stage or the share changes next by time alone.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        match self.stage {
            Stage::Returning { since } => self.ramp(since).next(now),
            _ => self.held_until(),
        }
    }

    fn move_on(&mut self, now: Instant) {
        let ComebackRules { manual, hold_down, slow_start: _ } = self.rules;
        self.stage = match self.stage {
            Stage::Held { .. } if manual => Stage::AwaitsRelease,
            // The operator has changed the rules.
            Stage::AwaitsRelease if !manual => Stage::Held { since: now },
            stage => stage,
        };
        if let Stage::Held { since } = self.stage
            && since + hold_down <= now
        {
            self.stage = Stage::Returning { since: since + hold_down };
        }
        if let Stage::Returning { since } = self.stage
            && self.ramp(since).end() <= now
        {
            self.stage = Stage::InService;
        }
    }

    fn ramp(&self, since: Instant) -> Ramp {
        Ramp::new(since, self.rules.slow_start)
    }
}

impl ComebackRules {
    fn bounded(self) -> Self {
        ComebackRules { hold_down: self.hold_down.min(MAX_HOLD_DOWN), ..self }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::InService => "in service",
            Stage::Returning { .. } => "returning",
            Stage::Out => "out of service",
            Stage::Held { .. } => "held",
            Stage::AwaitsRelease => "awaits release",
        })
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn rules(manual: bool, hold_down: u64, slow_start: u64) -> ComebackRules {
        ComebackRules { manual, hold_down: secs(hold_down), slow_start: secs(slow_start) }
    }

    /// What happens each second: `+` enough, `?` undecided, `-` short, `!` released, and each second
    /// observed as what was last.
    fn stages(rules: ComebackRules, story: &str) -> String {
        let mut now = Instant::now();
        let mut comeback = Comeback::new(rules);
        let mut last = Strength::Enough;
        let mut stages = String::new();
        for symbol in story.chars() {
            match symbol {
                '+' => last = Strength::Enough,
                '?' => last = Strength::Undecided,
                '-' => last = Strength::Short,
                '!' => _ = comeback.release(now),
                other => panic!("{other} is no event"),
            }
            comeback.observe(last, now);
            stages.push(match comeback.stage() {
                Stage::InService => 'S',
                Stage::Returning { .. } => 'r',
                Stage::Out => 'o',
                Stage::Held { .. } => 'h',
                Stage::AwaitsRelease => 'a',
            });
            now += secs(1);
        }
        stages
    }

    #[test]
    fn pools_come_back_as_their_rules_say() {
        for (what, rules, story, expected) in [
            ("nothing to wait for", rules(false, 0, 0), "+-+", "SoS"),
            ("the first is no comeback", rules(true, 9, 9), "+", "S"),
            ("nor is what is undecided", rules(true, 9, 9), "??+", "SSS"),
            ("undecided changes nothing", rules(false, 1, 0), "-?+?-?", "oohSoo"),
            ("held for its time", rules(false, 2, 0), "-++++", "ohhSS"),
            ("failing again starts over", rules(false, 2, 0), "-++-+++", "ohhohhS"),
            ("slowly", rules(false, 0, 2), "-++++", "orrSS"),
            ("held, then slowly", rules(false, 2, 1), "-+++++", "ohhrSS"),
            ("failing on the way", rules(false, 1, 2), "-++-++++", "ohrohrrS"),
            ("waits for the operator", rules(true, 0, 0), "-++++", "oaaaa"),
            ("released", rules(true, 0, 0), "-+!+", "oaSS"),
            ("released, then slowly", rules(true, 0, 2), "-+!++", "oarrS"),
            ("released from its hold", rules(false, 9, 0), "-+!", "ohS"),
            ("nothing to release", rules(true, 0, 0), "!-!+", "Sooa"),
            ("lost while it waits", rules(true, 0, 0), "-+-+!-!+", "oaoaSooa"),
        ] {
            assert_eq!(stages(rules, story), expected, "{what}");
        }
    }

    #[test]
    fn what_is_over_is_over_whenever_it_is_seen() {
        let start = Instant::now();
        let mut comeback = Comeback::new(rules(false, 10, 20));
        comeback.observe(Strength::Short, start);
        comeback.observe(Strength::Enough, start + secs(1));
        assert_eq!(comeback.next(start + secs(1)), Some(start + secs(11)));
        // Late: the share is what it would be had it been seen in time.
        comeback.observe(Strength::Enough, start + secs(16));
        assert_eq!(comeback.stage(), Stage::Returning { since: start + secs(11) });
        assert_eq!(comeback.share(start + secs(16)), Some(0.275));
        assert_eq!(comeback.next(start + secs(16)), Some(start + secs(17)));
        comeback.observe(Strength::Enough, start + secs(31));
        assert_eq!((comeback.stage(), comeback.next(start + secs(31))), (Stage::InService, None));
    }

    #[test]
    fn other_rules_start_from_the_present_stage() {
        let start = Instant::now();
        let mut held = Comeback::new(rules(false, 10, 0));
        held.observe(Strength::Short, start);
        held.observe(Strength::Enough, start);
        let now = start + secs(4);
        for (what, rules, expected) in [
            ("a longer hold", rules(false, 20, 0), Stage::Held { since: start }),
            ("a shorter hold", rules(false, 3, 5), Stage::Returning { since: start + secs(3) }),
            ("none", rules(false, 0, 0), Stage::InService),
            ("the operator", rules(true, 0, 0), Stage::AwaitsRelease),
        ] {
            let mut changed = held.clone().with_rules(rules);
            changed.observe(Strength::Undecided, now);
            assert_eq!(changed.stage(), expected, "{what}");
            let mut back = changed.with_rules(self::rules(false, 10, 0));
            back.observe(Strength::Undecided, now);
            if expected == Stage::AwaitsRelease {
                assert_eq!(back.stage(), Stage::Held { since: now }, "its hold begins when it may");
            }
        }
    }

    /// An event: seconds since the last one, and what it is.
    fn any_event() -> impl Strategy<Value = (u64, Option<Strength>)> {
        let strength = prop_oneof![
            3 => Just(Some(Strength::Enough)),
            1 => Just(Some(Strength::Undecided)),
            3 => Just(Some(Strength::Short)),
            1 => Just(None),
        ];
        (0u64..8, strength)
    }

    proptest! {
        /// To look at it oftener changes nothing, and between two moments that it names nothing
        /// happens.
        #[test]
        fn time_changes_it_when_it_says_and_at_no_other_moment(
            manual: bool,
            hold_down in 0u64..5,
            slow_start in 0u64..5,
            events in proptest::collection::vec(any_event(), 1..40),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut seldom = Comeback::new(rules(manual, hold_down, slow_start));
            let mut often = seldom.clone();
            let mut strength = Strength::Enough;
            for (gap, event) in events {
                let until = now + secs(gap);
                while now < until {
                    let due = often.next(now);
                    let before = (often.stage(), often.share(now));
                    now += Duration::from_millis(250);
                    often.observe(strength, now);
                    if due.is_none_or(|due| now < due) {
                        prop_assert_eq!(before, (often.stage(), often.share(now)));
                    }
                    prop_assert!(often.next(now).is_none_or(|next| next > now));
                }
                match event {
                    Some(new) => strength = new,
                    None => prop_assert_eq!(seldom.release(now), often.release(now)),
                }
                seldom.observe(strength, now);
                often.observe(strength, now);
                prop_assert_eq!(&seldom, &often);
                prop_assert_eq!(seldom.share(now), often.share(now));
                if strength == Strength::Short {
                    prop_assert_eq!(seldom.share(now), None);
                }
            }
        }
    }
}
