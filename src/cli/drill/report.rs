//! What a drill prints.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::log::{self, AnswerEntry, LogEntry};
use super::picture::{Mark, Picture, missed_or_passed};
use super::recording::{Recording, Stage};
use super::seconds::Seconds;
use super::summary::{Failover, StateSummary, Summary};
use crate::cli::loopback::Fault;

/// What the managed cloud traffic manager that this project set out to replace took in the same
/// experiment: the mean of 79.7 s and 63.7 s.
const REFERENCE: &str = "71.7 s";

/// Everything that a drill found.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) server: SocketAddr,
    pub(super) name: String,
    pub(super) sites: [String; 2],
    pub(super) interval: Seconds,
    pub(super) timeout: Seconds,
    /// One for each fault.
    pub(super) runs: Vec<Run>,
}

/// A walk with one fault. Times count from its start.
#[derive(Serialize)]
pub(super) struct Run {
    #[serde(serialize_with = "log::rfc3339")]
    started: SystemTime,
    fault: Fault,
    passed: bool,
    #[serde(flatten)]
    summary: Summary,
    log: Vec<LogEntry>,
    /// What the name server answered, whenever it changed.
    answers: Vec<AnswerEntry>,
}

impl Report {
    /// Whether no bar was missed.
    pub(super) fn passed(&self) -> bool {
        self.runs.iter().all(|run| run.passed)
    }

    /// Each run as a picture.
    pub(super) fn pictures(&self) -> Vec<Picture<'_>> {
        self.runs.iter().map(|run| self.picture(run)).collect()
    }

    fn picture<'r>(&self, run: &'r Run) -> Picture<'r> {
        let Run { started, fault, summary, log, answers, .. } = run;
        let date = humantime::format_rfc3339_seconds(*started);
        let ttl = humantime::format_duration(summary.ttl.0);
        let used = summary.states.iter().flat_map(|state| &state.used);
        let mut lines = vec![format!("{date}, answers from {}, TTL {ttl}", self.server)];
        lines.extend(missed_or_passed(&summary.missed, run.passed));
        let states = summary.states.iter();
        Picture {
            title: format!("Drill: {}, fault {}", self.name.trim_end_matches('.'), fault.word()),
            lines,
            ended: summary.states.last().map_or(Seconds(Duration::ZERO), |state| state.ended),
            states: states.map(|state| Mark { at: state.began, label: state.label.clone() }).collect(),
            marks: Vec::new(),
            log,
            answers,
            places: used.map(|used| (used.address, used.site.clone())).collect(),
        }
    }
}

