//! Whether this process itself stood still.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::now;

/// How often the runtime shows that it is alive: a fraction of the shortest standstill that matters, and
/// so rarely that the processor sleeps in between.
const BEAT: Duration = Duration::from_millis(20);

/// Shorter standstills are what a scheduler does, and no timeout is set so closely.
const MIN_STANDSTILL: Duration = Duration::from_millis(50);

/// As many standstills are remembered. Of more within one probe, the longest is likely among the last.
const REMEMBERED: usize = 8;

/// Notices when the runtime of the probes does not get to run: the process was stopped, the machine
/// was suspended or starved. A probe that timed out over it says nothing of its target.
#[derive(Clone, Default)]
pub(super) struct Pulse {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    last: Option<Instant>,
    standstills: VecDeque<(Instant, Instant)>,
}

/// What keeps a pulse beating, until it is dropped.
pub(super) struct Beating(JoinHandle<()>);

impl Pulse {
    /// Beats on `runtime`.
    pub(super) fn beat(&self, runtime: &Handle) -> Beating {
        let pulse = self.clone();
        Beating(runtime.spawn(async move {
            loop {
                pulse.with(|seen| seen.beat(now()));
                tokio::time::sleep(BEAT).await;
            }
        }))
    }

    /// The longest time that the runtime stood still between `from` and `until`, as far as that matters
    /// to what was to be done within `timeout`.
    pub(super) fn standstill(&self, from: Instant, until: Instant, timeout: Duration) -> Option<Duration> {
        self.with(|seen| seen.standstill(from, until))
            .filter(|still| *still > MIN_STANDSTILL.max(timeout / 4))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        // A few moments are whole whatever happened to whoever held the lock.
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    fn beat(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let due = last + BEAT;
            if now.saturating_duration_since(due) > MIN_STANDSTILL {
                self.standstills.truncate(REMEMBERED - 1);
                self.standstills.push_front((due, now));
            }
        }
    }

    fn standstill(&self, from: Instant, until: Instant) -> Option<Duration> {
        // The beat that ends a standstill may be yet to come.
        let current = self.last.map(|last| (last + BEAT, until));
        let all = self.standstills.iter().copied().chain(current);
        all.map(|(start, end)| end.min(until).saturating_duration_since(start.max(from))).max()
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn standstills_are_seen_by_whom_they_concern() {
        let start = Instant::now();
        let pulse = Pulse::default();
        let at = |millis| start + ms(millis);
        // From 120 to 400 nothing ran.
        for beat in (0..=100).step_by(20).chain([400, 420, 440]) {
            pulse.with(|seen| seen.beat(at(beat)));
        }
        for (what, from, until, timeout, expected) in [
            ("around it", 50, 430, 200, Some(280)),
            ("its end", 300, 430, 200, Some(100)),
            ("too little of it", 360, 430, 200, None),
            ("too little for so long a timeout", 50, 430, 1200, None),
            ("before it", 0, 110, 200, None),
            ("after it", 400, 450, 200, None),
            ("one that goes on", 440, 700, 200, Some(240)),
        ] {
            assert_eq!(pulse.standstill(at(from), at(until), ms(timeout)), expected.map(ms), "{what}");
        }
    }

    #[test]
    fn without_a_beat_nothing_is_known() {
        let now = Instant::now();
        assert_eq!(Pulse::default().standstill(now, now + ms(1000), ms(100)), None);
    }
}
