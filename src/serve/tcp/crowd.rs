//! Who is connected, and who has to leave when there is no room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All connections of a server, at most a given number. When one more comes, the one that has
/// been idle the longest leaves (RFC 7766, section 6.2.3); where none is idle, the one that has
/// kept the server waiting the longest. Otherwise a client that begins queries and never ends
/// them, or never reads replies, would keep all others out for as long as the time limits allow.
pub(super) struct Crowd {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that have not been told to leave.
    open: usize,
    /// The turn that the next connection to wait gets. Turns stand for times: only their order
    /// matters.
    next_turn: u64,
    /// Who waits, in the order in which they would have to leave.
    waiting: BTreeMap<Turn, Arc<Notify>>,
}

/// Where one stands in the order of leaving.
type Turn = (WaitsFor, u64);

/// What a connection waits for. Answering itself never waits, so that it always is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WaitsFor {
    /// A query: it is idle.
    Query,
    /// The rest of a query, or its replies to be taken.
    Rest,
}

impl Crowd {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Crowd { limit, state: Mutex::default() })
    }

    /// A place for one more connection, idle at first, and whether another has to leave for it;
    /// none if there is no room for any.
    pub(super) fn enter(self: &Arc<Self>) -> Option<(Place, bool)> {
        let mut state = self.lock();
        let full = state.open >= self.limit;
        if full && !state.evict() {
            return None;
        }
        state.open += 1;
        let leave = Arc::<Notify>::default();
        let turn = state.wait(WaitsFor::Query, Arc::clone(&leave));
        drop(state);
        Some((Place { crowd: Arc::clone(self), leave, turn }, full))
    }

    /// Tells the connection that has to leave first to do so; false if there is none.
    pub(super) fn evict(&self) -> bool {
        self.lock().evict()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn evict(&mut self) -> bool {
        let Some((_, leave)) = self.waiting.pop_first() else { return false };
        leave.notify_one();
        self.open -= 1;
        true
    }

    fn wait(&mut self, what: WaitsFor, leave: Arc<Notify>) -> Turn {
        let turn = (what, self.next_turn);
        self.next_turn += 1;
        self.waiting.insert(turn, leave);
        turn
    }
}

/// One connection's place in the crowd, given back when dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    leave: Arc<Notify>,
    /// Where it stands among those who wait, or stood until it was told to leave.
    turn: Turn,
}

impl Place {
    /// Marks the connection as waiting for that; false if it was told to leave before. Who goes on
    /// waiting for the same keeps its turn: octets that drip in earn no more time.
    pub(super) fn wait(&mut self, what: WaitsFor) -> bool {
        let mut state = self.crowd.lock();
        if !state.waiting.contains_key(&self.turn) {
            return false;
        }
        if self.turn.0 == what {
            return true;
        }
        state.waiting.remove(&self.turn);
        self.turn = state.wait(what, Arc::clone(&self.leave));
        true
    }

    /// Waits until the connection is told to leave.
    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.crowd.lock();
        // Whoever was told to leave has been taken off the count then.
        if state.waiting.remove(&self.turn).is_some() {
            state.open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who of `places` has been told to leave.
    fn told(places: [&Place; 4]) -> [bool; 4] {
        places.map(|place| !place.crowd.lock().waiting.contains_key(&place.turn))
    }

    #[test]
    fn the_longest_idle_leaves_first_and_then_who_is_stuck_the_longest() {
        let crowd = Crowd::new(4);
        let [mut first, mut second, third, fourth] = [(); 4].map(|()| crowd.enter().unwrap().0);
        assert!(second.wait(WaitsFor::Rest));
        assert!(first.wait(WaitsFor::Rest));
        assert!(first.wait(WaitsFor::Query), "idle since after the others");
        assert!(second.wait(WaitsFor::Rest), "it stays where it stands");

        for gone in [
            [false, false, true, false],
            [false, false, true, true],
            [true, false, true, true],
            [true, true, true, true],
        ] {
            assert!(crowd.evict());
            assert_eq!(told([&first, &second, &third, &fourth]), gone);
        }
        assert!(!crowd.evict());
        assert!(!first.wait(WaitsFor::Rest), "it was told");
    }

    #[test]
    fn a_place_is_given_up_once() {
        let crowd = Crowd::new(1);
        let (first, evicting) = crowd.enter().unwrap();
        assert!(!evicting);
        let (second, evicting) = crowd.enter().unwrap();
        assert!(evicting);
        drop(first);
        assert_eq!(crowd.lock().open, 1);
        drop(second);
        assert_eq!(crowd.lock().open, 0);
        assert!(crowd.enter().is_some_and(|(_, evicting)| !evicting));
    }

    #[test]
    fn no_room_at_all() {
        assert!(Crowd::new(0).enter().is_none());
    }
}
