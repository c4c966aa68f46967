//! Silence is not believed before others are heard.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::target::{Owner, Target};
use super::{Controller, Notice, told};
use crate::health::{Finding, Heard, Inquiry, TargetId, Witness};
use crate::plan::{Isolation, Watch};

/// What is known of the network that this host is on.
#[derive(Default)]
pub(super) struct Network {
    /// `None`: it is never doubted.
    share: Option<f64>,
    canaries: HashMap<TargetId, Canary>,
    inquiry: Option<Inquiry>,
    /// Addresses that are to be called down, and are not yet.
    withheld: BTreeSet<TargetId>,
    /// Those among them whose first probe this is: until it is decided, nothing of today is known of them.
    first_words: BTreeSet<TargetId>,
    /// Since when this host takes itself to be cut off.
    isolated: Option<Instant>,
}

/// A place that tells whether the network works.
struct Canary {
    watch: Arc<Watch>,
    heard: Option<Heard>,
}

/// That this host takes itself to be cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Isolated {
    pub(super) since: Instant,
    pub(super) silent: usize,
    pub(super) of: usize,
}

impl Network {
    /// The same network with the rules of a plan; `next_id` makes ids for new canaries.
    pub(super) fn with_rules(self, rules: Option<&Isolation>, mut next_id: impl FnMut() -> TargetId) -> Self {
        let mut before: HashMap<Arc<Watch>, (TargetId, Option<Heard>)> =
            self.canaries.into_iter().map(|(id, canary)| (canary.watch, (id, canary.heard))).collect();
        let watches = rules.into_iter().flat_map(Isolation::watches);
        let canaries = watches.map(|watch| {
            let watch = Arc::new(watch);
            let (id, heard) = before.remove(&watch).unwrap_or_else(|| (next_id(), None));
            (id, Canary { watch, heard })
        });
        Network {
            share: rules.map(|rules| rules.share),
            canaries: canaries.collect(),
            inquiry: None,
            withheld: BTreeSet::new(),
            first_words: BTreeSet::new(),
            isolated: None,
        }
    }

    /// Whether silence is asked about before it is believed.
    pub(super) fn is_doubted(&self) -> bool {
        self.share.is_some()
    }

    /// Whether it is still asked what to make of the first probe of an address.
    pub(super) fn doubts_the_first_word(&self) -> bool {
        !self.first_words.is_empty()
    }

    /// What else is to be watched.
    pub(super) fn watches(&self) -> impl Iterator<Item = (TargetId, &Arc<Watch>)> {
        self.canaries.iter().map(|(id, canary)| (*id, &canary.watch))
    }

    pub(super) fn canary(&self, id: TargetId) -> Option<&Arc<Watch>> {
        self.canaries.get(&id).map(|canary| &canary.watch)
    }

    /// That an address is not watched any more.
    pub(super) fn forget(&mut self, target: TargetId) {
        self.let_go(target);
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.forget(target);
        }
    }

    /// `target` is not to be called down any more, or has been.
    fn let_go(&mut self, target: TargetId) {
        self.withheld.remove(&target);
        self.first_words.remove(&target);
    }

    /// When an inquiry has to be decided.
    pub(super) fn due(&self) -> Option<Instant> {
        let inquiry = self.inquiry.as_ref().filter(|_| self.isolated.is_none());
        inquiry.map(Inquiry::until)
    }

    /// Whether this host takes itself to be cut off.
    pub(super) fn isolated(&self) -> Option<Isolated> {
        let (silent, of) = self.inquiry.as_ref()?.silent();
        self.isolated.map(|since| Isolated { since, silent, of })
    }

    /// Takes in what a probe has heard, of a canary or of an address.
    pub(super) fn hear(&mut self, id: TargetId, heard: Heard) {
        if let Some(canary) = self.canaries.get_mut(&id) {
            canary.heard = Some(heard);
        }
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.hear(id, heard);
        }
    }

    /// `suspect` is to be called down, because it has been silent since a moment. The inquiry that
    /// runs already serves it as well.
    fn doubt(&mut self, suspect: TargetId, since: Instant, targets: &HashMap<TargetId, Target>) {
        let Some(share) = self.share else { return };
        self.withheld.insert(suspect);
        if self.inquiry.is_some() {
            return;
        }
        let check = &targets[&suspect].watch.check;
        // Within its own interval most of the others come up, and each has its timeout to answer.
        let until = since + check.interval + check.timeout;
        let believed = targets.iter().filter(|(_, target)| target.is_believed_up());
        let witnesses =
            believed.map(|(id, target)| Witness { target: *id, site: site(target), heard: target.heard() });
        let canaries =
            self.canaries.iter().map(|(id, canary)| Witness { target: *id, site: id.0, heard: canary.heard });
        self.inquiry = Some(Inquiry::new((since, until), share, witnesses, canaries));
    }
}

