//! Metrics in Prometheus' text form.
//!
//! Events of the control path are counted as they happen. What the answering threads count for
//! themselves is summed when somebody scrapes.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

use super::Answers;
use crate::control::{Found, Lookup, Status};
use crate::dns::Name;
use crate::health::{Outcome, Transition, Verdict};
use crate::plan::Watch;
use crate::routing::Counters;

/// From a microsecond, which is about what a swap takes, to a second, which would be a fault.
const SWAP_BUCKETS: [f64; 13] = [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// From a quarter of a millisecond, a site next door, to ten seconds, longer than any timeout
/// that makes sense.
const PROBE_BUCKETS: [f64; 15] =
    [2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A gauge that was not set for as long is of something that is gone, such as an address that a name
/// has no more: each is set just before it is rendered, which takes far less.
const GAUGE_END: Duration = Duration::from_secs(1);

/// The counters of the answering threads and of their sockets, gathered when scraped.
pub struct Sources {
    /// Those of every answering thread.
    pub workers: Box<dyn Fn() -> Vec<Arc<Counters>> + Send + Sync>,
    /// Those of the sockets: metric, event and value.
    pub sockets: Box<dyn Fn() -> Vec<(&'static str, &'static str, u64)> + Send + Sync>,
    /// Where answers went.
    pub answers: Box<dyn Fn() -> Answers + Send + Sync>,
}

/// The metrics of this process.
pub struct Metrics {
    handle: PrometheusHandle,
    sources: Sources,
}

impl Metrics {
    /// Starts to collect.
    pub fn start(sources: Sources) -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full("rhumb_outcome_to_swap_seconds".to_owned()), &SWAP_BUCKETS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(
                    Matcher::Full("rhumb_probe_duration_seconds".to_owned()),
                    &PROBE_BUCKETS,
                )
            })
            .and_then(|builder| {
                builder.set_buckets_for_metric(
                    Matcher::Full("rhumb_probe_lateness_seconds".to_owned()),
                    &PROBE_BUCKETS,
                )
            })
            .expect("the buckets are not empty")
            .idle_timeout(MetricKindMask::GAUGE, Some(GAUGE_END))
            .build_recorder();
        let handle = recorder.handle();
        // A second daemon in one process, as tests have them, leaves events to the first.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        Metrics { handle, sources }
    }

    /// Everything, in Prometheus' text exposition format.
    pub fn render(&self, status: &Status) -> String {
        let workers = (self.sources.workers)();
        for rcode in Counters::RCODES {
            let sum = workers.iter().map(|worker| worker.replies(rcode)).sum();
            counter!("rhumb_dns_replies_total", "rcode" => rcode.mnemonic()).absolute(sum);
        }
        let sum = |read: fn(&Counters) -> u64| workers.iter().map(|worker| read(worker)).sum();
        counter!("rhumb_dns_dropped_total").absolute(sum(|worker| worker.dropped.read()));
        counter!("rhumb_dns_truncated_total").absolute(sum(|worker| worker.truncated.read()));
        counter!("rhumb_dns_client_subnet_total").absolute(sum(|worker| worker.client_subnets.read()));
        for (action, sum) in [
            ("withheld", sum(|worker| worker.limited_withheld.read())),
            ("slipped", sum(|worker| worker.limited_slipped.read())),
            ("badcookie", sum(|worker| worker.limited_bad_cookie.read())),
        ] {
            counter!("rhumb_dns_rate_limited_total", "action" => action).absolute(sum);
        }
        for (cookie, sum) in [
            ("new", sum(|worker| worker.cookies_new.read())),
            ("bad", sum(|worker| worker.cookies_bad.read())),
            ("good", sum(|worker| worker.cookies_good.read())),
        ] {
            counter!("rhumb_dns_cookies_total", "cookie" => cookie).absolute(sum);
        }
        for (name, event, value) in (self.sources.sockets)() {
            counter!(name, "event" => event).absolute(value);
        }
        gauge!("rhumb_isolated").set(f64::from(u8::from(status.isolated.is_some())));
        gauge!("rhumb_table_generation").set(status.generation as f64);
        for pool in &status.pools {
            let is_suspected = pool.suspicion.is_some();
            gauge!("rhumb_pool_check_suspected", "pool" => pool.name.clone())
                .set(f64::from(u8::from(is_suspected)));
            gauge!("rhumb_pool_share", "pool" => pool.name.clone()).set(pool.share);
            for address in &pool.addresses {
                let labels = [("pool", pool.name.clone()), ("address", address.name.clone())];
                let up = match &address.health[..] {
                    "up" => 1.0,
                    "down" => 0.0,
                    _ => f64::NAN,
                };
                gauge!("rhumb_address_up", &labels).set(up);
                gauge!("rhumb_address_available", &labels).set(f64::from(u8::from(address.available)));
            }
            for name in &pool.names {
                if let Some(seconds) = name.resolved_seconds {
                    gauge!("rhumb_name_age_seconds", "name" => name.name.clone()).set(seconds);
                }
            }
        }
        let answers = (self.sources.answers)();
        gauge!("rhumb_flow_counted").set(f64::from(u8::from(answers.is_counted)));
        self.handle.run_upkeep();
        let mut text = self.handle.render();
        answers.render(&mut text);
        text
    }

    /// A probe has ended after `took`, which started so much later than it was due.
    pub fn probed(watch: &Watch, outcome: &Outcome, took: Duration, lateness: Duration) {
        histogram!("rhumb_probe_lateness_seconds").record(lateness.as_secs_f64());
        let pool = || watch.pool_or_none().to_owned();
        let check = || watch.check.name.clone();
        counter!("rhumb_probes_total", "pool" => pool(), "check" => check(), "outcome" => outcome.label())
            .increment(1);
        histogram!("rhumb_probe_duration_seconds", "pool" => pool(), "check" => check())
            .record(took.as_secs_f64());
        if let Outcome::Fail(failure) = outcome {
            let labels = [
                ("pool", pool()),
                ("address", watch.written().to_owned()),
                ("reason", failure.label().to_owned()),
            ];
            counter!("rhumb_address_failures_total", &labels).increment(1);
        }
    }

    /// A connection that should have lasted had ended; `is_up`: a probe at once has passed all the same.
    pub fn tripped(watch: &Watch, is_up: bool) {
        let outcome = if is_up { "pass" } else { "fail" };
        counter!("rhumb_tripwires_total", "pool" => watch.pool_or_none().to_owned(), "outcome" => outcome)
            .increment(1);
    }

    /// An address has turned.
    pub fn turned(watch: &Watch, transition: &Transition) {
        let to = match transition.to {
            Verdict::Up => "up",
            Verdict::Down => "down",
            Verdict::Unknown => "unknown",
        };
        let labels = [
            ("pool", watch.pool_or_none().to_owned()),
            ("address", watch.written().to_owned()),
            ("to", to.to_owned()),
        ];
        counter!("rhumb_transitions_total", &labels).increment(1);
    }

    /// A name was looked up.
    pub fn looked_up(name: &Name, lookup: &Lookup) {
        let counts = |is: fn(&Found) -> bool| [&lookup.v4, &lookup.v6].into_iter().any(is);
        let outcome = if counts(|found| matches!(found, Found::Failed(_))) {
            "failed"
        } else if counts(|found| matches!(found, Found::Addresses(_))) {
            "found"
        } else {
            "nothing"
        };
        counter!("rhumb_lookups_total", "name" => name.to_string(), "outcome" => outcome).increment(1);
    }

    /// A table was published `after` the outcome that led to it was known.
    pub fn swapped(after: Duration) {
        histogram!("rhumb_outcome_to_swap_seconds").record(after.as_secs_f64());
    }

    /// A reload that somebody or something of this name wanted was carried out or refused.
    pub fn reloaded(trigger: &'static str, accepted: bool) {
        let result = if accepted { "accepted" } else { "refused" };
        counter!("rhumb_reloads_total", "result" => result, "trigger" => trigger).increment(1);
    }
}

