//! What happens, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::feed::{self, Feed, KINDS, News, PUBLISHED};
use super::{Context, Problem, clock};

/// As many readers are told at once. Each costs a connection and what is under way to it; consoles,
/// terminals and a few programs that follow are far fewer.
pub(super) const MAX_STREAMS: usize = 64;

/// How often a stream says something at the least: below the minute after which proxies and
/// firewalls take a silent connection for a dead one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// As many events are taken at a time. What is not written yet is bounded by it.
const BATCH: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    since: Option<u64>,
    kinds: Option<String>,
    follow: Option<bool>,
}

/// All that happens from now on, or from the event on that was seen last.
pub(super) async fn events(
    State(context): State<Context>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Parameters { since, kinds, follow }) =
        parameters.map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    // What a reader that reconnects has seen by now goes before what it began with.
    let seen = seen(&headers)?.or(since);
    let kinds = kinds.as_deref().map(wanted).transpose()?;
    let Ok(place) = Arc::clone(&context.feed.places).try_acquire_owned() else {
        let detail = format!("{MAX_STREAMS} streams are being read already");
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many streams", detail);
        return Ok(([(header::RETRY_AFTER, "10")], problem).into_response());
    };
    let reader = Reader {
        news: context.feed.news(),
        // Without a number it begins with what comes next.
        seen: seen.unwrap_or_else(|| context.feed.last()),
        feed: context.feed,
        kinds,
        follows: follow.unwrap_or(true),
        told: None,
        waiting: VecDeque::new(),
        _place: place,
    };
    Ok(Sse::new(stream(reader)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let problem = || Problem::invalid("Last-Event-ID", "`Last-Event-ID` is to be the number of an event");
    number.map(Some).ok_or_else(problem)
}

/// The kinds that are asked for.
fn wanted(list: &str) -> Result<Vec<&'static str>, Problem> {
    let kind = |word: &str| {
        KINDS.into_iter().find(|kind| *kind == word).ok_or_else(|| {
            let known = KINDS.join("`, `");
            Problem::invalid("kinds", format!("`{word}` is no kind of event; there is `{known}`"))
        })
    };
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(kind).collect()
}

/// One who reads. What it has not taken yet stays in the feed, and is gone if it takes too long.
struct Reader {
    feed: Feed,
    news: watch::Receiver<News>,
    /// The number of the last event that it was given, or that is not for it.
    seen: u64,
    /// `None`: all but `published`.
    kinds: Option<Vec<&'static str>>,
    follows: bool,
    /// The generation that it was last told of.
    told: Option<u64>,
    waiting: VecDeque<sse::Event>,
    _place: OwnedSemaphorePermit,
}

fn stream(mut reader: Reader) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    reader.told = reader.news.borrow().generation;
    unfold(reader, |mut reader| async {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    })
}

