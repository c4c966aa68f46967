//! Who is connected, and who has to leave when there is no room.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::routing::NETWORK_V6;

/// For how long a connection is in use after it came or was answered. The next query of a client
/// that has one is there by then, even if its segment was lost and sent again after a second.
const IN_USE: Duration = Duration::from_secs(2);

/// As many connections that have only just come are held against a client as much as one that is
/// idle: more than a client opens at once and has not yet asked on, far less than shuts out others.
const NEW_PER_IDLE: usize = 8;

/// All connections of a server, at most a given number. When one more comes, another leaves:
///
/// - As long as any is idle, which is one that was not answered for [`IN_USE`], those that were
///   answered since are left alone. The client that has the most of the others loses the one that
///   has waited the longest; those that have only just come count for little.
/// - When none is idle, the client that has the most of all connections loses the one that was not
///   answered for the longest.
///
/// So no client takes the places of those who are content with fewer, nor of those who use theirs
/// (RFC 7766, section 6.2.3). What is idle is the same for one that says nothing, one that begins a
/// query and never ends it, and one that never reads its replies: how long it is since a query was
/// answered.
pub(super) struct Crowd {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The turn that the next connection to come or to be answered gets. Who has an earlier one
    /// has waited for longer.
    next_turn: u64,
    /// Who has not been told to leave.
    staying: BTreeMap<(Origin, u64), Arc<Notify>>,
    /// Those of them that were not idle when that was last looked at, by turn, and since when they
    /// wait: the first is the next to be idle.
    in_use: BTreeMap<u64, (Instant, Origin)>,
    /// Those of these that were not answered yet.
    new: BTreeSet<(Origin, u64)>,
    /// What each client has.
    shares: HashMap<Origin, Share>,
    /// The clients in the order of who has the most that is not in use, with that; the last one is
    /// next to lose a connection while any is idle.
    by_burden: BTreeSet<Rank>,
    /// The clients in the order of who has the most of all, with that; likewise while none is idle.
    by_places: BTreeSet<Rank>,
}

/// How much a client has, the turn of its connection that is next to leave, and who it is.
type Rank = (usize, Reverse<u64>, Origin);

/// A client, as far as one can be told from another: an address of IPv4, or the network of IPv6 of
/// which a single customer may use all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Origin {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Origin::V4(address.to_bits()),
            IpAddr::V6(address) => Origin::V6((address.to_bits() >> (128 - NETWORK_V6)) as u64),
        }
    }
}

/// What a client has.
#[derive(Clone, Copy, Default)]
struct Share {
    /// All its connections.
    places: usize,
    idle: usize,
    new: usize,
}

impl Share {
    /// How much it has that is not in use.
    fn burden(self) -> usize {
        NEW_PER_IDLE * self.idle + self.new
    }
}

