//! Server-sent events as they come in.

use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Longer than any line of an event: of names, reasons and lists of edits.
const MAX_LINE: usize = 1 << 20;

/// A stream of events.
pub(in crate::cli) struct Events {
    body: Incoming,
    text: Vec<u8>,
}

/// An event, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Event {
    /// The number to go on from; that of the event before if it has none of its own.
    pub(in crate::cli) id: Option<String>,
    pub(in crate::cli) kind: String,
    pub(in crate::cli) data: String,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Events { body, text: Vec::new() }
    }

    /// Waits for the next event; `None`: the stream has ended, whether in good order or not. Nothing is
    /// lost if it is dropped.
    pub(in crate::cli) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = cut(&mut self.text) {
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.text.extend_from_slice(&data);
            }
            if self.text.len() > MAX_LINE {
                return None;
            }
        }
    }
}

/// Takes the first whole event that is in `text`.
fn cut(text: &mut Vec<u8>) -> Option<Event> {
    while let Some(length) = text.windows(2).position(|pair| pair == b"\n\n") {
        let block: Vec<u8> = text.drain(..length + 2).collect();
        let event = read(&String::from_utf8_lossy(&block));
        if !event.data.is_empty() {
            return Some(event);
        }
    }
    None
}

fn read(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.kind = value.to_owned(),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            // A comment, or what is not for us.
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_out_wherever_the_pieces_end() {
        let text = b": hello\n\nid: 7\nevent: turned\ndata: {\"a\":1}\n\n:\n\ndata:x\ndata:y\nretry: 5\n\n";
        for size in 1..text.len() {
            let (mut waiting, mut events) = (Vec::new(), Vec::new());
            for piece in text.chunks(size) {
                waiting.extend_from_slice(piece);
                events.extend(std::iter::from_fn(|| cut(&mut waiting)));
            }
            let first =
                Event { id: Some("7".to_owned()), kind: "turned".to_owned(), data: "{\"a\":1}".to_owned() };
            let second = Event { id: None, kind: String::new(), data: "x\ny".to_owned() };
            assert_eq!(events, [first, second], "in pieces of {size}");
        }
    }
}
