//! Counts of requests, and what they are made of, whatever the drill.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::recording::{Request, Span};
use super::seconds::Seconds;

/// Requests in numbers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: usize,
    pub(super) succeeded: usize,
    /// The addresses whose requests succeeded, and how many did.
    pub(super) used: BTreeMap<IpAddr, usize>,
    /// How often requests failed, by reason.
    pub(super) failures: BTreeMap<String, usize>,
    /// What all that succeeded took together.
    latency: Duration,
}

impl Tally {
    pub(super) fn of<'r>(requests: impl IntoIterator<Item = &'r Request>) -> Self {
        let mut tally = Tally::default();
        for request in requests {
            tally.requests += 1;
            if let Some(reason) = &request.failure {
                *tally.failures.entry(reason.clone()).or_default() += 1;
                continue;
            }
            tally.succeeded += 1;
            tally.latency += request.ended - request.started;
            if let Some(address) = request.address {
                *tally.used.entry(address).or_default() += 1;
            }
        }
        tally
    }

    /// Of those that succeeded, if any did.
    pub(super) fn mean_latency(&self) -> Option<Seconds> {
        let count = u32::try_from(self.succeeded).ok().filter(|count| *count > 0)?;
        Some(Seconds(self.latency / count))
    }
}

/// Requests that failed one after another.
pub(super) struct Outage {
    /// When each of them started; there is at least one.
    pub(super) failed: Vec<Duration>,
    /// When the first of them had failed.
    pub(super) noticed: Duration,
    /// When the next one that succeeded was done.
    pub(super) ended: Option<Duration>,
}

impl Outage {
    pub(super) fn began(&self) -> Duration {
        self.failed[0]
    }

    /// How much of it lies in `span`.
    pub(super) fn overlap<S>(&self, span: &Span<S>) -> Duration {
        let ended = self.ended.unwrap_or(Duration::MAX).min(span.ended);
        ended.saturating_sub(self.began().max(span.began))
    }
}

/// The outages among `requests`, which are in the order of their starts.
pub(super) fn outages(requests: &[Request]) -> Vec<Outage> {
    let mut outages = Vec::<Outage>::new();
    for request in requests {
        let lasting = outages.last_mut().filter(|outage| outage.ended.is_none());
        match (lasting, &request.failure) {
            (Some(outage), Some(_)) => outage.failed.push(request.started),
            (Some(outage), None) => outage.ended = Some(request.ended),
            (None, Some(_)) => {
                outages.push(Outage { failed: vec![request.started], noticed: request.ended, ended: None })
            }
            (None, None) => {}
        }
    }
    outages
}

/// The mean of `durations`, if there are any.
pub(super) fn mean(durations: impl ExactSizeIterator<Item = Duration>) -> Option<Seconds> {
    let count = u32::try_from(durations.len()).ok().filter(|count| *count > 0)?;
    Some(Seconds(durations.sum::<Duration>() / count))
}
