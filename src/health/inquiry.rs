//! Whether it is the addresses that are silent, or this host that hears nothing.

use std::collections::HashMap;
use std::time::Instant;

use super::TargetId;

/// Below as many sites nothing can be said: of two, the one that is silent may well be down, and of
/// one there is nobody to compare it with.
const MIN_SITES: usize = 3;

/// Asks the other sites, and the canaries, whether the network still carries anything.
///
/// An address is about to be called down because nothing came back from it. If that is its own
/// fault, the others go on answering; if this host has lost its network, they fall silent in the
/// same moment. So what the others find since then decides: nobody is asked twice, and the answer
/// is there within one interval of theirs.
///
/// Each site has one voice, however many addresses it has, since they fall silent together where it
/// is the site: a large one must not outvote those that answer. One address that is heard speaks for
/// its site.
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

/// One whose word is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Witness {
    /// The address.
    pub target: TargetId,
    /// The site that it belongs to, by whatever number.
    pub site: u64,
    /// What was last heard of it.
    pub heard: Option<Heard>,
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
    /// The site, and whether the address answered; `None`: nothing was heard since.
    by_target: HashMap<TargetId, (u64, Option<bool>)>,
    /// By site: how many of its addresses answered, and how many are silent.
    by_site: HashMap<u64, (usize, usize)>,
    /// Sites of which an address answered.
    answered: usize,
    /// Sites of which addresses are silent and none answered.
    silent: usize,
}

impl Inquiry {
    /// An inquiry into a silence that began at `since`, which is decided at `until` at the latest.
    /// This host is isolated if `share` of the sites of the `witnesses`, which are the addresses that
    /// are believed to be up, are silent, and all of the `canaries`.
    pub fn new(
        (since, until): (Instant, Instant),
        share: f64,
        witnesses: impl Iterator<Item = Witness>,
        canaries: impl Iterator<Item = Witness>,
    ) -> Self {
        let (witnesses, canaries) = (Voices::of(witnesses, since), Voices::of(canaries, since));
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

    /// How many sites are silent, and of how many.
    pub fn silent(&self) -> (usize, usize) {
        (self.witnesses.silent, self.witnesses.by_site.len())
    }

    /// What it has come to at `now`.
    pub fn finding(&self, now: Instant) -> Finding {
        let Voices { by_site, answered, silent, .. } = &self.witnesses;
        let all = by_site.len();
        // Exact for every count that a share of two decimals can be told apart in.
        let reaches = |part: usize| part as f64 >= self.share * all as f64 - 1e-9;
        if all < MIN_SITES || self.canaries.answered > 0 || !reaches(all - answered) {
            return Finding::Working;
        }
        let is_over = now >= self.until;
        let are_canaries_silent = self.canaries.silent == self.canaries.by_site.len();
        match reaches(*silent) {
            true if are_canaries_silent || is_over => Finding::Isolated,
            // Whoever has not been heard by now is not silent for that.
            false if is_over => Finding::Working,
            _ => Finding::Undecided,
        }
    }
}

impl Voices {
    fn of(witnesses: impl Iterator<Item = Witness>, since: Instant) -> Self {
        let mut voices = Voices::default();
        for Witness { target, site, heard } in witnesses {
            voices.by_target.insert(target, (site, None));
            voices.by_site.entry(site).or_default();
            if let Some(heard) = heard.filter(|heard| heard.started >= since) {
                voices.hear(target, heard.answered);
            }
        }
        voices
    }

    fn hear(&mut self, target: TargetId, answered: bool) {
        if let Some((site, voice)) = self.by_target.get_mut(&target) {
            let (site, before) = (*site, voice.replace(answered));
            self.recount(site, before, Some(answered));
        }
    }

    fn forget(&mut self, target: TargetId) {
        let Some((site, voice)) = self.by_target.remove(&target) else { return };
        self.recount(site, voice, None);
        if !self.by_target.values().any(|(other, _)| *other == site) {
            self.by_site.remove(&site);
        }
    }

    /// One voice of `site` was `before`, and is `after`.
    fn recount(&mut self, site: u64, before: Option<bool>, after: Option<bool>) {
        let (answered, silent) = self.by_site.entry(site).or_default();
        match (*answered, *silent) {
            (0, 0) => {}
            (0, _) => self.silent -= 1,
            _ => self.answered -= 1,
        }
        let count = |voice: Option<bool>, wanted: bool| usize::from(voice == Some(wanted));
        *answered = *answered + count(after, true) - count(before, true);
        *silent = *silent + count(after, false) - count(before, false);
        match (*answered, *silent) {
            (0, 0) => {}
            (0, _) => self.silent += 1,
            _ => self.answered += 1,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Sites with a character for each address: `+` answered, `-` silent, `?` not heard since, `<`
    /// silent before.
    fn inquiry(witnesses: &str, canaries: &str) -> (Inquiry, Instant) {
        let since = Instant::now() + Duration::from_secs(60);
        let voices = |text: &str, first: u64| {
            let heard = |symbol| match symbol {
                '?' => None,
                '<' => Some(Heard { started: since - Duration::from_millis(1), answered: false }),
                symbol => Some(Heard { started: since, answered: symbol == '+' }),
            };
            let of_each = text.split('/').enumerate();
            let sites = of_each.flat_map(|(site, addresses)| addresses.chars().map(move |it| (site, it)));
            let witness = |(target, (site, symbol)): (u64, (usize, char))| Witness {
                target: TargetId(target),
                site: site as u64,
                heard: heard(symbol),
            };
            let witnesses: Vec<Witness> = (first..).zip(sites).map(witness).collect();
            witnesses.into_iter()
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
            ("-/-", "", Working, Working),
            ("---/---", "", Working, Working),
            ("-/-/-", "", Isolated, Isolated),
            // One address, or one site of several, is silent, however large.
            ("-/+/+", "", Working, Working),
            ("-/+/?", "", Working, Working),
            ("--------/+/+", "", Working, Working),
            ("-/?/?", "", Undecided, Working),
            ("--------/?/?", "", Undecided, Working),
            ("-/-/-/?", "", Undecided, Working),
            ("-/-/-/-/-", "", Isolated, Isolated),
            // One address that is heard speaks for its site.
            ("-/--+/---", "", Working, Working),
            // As many as the share, and one less.
            ("-/-/-/-/-/-/-/-/+/+", "", Isolated, Isolated),
            ("-/-/-/-/-/-/-/+/+/+", "", Working, Working),
            ("-/-/-/-/-/-/-/?/?/?", "", Undecided, Working),
            ("-/-/-/-/-/-/-/-/?/?", "", Isolated, Isolated),
            // Silence before this one counts for nothing.
            ("-/</</</</</</</</<", "", Undecided, Working),
            // One canary is enough to know better, and all of them are waited for.
            ("-/-/-/-/-", "+", Working, Working),
            ("-/-/-/-/-", "-", Isolated, Isolated),
            ("-/-/-/-/-", "-/?", Undecided, Isolated),
            ("-/-/-/-/-", "-/+", Working, Working),
        ] {
            let (inquiry, since) = inquiry(witnesses, canaries);
            let found = (inquiry.finding(since), inquiry.finding(inquiry.until()));
            assert_eq!(found, (early, late), "{witnesses} {canaries}");
        }
    }

    #[test]
    fn the_last_word_of_each_counts_once() {
        let (mut inquiry, since) = inquiry("-/-/-", "");
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
