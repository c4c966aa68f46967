//! When which pool changes by time alone.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::plan::PoolId;

/// At most one moment for each pool, in order.
pub(super) struct Deadlines {
    order: BTreeSet<(Instant, PoolId)>,
    by_pool: Vec<Option<Instant>>,
}

impl Deadlines {
    /// None for any of `pools`.
    pub(super) fn new(pools: usize) -> Self {
        Deadlines { order: BTreeSet::new(), by_pool: vec![None; pools] }
    }

    /// The first of all.
    pub(super) fn first(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    /// A pool whose moment has come at `now`.
    pub(super) fn due(&self, now: Instant) -> Option<PoolId> {
        self.order.first().filter(|(due, _)| *due <= now).map(|(_, pool)| *pool)
    }

    /// Puts another moment, or none, in place of that of `pool`.
    pub(super) fn set(&mut self, pool: PoolId, due: Option<Instant>) {
        let before = std::mem::replace(&mut self.by_pool[pool.index()], due);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, pool));
        }
        if let Some(due) = due {
            self.order.insert((due, pool));
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_is_first_however_often_it_changes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::new(3);
        assert_eq!((deadlines.first(), deadlines.due(at(99))), (None, None));
        for (pool, due, first) in [
            (0, Some(5), Some(5)),
            (1, Some(3), Some(3)),
            (2, Some(3), Some(3)),
            (1, Some(9), Some(3)),
            (2, None, Some(5)),
            (0, Some(10), Some(9)),
            (1, None, Some(10)),
            (1, None, Some(10)),
            (0, None, None),
        ] {
            deadlines.set(PoolId(pool), due.map(at));
            assert_eq!(deadlines.first(), first.map(at), "{pool} {due:?}");
            let found = deadlines.due(at(5));
            assert_eq!(found.is_some(), first.is_some_and(|first| first <= 5));
        }
    }
}
