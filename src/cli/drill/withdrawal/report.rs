//! What the drill against a running daemon prints.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use serde::Serialize;

use super::subject::Subject;
use crate::cli::drill::log::{self, AnswerEntry, LogEntry};
use crate::cli::drill::picture::{Mark, Picture, missed_or_passed};
use crate::cli::drill::recording::{Lookup, Recording, Request, Span};
use crate::cli::drill::report::Percent;
use crate::cli::drill::seconds::Seconds;
use crate::cli::drill::tally::{Tally, outages};

/// The states, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// Everything is as always.
    Steady,
    /// The subject is out. It begins when the order is sent.
    Out,
    /// The subject is back. It begins when the order has been taken back.
    Restored,
}

impl Phase {
    /// What happens in it.
    pub(super) fn label(self, subject: &Subject) -> String {
        match self {
            Phase::Steady => "steady".to_owned(),
            Phase::Out => format!("{subject} out"),
            Phase::Restored => format!("{subject} restored"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Phase::Steady => "steady",
            Phase::Out => "out",
            Phase::Restored => "restored",
        }
    }
}

/// What is known beside the recording.
#[derive(Serialize)]
pub(super) struct Facts {
    /// Who was asked.
    pub(super) server: SocketAddr,
    pub(super) name: String,
    pub(super) subject: Subject,
    /// The subject's.
    pub(super) addresses: Vec<IpAddr>,
    /// Pool and address behind each IP.
    pub(super) places: BTreeMap<IpAddr, String>,
    #[serde(serialize_with = "log::rfc3339")]
    pub(super) started: SystemTime,
    /// The domain's.
    pub(super) ttl: Seconds,
    pub(super) interval: Seconds,
    pub(super) timeout: Seconds,
    pub(super) max_downtime: Seconds,
    /// Why the drill was cut short, if it was.
    pub(super) aborted: Option<String>,
    /// When it was over, by itself or not, and the subject was brought back.
    pub(super) ended: Seconds,
    /// What the pool was in the end, as in a status.
    pub(super) standing: Option<String>,
}

/// Everything that a drill found. Times count from its start.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    facts: Facts,
    passed: bool,
    requests: usize,
    succeeded: usize,
    mean_latency: Option<Seconds>,
    /// The times that clients were without service.
    outages: Vec<Outage>,
    /// From the order to the first answer after which none named the subject.
    unanswered: Option<Seconds>,
    /// From the order to the last request that went to the subject; 0: none did.
    unused: Option<Seconds>,
    /// From the end of the order to the first answer that named the subject again.
    answered_again: Option<Seconds>,
    /// From the end of the order to the end of the first request that succeeded at the subject.
    used_again: Option<Seconds>,
    states: Vec<State>,
    /// The bars that were missed, in words.
    missed: Vec<String>,
    log: Vec<LogEntry>,
    /// What was answered, whenever it changed.
    answers: Vec<AnswerEntry>,
}

#[derive(Serialize)]
struct Outage {
    began: Seconds,
    failed: usize,
    /// From the start of the first failed request to the end of the first later one that succeeded.
    downtime: Option<Seconds>,
}

#[derive(Serialize)]
struct State {
    state: Phase,
    began: Seconds,
    ended: Seconds,
    requests: usize,
    succeeded: usize,
    used: BTreeMap<IpAddr, usize>,
    failures: BTreeMap<String, usize>,
}

impl Report {
    pub(super) fn new(facts: Facts, recording: Recording<Phase>) -> Self {
        let tally = Tally::of(&recording.requests);
        let outage = |outage: crate::cli::drill::tally::Outage| Outage {
            began: Seconds(outage.began()),
            failed: outage.failed.len(),
            downtime: outage.ended.map(|ended| Seconds(ended - outage.began())),
        };
        let span = |phase| recording.spans.iter().find(move |span: &&Span<Phase>| span.stage == phase);
        let (out, restored) = (span(Phase::Out), span(Phase::Restored));
        let named = |lookup: &&Lookup| lookup.addresses.iter().any(|ip| facts.addresses.contains(ip));
        let went = |request: &&Request| request.address.is_some_and(|ip| facts.addresses.contains(&ip));
        let mut report = Report {
            passed: false,
            requests: tally.requests,
            succeeded: tally.succeeded,
            mean_latency: tally.mean_latency(),
            outages: outages(&recording.requests).into_iter().map(outage).collect(),
            unanswered: out.and_then(|span| {
                let last = recording.lookups_in(span).filter(named).map(|lookup| lookup.answered).last();
                let others = |lookup: &&Lookup| !lookup.addresses.is_empty() && last < Some(lookup.answered);
                recording.lookups_in(span).find(others).map(|lookup| Seconds(lookup.answered - span.began))
            }),
            unused: out.and_then(|span| {
                let last = recording.requests_in(span).filter(went).map(|request| request.started).last();
                let has_left = recording.requests_in(span).any(|request| Some(request.started) > last);
                has_left.then(|| Seconds(last.map_or(std::time::Duration::ZERO, |last| last - span.began)))
            }),
            answered_again: restored.and_then(|span| {
                recording.lookups_in(span).find(named).map(|lookup| Seconds(lookup.answered - span.began))
            }),
            used_again: restored.and_then(|span| {
                let mut back = recording.requests_in(span).filter(went).filter(|r| r.failure.is_none());
                back.next().map(|request| Seconds(request.ended - span.began))
            }),
            states: recording.spans.iter().map(|span| State::of(&recording, span)).collect(),
            missed: Vec::new(),
            log: Vec::new(),
            answers: Vec::new(),
            facts,
        };
        report.missed = report.missed_bars();
        report.passed = report.facts.aborted.is_none() && report.missed.is_empty();
        report.answers = log::answers(recording.lookups);
        report.log = log::log(recording.requests);
        report
    }

