//! Whether it is the addresses that are silent, or this host that hears nothing.

use std::collections::HashMap;
use std::time::Instant;

use super::TargetId;

/// Below as many addresses nothing can be said: of two, the one that is silent may well be down,
/// and of one there is nobody to compare it with.
const MIN_WITNESSES: usize = 3;

/// Asks the other addresses, and the canaries, whether the network still carries anything.
///
/// An address is about to be called down because nothing came back from it. If that is its own
/// fault, the others go on answering; if this host has lost its network, they fall silent in the
/// same moment. So what the others find since then decides: nobody is asked twice, and the answer
/// is there within one interval of theirs.
#[derive(Clone, Debug)]
pub struct Inquiry {
    since: Instant,
    until: Instant,
    share: f64,
    witnesses: Voices,
    canaries: Voices,
}

/// What was heard of an address: when the probe started, and whether anything came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When the probe started.
    pub started: Instant,
    /// Whether anything came back at all, good or bad.
    pub answered: bool,
}

/// What an inquiry has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Too little has been heard yet.
    Undecided,
    /// Others are heard: who is silent is down.
    Working,
    /// Hardly anybody is heard: it is this host.
    Isolated,
}

#[derive(Clone, Debug, Default)]
struct Voices {
    /// Whether it answered; `None`: nothing was heard since.
    by_target: HashMap<TargetId, Option<bool>>,
    answered: usize,
    silent: usize,
}

impl Inquiry {
    /// An inquiry into a silence that began at `since`, which is decided at `until` at the latest.
    /// This host is isolated if `share` of the `witnesses`, which are the addresses that are
    /// believed to be up, are silent, and all of the `canaries`.
    pub fn new(
        (since, until): (Instant, Instant),
        share: f64,
        witnesses: impl Iterator<Item = (TargetId, Option<Heard>)>,
        canaries: impl Iterator<Item = (TargetId, Option<Heard>)>,
    ) -> Self {
        let voices = |heard: &mut dyn Iterator<Item = (TargetId, Option<Heard>)>| {
            let mut voices = Voices::default();
            for (target, heard) in heard {
                voices.by_target.insert(target, None);
                if let Some(heard) = heard.filter(|heard| heard.started >= since) {
                    voices.hear(target, heard.answered);
                }
            }
            voices
        };
        let (mut witnesses, mut canaries) = (witnesses, canaries);
        let (witnesses, canaries) = (voices(&mut witnesses), voices(&mut canaries));
        Inquiry { since, until, share, witnesses, canaries }
    }

    /// Takes in what was heard of an address, which need not be one that is asked.
    pub fn hear(&mut self, target: TargetId, heard: Heard) {
        if heard.started >= self.since {
            self.witnesses.hear(target, heard.answered);
            self.canaries.hear(target, heard.answered);
        }
    }

    /// An address is not watched any more.
    pub fn forget(&mut self, target: TargetId) {
        self.witnesses.forget(target);
        self.canaries.forget(target);
    }

    /// When it is decided at the latest.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// How many addresses are silent, and of how many.
    pub fn silent(&self) -> (usize, usize) {
        (self.witnesses.silent, self.witnesses.by_target.len())
    }

    /// What it has come to at `now`.
    pub fn finding(&self, now: Instant) -> Finding {
        let Voices { by_target, answered, silent } = &self.witnesses;
        let all = by_target.len();
        // Exact for every count that a share of two decimals can be told apart in.
        let reaches = |part: usize, of: usize| part as f64 >= self.share * of as f64 - 1e-9;
        if all < MIN_WITNESSES || self.canaries.answered > 0 || !reaches(all - answered, all) {
            return Finding::Working;
        }
        let is_over = now >= self.until;
        if !is_over && self.canaries.silent < self.canaries.by_target.len() {
            return Finding::Undecided;
        }
        match is_over {
            false if reaches(*silent, all) => Finding::Isolated,
            false => Finding::Undecided,
            // Whoever has not been heard by now has nothing to say.
            true if *silent >= MIN_WITNESSES && reaches(*silent, answered + silent) => Finding::Isolated,
            true => Finding::Working,
        }
    }
}

