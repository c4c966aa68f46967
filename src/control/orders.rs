//! What is said of a pool's addresses from outside, beside what probes find.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use crate::plan::{AddressState, RESOLVED};

/// What an operator orders of an address or of a whole pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it is to be; [`AddressState::Auto`] takes back an earlier order.
    pub state: AddressState,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// How long it stands; `None`: until it is taken back.
    pub lasts: Option<Duration>,
    /// What stands when it has ended, and so on: each lasts longer than the one before it, as of now.
    pub then: Vec<Following>,
}

impl Order {
    /// Takes back an earlier order.
    pub const AUTO: Order = Order { state: AddressState::Auto, reason: None, lasts: None, then: Vec::new() };

    /// The same order over `below`, of which there is left what outlasts it.
    pub fn over(mut self, below: Option<Order>) -> Order {
        if let (Some(lasts), Some(Order { state, reason, lasts: its, then })) = (self.lasts, below) {
            let below = std::iter::once(Following { state, reason, lasts: its }).chain(then);
            self.then = below.skip_while(|below| below.lasts.is_some_and(|its| its <= lasts)).collect();
        }
        self
    }
}

/// An order below another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// As in [`Order`].
    pub state: AddressState,
    /// Likewise.
    pub reason: Option<String>,
    /// Likewise, as of now.
    pub lasts: Option<Duration>,
}

/// What a site says of an address of its own: not to send anybody for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Why, in the site's words.
    pub reason: Option<String>,
    /// For how long.
    pub lasts: Duration,
}

/// All that is said of a pool.
#[derive(Default)]
pub(super) struct Orders {
    /// By the name of the address as it is written; `None`: of all the others.
    said: BTreeMap<Option<String>, Said>,
}

/// What is said of one address, or of all.
#[derive(Default)]
struct Said {
    order: Option<Standing>,
    absence: Option<Away>,
}

/// An order that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: AddressState,
    pub(super) reason: Option<String>,
    pub(super) until: Option<Instant>,
    /// When nobody uses a drained address any more who honours TTLs.
    pub(super) empty: Option<Instant>,
    told_empty: bool,
    then: Vec<Following>,
    /// When it was given, and how long clients may use then what they had got before.
    given: Instant,
    ttl: Duration,
}

/// An absence that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) reason: Option<String>,
    pub(super) until: Instant,
}

/// What time alone has brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// An order has expired, which was this; and what is ordered now.
    Order(Option<String>, AddressState, AddressState),
    /// An absence is over.
    Absence(Option<String>),
    /// What was drained is empty.
    Drained(Option<String>),
}

/// What an address is by what is said of it, whatever its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forced {
    /// By order, up.
    Up,
    /// By order, not to be given in any need.
    Withdrawn,
    /// By its own word, down for a while.
    Away,
}