impl Crowd {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Crowd { limit, state: Mutex::default() })
    }

    /// A place for one more connection from `client`, and whether another has to leave for it;
    /// none if there is no room for any.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr, now: Instant) -> Option<(Place, bool)> {
        let origin = Origin::from(client);
        let mut state = self.lock();
        let full = state.staying.len() >= self.limit;
        if full && !state.evict_for(Some(origin), now) {
            return None;
        }
        let leave = Arc::<Notify>::default();
        let turn = state.insert(origin, Arc::clone(&leave), true, now);
        drop(state);
        Some((Place { crowd: Arc::clone(self), leave, origin, turn }, full))
    }

    /// Tells the connection that has to leave first to do so; false if there is none.
    pub(super) fn evict(&self, now: Instant) -> bool {
        self.lock().evict_for(None, now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells one to leave so that `newcomer` can have its place. A newcomer that has as much as
    /// anybody loses one of its own: else it would have more than anybody.
    fn evict_for(&mut self, newcomer: Option<Origin>, now: Instant) -> bool {
        self.look_for_idle(now);
        let is_any_idle = self.in_use.len() < self.staying.len();
        let ranks = if is_any_idle { &self.by_burden } else { &self.by_places };
        let Some(&most) = ranks.last() else { return false };
        let own = newcomer.and_then(|origin| self.ranks(origin)[usize::from(!is_any_idle)]);
        let (_, Reverse(turn), origin) = own.filter(|own| own.0 == most.0).unwrap_or(most);
        let Some(leave) = self.remove(origin, turn) else { return false };
        leave.notify_one();
        true
    }

    /// Counts as idle what has become it: each connection once, until it is answered again.
    fn look_for_idle(&mut self, now: Instant) {
        while let Some(first) = self.in_use.first_entry()
            && now.saturating_duration_since(first.get().0) >= IN_USE
        {
            let (turn, (_, origin)) = first.remove_entry();
            let was_new = self.new.contains(&(origin, turn));
            self.change(origin, |state, share| {
                state.new.remove(&(origin, turn));
                share.new -= usize::from(was_new);
                share.idle += 1;
            });
        }
    }

    /// Enters a connection as the last of its client to leave, and returns its turn.
    fn insert(&mut self, origin: Origin, leave: Arc<Notify>, is_new: bool, now: Instant) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.change(origin, |state, share| {
            state.staying.insert((origin, turn), leave);
            state.in_use.insert(turn, (now, origin));
            if is_new {
                state.new.insert((origin, turn));
            }
            share.places += 1;
            share.new += usize::from(is_new);
        });
        turn
    }

    fn remove(&mut self, origin: Origin, turn: u64) -> Option<Arc<Notify>> {
        if !self.staying.contains_key(&(origin, turn)) {
            return None;
        }
        self.change(origin, |state, share| {
            let was_idle = state.in_use.remove(&turn).is_none();
            let was_new = state.new.remove(&(origin, turn));
            share.places -= 1;
            share.idle -= usize::from(was_idle);
            share.new -= usize::from(was_new);
            state.staying.remove(&(origin, turn))
        })
    }

    /// Makes a change of what a client has, and of where it stands among all clients.
    fn change<T>(&mut self, origin: Origin, change: impl FnOnce(&mut State, &mut Share) -> T) -> T {
        let [burden, places] = self.ranks(origin);
        if let Some(rank) = burden {
            self.by_burden.remove(&rank);
        }
        if let Some(rank) = places {
            self.by_places.remove(&rank);
        }
        let mut share = self.shares.remove(&origin).unwrap_or_default();
        let result = change(self, &mut share);
        if share.places > 0 {
            self.shares.insert(origin, share);
        }
        let [burden, places] = self.ranks(origin);
        self.by_burden.extend(burden);
        self.by_places.extend(places);
        result
    }

    /// Where a client stands while some connection is idle, and while none is.
    fn ranks(&self, origin: Origin) -> [Option<Rank>; 2] {
        let Some(share) = self.shares.get(&origin) else { return [None; 2] };
        let of_client = (origin, 0)..=(origin, u64::MAX);
        // Those that are idle came or were answered before all others.
        let oldest = self.staying.range(of_client.clone()).next().map(|((_, turn), _)| *turn);
        let oldest_new = || self.new.range(of_client).next().map(|(_, turn)| *turn);
        let unused = if share.idle > 0 { oldest } else { oldest_new() };
        [
            unused.map(|turn| (share.burden(), Reverse(turn), origin)),
            oldest.map(|turn| (share.places, Reverse(turn), origin)),
        ]
    }
}

/// One connection's place in the crowd, given back when dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    leave: Arc<Notify>,
    origin: Origin,
    /// Where it stands among those of its client, or stood until it was told to leave.
    turn: u64,
}

impl Place {
    /// Has the connection leave after all others of its client, since it has been answered; false
    /// if it was told to leave before. Nothing else earns time: neither octets that drip in nor
    /// what is no query.
    pub(super) fn renew(&mut self, now: Instant) -> bool {
        let mut state = self.crowd.lock();
        let Some(leave) = state.remove(self.origin, self.turn) else { return false };
        self.turn = state.insert(self.origin, leave, false, now);
        true
    }

    /// Whether the connection has not been told to leave.
    pub(super) fn stays(&self) -> bool {
        self.crowd.lock().staying.contains_key(&(self.origin, self.turn))
    }

    /// Waits until the connection is told to leave.
    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever was told to leave has no place any more.
        self.crowd.lock().remove(self.origin, self.turn);
    }
}

#[cfg(test)]
mod tests;
