//! How long things took, counted by fixed bounds: the memory for it is the same whether anybody scrapes or not. The
//! recorder, which keeps counters and gauges, would keep each value of a histogram until then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exposition::{Exposition, NANOSECONDS};
use crate::routing::Distribution;

/// From a microsecond, which is about what a swap takes, to a second, which would be a fault. In nanoseconds.
const SWAP_BOUNDS: [u64; 13] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// From a quarter of a millisecond, a site next door, to ten seconds, longer than any timeout
/// that makes sense: how long probes take, and how late they are. In nanoseconds.
pub(super) const PROBE_BOUNDS: [u64; 15] = [
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// From what is read from memory to what a large reload takes. In nanoseconds.
const REQUEST_BOUNDS: [u64; 9] = [
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];

/// What the control loop and the admin API take their time for.
#[derive(Clone)]
pub(super) struct Spans {
    /// How late probes were.
    pub(super) lateness: Distribution,
    /// From the outcome to the table that followed.
    pub(super) swaps: Distribution,
    /// Requests to the admin API by route, of which there are so many.
    requests: BTreeMap<String, Distribution>,
}

impl Default for Spans {
    fn default() -> Self {
        let (lateness, swaps) = (Distribution::of(&PROBE_BOUNDS), Distribution::of(&SWAP_BOUNDS));
        Spans { lateness, swaps, requests: BTreeMap::new() }
    }
}

impl Spans {
    /// A request for `route` has taken so long.
    pub(super) fn served(&mut self, route: &str, took: Duration) {
        if !self.requests.contains_key(route) {
            self.requests.insert(route.to_owned(), Distribution::of(&REQUEST_BOUNDS));
        }
        if let Some(requests) = self.requests.get_mut(route) {
            requests.record_span(took);
        }
    }

    pub(super) fn tell(&self, told: &mut Exposition) {
        told.histogram("rhumb_probe_lateness_seconds", "How much later than they were due probes started.")
            .distribution(&[], &self.lateness, NANOSECONDS);
        told.histogram(
            "rhumb_outcome_to_swap_seconds",
            "From the end of the deciding probe until the new table is read by queries.",
        )
        .distribution(&[], &self.swaps, NANOSECONDS);
        let mut requests = told.histogram(
            "rhumb_admin_request_duration_seconds",
            "How long requests to the admin API took until the response began, by route.",
        );
        for (route, distribution) in &self.requests {
            requests.distribution(&[("route", route)], distribution, NANOSECONDS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_told_by_their_bounds() {
        let mut spans = Spans::default();
        spans.lateness.record_span(Duration::from_millis(2));
        spans.swaps.record_span(Duration::from_micros(3));
        spans.served("/v1/status", Duration::from_millis(7));
        spans.served("/v1/status", Duration::from_secs(31));
        let mut told = Exposition::default();
        spans.tell(&mut told);
        let text = told.behind(String::new());
        for line in [
            "rhumb_probe_lateness_seconds_bucket{le=\"0.001\"} 0",
            "rhumb_probe_lateness_seconds_bucket{le=\"0.0025\"} 1",
            "rhumb_probe_lateness_seconds_sum 0.002",
            "rhumb_outcome_to_swap_seconds_bucket{le=\"0.000002\"} 0",
            "rhumb_outcome_to_swap_seconds_bucket{le=\"0.000005\"} 1",
            "rhumb_admin_request_duration_seconds_bucket{route=\"/v1/status\",le=\"0.01\"} 1",
            "rhumb_admin_request_duration_seconds_bucket{route=\"/v1/status\",le=\"30\"} 1",
            "rhumb_admin_request_duration_seconds_count{route=\"/v1/status\"} 2",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in\n{text}");
        }
    }
}
