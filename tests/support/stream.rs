//! A reader of server-sent events.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A stream that is being read.
pub(crate) struct EventStream(BufReader<TcpStream>);

/// An event as it came.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// Reads `path` after the header of the response; `last`: the event that was seen last.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub(crate) fn open(server: SocketAddr, path: &str, last: Option<&str>) -> EventStream {
        EventStream::try_open(server, path, last).unwrap_or_else(|status| panic!("{path}: {status}"))
    }

    /// The same, or the line with the status that refuses it.
    pub(crate) fn try_open(
        server: SocketAddr,
        path: &str,
        last: Option<&str>,
    ) -> Result<EventStream, String> {
        let mut stream = TcpStream::connect(server).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        // Of version 1.0, which knows no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {server}\r\n{last}\r\n").expect("it reads");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).expect("it answers"), 0, "{head}");
        }
        if head.contains(" 200 ") && head.contains("text/event-stream") {
            return Ok(EventStream(stream));
        }
        Err(head.lines().next().unwrap_or_default().to_owned())
    }

    /// Waits for the next event; `None`: the stream has ended.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).expect("it goes on, or ends") == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => event.id = value.to_owned(),
                Some(("event", value)) => event.kind = value.to_owned(),
                Some(("data", value)) => event.data = serde_json::from_str(value).expect("it is JSON"),
                _ if line.trim().is_empty() && !event.kind.is_empty() => return Some(event),
                // A comment.
                _ => {}
            }
        }
    }

    /// Waits for an event of this kind.
    ///
    /// # Panics
    ///
    /// If the stream ends before.
    pub(crate) fn await_kind(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("it ended before there was {kind}"));
            if event.kind == kind {
                return event;
            }
        }
    }

    /// Reads to the end.
    pub(crate) fn rest(mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next()).collect()
    }
}
