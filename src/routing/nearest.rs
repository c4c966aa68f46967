//! The `nearest` policy: by decree first, then by distance.

use super::recorder::{Finding, Reason, Recorder};
use super::steering::Steering;
use super::whereabouts::Whereabouts;
use crate::plan::PoolId;

impl Steering {
    /// The pool for the client among the two or more that `admits` lets pass, of which `first` is
    /// the first in order.
    pub(super) fn nearest(
        &self,
        first: PoolId,
        admits: impl Fn(PoolId) -> bool,
        whereabouts: &mut Whereabouts<'_>,
        recorder: &mut impl Recorder,
    ) -> (PoolId, Reason) {
        if let Some(decrees) = &self.decrees {
            let serves = |number: u16| {
                let pool = self.candidates[usize::from(number)].pool;
                admits(pool).then_some(pool)
            };
            if let Some((pool, source)) = decrees.choose(serves, whereabouts, recorder) {
                return (pool, Reason::Serves(source));
            }
        }
        let here = if self.has_places { whereabouts.place(recorder).position } else { None };
        let Some(here) = here else {
            return (first, Reason::Unplaced);
        };
        let mut closest = (f32::INFINITY, first);
        for candidate in self.candidates.iter().filter(|candidate| admits(candidate.pool)) {
            let Some(there) = candidate.position else {
                recorder.candidate(candidate.pool, Finding::Placeless);
                continue;
            };
            let distance = here.chord_squared(&there);
            recorder.candidate(candidate.pool, Finding::Distance(distance));
            // Strictly: of two that are as close, the earlier in order stays.
            if distance < closest.0 {
                closest = (distance, candidate.pool);
            }
        }
        let reason = if closest.0.is_finite() { Reason::Closest } else { Reason::Unplaced };
        (closest.1, reason)
    }
}
