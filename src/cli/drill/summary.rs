//! What a drill's recording amounts to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::recording::{Recording, Request, Span, Stage};
use super::seconds::Seconds;
use super::tally::{Outage, Tally, mean, outages};

/// A recording in numbers. Times are in seconds, those of an instant from the start of the drill.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) requests: usize,
    pub(super) succeeded: usize,
    /// From the start of a request, its resolution included, to the last octet of the response;
    /// of those that succeeded.
    pub(super) mean_latency: Option<Seconds>,
    /// The times that clients were without service though a site was up.
    pub(super) failovers: Vec<Failover>,
    pub(super) average_downtime: Option<Seconds>,
    /// The longest TTL that was answered.
    pub(super) ttl: Seconds,
    /// Requests from one TTL after each state's first right answer on: none may fail.
    pub(super) settled: Settled,
    pub(super) states: Vec<StateSummary>,
    /// The bars that were missed, in words.
    pub(super) missed: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Failover {
    /// The state that it fell into, or whose begin ended a time without any site.
    pub(super) stage: Stage,
    pub(super) label: String,
    /// When its first request failed.
    pub(super) began: Seconds,
    /// Failed requests, without those that started while no site was up.
    pub(super) failed: usize,
    /// From the start of the first failed request to the end of the first later one that
    /// succeeded, without the time in which no site was up. `None`: none succeeded.
    pub(super) downtime: Option<Seconds>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Settled {
    pub(super) requests: usize,
    pub(super) failed: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct StateSummary {
    pub(super) stage: Stage,
    pub(super) label: String,
    pub(super) began: Seconds,
    pub(super) ended: Seconds,
    pub(super) requests: usize,
    pub(super) succeeded: usize,
    /// From its begin to the name server's first right answer, to whoever has nothing in a cache.
    pub(super) right_answer: Option<Seconds>,
    /// From its begin to the end of the first request that started in it and succeeded.
    pub(super) first_success: Option<Seconds>,
    /// The longest time in it from a failed request to the next success.
    pub(super) longest_outage: Seconds,
    /// The addresses whose requests succeeded.
    pub(super) used: Vec<Used>,
    /// How often requests failed, by reason.
    pub(super) failures: BTreeMap<String, usize>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Used {
    pub(super) site: String,
    pub(super) address: IpAddr,
    pub(super) requests: usize,
}

impl Summary {
    /// Sums up `recording`, where `sites` are the preferred and the other one.
    pub(super) fn of(recording: &Recording, sites: &[String; 2], max_downtime: Duration) -> Self {
        let Recording { spans, requests, lookups: _ } = recording;
        let ttl = recording.ttl();
        let outages = outages(requests);
        let failovers: Vec<_> = outages.iter().filter_map(|outage| failover(outage, spans, sites)).collect();
        let downtimes: Vec<_> = failovers.iter().filter_map(|failover| failover.downtime).collect();
        let tally = Tally::of(requests);
        let mut summary = Summary {
            requests: tally.requests,
            succeeded: tally.succeeded,
            mean_latency: tally.mean_latency(),
            average_downtime: mean(downtimes.into_iter().map(|downtime| downtime.0)),
            failovers,
            ttl: Seconds(ttl),
            settled: settled(recording, ttl),
            states: spans.iter().map(|span| StateSummary::of(recording, span, &outages, sites)).collect(),
            missed: Vec::new(),
        };
        summary.missed = summary.missed_bars(sites, max_downtime);
        summary
    }

    fn missed_bars(&self, sites: &[String; 2], max_downtime: Duration) -> Vec<String> {
        let mut missed = Vec::new();
        for state in &self.states {
            match state.stage {
                Stage::Baseline if state.succeeded == 0 => {
                    missed.push("no request succeeded in the baseline".to_owned());
                }
                Stage::PreferredBack if !state.used.iter().any(|used| used.site == sites[0]) => {
                    missed.push(format!("{} never came back", sites[0]));
                }
                _ => {}
            }
        }
        for Failover { label, downtime, .. } in &self.failovers {
            match downtime {
                Some(downtime) if downtime.0 <= max_downtime => {}
                Some(downtime) => missed.push(format!(
                    "{label}: {downtime} of downtime, where at most {} is allowed",
                    Seconds(max_downtime)
                )),
                None => missed.push(format!("{label}: no request succeeded any more")),
            }
        }
        if self.settled.failed > 0 {
            let count = self.settled.failed;
            missed.push(format!("requests that failed later than one TTL after the right answer: {count}"));
        }
        missed
    }
}

impl StateSummary {
    fn of(recording: &Recording, span: &Span, outages: &[Outage], sites: &[String; 2]) -> Self {
        let preferred = recording.preferred();
        let Tally { requests, succeeded, used, failures, .. } = Tally::of(recording.requests_in(span));
        let successes = recording.requests_in(span).filter(|request| request.failure.is_none());
        let first_success = successes.map(|request| request.ended - span.began).min();
        let site_of = |address: &IpAddr| &sites[usize::from(!preferred.contains(address))];
        StateSummary {
            stage: span.stage,
            label: span.stage.label(sites),
            began: Seconds(span.began),
            ended: Seconds(span.ended),
            requests,
            succeeded,
            right_answer: first_right_answer(recording, span).map(|at| Seconds(at - span.began)),
            first_success: first_success.map(Seconds),
            longest_outage: Seconds(
                outages.iter().map(|outage| outage.overlap(span)).max().unwrap_or_default(),
            ),
            used: used
                .into_iter()
                .map(|(address, requests)| Used { site: site_of(&address).clone(), address, requests })
                .collect(),
            failures,
        }
    }
}

/// When the name server first told the truth in that state.
fn first_right_answer(recording: &Recording, span: &Span) -> Option<Duration> {
    let preferred = recording.preferred();
    let mut lookups = recording.lookups_in(span);
    lookups.find(|lookup| span.stage.is_right(&lookup.addresses, &preferred)).map(|lookup| lookup.answered)
}

/// The requests by which every cache holds the truth.
fn settled(recording: &Recording, ttl: Duration) -> Settled {
    let mut settled = Settled::default();
    for span in &recording.spans {
        let Some(right) = first_right_answer(recording, span) else { continue };
        let from = if span.stage == Stage::Baseline { span.began } else { right + ttl };
        // Those under way at the end meet the next state's fault.
        let is_settled = |request: &&Request| request.started >= from && request.ended < span.ended;
        for request in recording.requests_in(span).filter(is_settled) {
            settled.requests += 1;
            settled.failed += usize::from(request.failure.is_some());
        }
    }
    settled
}

/// `None`: no site was up all the while.
fn failover(outage: &Outage, spans: &[Span], sites: &[String; 2]) -> Option<Failover> {
    let dark = spans.iter().find(|span| span.stage == Stage::BothDown);
    let is_dark = |at: Duration| dark.is_some_and(|span| (span.began..span.ended).contains(&at));
    let without_site = dark.map_or(Duration::ZERO, |span| outage.overlap(span));
    let downtime = outage.ended.map(|ended| ended - outage.began() - without_site);
    if downtime == Some(Duration::ZERO) {
        return None;
    }
    // A request that was under way when the state changed failed because of the change.
    let cause = match dark {
        Some(span) if is_dark(outage.began()) || is_dark(outage.noticed) => span.ended,
        _ => outage.noticed,
    };
    let stage = spans.iter().rfind(|span| span.began <= cause)?.stage;
    Some(Failover {
        stage,
        label: stage.label(sites),
        began: Seconds(outage.began()),
        failed: outage.failed.iter().filter(|started| !is_dark(**started)).count(),
        downtime: downtime.map(Seconds),
    })
}

#[cfg(test)]
mod tests;
