//! Who is connected, and who has to leave when there is no room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All connections of a server, at most a given number. When one more comes, the one that has
/// been idle the longest leaves (RFC 7766, section 6.2.3).
pub(super) struct Crowd {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that have not been told to leave.
    open: usize,
    /// The turn that the next connection to fall idle gets. Turns stand for times: only their
    /// order matters.
    next_turn: u64,
    /// The idle, from the longest to the latest.
    idle: BTreeMap<u64, Arc<Notify>>,
}

impl Crowd {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Crowd { limit, state: Mutex::default() })
    }

    /// A place for one more connection, idle at first, and whether another has to leave for it;
    /// none if all are busy.
    pub(super) fn enter(self: &Arc<Self>) -> Option<(Place, bool)> {
        let mut state = self.lock();
        let full = state.open >= self.limit;
        if full && !state.evict() {
            return None;
        }
        state.open += 1;
        drop(state);
        let mut place = Place { crowd: Arc::clone(self), leave: Arc::default(), idle: None };
        place.become_idle();
        Some((place, full))
    }

    /// Tells the connection that has been idle the longest to leave; false if none is idle.
    pub(super) fn evict(&self) -> bool {
        self.lock().evict()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn evict(&mut self) -> bool {
        let Some((_, leave)) = self.idle.pop_first() else { return false };
        leave.notify_one();
        self.open -= 1;
        true
    }
}

/// One connection's place in the crowd, given back when dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    leave: Arc<Notify>,
    /// The turn under which it stands among the idle, or stood until it was told to leave.
    idle: Option<u64>,
}

impl Place {
    /// Marks the connection as waiting for a query: from now on it may be told to leave.
    pub(super) fn become_idle(&mut self) {
        if self.idle.is_some() {
            return;
        }
        let mut state = self.crowd.lock();
        let turn = state.next_turn;
        state.next_turn += 1;
        state.idle.insert(turn, Arc::clone(&self.leave));
        self.idle = Some(turn);
    }

    /// Marks the connection as having a query under way; false if it was told to leave before.
    pub(super) fn become_busy(&mut self) -> bool {
        let Some(turn) = self.idle else { return true };
        let stayed = self.crowd.lock().idle.remove(&turn).is_some();
        if stayed {
            self.idle = None;
        }
        stayed
    }

    /// Waits until the connection is told to leave.
    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever was told to leave has been taken off the count then.
        if self.become_busy() {
            self.crowd.lock().open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_leaves_first() {
        let crowd = Crowd::new(3);
        let (mut first, _) = crowd.enter().unwrap();
        let (mut second, _) = crowd.enter().unwrap();
        let (mut third, evicting) = crowd.enter().unwrap();
        assert!(!evicting);
        assert!(first.become_busy());
        first.become_idle();

        let (mut fourth, evicting) = crowd.enter().unwrap();
        assert!(evicting);
        assert!(!second.become_busy(), "idle since before the first fell idle again");
        assert!(third.become_busy());
        assert!(first.become_busy());
        assert!(fourth.become_busy());
        assert!(crowd.enter().is_none(), "none is idle");
        assert!(!crowd.evict());

        drop(second);
        assert!(crowd.enter().is_none(), "an evicted connection gives up its place only once");
        drop(third);
        assert!(crowd.enter().is_some_and(|(_, evicting)| !evicting));
    }

    #[test]
    fn no_room_at_all() {
        assert!(Crowd::new(0).enter().is_none());
    }
}