impl Reader {
    /// Waits for the next event that is for it; `None`: there will be none.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            // Before what there is is looked at: nothing that comes meanwhile is slept through.
            let News { generation, ended } = self.news.borrow_and_update().clone();
            let has_more = self.take();
            self.tell_of(generation);
            if self.waiting.is_empty() && !has_more {
                if ended || !self.follows {
                    return None;
                }
                self.news.changed().await.ok()?;
            }
        }
    }

    /// Takes what comes next from the feed. Returns whether there was something, for it or not.
    fn take(&mut self) -> bool {
        let following = self.feed.after(self.seen, BATCH);
        if following.missed != Some(0) {
            let data = json!({ "missed": following.missed }).to_string();
            self.waiting.push_back(sse::Event::default().event("lagged").data(data));
            // Of what is unknown it is told once.
            self.seen = 0;
        }
        let Some(last) = following.events.last() else {
            if following.missed.is_none() {
                self.seen = self.feed.last();
            }
            return false;
        };
        self.seen = last.id;
        let is_wanted = |kind: &str| self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        for event in following.events.iter().filter(|event| is_wanted(event.kind)) {
            let feed::Event { id, kind, data } = &**event;
            self.waiting.push_back(sse::Event::default().id(id.to_string()).event(kind).data(data));
        }
        true
    }

    /// Tells of the last table that was published, if that is asked for. Those before it, if they
    /// came at once, are passed over.
    fn tell_of(&mut self, generation: Option<u64>) {
        let is_wanted = self.kinds.as_ref().is_some_and(|kinds| kinds.contains(&PUBLISHED));
        let Some(generation) = generation.filter(|new| is_wanted && self.told != Some(*new)) else { return };
        self.told = Some(generation);
        let data = feed::described(self.seen, clock::now(), PUBLISHED, json!({ "generation": generation }));
        // Its number is that of the last event that is kept, from which a reader can go on.
        let event = sse::Event::default().id(self.seen.to_string()).event(PUBLISHED).data(data);
        self.waiting.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn reader(feed: &Feed, kinds: Option<&str>, follows: bool) -> Reader {
        Reader {
            news: feed.news(),
            seen: feed.last(),
            feed: feed.clone(),
            kinds: kinds.map(|list| wanted(list).expect("there are such kinds")),
            follows,
            told: None,
            waiting: VecDeque::new(),
            _place: Arc::clone(&feed.places).try_acquire_owned().expect("there is place"),
        }
    }

    /// All that it can be given now, and whether that was all there will be. An event shows what it
    /// is to be written as in its debug form alone.
    fn given(reader: &mut Reader) -> (Vec<String>, bool) {
        let mut events = Vec::new();
        loop {
            match reader.next().now_or_never() {
                Some(Some(event)) => events.push(format!("{event:?}")),
                Some(None) => return (events, true),
                None => return (events, false),
            }
        }
    }

    #[test]
    fn one_who_is_too_slow_is_told_of_what_it_has_missed() {
        let feed = Feed::new();
        let mut slow = reader(&feed, Some("turned"), true);
        assert_eq!(given(&mut slow), (Vec::new(), false));
        for _ in 0..1300 {
            feed.send("turned", json!({}));
        }
        let (events, is_all) = given(&mut slow);
        assert!(events[0].contains("lagged") && events[0].contains(r#"{\"missed\":300}"#), "{}", events[0]);
        assert_eq!((events.len(), is_all), (1001, false));
        assert_eq!(given(&mut slow), (Vec::new(), false), "of that it is told once");
    }

    #[test]
    fn what_is_of_another_run_is_missed_by_an_unknown_number() {
        let feed = Feed::new();
        let mut returning = Reader { seen: 7, ..reader(&feed, None, true) };
        let (events, _) = given(&mut returning);
        assert!(events.len() == 1 && events[0].contains(r#"{\"missed\":null}"#), "{events:?}");
        feed.send("isolated", json!({}));
        let (events, _) = given(&mut returning);
        assert!(events.len() == 1 && events[0].contains("isolated"), "{events:?}");
    }

    #[test]
    fn tables_are_told_of_to_those_who_ask() {
        let feed = Feed::new();
        let (mut all, mut tables) = (reader(&feed, None, true), reader(&feed, Some("published"), true));
        feed.published(7);
        feed.published(8);
        feed.send("moved", json!({}));
        let (events, _) = given(&mut all);
        assert!(events.len() == 1 && events[0].contains("moved"), "{events:?}");
        let (events, _) = given(&mut tables);
        assert!(events.len() == 1 && events[0].contains(r#"\"generation\":8"#), "{events:?}");
    }

    #[test]
    fn a_stream_ends_with_the_feed_or_when_it_need_not_follow() {
        let feed = Feed::new();
        let mut following = reader(&feed, None, true);
        let mut passing = Reader { seen: 0, ..reader(&feed, None, false) };
        feed.send("moved", json!({}));
        assert_eq!((given(&mut passing).0.len(), given(&mut passing)), (1, (Vec::new(), true)));
        assert!(!given(&mut following).1);
        feed.send("moved", json!({}));
        feed.end();
        let (events, is_all) = given(&mut following);
        assert_eq!((events.len(), is_all), (1, true), "what there is comes first");
    }
}
