//! What happens, kept for whoever wants to follow it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};

use super::clock;
use super::events::MAX_STREAMS;

/// Everything that a feed tells of. `published` is the one kind that is told to those alone who ask
/// for it.
pub const KINDS: [&str; 19] = [
    "turned",
    "moved",
    "damped",
    "undamped",
    "ordered",
    "order_ended",
    "drained",
    "away",
    "back",
    "suspected",
    "isolated",
    "reconnected",
    "resolved",
    "unresolved",
    "edited",
    "reverted",
    "reloaded",
    "refused",
    PUBLISHED,
];

/// A table was published. There is one with each event, and many more while pools come back: it is
/// not kept, so that it pushes nothing else out.
pub(super) const PUBLISHED: &str = "published";

/// As many events are kept: what a reader missed while it reconnects, and the last hours of most
/// installations, in some 300 kB.
const KEPT: usize = 1000;

/// Tells what happens to whoever follows, and holds nobody up who has something to tell. Clones are
/// the same feed.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
    /// For those who follow, each of whom takes one.
    pub(super) places: Arc<Semaphore>,
}

struct Shared {
    /// The number before that of the first event.
    before: u64,
    kept: Mutex<Kept>,
    news: watch::Sender<News>,
}

struct Kept {
    /// Their numbers go up by one.
    events: VecDeque<Arc<Event>>,
    /// The number of the next.
    next: u64,
}

/// Something that has happened.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: u64,
    pub(super) kind: &'static str,
    /// As JSON.
    pub(super) data: String,
}

/// What there is to read.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// The generation of the last table that was published.
    pub(super) generation: Option<u64>,
    /// No more comes.
    pub(super) ended: bool,
}

/// What followed on an event.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// How many are kept no longer; `None`: they are of an earlier run of the daemon, and unknown.
    pub(super) missed: Option<u64>,
    pub(super) events: Vec<Arc<Event>>,
}

impl Default for Feed {
    fn default() -> Self {
        Feed::starting_at(clock::now())
    }
}

impl Feed {
    /// A feed of which nothing is known yet.
    pub fn new() -> Self {
        Feed::default()
    }

    /// Numbers go on from the milliseconds since 1970: so a restart, before which there was less than
    /// an event each millisecond, goes on above all that was seen before it.
    fn starting_at(now: Duration) -> Self {
        let before = u64::try_from(now.as_millis()).unwrap_or(0).max(1);
        let kept = Mutex::new(Kept { events: VecDeque::new(), next: before + 1 });
        let shared = Arc::new(Shared { before, kept, news: watch::Sender::new(News::default()) });
        Feed { shared, places: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }

    /// Tells that something of `kind`, one of [`KINDS`], has happened: `data` is an object of what is
    /// to be said about it besides `id`, `at` and `kind`.
    pub fn send(&self, kind: &'static str, data: Value) {
        self.send_at(clock::now(), kind, data);
    }

    fn send_at(&self, now: Duration, kind: &'static str, data: Value) {
        debug_assert!(KINDS.contains(&kind), "{kind} is to be listed");
        let mut kept = self.kept();
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        let id = kept.next;
        kept.next += 1;
        kept.events.push_back(Arc::new(Event { id, kind, data: described(id, now, kind, data) }));
        drop(kept);
        self.shared.news.send_modify(|_| ());
    }

    /// Tells that the table of this generation is in service.
    pub fn published(&self, generation: u64) {
        self.shared.news.send_modify(|news| news.generation = Some(generation));
    }

    /// Ends every stream: the daemon stops.
    pub fn end(&self) {
        self.shared.news.send_modify(|news| news.ended = true);
    }

    /// What tells that there is something to read.
    pub(super) fn news(&self) -> watch::Receiver<News> {
        self.shared.news.subscribe()
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.kept().next - 1
    }

    /// At most `limit` of what followed on the event of number `id`; 0: of everything that is kept.
    pub(super) fn after(&self, id: u64, limit: usize) -> Following {
        let kept = self.kept();
        let first = kept.events.front().map_or(kept.next, |event| event.id);
        let is_of_this_run = (self.shared.before..kept.next).contains(&id);
        let missed = match id {
            0 => Some(0),
            _ if is_of_this_run => Some(first.saturating_sub(id + 1)),
            _ => None,
        };
        let known = if is_of_this_run { (id + 1).saturating_sub(first) } else { 0 };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        Following { missed, events: kept.events.iter().skip(known).take(limit).cloned().collect() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event as JSON, its own members first.
pub(super) fn described(id: u64, at: Duration, kind: &str, data: Value) -> String {
    #[derive(Serialize)]
    struct Described<'k> {
        id: u64,
        at: String,
        kind: &'k str,
        #[serde(flatten)]
        data: Map<String, Value>,
    }
    let at = humantime::format_rfc3339_millis(UNIX_EPOCH + at).to_string();
    let data = match data {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    serde_json::to_string(&Described { id, at, kind, data }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: Duration = Duration::from_millis(1_000_000);

    fn ids(following: &Following) -> Vec<u64> {
        following.events.iter().map(|event| event.id - 1_000_000).collect()
    }

    #[test]
    fn a_reader_goes_on_after_what_it_has_seen_and_knows_what_it_has_missed() {
        let feed = Feed::starting_at(AT);
        let start = feed.last();
        assert_eq!(ids(&feed.after(0, 10)), [0; 0]);
        for address in 1..=3 {
            feed.send_at(AT, "turned", json!({ "address": address }));
        }
        assert_eq!(feed.last(), start + 3);
        for (id, expected, missed) in [
            (0, &[1, 2, 3][..], Some(0)),
            (start, &[1, 2, 3], Some(0)),
            (start + 1, &[2, 3], Some(0)),
            (start + 3, &[], Some(0)),
            // Of another run: before this one, or of a clock that was ahead.
            (start - 5, &[1, 2, 3], None),
            (start + 4, &[1, 2, 3], None),
            (u64::MAX, &[1, 2, 3], None),
        ] {
            let following = feed.after(id, 10);
            assert_eq!((ids(&following), following.missed), (expected.to_vec(), missed), "after {id}");
        }
        assert_eq!(ids(&feed.after(start, 2)), [1, 2]);

        for _ in 0..KEPT {
            feed.send_at(AT, "moved", json!({}));
        }
        let following = feed.after(start + 1, 1);
        assert_eq!((ids(&following), following.missed), (vec![4], Some(2)));
        assert_eq!(feed.after(start + 3, 5000).events.len(), KEPT);
        assert_eq!(feed.after(0, 1).missed, Some(0));
    }

    #[test]
    fn an_event_says_first_what_all_have() {
        let feed = Feed::starting_at(AT);
        feed.send_at(
            Duration::from_millis(1_700_000_000_123),
            "back",
            json!({ "address": "a", "pool": "p" }),
        );
        let expected =
            r#"{"id":1000001,"at":"2023-11-14T22:13:20.123Z","kind":"back","address":"a","pool":"p"}"#;
        assert_eq!(feed.after(0, 1).events[0].data, expected);
    }
}
