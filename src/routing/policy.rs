//! The policies by which a pool is chosen among those that have something to give.

use super::admitted::Admitted;
use super::latency::{Latencies, Row};
use super::recorder::{Finding, Reason, Recorder};
use super::rendezvous::{joined, score};
use super::sources::SourceIndex;
use super::steering::{Family, NOWHERE, PoolChoice};
use super::table::RoutingTable;
use super::whereabouts::Whereabouts;
use super::worker::Chance;
use crate::geo::GeoView;
use crate::plan::{DomainPolicy, PoolId, Source};

impl PoolChoice {
    /// The candidate that the client gets, and why; `None` if none is admitted.
    #[inline(always)]
    pub(super) fn pick(
        &self,
        admitted: &Admitted,
        wanted: Family,
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
        match &self.particulars {
            None if self.policy == DomainPolicy::Nearest => {
                Some(self.closest(first, admitted, whereabouts, recorder))
            }
            _ => Some(self.pick_of_several(admitted, wanted, table, whereabouts, chance, recorder)),
        }
    }

    /// The candidate that the client gets of the two or more that are admitted, and why.
    #[inline(never)]
    fn pick_of_several(
        &self,
        admitted: &Admitted,
        wanted: Family,
        table: &RoutingTable,
        whereabouts: &mut Whereabouts<'_>,
        chance: &mut Chance,
        recorder: &mut impl Recorder,
    ) -> (usize, Reason) {
        let first = admitted.iter().next().unwrap_or(0);
        if self.policy == DomainPolicy::Nearest {
            return self.nearest(first, admitted, whereabouts, recorder);
        }
        for at in admitted.iter() {
            recorder.candidate(self.candidates[at].pool, Finding::Suitable);
        }
        let is_by_chance = matches!(self.policy, DomainPolicy::RoundRobin | DomainPolicy::Weighted);
        if is_by_chance && let Some(nth) = recorder.lot(admitted.iter().map(|at| self.weight(at))) {
            return (admitted.iter().nth(nth).unwrap_or(first), Reason::Turn);
        }
        match self.policy {
            DomainPolicy::RoundRobin => {
                let slot = table.first_turn(self.turn) + wanted as usize;
                let turn = chance.turn(slot) as usize % admitted.count();
                (admitted.iter().nth(turn).unwrap_or(first), Reason::Turn)
            }
            DomainPolicy::Weighted => self.draw(first, admitted, chance),
            _ => (self.hashed(first, admitted, whereabouts), Reason::Hashed),
        }
    }