fn describe() {
    describe_counter!("rhumb_dns_replies_total", "Replies sent, by response code.");
    describe_counter!("rhumb_dns_dropped_total", "Messages that got no reply: too short, or responses.");
    describe_counter!("rhumb_dns_truncated_total", "Replies cut so that the client asks by TCP.");
    describe_counter!("rhumb_dns_client_subnet_total", "Queries with an EDNS client subnet.");
    describe_counter!(
        "rhumb_dns_rate_limited_total",
        "Replies ruled out by the rate limit, by what was sent."
    );
    describe_counter!("rhumb_dns_cookies_total", "Queries with a cookie, by what it was worth.");
    describe_counter!("rhumb_udp_events_total", "What the UDP sockets saw.");
    describe_counter!("rhumb_tcp_events_total", "What the TCP listeners saw.");
    describe_counter!("rhumb_probes_total", "Probes ended, by outcome.");
    describe_histogram!(
        "rhumb_probe_lateness_seconds",
        Unit::Seconds,
        "How much later than they were due probes started."
    );
    describe_histogram!("rhumb_probe_duration_seconds", Unit::Seconds, "How long probes took.");
    describe_counter!("rhumb_address_failures_total", "Probes that failed, by address and reason.");
    describe_gauge!("rhumb_address_up", "Whether an address is believed to be up; NaN: nothing is known.");
    describe_gauge!("rhumb_isolated", "Whether the daemon takes itself to be cut off from the network.");
    describe_counter!(
        "rhumb_tripwires_total",
        "Connections whose end had an address probed at once, by what came of it."
    );
    describe_gauge!(
        "rhumb_pool_check_suspected",
        "Whether every address of the pool has failed in the same way since it is watched."
    );
    describe_counter!("rhumb_transitions_total", "Addresses that turned up or down.");
    describe_histogram!(
        "rhumb_outcome_to_swap_seconds",
        Unit::Seconds,
        "From the end of the deciding probe until the new table is read by queries."
    );
    describe_counter!("rhumb_lookups_total", "Lookups of names in pools, by outcome.");
    describe_gauge!("rhumb_name_age_seconds", Unit::Seconds, "Since a name in pools has last been resolved.");
    describe_counter!("rhumb_reloads_total", "Reloads, by result and by what they were for.");
    describe_counter!(
        "rhumb_admin_refused_total",
        "Requests to the admin API that were turned away for who sent them, or how many did, by reason."
    );
    describe_gauge!("rhumb_table_generation", "How many tables were published before the current one.");
    describe_gauge!(
        "rhumb_pool_share",
        "The share of its clients that a pool serves; 0: it is out of service."
    );
    describe_gauge!("rhumb_flow_counted", "1 if it is counted how often domains take their pools.");
    describe_gauge!("rhumb_address_available", "1 if clients are given the address.");
}
