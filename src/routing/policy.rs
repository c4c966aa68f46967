//! The policies by which a pool is chosen among those that have something to give.

use super::recorder::{Finding, Reason, Recorder};
use super::rendezvous::{joined, score};
use super::steering::{Family, PoolChoice};
use super::table::RoutingTable;
use super::whereabouts::Whereabouts;
use super::worker::{Chance, TURNS_EACH};
use crate::geo::UnitVector;
use crate::plan::{DomainPolicy, MAX_POOLS, Source};

/// Which candidates of a choice may be chosen.
#[derive(Default)]
pub(super) struct Admitted {
    words: [u64; MAX_POOLS / 64],
    count: usize,
    /// One behind the last.
    end: usize,
}

impl Admitted {
    /// Enters a candidate behind all that were entered before.
    pub(super) fn insert(&mut self, at: usize) {
        self.words[at / 64] |= 1 << (at % 64);
        self.count += 1;
        self.end = at + 1;
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn has(&self, at: usize) -> bool {
        self.words[at / 64] >> (at % 64) & 1 != 0
    }

    /// They, in order.
    fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.end).filter(|at| self.has(*at))
    }
}

impl PoolChoice {
    /// The candidate that the client gets, and why; `None` if none is admitted.
    pub(super) fn pick(
        &self,
        admitted: &Admitted,
        family: Family,
        table: &RoutingTable,
        whereabouts: &mut Whereabouts<'_>,
        chance: &mut Chance,
        recorder: &mut impl Recorder,
    ) -> Option<(usize, Reason)> {
        let first = admitted.iter().next()?;
        if self.policy == DomainPolicy::Priority {
            recorder.candidate(self.candidates[first].pool, Finding::Suitable);
            return Some((first, Reason::First));
        }
        if admitted.count() == 1 {
            // Wherever the client is, there is nothing to choose.
            return Some((first, Reason::Only));
        }
        if self.policy == DomainPolicy::Nearest {
            return Some(self.nearest(first, admitted, whereabouts, recorder));
        }
        for at in admitted.iter() {
            recorder.candidate(self.candidates[at].pool, Finding::Suitable);
        }
        Some(match self.policy {
            DomainPolicy::RoundRobin => {
                let slot = (table.pool_count() + self.turn as usize) * TURNS_EACH + family as usize;
                let turn = chance.turn(slot) as usize % admitted.count();
                (admitted.iter().nth(turn).unwrap_or(first), Reason::Turn)
            }
            DomainPolicy::Weighted => self.draw(first, admitted, chance),
            _ => (self.hashed(first, admitted, whereabouts), Reason::Hashed),
        })
    }

    /// One of the admitted in proportion to the weights.
    fn draw(&self, first: usize, admitted: &Admitted, chance: &mut Chance) -> (usize, Reason) {
        let total: u32 = admitted.iter().map(|at| self.chances[at].weight).sum();
        let mut point = chance.below(total);
        for at in admitted.iter() {
            let weight = self.chances[at].weight;
            if point < weight {
                return (at, Reason::Drawn(weight as f32 / total as f32));
            }
            point -= weight;
        }
        (first, Reason::First)
    }

    /// The one that the client's prefix belongs to.
    fn hashed(&self, first: usize, admitted: &Admitted, whereabouts: &mut Whereabouts<'_>) -> usize {
        let client = whereabouts.hash();
        let scored = |at: usize| score(joined(client, self.chances[at].hash), self.chances[at].weight as f32);
        let best = admitted.iter().map(|at| (scored(at), at)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(first, |(_, at)| at)
    }

    /// The one whose `serves` names the client most specifically, else the closest, of the two or
    /// more that are admitted.
    fn nearest(
        &self,
        first: usize,
        admitted: &Admitted,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> (usize, Reason) {
        if let Some((at, source)) = self.decreed(admitted, whereabouts, recorder) {
            return (at, Reason::Serves(source));
        }
        let here = if self.has_places { whereabouts.position(recorder).position } else { None };
        let Some(here) = here else {
            return (first, Reason::Unplaced);
        };
        let mut closest = (f32::INFINITY, first);
        for at in admitted.iter() {
            let candidate = &self.candidates[at];
            let Some(there) = candidate.position else {
                recorder.candidate(candidate.pool, Finding::Placeless);
                continue;
            };
            recorder.candidate(candidate.pool, Finding::Placed);
            let distance = self.reach(at, &here, &there);
            // Strictly: of two that are as close, the earlier in order stays.
            if distance < closest.0 {
                closest = (distance, at);
            }
        }
        let reason = if closest.0.is_finite() { Reason::Closest } else { Reason::Unplaced };
        (closest.1, reason)
    }

    /// How far a candidate is, in a measure that all candidates of the choice share.
    fn reach(&self, at: usize, here: &UnitVector, there: &UnitVector) -> f32 {
        match self.biases.get(at) {
            // Without biases the chord does as well, and costs no arc sine.
            None => here.chord_squared(there),
            Some(bias) => here.distance_km(there) - bias,
        }
    }

    fn decreed(
        &self,
        admitted: &Admitted,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> Option<(usize, Source)> {
        let decrees = self.decrees.as_ref()?;
        let (by_prefix, scope) = decrees.by_prefix(whereabouts.client());
        whereabouts.narrow(scope);
        let found = by_prefix.iter().find(|(_, number)| admitted.has(usize::from(*number)));
        if let Some(&(prefix, number)) = found {
            return Some((usize::from(number), Source::Prefix(prefix)));
        }
        if !decrees.needs_place() {
            return None;
        }
        let location = whereabouts.labels(recorder).location;
        let by_place = decrees.by_place(&location);
        let found = by_place.most_specific(|number| admitted.has(usize::from(number)));
        found.map(|(number, source)| (usize::from(number), source))
    }
}