/// Longer spans count as this one, so that no sum of times overflows.
const MAX_LAST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Orders {
    /// Takes in an order at `now`. Clients may have got an address to use for `ttl` until then.
    pub(super) fn order(&mut self, address: Option<&str>, order: Order, ttl: Duration, now: Instant) {
        let before = self.said.get(&address.map(str::to_owned)).and_then(|said| said.order.as_ref());
        let standing = Standing::after(before, order, ttl, now);
        self.change(address, |said| said.order = Some(standing).filter(Standing::is_needed));
    }

    /// Takes in at `now` what a site says of its address; `None`: it is there again.
    pub(super) fn report(&mut self, address: Option<&str>, absence: Option<Absence>, now: Instant) {
        let away = absence.map(|Absence { reason, lasts }| Away { reason, until: now + lasts.min(MAX_LAST) });
        self.change(address, |said| said.absence = away);
    }

    /// What the address of this name is by what is said.
    pub(super) fn forced(&self, address: &str) -> Option<Forced> {
        match (self.order_of(address).map(|order| order.state), self.absence_of(address)) {
            (Some(AddressState::Up), _) => Some(Forced::Up),
            (Some(AddressState::Drain | AddressState::Down), _) => Some(Forced::Withdrawn),
            (Some(AddressState::Auto) | None, Some(_)) => Some(Forced::Away),
            (Some(AddressState::Auto) | None, None) => None,
        }
    }

    /// The order that the address of this name is under: its own before that of its pool.
    pub(super) fn order_of(&self, address: &str) -> Option<&Standing> {
        // One that says `auto` for a while leaves it to the pool's.
        self.find(address, |said| said.order.as_ref().filter(|order| order.state != AddressState::Auto))
    }

    /// The absence that the address of this name is in: its own before that of its pool.
    pub(super) fn absence_of(&self, address: &str) -> Option<&Away> {
        self.find(address, |said| said.absence.as_ref())
    }

    /// Every absence that is reported, and of which address; `None`: of all the others.
    pub(super) fn absences(&self) -> impl Iterator<Item = (&Option<String>, &Away)> {
        self.said.iter().filter_map(|(address, said)| Some((address, said.absence.as_ref()?)))
    }

    /// The order that the pool as a whole is under.
    pub(super) fn of_pool(&self) -> Option<&Standing> {
        let order = self.said.get(&None).and_then(|said| said.order.as_ref());
        order.filter(|order| order.state != AddressState::Auto)
    }

    /// Lets go of what is over at `now`, and tells of what.
    pub(super) fn pass(&mut self, now: Instant) -> Vec<Passed> {
        let mut passed = Vec::new();
        for (address, said) in &mut self.said {
            let has_ended = |order: &mut Standing| order.until.is_some_and(|until| until <= now);
            if let Some(mut order) = said.order.take_if(has_ended) {
                said.order = order.followed(now);
                let follows = said.order.as_ref().map_or(AddressState::Auto, |order| order.state);
                passed.push(Passed::Order(address.clone(), order.state, follows));
            }
            if said.absence.take_if(|away| away.until <= now).is_some() {
                passed.push(Passed::Absence(address.clone()));
            }
            let Some(order) = &mut said.order else { continue };
            if order.empty.is_some_and(|empty| empty <= now) && !mem::replace(&mut order.told_empty, true) {
                passed.push(Passed::Drained(address.clone()));
            }
        }
        self.said.retain(|_, said| said.order.is_some() || said.absence.is_some());
        passed
    }

    /// When something is over next.
    pub(super) fn next(&self) -> Option<Instant> {
        let moments = |said: &Said| {
            let order = said.order.as_ref();
            let empty = order.filter(|order| !order.told_empty).and_then(|order| order.empty);
            let away = said.absence.as_ref().map(|away| away.until);
            [order.and_then(|order| order.until), empty, away]
        };
        self.said.values().flat_map(moments).flatten().min()
    }

    fn change(&mut self, address: Option<&str>, change: impl FnOnce(&mut Said)) {
        let key = address.map(str::to_owned);
        let said = self.said.entry(key.clone()).or_default();
        change(said);
        if said.order.is_none() && said.absence.is_none() {
            self.said.remove(&key);
        }
    }

    fn find<T>(&self, address: &str, read: impl Fn(&Said) -> Option<&T>) -> Option<&T> {
        if self.said.is_empty() {
            return None;
        }
        // An IP that a name resolved to goes by the name, unless it is spoken of itself.
        let written = address.split_once(RESOLVED).map(|(written, _)| written);
        let keys = [Some(address), written].into_iter().flatten().map(|key| Some(key.to_owned()));
        keys.chain([None]).find_map(|key| read(self.said.get(&key)?))
    }
}

impl Standing {
    /// An order that takes the place of the one `before`, at `now`.
    fn after(before: Option<&Standing>, order: Order, ttl: Duration, now: Instant) -> Self {
        let Order { state, reason, lasts, then } = order;
        // What was drained before does not fill again by being drained once more.
        let drained = before.filter(|before| before.state == AddressState::Drain).and_then(|it| it.empty);
        let empty = (state == AddressState::Drain).then(|| drained.unwrap_or(now + ttl));
        let told_empty = before.is_some_and(|before| before.told_empty) && empty.is_some();
        let until = lasts.map(|lasts| now + lasts.min(MAX_LAST));
        Standing { state, reason, until, empty, told_empty, then, given: now, ttl }
    }

    /// Whether it says anything, now or later.
    fn is_needed(&self) -> bool {
        self.state != AddressState::Auto || !self.then.is_empty()
    }

