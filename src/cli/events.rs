//! `rhumb events`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::{Endpoint, Event, encoded};
use super::paint::{Tone, paint};
use super::stop::Stop;
use super::{Asking, Failed, Output, complain, print, runtime};

/// Between the first attempts to reach a daemon again that is gone; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest: a daemon that is back is heard of soon enough, and one that is not costs little.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

#[derive(Args)]
pub(super) struct Arguments {
    /// Go on with what happens from now on
    #[arg(long, short)]
    follow: bool,
    /// Only what is of these kinds, such as turned, moved, ordered or reloaded
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only what followed on the event of this number; without it all that the daemon has kept
    #[arg(long, value_name = "ID")]
    since: Option<u64>,
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { follow, kinds, since, asking: Asking { endpoint, output } } = arguments;
    let kinds = kinds.iter().map(|kind| encoded(kind)).collect::<Vec<_>>().join(",");
    let kinds = if kinds.is_empty() { kinds } else { format!("&kinds={kinds}") };
    let since = since.unwrap_or(0);
    let path = format!("/v1/events?since={since}&follow={follow}{kinds}");
    let tell = |event: &Event| match output {
        Output::Text => print(&line(event)),
        // One event a line, in every version of it.
        Output::Json => print(&format!("{}\n", event.data)),
    };
    runtime()?.block_on(async {
        // Also where a terminal is not in the way of it: SIGINT is how to end it, and no failure.
        let mut stop = Stop::listen()?;
        let read = async {
            if follow {
                return follow_for_ever(&endpoint, &path, tell).await;
            }
            let mut events = endpoint.follow(&path, None).await?;
            while let Some(event) = events.next().await {
                tell(&event)?;
            }
            Ok(())
        };
        tokio::select! {
            read = read => read,
            () = stop.requested() => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Tells of every event, and reconnects when the daemon is gone for a while.
async fn follow_for_ever(
    endpoint: &Endpoint,
    path: &str,
    tell: impl Fn(&Event) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut last: Option<String> = None;
    let mut pause = FIRST_PAUSE;
    // The first time, somebody is there to mend what is wrong with the command.
    let mut stream = endpoint.follow(path, None).await?;
    loop {
        while let Some(event) = stream.next().await {
            pause = FIRST_PAUSE;
            tell(&event)?;
            last = event.id.or(last);
        }
        let name = endpoint.name()?;
        complain(&format!("the stream of {name} has ended; trying again"));
        stream = loop {
            tokio::time::sleep(pause).await;
            match endpoint.follow(path, last.as_deref()).await {
                Ok(stream) => break stream,
                Err(Failed(reason)) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    let reason = reason.lines().next().unwrap_or_default().trim_start_matches("error: ");
                    complain(&format!("{reason}; trying again in {}", humantime::format_duration(pause)));
                }
            }
        };
        complain(&format!("connected to {name} again"));
    }
}

/// An event in a line for people: when, what, of what, why.
pub(super) fn line(event: &Event) -> String {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let at = data["at"].as_str().unwrap_or("").replace('T', " ");
    let padded = format!("{:<11}", event.kind);
    let kind = match tone(&event.kind, &data) {
        Some(tone) => paint(tone, padded),
        None => padded,
    };
    format!("{at:<24}  {kind}  {}\n", told(&event.kind, &data))
}

/// Whether it is good news.
pub(super) fn tone(kind: &str, data: &Value) -> Option<Tone> {
    match (kind, data["to"].as_str().or(data["standing"].as_str())) {
        ("turned", Some("up")) | ("moved", Some("in-service")) | ("back" | "reconnected" | "resolved", _) => {
            Some(Tone::Good)
        }
        ("turned", _) | ("moved", Some("down")) | ("isolated" | "unresolved" | "refused", _) => {
            Some(Tone::Bad)
        }
        ("moved" | "damped" | "suspected" | "away" | "ordered" | "lagged", _) => Some(Tone::Warning),
        _ => None,
    }
}

/// What is said of it.
pub(super) fn told(kind: &str, data: &Value) -> String {
    let word = |name: &str| data[name].as_str().unwrap_or_default();
    let subject = match (data["pool"].as_str(), data["address"].as_str()) {
        (Some(pool), Some(address)) => format!("{pool}/{address}"),
        (Some(pool), None) => pool.to_owned(),
        // What a condition watches is in no pool.
        (None, Some(address)) => address.to_owned(),
        (None, None) => String::new(),
    };
    let because = match data["reason"].as_str() {
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    };
    let seconds =
        |name: &str| data[name].as_f64().map(|seconds| format!(" for {seconds} s")).unwrap_or_default();
    let list = |name: &str| {
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let words = data[name].as_array().into_iter().flatten().map(word);
        words.collect::<Vec<_>>().join(" ")
    };
    match kind {
        "turned" => format!("{subject} ({}) {}{because}", word("target"), word("to")),
        "moved" => format!("{subject} {}{because}", word("standing")),
        "damped" => format!("{subject} after {} flips", data["flips"]),
        "ordered" => format!("{subject} {}{}{because}", word("state"), seconds("seconds")),
        "order_ended" => format!("{subject} {} again, no longer {}", word("follows"), word("state")),
        "away" => format!("{subject}{}{because}", seconds("seconds")),
        "isolated" => format!("{} of {} sites are silent", data["silent"], data["of"]),
        "reconnected" => format!("after {} s", data["after_seconds"]),
        "resolved" => format!("{} to {}", word("name"), list("addresses")),
        "unresolved" => format!("{}{because}", word("name")),
        "edited" => format!("{} by {}, edits {}", list("objects"), word("by"), list("edits")),
        "reverted" => format!("edits {}", list("edits")),
        "reloaded" => {
            let told = super::reload::told(data);
            let told: Vec<&str> = told.lines().map(str::trim).filter(|line| *line != "reloaded").collect();
            told.join("; ").trim_start_matches("reloaded: ").to_owned()
        }
        "refused" => word("detail").lines().next().unwrap_or_default().to_owned(),
        "published" => format!("table {}", data["generation"]),
        "lagged" => match data["missed"].as_u64() {
            Some(missed) => format!("{missed} events are kept no longer"),
            None => "the daemon was started anew; what it had to tell before that is gone".to_owned(),
        },
        _ => format!("{subject}{because}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_line() {
        for (kind, data, expected) in [
            (
                "turned",
                r#"{"pool":"vn","address":"a","target":"192.0.2.1","to":"down","reason":"refused"}"#,
                "vn/a (192.0.2.1) down: refused",
            ),
            (
                "turned",
                r#"{"pool":null,"address":"db","target":"192.0.2.1","to":"up","reason":"passed"}"#,
                "db (192.0.2.1) up: passed",
            ),
            ("moved", r#"{"pool":"vn","standing":"held","reason":"for 1m"}"#, "vn held: for 1m"),
            (
                "ordered",
                r#"{"pool":"vn","address":null,"state":"drain","reason":null,"seconds":60.0}"#,
                "vn drain for 60 s",
            ),
            ("lagged", r#"{"missed":3}"#, "3 events are kept no longer"),
            ("edited", r#"{"edits":[7],"objects":["pools/vn"],"by":"alice"}"#, "pools/vn by alice, edits 7"),
            (
                "reloaded",
                r#"{"pools":{"added":["a"],"removed":["b"],"changed":[]}}"#,
                "pools added: a; pools removed: b",
            ),
            ("reloaded", "{}", "nothing has changed"),
            ("refused", r#"{"detail":"a.toml:1:1: error: x\nhint"}"#, "a.toml:1:1: error: x"),
            ("suspected", r#"{"pool":"vn","reason":"status 404"}"#, "vn: status 404"),
            ("drained", r#"{"pool":"vn","address":"a"}"#, "vn/a"),
        ] {
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(told(kind, &data), expected, "{kind}");
        }
        let event = Event {
            id: None,
            kind: "drained".to_owned(),
            data: r#"{"at":"2026-11-21T10:00:00.123Z","pool":"vn","address":"a"}"#.to_owned(),
        };
        assert_eq!(line(&event), "2026-11-21 10:00:00.123Z  drained      vn/a\n");
    }
}