    /// One of the admitted in proportion to the weights.
    fn draw(&self, first: usize, admitted: &Admitted, chance: &mut Chance) -> (usize, Reason) {
        let total: u32 = admitted.iter().map(|at| self.weight(at)).sum();
        let mut point = chance.below(total);
        for at in admitted.iter() {
            let weight = self.weight(at);
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
        let scored = |at: usize| score(joined(client, self.hash(at)), self.weight(at) as f32);
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
        let exceptions = self.particulars.as_ref().and_then(|particulars| particulars.exceptions.as_ref());
        let Some(exceptions) = exceptions else {
            return self.closest(first, admitted, whereabouts, recorder);
        };
        if let Some((decrees, view)) = &exceptions.decrees
            && let Some((at, source)) = decreed(decrees, view, admitted, whereabouts, recorder)
        {
            return (at, Reason::Serves(source));
        }
        let measured = exceptions.latencies.as_ref();
        let measured = measured.map(|(map, asns)| measured_for(map, asns.as_deref(), whereabouts, recorder));
        let here = self.points.as_ref().and_then(|view| whereabouts.seen_by(view, recorder).position);
        let bias = |at: usize| exceptions.biases[at];
        let mut closest = (f32::INFINITY, first, Reason::Unplaced);
        for at in admitted.iter() {
            let candidate = self.candidates[at];
            let (pool, position) = (candidate.pool, candidate.position());
            let milliseconds = measured.and_then(|measured| measured.milliseconds(pool));
            let distance = match (milliseconds, here, position) {
                (Some(milliseconds), ..) => {
                    recorder.candidate(pool, Finding::Measured(milliseconds));
                    milliseconds * KM_PER_MILLISECOND - bias(at)
                }
                (None, Some(here), Some(there)) => {
                    recorder.candidate(pool, Finding::Placed);
                    here.distance_km(&there) - bias(at)
                }
                (None, ..) => {
                    recorder.candidate(pool, Finding::Placeless);
                    continue;
                }
            };
            // Strictly: of two that are as close, the earlier in order stays.
            if distance < closest.0 {
                let reason = if milliseconds.is_some() { Reason::Quickest } else { Reason::Closest };
                closest = (distance, at, reason);
            }
        }
        (closest.1, closest.2)
    }

    /// The one closest to the client, of the two or more that are admitted.
    #[inline(always)]
    fn closest(
        &self,
        first: usize,
        admitted: &Admitted,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> (usize, Reason) {
        let here = self.points.as_ref().and_then(|view| whereabouts.seen_by(view, recorder).position);
        let here = here.unwrap_or(NOWHERE);
        // Alone, the chord does as well as the distance, and costs no arc sine. Its bits are in the order of
        // what they say, since it is not negative, and come before those of what is not a number: so the least
        // is found without a branch that nobody can predict. Of two that are as close, the earlier stays.
        let mut closest = u64::MAX;
        let candidates = &self.candidates[..];
        for at in admitted.iter() {
            let candidate = &candidates[at];
            let chord = here.chord_squared(&candidate.position);
            recorder
                .candidate(candidate.pool, if chord.is_nan() { Finding::Placeless } else { Finding::Placed });
            closest = closest.min(u64::from(chord.to_bits()) << 32 | at as u64);
        }
        if f32::from_bits((closest >> 32) as u32).is_nan() {
            return (first, Reason::Unplaced);
        }
        (closest as u32 as usize, Reason::Closest)
    }
}

/// How far a measured pool counts as being: what well-connected paths make of a round trip, such
/// as London to New York, 5,570 km in some 72 ms, or Hong Kong to Singapore, 2,590 km in some 35 ms.
/// So measured pools and pools that were not can be compared.
const KM_PER_MILLISECOND: f32 = 75.0;

/// What was measured for the client: by the networks around it, and by its autonomous system.
#[derive(Clone, Copy)]
struct Measured<'t> {
    by_prefix: Row<'t>,
    by_asn: Option<Row<'t>>,
}

impl Measured<'_> {
    /// To a pool: networks are more specific than an autonomous system.
    fn milliseconds(&self, pool: PoolId) -> Option<f32> {
        self.by_prefix.milliseconds(pool).or_else(|| self.by_asn.and_then(|row| row.milliseconds(pool)))
    }
}

fn measured_for<'t>(
    latencies: &'t Latencies,
    asns: Option<&GeoView>,
    whereabouts: &mut Whereabouts<'_>,
    recorder: &mut impl Recorder,
) -> Measured<'t> {
    let (by_prefix, scope) = latencies.lookup(whereabouts.client());
    whereabouts.narrow(scope);
    let asn = asns.and_then(|view| whereabouts.seen_by(view, recorder).location.asn);
    Measured { by_prefix, by_asn: asn.map(|asn| latencies.by_asn(asn)) }
}

/// The admitted candidate whose `serves` names the client most specifically.
fn decreed(
    decrees: &SourceIndex,
    view: &GeoView,
    admitted: &Admitted,
    whereabouts: &mut Whereabouts<'_>,
    recorder: &mut impl Recorder,
) -> Option<(usize, Source)> {
    let (by_prefix, scope) = decrees.by_prefix(whereabouts.client());
    whereabouts.narrow(scope);
    let found = by_prefix.iter().find(|(_, number)| admitted.has(usize::from(*number)));
    if let Some(&(prefix, number)) = found {
        return Some((usize::from(number), Source::Prefix(prefix)));
    }
    if decrees.fields().is_empty() {
        return None;
    }
    let location = &whereabouts.seen_by(view, recorder).location;
    let found = decrees.most_specific(location, |number| admitted.has(usize::from(number)));
    found.map(|(number, source)| (usize::from(number), source))
}