impl Run {
    pub(super) fn new(started: SystemTime, fault: Fault, summary: Summary, recording: Recording) -> Self {
        Run {
            started,
            fault,
            passed: summary.missed.is_empty(),
            summary,
            log: log::log(recording.requests),
            answers: log::answers(recording.lookups),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { server, name, sites: _, interval, timeout: _, runs } = self;
        for Run { started, fault, summary, .. } in runs {
            let fault = match fault {
                Fault::None => "none",
                Fault::Kill => "kill: connections refused",
                Fault::Hang => "hang: connections made, nothing answered",
            };
            writeln!(f)?;
            writeln!(f, "fault             {fault}")?;
            let (ttl, interval) =
                (humantime::format_duration(summary.ttl.0), humantime::format_duration(interval.0));
            writeln!(f, "name              {name} at {server}, TTL {ttl}")?;
            writeln!(f, "started           {}", humantime::format_rfc3339_seconds(*started))?;
            writeln!(f, "requests          {}, one every {interval}", summary.requests)?;
            write_summary(f, summary)?;
        }
        Ok(())
    }
}

fn write_summary(f: &mut fmt::Formatter<'_>, summary: &Summary) -> fmt::Result {
    let Summary {
        requests,
        succeeded,
        mean_latency,
        failovers,
        average_downtime,
        ttl: _,
        settled,
        states,
        missed,
    } = summary;
    writeln!(f, "succeeded         {succeeded}, {}", Percent(*succeeded, *requests))?;
    if let Some(latency) = mean_latency {
        writeln!(f, "mean latency      {:.2} ms", latency.0.as_secs_f64() * 1e3)?;
    }
    writeln!(f, "failovers         {}", failovers.len())?;
    let width = states.iter().map(|state| state.label.len()).max().unwrap_or_default().max("average".len());
    for state in states {
        let label = &state.label;
        let is_expected = matches!(state.stage, Stage::PreferredDown | Stage::OtherBack);
        if is_expected && !failovers.iter().any(|failover| failover.stage == state.stage) {
            writeln!(f, "  {label:width$}  no downtime was noticed")?;
        }
        for Failover { failed, downtime, .. } in
            failovers.iter().filter(|failover| failover.stage == state.stage)
        {
            let downtime = downtime.map_or("no end".to_owned(), |downtime| downtime.to_string());
            writeln!(f, "  {label:width$}  {downtime} of downtime, failed requests: {failed}")?;
        }
    }
    if let Some(average) = average_downtime {
        writeln!(f, "  {:width$}  {average}, where a managed traffic manager took {REFERENCE}", "average")?;
    }
    writeln!(
        f,
        "once settled      {} of {} requests failed: those from one TTL after the right answer on",
        settled.failed, settled.requests
    )?;

    writeln!(
        f,
        "\n{:width$}  {:>16}  {:>12}  {:>13}  {:>14}",
        "state", "succeeded", "right answer", "first success", "longest outage"
    )?;
    for state in states {
        let StateSummary { label, requests, succeeded, .. } = state;
        let or_dash = |time: Option<Seconds>| time.map_or("-".to_owned(), |time| time.to_string());
        writeln!(
            f,
            "{label:width$}  {:>16}  {:>12}  {:>13}  {:>14}",
            format!("{succeeded}/{requests} {}", Percent(*succeeded, *requests)),
            or_dash(state.right_answer),
            or_dash(state.first_success),
            or_dash(Some(state.longest_outage).filter(|time| !time.0.is_zero())),
        )?;
    }
    writeln!(f, "\n{:width$}  what requests met", "state")?;
    for state in states {
        writeln!(f, "{:width$}  {}", state.label, met(state))?;
    }
    writeln!(f)?;
    if missed.is_empty() {
        writeln!(f, "passed")?;
    }
    for bar in missed {
        writeln!(f, "MISSED: {bar}")?;
    }
    Ok(())
}

/// Which addresses were used, and why requests failed.
fn met(state: &StateSummary) -> String {
    let used = state.used.iter().map(|used| format!("{} {} x{}", used.site, used.address, used.requests));
    let failures = state.failures.iter().map(|(reason, count)| format!("{reason} x{count}"));
    used.chain(failures).collect::<Vec<_>>().join(", ")
}

/// A part of a whole.
pub(super) struct Percent(pub(super) usize, pub(super) usize);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Percent(part, whole) = *self;
        write!(f, "{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recording::{Request, Span};
    use super::*;

    #[test]
    fn failovers_are_told_in_the_order_of_the_states() {
        let ms = Duration::from_millis;
        let failure = Some("connection refused".to_owned());
        let request =
            |started, failure| Request { started: ms(started), ended: ms(started), address: None, failure };
        let recording = Recording {
            spans: Stage::ALL
                .into_iter()
                .zip((0..).step_by(1_000))
                .map(|(stage, began)| Span { stage, began: ms(began), ended: ms(began + 1_000) })
                .collect(),
            requests: vec![request(500, None), request(3_100, failure), request(3_350, None)],
            lookups: Vec::new(),
        };
        let sites = ["a", "b"].map(str::to_owned);
        let summary = Summary::of(&recording, &sites, ms(200));
        let report = Report {
            server: SocketAddr::from(([127, 0, 0, 1], 53)),
            name: "www.example.com.".to_owned(),
            sites,
            interval: Seconds(ms(1_000)),
            timeout: Seconds(ms(1_000)),
            runs: vec![Run::new(SystemTime::UNIX_EPOCH, Fault::Kill, summary, recording)],
        };
        let text = report.to_string();
        for expected in [
            "started           1970-01-01T00:00:00Z\n",
            "requests          3, one every 1s\nsucceeded         2, 66.7 %\n",
            "  a down     no downtime was noticed\n  b back     0.250 s of downtime, failed requests: 1\n",
            "MISSED: a never came back\nMISSED: b back: 0.250 s of downtime",
        ] {
            assert!(text.contains(expected), "{expected:?} in {text}");
        }
        assert!(!report.passed());
    }
}