/// The number of the site that a target belongs to.
fn site(target: &Target) -> u64 {
    match target.owner {
        Owner::Pool(pool) => u64::from(pool.0) << 1,
        Owner::Condition(condition) => u64::from(condition.0) << 1 | 1,
    }
}

impl Controller {
    /// `suspect` is to be called down at `now`, because it has been silent since a moment. `is_first`: that was
    /// its first probe.
    pub(super) fn doubt(
        &mut self,
        suspect: TargetId,
        is_first: bool,
        since: Instant,
        now: Instant,
    ) -> Vec<Notice> {
        if self.network.inquiry.is_none() && self.are_others_heard(since) {
            return self.believe(suspect, now);
        }
        self.network.doubt(suspect, since, &self.targets);
        // While this host is cut off nobody knows, and nobody waits to know.
        if is_first && self.network.isolated.is_none() {
            self.network.first_words.insert(suspect);
        }
        Vec::new()
    }

    /// Whether enough others have answered since a moment, without asking anybody. When a site goes
    /// that has thousands of addresses, this is what each of them costs.
    fn are_others_heard(&self, since: Instant) -> bool {
        let Some(share) = self.network.share else { return true };
        let sites = self.pools.len() + self.conditions.targets.len();
        let needed = (1.0 - share) * sites as f64;
        let mut heard = HashSet::new();
        self.targets.values().any(|target| {
            let has_answered = target.heard().is_some_and(|heard| heard.answered && heard.started >= since);
            has_answered
                && target.is_believed_up()
                && heard.insert(site(target))
                && heard.len() as f64 > needed
        })
    }

    /// Puts into effect what the inquiry has come to at `now`, if there is one.
    pub(super) fn inquire(&mut self, now: Instant) -> Vec<Notice> {
        let Some(inquiry) = &self.network.inquiry else { return Vec::new() };
        match (inquiry.finding(now), self.network.isolated) {
            (Finding::Working, None) => {
                let withheld = std::mem::take(&mut self.network.withheld);
                self.network.inquiry = None;
                withheld.into_iter().flat_map(|id| self.believe(id, now)).collect()
            }
            (Finding::Isolated, None) => {
                let (silent, of) = inquiry.silent();
                self.network.isolated = Some(now);
                self.network.first_words.clear();
                vec![Notice::Isolated { silent, of }]
            }
            (Finding::Working, Some(since)) => {
                let mut notices = vec![Notice::Reconnected { after: now.saturating_duration_since(since) }];
                notices.append(&mut self.give_up_doubts(now));
                notices
            }
            (Finding::Undecided, _) | (Finding::Isolated, Some(_)) => Vec::new(),
        }
    }

    /// Calls down at `now` what it was withheld of.
    pub(super) fn believe(&mut self, id: TargetId, now: Instant) -> Vec<Notice> {
        self.network.let_go(id);
        let Some(target) = self.targets.get_mut(&id) else { return Vec::new() };
        let (owner, watch) = (target.owner, target.watch.clone());
        match target.believe(now) {
            Some(transition) => told(self.follow(owner, false, now), watch, transition),
            None => Vec::new(),
        }
    }

    /// Something has come from an address that was doubted.
    pub(super) fn forgive(&mut self, id: TargetId) {
        self.network.let_go(id);
        if let Some(target) = self.targets.get_mut(&id) {
            target.forgive();
            target.confirm();
        }
    }

    /// What was found while nothing could be heard says nothing: all have to fail anew.
    pub(super) fn give_up_doubts(&mut self, now: Instant) -> Vec<Notice> {
        self.network.inquiry = None;
        self.network.isolated = None;
        self.network.withheld.clear();
        self.network.first_words.clear();
        let targets = self.targets.values_mut();
        let owners: BTreeSet<_> =
            targets.filter_map(|target| target.forgive().then_some(target.owner)).collect();
        owners.into_iter().flat_map(|owner| self.follow(owner, false, now)).collect()
    }
}