    /// What stands at `now`, when this has ended: what was said to follow, if that has not ended as well.
    fn followed(&mut self, now: Instant) -> Option<Standing> {
        let until = |lasts: Option<Duration>| lasts.map(|lasts| self.given + lasts.min(MAX_LAST));
        let has_ended = |below: &Following| until(below.lasts).is_some_and(|until| until <= now);
        let mut then = mem::take(&mut self.then).into_iter().skip_while(has_ended);
        let Following { state, reason, lasts } = then.next()?;
        let until = until(lasts);
        let order = Order { state, reason, lasts, then: then.collect() };
        // It was told as of the moment at which this was.
        let following =
            Standing { until, given: self.given, ..Standing::after(Some(self), order, self.ttl, now) };
        Some(following).filter(Standing::is_needed)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn order(state: AddressState, lasts: Option<u64>) -> Order {
        Order { state, reason: None, lasts: lasts.map(secs), then: Vec::new() }
    }

    #[test]
    fn the_nearest_word_counts_and_an_order_before_a_report() {
        let now = Instant::now();
        let mut orders = Orders::default();
        let forced = |orders: &Orders| ["a", "b", "b/192.0.2.1"].map(|address| orders.forced(address));
        assert_eq!(forced(&orders), [None; 3]);

        orders.report(Some("b"), Some(Absence { reason: None, lasts: secs(9) }), now);
        assert_eq!(forced(&orders), [None, Some(Forced::Away), Some(Forced::Away)]);
        orders.order(None, order(AddressState::Down, None), TTL, now);
        assert_eq!(forced(&orders), [Some(Forced::Withdrawn); 3]);
        orders.order(Some("b"), order(AddressState::Up, None), TTL, now);
        assert_eq!(forced(&orders), [Some(Forced::Withdrawn), Some(Forced::Up), Some(Forced::Up)]);
        orders.order(Some("b/192.0.2.1"), order(AddressState::Drain, None), TTL, now);
        assert_eq!(forced(&orders)[2], Some(Forced::Withdrawn));

        for address in [None, Some("b"), Some("b/192.0.2.1")] {
            orders.order(address, order(AddressState::Auto, None), TTL, now);
        }
        orders.report(Some("b"), None, now);
        assert!(orders.said.is_empty());
    }

    #[test]
    fn what_lasts_ends_and_is_told_once() {
        let start = Instant::now();
        let mut orders = Orders::default();
        orders.order(Some("a"), order(AddressState::Drain, Some(20)), TTL, start);
        orders.report(Some("b"), Some(Absence { reason: None, lasts: secs(9) }), start);
        let mut told = Vec::new();
        while let Some(next) = orders.next() {
            let passed = orders.pass(next);
            told.extend(passed.into_iter().map(|passed| ((next - start).as_secs(), passed)));
        }
        let (a, b) = (Some("a".to_owned()), Some("b".to_owned()));
        let expected = [
            (5, Passed::Drained(a.clone())),
            (9, Passed::Absence(b)),
            (20, Passed::Order(a, AddressState::Drain, AddressState::Auto)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_below_an_order_follows_it_at_once() {
        let start = Instant::now();
        let mut orders = Orders::default();
        let lasting = order(AddressState::Drain, None);
        let middle = order(AddressState::Up, Some(60)).over(Some(lasting));
        let hidden = order(AddressState::Up, Some(9)).over(Some(middle));
        let top = order(AddressState::Down, Some(10)).over(Some(hidden));
        let forced = |orders: &Orders| orders.forced("a");
        let passes = |orders: &mut Orders, seconds| orders.pass(start + secs(seconds));
        let ended = |from, to| vec![Passed::Order(None, from, to)];

        orders.order(None, top.clone(), TTL, start);
        assert_eq!((passes(&mut orders, 9), forced(&orders)), (vec![], Some(Forced::Withdrawn)));
        let up = ended(AddressState::Down, AddressState::Up);
        assert_eq!((passes(&mut orders, 10), forced(&orders)), (up, Some(Forced::Up)));
        assert_eq!(orders.next(), Some(start + secs(60)), "as of when it was said, not of when it came up");
        let drained = ended(AddressState::Up, AddressState::Drain);
        assert_eq!((passes(&mut orders, 60), forced(&orders)), (drained, Some(Forced::Withdrawn)));
        assert_eq!(orders.next(), Some(start + secs(60) + TTL), "clients were sent there until now");

        orders.order(None, top, TTL, start);
        let both = ended(AddressState::Down, AddressState::Drain);
        assert_eq!(passes(&mut orders, 70), both, "looked at late, what has ended as well is passed over");
    }

    #[test]
    fn draining_again_does_not_begin_anew() {
        let start = Instant::now();
        let mut orders = Orders::default();
        orders.order(Some("a"), order(AddressState::Drain, Some(3)), TTL, start);
        orders.order(Some("a"), order(AddressState::Drain, Some(60)), TTL, start + secs(2));
        assert_eq!(orders.next(), Some(start + TTL));
    }
}