    /// Whether it was carried out in full, and no bar was missed.
    pub(super) fn passed(&self) -> bool {
        self.passed
    }

    fn missed_bars(&self) -> Vec<String> {
        let Facts { subject, aborted, max_downtime, standing, .. } = &self.facts;
        let mut missed = Vec::new();
        for Outage { downtime, .. } in &self.outages {
            match downtime {
                Some(downtime) if downtime <= max_downtime => {}
                Some(downtime) => {
                    missed.push(format!("{downtime} of downtime, where at most {max_downtime} is allowed"));
                }
                None => missed.push("no request succeeded any more".to_owned()),
            }
        }
        // One that was cut short had no time for the rest.
        if aborted.is_some() {
            return missed;
        }
        match (self.unanswered, self.unused) {
            (None, _) => missed.push(format!("{subject} was answered to the end, though it was out")),
            (_, None) => missed.push(format!("{subject} was used to the end, though it was out")),
            _ => {}
        }
        // A pool may be made to come back slowly.
        let is_held = matches!(standing.as_deref(), Some("held" | "awaits-release" | "returning"));
        if self.answered_again.is_none() && !is_held {
            missed.push(format!("{subject} never came back"));
        }
        missed
    }

    /// It as a picture.
    pub(super) fn picture(&self) -> Picture<'_> {
        let Facts { server, name, subject, started, ttl, aborted, ended, places, .. } = &self.facts;
        let date = humantime::format_rfc3339_seconds(*started);
        let ttl = humantime::format_duration(ttl.0);
        let mut lines = vec![format!("{date}, answers from {server}, TTL {ttl}")];
        lines.extend(aborted.iter().map(|reason| format!("aborted: {reason}")));
        lines.extend(missed_or_passed(&self.missed, self.passed));
        let states =
            self.states.iter().map(|state| Mark { at: state.began, label: state.state.word().to_owned() });
        let aborts = aborted.iter().map(|_| Mark { at: *ended, label: "aborted".to_owned() });
        Picture {
            title: format!("Drill: {subject} of {} taken out", name.trim_end_matches('.')),
            lines,
            ended: self.states.last().map_or(*ended, |state| state.ended),
            states: states.collect(),
            marks: aborts.collect(),
            log: &self.log,
            answers: &self.answers,
            places: places.clone(),
        }
    }
}

impl State {
    fn of(recording: &Recording<Phase>, span: &Span<Phase>) -> Self {
        let Tally { requests, succeeded, used, failures, .. } = Tally::of(recording.requests_in(span));
        State {
            state: span.stage,
            began: Seconds(span.began),
            ended: Seconds(span.ended),
            requests,
            succeeded,
            used,
            failures,
        }
    }

    /// Which addresses were used, and why requests failed.
    fn met(&self, places: &BTreeMap<IpAddr, String>) -> String {
        let place = |ip| places.get(ip).map(|place| format!("{place} ")).unwrap_or_default();
        let used = self.used.iter().map(|(ip, requests)| format!("{}{ip} x{requests}", place(ip)));
        let failures = self.failures.iter().map(|(reason, count)| format!("{reason} x{count}"));
        used.chain(failures).collect::<Vec<_>>().join(", ")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { server, name, subject, started, ttl, interval, aborted, places, standing, .. } =
            &self.facts;
        let (ttl, every) = (humantime::format_duration(ttl.0), humantime::format_duration(interval.0));
        writeln!(f)?;
        writeln!(f, "taken out         {subject}")?;
        writeln!(f, "name              {name} at {server}, TTL {ttl}")?;
        writeln!(f, "started           {}", humantime::format_rfc3339_seconds(*started))?;
        writeln!(f, "requests          {}, one every {every}", self.requests)?;
        writeln!(f, "succeeded         {}, {}", self.succeeded, Percent(self.succeeded, self.requests))?;
        if let Some(latency) = self.mean_latency {
            writeln!(f, "mean latency      {:.2} ms", latency.0.as_secs_f64() * 1e3)?;
        }
        if self.outages.is_empty() {
            writeln!(f, "downtime          none")?;
        }
        for Outage { began, failed, downtime } in &self.outages {
            let downtime = downtime.map_or("no end".to_owned(), |downtime| downtime.to_string());
            writeln!(f, "downtime          {downtime} from {began} on, failed requests: {failed}")?;
        }
        let or_not = |time: Option<Seconds>| time.map_or("not seen".to_owned(), |time| time.to_string());
        writeln!(f, "answers left it   {}", or_not(self.unanswered))?;
        writeln!(f, "clients left it   {}", or_not(self.unused))?;
        writeln!(f, "answered again    {}", or_not(self.answered_again))?;
        writeln!(f, "used again        {}", or_not(self.used_again))?;
        if let Some(standing) = standing {
            writeln!(f, "pool in the end   {}", standing.replace('-', " "))?;
        }
        writeln!(f, "\n{:8}  {:>16}  what requests met", "state", "succeeded")?;
        for state in &self.states {
            let share = format!(
                "{}/{} {}",
                state.succeeded,
                state.requests,
                Percent(state.succeeded, state.requests)
            );
            writeln!(f, "{:8}  {share:>16}  {}", state.state.word(), state.met(places))?;
        }
        writeln!(f)?;
        if let Some(reason) = aborted {
            writeln!(f, "ABORTED: {reason}")?;
        }
        for bar in &self.missed {
            writeln!(f, "MISSED: {bar}")?;
        }
        if self.passed { writeln!(f, "passed") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
