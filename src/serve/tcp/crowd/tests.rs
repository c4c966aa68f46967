//! Who leaves, with time as the tests say.

use std::cell::Cell;

use super::*;

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

/// A crowd, and what time it is there.
struct Room {
    crowd: Arc<Crowd>,
    now: Cell<Instant>,
}

impl Room {
    fn new(limit: usize) -> Room {
        Room { crowd: Crowd::new(limit), now: Cell::new(Instant::now()) }
    }

    fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    fn enter(&self, client: IpAddr) -> Place {
        self.crowd.enter(client, self.now.get()).expect("there are places").0
    }

    /// One that has asked and was answered.
    fn enter_and_ask(&self, client: IpAddr) -> Place {
        let mut place = self.enter(client);
        assert!(self.answer(&mut place), "just entered");
        place
    }

    fn answer(&self, place: &mut Place) -> bool {
        place.renew(self.now.get())
    }

    fn evict(&self) -> bool {
        self.crowd.evict(self.now.get())
    }

    /// One connection each, of so many clients, that say nothing.
    fn silent(&self, clients: u32) -> Vec<Place> {
        (0..clients).map(|client| self.enter(IpAddr::from((0x0a00_0000 + client).to_be_bytes()))).collect()
    }
}

fn staying(places: &[Place]) -> Vec<bool> {
    places.iter().map(Place::stays).collect()
}

fn count(places: &[Place]) -> usize {
    places.iter().filter(|place| place.stays()).count()
}

#[test]
fn the_longest_unanswered_leaves_first() {
    for apart in [Duration::ZERO, IN_USE / 2, IN_USE] {
        let room = Room::new(3);
        let mut places = [ONE; 3].map(|client| {
            let place = room.enter(client);
            room.pass(apart);
            place
        });
        assert!(room.answer(&mut places[0]), "answered after the others came");
        for left in [[true, false, true], [true, false, false], [false; 3]] {
            assert!(room.evict());
            assert_eq!(staying(&places), left, "{apart:?} apart");
        }
        assert!(!room.evict());
        assert!(!room.answer(&mut places[0]), "it was told");
    }
}

#[test]
fn who_has_the_most_makes_room() {
    let room = Room::new(4);
    let honest = room.enter(OTHER);
    // As many as there is room for, and a thousand more.
    let mut hostile: Vec<Place> = (0..3).map(|_| room.enter(ONE)).collect();
    for _ in 0..1000 {
        hostile.push(room.enter(ONE));
        assert!(honest.stays());
    }
    assert_eq!(count(&hostile), 3);
    // The other has what it wants up to its half, and beyond that gives what it takes.
    let more = [OTHER; 2].map(|client| room.enter(client));
    assert_eq!(count(&hostile), 2);
    assert_eq!((honest.stays(), staying(&more)), (false, vec![true; 2]));
    let last = room.enter(ONE);
    assert!(last.stays());
    assert_eq!(staying(&more), [true; 2]);
}

#[test]
fn among_equals_the_longest_unanswered_makes_room() {
    let room = Room::new(3);
    let client = |number: u8| IpAddr::from([192, 0, 2, number]);
    let mut places: Vec<Place> = (1..=3).map(|number| room.enter(client(number))).collect();
    assert!(room.answer(&mut places[0]));
    let newcomer = room.enter(client(4));
    assert_eq!((staying(&places), newcomer.stays()), (vec![true, false, true], true));
}

#[test]
fn who_is_answered_keeps_all_its_places_while_others_say_nothing() {
    let room = Room::new(1000);
    let silent = room.silent(998);
    room.pass(IN_USE);
    let busy = [ONE; 2].map(|client| room.enter_and_ask(client));
    // It opens more, some of which it has yet to ask on.
    let asking: Vec<Place> = (0..20).map(|_| room.enter_and_ask(ONE)).collect();
    let opened: Vec<Place> = (0..NEW_PER_IDLE).map(|_| room.enter(ONE)).collect();
    assert_eq!(count(&silent), 998 - 20 - NEW_PER_IDLE);
    let newcomers: Vec<Place> =
        (0..900).map(|client: u32| room.enter(IpAddr::from((0x0b00_0000 + client).to_be_bytes()))).collect();
    assert_eq!([count(&busy), count(&asking), count(&opened)], [2, 20, NEW_PER_IDLE]);
    assert_eq!([count(&newcomers), count(&silent)], [900, 998 - 20 - NEW_PER_IDLE - 900]);
    // When nobody is idle, it is again the one with the most that makes room.
    let more = room.silent(90);
    assert_eq!([count(&silent), count(&newcomers), count(&more)], [0, 900, 90]);
    assert_eq!([count(&busy), count(&asking), count(&opened)], [0, 2, NEW_PER_IDLE]);
}

