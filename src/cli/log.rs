//! `rhumb log` and `rhumb query-log`

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::{Asking, Failed, Output, print, print_json, runtime};
use crate::config::{LogLevel, check_filter};

#[derive(Args)]
pub(super) struct LogArguments {
    #[command(subcommand)]
    action: LogAction,
}

#[derive(Subcommand)]
enum LogAction {
    /// Show what is logged
    Show(Asking),
    /// Log events of this level and worse
    Level {
        /// error, warn, info, debug or trace
        #[arg(value_parser = level)]
        level: LogLevel,
        /// What is logged otherwise of some modules, as in rhumb::probe=trace; with commas between
        #[arg(long, value_name = "DIRECTIVES", value_parser = filter)]
        filter: Option<String>,
        #[command(flatten)]
        lasting: Lasting,
    },
    /// Log what the configuration says
    Reset(Asking),
}

#[derive(Args)]
pub(super) struct QueryLogArguments {
    #[command(subcommand)]
    action: QueryLogAction,
}

#[derive(Subcommand)]
enum QueryLogAction {
    /// Show what becomes of queries
    Show(Asking),
    /// Record this share of the queries
    Sample {
        /// From 0 to 1
        #[arg(value_parser = share)]
        share: f32,
        #[command(flatten)]
        lasting: Lasting,
    },
    /// Record the share of the queries that the configuration says
    Reset(Asking),
}

/// For how long, and of whom it is asked.
#[derive(Args)]
struct Lasting {
    /// How long that is so, as in 30s or 2h; until it is taken back unless said, or the next start
    #[arg(long = "for", value_name = "SPAN", value_parser = humantime::parse_duration)]
    lasts: Option<Duration>,
    #[command(flatten)]
    asking: Asking,
}

fn level(text: &str) -> Result<LogLevel, String> {
    LogLevel::of(text).ok_or_else(|| "it is none of error, warn, info, debug and trace".to_owned())
}

fn filter(text: &str) -> Result<String, String> {
    check_filter(text).map(|()| text.to_owned())
}

fn share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it is no number from 0 to 1".to_owned())
}

pub(super) fn log(LogArguments { action }: LogArguments) -> Result<ExitCode, Failed> {
    let path = "/v1/log";
    match action {
        LogAction::Show(asking) => show(path, &asking, told_log),
        LogAction::Level { level, filter, lasting } => {
            set(path, json!({ "level": level.word(), "filter": filter }), &lasting, told_log)
        }
        LogAction::Reset(asking) => reset(path, &asking, told_log),
    }
}

pub(super) fn query_log(QueryLogArguments { action }: QueryLogArguments) -> Result<ExitCode, Failed> {
    let path = "/v1/query_log";
    match action {
        QueryLogAction::Show(asking) => show(path, &asking, told_queries),
        QueryLogAction::Sample { share, lasting } => {
            set(path, json!({ "sample": share }), &lasting, told_queries)
        }
        QueryLogAction::Reset(asking) => reset(path, &asking, told_queries),
    }
}

fn show(path: &str, asking: &Asking, told: fn(&Value) -> String) -> Result<ExitCode, Failed> {
    let state: Value = runtime()?.block_on(asking.endpoint.get(path))?;
    match asking.output {
        Output::Json => print_json(&state)?,
        Output::Text => print(&told(&state))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn set(
    path: &str,
    mut wanted: Value,
    lasting: &Lasting,
    told: fn(&Value) -> String,
) -> Result<ExitCode, Failed> {
    let Lasting { lasts, asking } = lasting;
    if let Some(lasts) = lasts {
        wanted["for"] = json!(humantime::format_duration(*lasts).to_string());
    }
    runtime()?.block_on(asking.endpoint.change(Method::PUT, path, Some(&wanted)))?;
    show(path, asking, told)
}

fn reset(path: &str, asking: &Asking, told: fn(&Value) -> String) -> Result<ExitCode, Failed> {
    runtime()?.block_on(asking.endpoint.delete(path))?;
    show(path, asking, told)
}

fn told_log(state: &Value) -> String {
    let level = state["level"].as_str().unwrap_or("as RUST_LOG says");
    let filter = state["filter"].as_str().filter(|filter| !filter.is_empty());
    let filter = filter.map(|filter| format!(", filter: {filter}")).unwrap_or_default();
    format!("level: {level}{filter}{}\n", passing(state))
}

fn told_queries(state: &Value) -> String {
    let place = state["file"].as_str().or(state["socket"].as_str());
    let (Some(format), Some(place)) = (state["format"].as_str(), place) else {
        return "there is no query log\n".to_owned();
    };
    let number = |name: &str| state[name].to_string();
    let problem =
        state["problem"].as_str().map(|problem| format!("problem: {problem}\n")).unwrap_or_default();
    format!(
        "{format} to {place}\nsample: {}{}\n{}written: {}, dropped: {}\n{problem}",
        number("sample"),
        passing(state),
        only(state),
        number("written"),
        number("dropped"),
    )
}

/// What alone is recorded, if that is not everything, and how much was not.
fn only(state: &Value) -> String {
    let words = |name: &str| {
        let words = state[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<&str>>().join(", ")
    };
    let said = [("replied with", words("rcodes")), ("in", words("zones"))];
    let said: Vec<String> = said
        .iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(what, words)| format!("{what} {words}"))
        .collect();
    if said.is_empty() {
        return String::new();
    }
    format!("only what is {}; filtered: {}\n", said.join(" and "), state["filtered"])
}

/// That it is not as in the configuration, and how long it is so.
fn passing(state: &Value) -> String {
    match (state["passing"] == true, state["seconds_left"].as_f64()) {
        (false, _) => String::new(),
        (true, None) => ", until it is reset".to_owned(),
        (true, Some(left)) => {
            let left = humantime::format_duration(Duration::from_secs(left.max(0.0).round() as u64));
            format!(", for {left} more")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_is_so_and_for_how_long() {
        let log = json!({ "level": "debug", "filter": "a=trace", "passing": true, "seconds_left": 59.6 });
        assert_eq!(told_log(&log), "level: debug, filter: a=trace, for 1m more\n");
        let log = json!({ "level": null, "filter": "warn", "passing": false, "seconds_left": null });
        assert_eq!(told_log(&log), "level: as RUST_LOG says, filter: warn\n");
        let queries = json!({
            "format": "json", "file": "/a", "socket": null, "sample": 0.5, "passing": true,
            "seconds_left": null, "written": 3, "dropped": 4, "problem": "no space",
        });
        assert_eq!(
            told_queries(&queries),
            "json to /a\nsample: 0.5, until it is reset\nwritten: 3, dropped: 4\nproblem: no space\n"
        );
        let mut queries = queries;
        queries["problem"] = Value::Null;
        queries["filtered"] = json!(5);
        for (rcodes, zones, only) in [
            (json!(["SERVFAIL", "REFUSED"]), json!([]), "replied with SERVFAIL, REFUSED"),
            (json!(["SERVFAIL"]), json!(["a.example"]), "replied with SERVFAIL and in a.example"),
        ] {
            (queries["rcodes"], queries["zones"]) = (rcodes, zones);
            let expected = format!(
                "json to /a\nsample: 0.5, until it is reset\nonly what is {only}; filtered: 5\nwritten: 3, dropped: 4\n"
            );
            assert_eq!(told_queries(&queries), expected);
        }
        assert_eq!(told_queries(&json!({ "format": null })), "there is no query log\n");
    }
}
