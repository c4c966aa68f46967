//! When files that change have come to rest.

use std::time::{Duration, Instant};

/// How long nothing must happen: longer than a deployment takes between one file and the next, shorter
/// than anybody notices who waits for it.
pub(super) const QUIET: Duration = Duration::from_millis(200);

/// After so long it is looked at even so: what is written to for ever would never be reloaded.
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// Changes that are waited out.
#[derive(Default)]
pub(super) struct Settling {
    /// When the first of them was made, and the last.
    between: Option<(Instant, Instant)>,
}

impl Settling {
    /// Something has changed at `now`.
    pub(super) fn note(&mut self, now: Instant) {
        let (_, last) = self.between.get_or_insert((now, now));
        *last = now.max(*last);
    }

    /// When they are to be looked at; `None`: there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.between.map(|(first, last)| (last + QUIET).min(first + LONGEST))
    }

    /// They are looked at.
    pub(super) fn end(&mut self) {
        self.between = None;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_looked_at_when_it_keeps_still_or_never_does() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let every = |step: usize| (0..20_000).step_by(step).collect::<Vec<u64>>();
        for (changes, looks) in [
            (vec![], vec![]),
            (vec![0], vec![200]),
            (vec![0, 199, 398], vec![598]),
            (vec![0, 201], vec![200, 401]),
            // As what was measured elsewhere may arrive.
            (vec![100, 50], vec![300]),
            (every(100), vec![5_000, 10_000, 15_000, 20_000]),
            (every(300)[..3].to_vec(), vec![200, 500, 800]),
        ] {
            let mut settling = Settling::default();
            let mut found = Vec::new();
            let look = |settling: &mut Settling, until: Option<u64>, found: &mut Vec<u128>| {
                while let Some(due) = settling.due().filter(|due| until.is_none_or(|it| *due <= at(it))) {
                    settling.end();
                    found.push((due - start).as_millis());
                }
            };
            for &change in &changes {
                look(&mut settling, Some(change), &mut found);
                settling.note(at(change));
            }
            look(&mut settling, None, &mut found);
            assert_eq!(found, looks, "{changes:?}");
        }
    }
}