#[test]
fn who_was_answered_long_ago_is_idle_again() {
    let room = Room::new(4);
    let busy = [ONE; 3].map(|client| room.enter_and_ask(client));
    let silent = room.enter(OTHER);
    room.pass(IN_USE - Duration::from_millis(1));
    let first = room.enter(IpAddr::from([192, 0, 2, 3]));
    assert_eq!((count(&busy), silent.stays()), (2, true), "none is idle");
    room.pass(Duration::from_millis(1));
    let second = room.enter(IpAddr::from([192, 0, 2, 4]));
    assert_eq!((count(&busy), silent.stays(), first.stays(), second.stays()), (1, true, true, true));
}

#[test]
fn a_flood_of_one_client_costs_those_nothing_that_have_less_however_idle() {
    let room = Room::new(50);
    let idle = room.enter_and_ask(OTHER);
    room.pass(3 * IN_USE);
    for _ in 0..3 {
        let hostile: Vec<Place> = (0..500).map(|_| room.enter(ONE)).collect();
        assert!(idle.stays());
        // One that comes in the midst of it has time to ask.
        let honest = room.enter(IpAddr::from([192, 0, 2, 3]));
        let more: Vec<Place> = (0..500).map(|_| room.enter(ONE)).collect();
        assert!(idle.stays() && honest.stays());
        assert_eq!((count(&hostile), count(&more)), (0, 48));
        room.pass(IN_USE);
    }
}

#[test]
fn the_ranks_are_those_of_a_recount() {
    let mut random = fastrand::Rng::with_seed(1);
    let room = Room::new(40);
    let mut places: Vec<Place> = Vec::new();
    // Since when each waits, by client and turn, and whether it has been answered.
    let mut waiting: HashMap<(Origin, u64), (Instant, bool)> = HashMap::new();
    for _ in 0..20_000 {
        room.pass(Duration::from_millis(random.u64(..200)));
        let now = room.now.get();
        let some = random.usize(..places.len().max(1));
        match random.u8(..4) {
            0 if !places.is_empty() => drop(places.swap_remove(some)),
            1 if !places.is_empty() => {
                if room.answer(&mut places[some]) {
                    waiting.insert((places[some].origin, places[some].turn), (now, true));
                }
            }
            _ => {
                places.push(room.enter(IpAddr::from([192, 0, 2, random.u8(..12)])));
                let last = places.last().expect("just pushed");
                waiting.insert((last.origin, last.turn), (now, false));
            }
        }
        let mut state = room.crowd.lock();
        state.look_for_idle(now);
        waiting.retain(|key, _| state.staying.contains_key(key));
        assert_eq!(waiting.len(), state.staying.len());
        let idle = |since: Instant| now - since >= IN_USE;
        let mut of_clients: HashMap<Origin, [Vec<u64>; 3]> = HashMap::new();
        for (&(origin, turn), &(since, is_answered)) in &waiting {
            let [all, idles, new] = of_clients.entry(origin).or_default();
            all.push(turn);
            match (idle(since), is_answered) {
                (true, _) => idles.push(turn),
                (false, false) => new.push(turn),
                (false, true) => {}
            }
        }
        let first = |turns: &[u64]| turns.iter().min().copied();
        let by_places: BTreeSet<Rank> = of_clients
            .iter()
            .filter_map(|(origin, [all, ..])| Some((all.len(), Reverse(first(all)?), *origin)))
            .collect();
        let by_burden: BTreeSet<Rank> = of_clients
            .iter()
            .filter_map(|(origin, [_, idles, new])| {
                let turn = first(idles).or(first(new))?;
                Some((NEW_PER_IDLE * idles.len() + new.len(), Reverse(turn), *origin))
            })
            .collect();
        assert!(state.by_places == by_places && state.by_burden == by_burden);
    }
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
    let room = Room::new(1);
    let enter = |client| room.crowd.enter(client, room.now.get());
    let (first, evicting) = enter(ONE).expect("a place");
    assert!(!evicting);
    let (second, evicting) = enter(OTHER).expect("the first's place");
    assert!(evicting);
    drop(first);
    assert_eq!(room.crowd.lock().staying.len(), 1);
    drop(second);
    let state = room.crowd.lock();
    assert!(state.staying.is_empty() && state.shares.is_empty() && state.by_places.is_empty());
    assert!(state.in_use.is_empty() && state.new.is_empty() && state.by_burden.is_empty());
    drop(state);
    assert!(enter(ONE).is_some_and(|(_, evicting)| !evicting));
}

#[test]
fn no_room_at_all() {
    assert!(Crowd::new(0).enter(ONE, Instant::now()).is_none());
}
