//! Who is connected, and who has to leave when there is no room.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::routing::NETWORK_V6;

/// All connections of a server, at most a given number. When one more comes, the client that has
/// the most loses one, so that no client takes the places of those who are content with fewer; of
/// its connections the one that has been idle the longest (RFC 7766, section 6.2.3). What is idle
/// is the same for one that says nothing, one that begins a query and never ends it, and one that
/// never reads its replies: how long it is since a query was answered. A client that has only
/// just connected so keeps its place for as long as anybody has more.
pub(super) struct Crowd {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The turn that the next connection to come or to be answered gets. Turns stand for times:
    /// only their order matters.
    next_turn: u64,
    /// Who has not been told to leave, those of each client in the order in which they would be.
    staying: BTreeMap<(Origin, u64), Arc<Notify>>,
    /// What each client has.
    shares: HashMap<Origin, Share>,
    /// The clients in the order of who is next to lose a place: the last one.
    ranks: BTreeSet<(Share, Origin)>,
}

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

/// What a client has; the greatest loses a place first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Share {
    places: usize,
    /// The turn of its connection that is next to leave.
    first: Reverse<u64>,
}

impl Crowd {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Crowd { limit, state: Mutex::default() })
    }

    /// A place for one more connection from `client`, and whether another has to leave for it;
    /// none if there is no room for any.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<(Place, bool)> {
        let origin = Origin::from(client);
        let mut state = self.lock();
        let full = state.staying.len() >= self.limit;
        if full && !state.evict_for(Some(origin)) {
            return None;
        }
        let leave = Arc::<Notify>::default();
        let turn = state.insert(origin, Arc::clone(&leave));
        drop(state);
        Some((Place { crowd: Arc::clone(self), leave, origin, turn }, full))
    }

    /// Tells the connection that has to leave first to do so; false if there is none.
    pub(super) fn evict(&self) -> bool {
        self.lock().evict_for(None)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells one to leave so that `newcomer` can have its place. A newcomer that has as many as
    /// anybody loses one of its own: else it would have more than anybody.
    fn evict_for(&mut self, newcomer: Option<Origin>) -> bool {
        let Some(&(most, origin)) = self.ranks.last() else { return false };
        let own = newcomer.and_then(|origin| Some((*self.shares.get(&origin)?, origin)));
        let (share, origin) = own.filter(|(own, _)| own.places == most.places).unwrap_or((most, origin));
        let Some(leave) = self.remove(origin, share.first.0) else { return false };
        leave.notify_one();
        true
    }

    /// Enters a connection as the last of its client to leave, and returns its turn.
    fn insert(&mut self, origin: Origin, leave: Arc<Notify>) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.staying.insert((origin, turn), leave);
        let places = self.shares.get(&origin).map_or(0, |share| share.places);
        self.set_share(origin, places + 1);
        turn
    }

    fn remove(&mut self, origin: Origin, turn: u64) -> Option<Arc<Notify>> {
        let leave = self.staying.remove(&(origin, turn))?;
        let places = self.shares.get(&origin).map_or(0, |share| share.places);
        self.set_share(origin, places.saturating_sub(1));
        Some(leave)
    }

    fn set_share(&mut self, origin: Origin, places: usize) {
        if let Some(before) = self.shares.remove(&origin) {
            self.ranks.remove(&(before, origin));
        }
        let first = self.staying.range((origin, 0)..=(origin, u64::MAX)).next();
        if let Some((&(_, turn), _)) = first {
            let share = Share { places, first: Reverse(turn) };
            self.shares.insert(origin, share);
            self.ranks.insert((share, origin));
        }
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
    pub(super) fn renew(&mut self) -> bool {
        let mut state = self.crowd.lock();
        let Some(leave) = state.remove(self.origin, self.turn) else { return false };
        self.turn = state.insert(self.origin, leave);
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
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn enter(crowd: &Arc<Crowd>, client: IpAddr) -> Place {
        crowd.enter(client).expect("there are places").0
    }

    fn staying(places: &[Place]) -> Vec<bool> {
        places.iter().map(Place::stays).collect()
    }

    #[test]
    fn the_longest_unanswered_leaves_first() {
        let crowd = Crowd::new(3);
        let mut places = [ONE; 3].map(|client| enter(&crowd, client));
        assert!(places[0].renew(), "answered after the others came");
        for left in [[true, false, true], [true, false, false], [false; 3]] {
            assert!(crowd.evict());
            assert_eq!(staying(&places), left);
        }
        assert!(!crowd.evict());
        assert!(!places[0].renew(), "it was told");
    }

    #[test]
    fn who_has_the_most_makes_room() {
        let crowd = Crowd::new(4);
        let honest = enter(&crowd, OTHER);
        // As many as there is room for, and a thousand more.
        let mut hostile: Vec<Place> = (0..3).map(|_| enter(&crowd, ONE)).collect();
        for _ in 0..1000 {
            hostile.push(enter(&crowd, ONE));
            assert!(honest.stays());
        }
        assert_eq!(hostile.iter().filter(|place| place.stays()).count(), 3);
        // The other has what it wants up to its half, and beyond that gives what it takes.
        let more = [OTHER; 2].map(|client| enter(&crowd, client));
        assert_eq!(hostile.iter().filter(|place| place.stays()).count(), 2);
        assert_eq!((honest.stays(), staying(&more)), (false, vec![true; 2]));
        let last = enter(&crowd, ONE);
        assert!(last.stays());
        assert_eq!(staying(&more), [true; 2]);
    }

    #[test]
    fn among_equals_the_longest_unanswered_makes_room() {
        let crowd = Crowd::new(3);
        let client = |number: u8| IpAddr::from([192, 0, 2, number]);
        let mut places: Vec<Place> = (1..=3).map(|number| enter(&crowd, client(number))).collect();
        assert!(places[0].renew());
        let newcomer = enter(&crowd, client(4));
        assert_eq!((staying(&places), newcomer.stays()), (vec![true, false, true], true));
    }

    #[test]
    fn a_client_is_an_address_of_ipv4_or_a_56_of_ipv6() {
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| text.parse::<IpAddr>().expect("an address"));
            Origin::from(one) == Origin::from(other)
        };
        assert!(same("2001:db8::1", "2001:db8:0:ff:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8::1", "2001:db8:0:100::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("0.0.0.1", "0:0:0:100::"));
    }

    #[test]
    fn a_place_is_given_up_once() {
        let crowd = Crowd::new(1);
        let (first, evicting) = crowd.enter(ONE).expect("a place");
        assert!(!evicting);
        let (second, evicting) = crowd.enter(OTHER).expect("the first's place");
        assert!(evicting);
        drop(first);
        assert_eq!(crowd.lock().staying.len(), 1);
        drop(second);
        let state = crowd.lock();
        assert!(state.staying.is_empty() && state.shares.is_empty() && state.ranks.is_empty());
        drop(state);
        assert!(crowd.enter(ONE).is_some_and(|(_, evicting)| !evicting));
    }

    #[test]
    fn no_room_at_all() {
        assert!(Crowd::new(0).enter(ONE).is_none());
    }
}