impl Voices {
    fn hear(&mut self, target: TargetId, answered: bool) {
        let Some(voice) = self.by_target.get_mut(&target) else { return };
        let before = voice.replace(answered);
        self.uncount(before);
        match answered {
            true => self.answered += 1,
            false => self.silent += 1,
        }
    }

    fn forget(&mut self, target: TargetId) {
        if let Some(voice) = self.by_target.remove(&target) {
            self.uncount(voice);
        }
    }

    fn uncount(&mut self, voice: Option<bool>) {
        match voice {
            Some(true) => self.answered -= 1,
            Some(false) => self.silent -= 1,
            None => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;

    /// One character for each: `+` answered, `-` silent, `?` not heard since, `<` heard before.
    fn inquiry(witnesses: &str, canaries: &str) -> (Inquiry, Instant) {
        let since = Instant::now() + Duration::from_secs(60);
        let voices = |text: &str, first: u64| {
            let heard = |symbol| match symbol {
                '?' => None,
                '<' => Some(Heard { started: since - Duration::from_millis(1), answered: false }),
                symbol => Some(Heard { started: since, answered: symbol == '+' }),
            };
            let heard: Vec<_> = (first..).map(TargetId).zip(text.chars().map(heard)).collect();
            heard.into_iter()
        };
        let until = since + Duration::from_secs(1);
        (Inquiry::new((since, until), 0.8, voices(witnesses, 0), voices(canaries, 1000)), since)
    }

    #[test]
    fn who_is_heard_decides() {
        use Finding::{Isolated, Undecided, Working};
        for (witnesses, canaries, early, late) in [
            // Of too few nothing can be said.
            ("-", "", Working, Working),
            ("--", "", Working, Working),
            ("---", "", Isolated, Isolated),
            // One address, or one site of several, is silent.
            ("-++", "", Working, Working),
            ("-+?", "", Working, Working),
            ("-??", "", Undecided, Working),
            ("---?", "", Undecided, Isolated),
            ("-----", "", Isolated, Isolated),
            // As many as the share, and one less.
            ("--------++", "", Isolated, Isolated),
            ("-------+++", "", Working, Working),
            ("-------???", "", Undecided, Isolated),
            ("--------??", "", Isolated, Isolated),
            // Silence before this one counts for nothing.
            ("-<<<<<<<<<", "", Undecided, Working),
            // One canary is enough to know better, and all of them are waited for.
            ("-----", "+", Working, Working),
            ("-----", "-", Isolated, Isolated),
            ("-----", "-?", Undecided, Isolated),
            ("-----", "-+", Working, Working),
        ] {
            let (inquiry, since) = inquiry(witnesses, canaries);
            let found = (inquiry.finding(since), inquiry.finding(inquiry.until()));
            assert_eq!(found, (early, late), "{witnesses} {canaries}");
        }
    }

    #[test]
    fn the_last_word_of_each_counts_once() {
        let (mut inquiry, since) = inquiry("---", "");
        let say = |inquiry: &mut Inquiry, target, answered| {
            inquiry.hear(TargetId(target), Heard { started: since, answered });
            inquiry.finding(since)
        };
        assert_eq!(say(&mut inquiry, 0, false), Finding::Isolated);
        assert_eq!(say(&mut inquiry, 99, true), Finding::Isolated, "nobody has asked it");
        assert_eq!(say(&mut inquiry, 0, true), Finding::Working);
        assert_eq!(inquiry.silent(), (2, 3));
        assert_eq!(say(&mut inquiry, 0, false), Finding::Isolated);
        inquiry.forget(TargetId(0));
        assert_eq!((inquiry.silent(), inquiry.finding(since)), ((2, 2), Finding::Working));
    }
}
