//! What was asked and answered: the counters of threads and sockets, added up.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exposition::{Exposition, NANOSECONDS};
use crate::routing::{Counters, Distribution, DomainFlow, Transport, ZoneFlow};

/// How often domains have taken their pools, and for which zones queries were.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Whether the pools are counted at all.
    pub is_counted: bool,
    /// The domains; none if they are too many for metrics.
    pub domains: Vec<DomainFlow>,
    /// The zones.
    pub zones: ZoneFlow,
}

/// What the sockets have seen.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    /// Metric, event and count.
    pub events: Vec<(&'static str, &'static str, u64)>,
    /// Datagrams that the kernel has dropped.
    pub overflowed: u64,
    /// How many datagrams each receive call brought.
    pub batches: Distribution,
    /// How long answers over UDP took, of a sample of them.
    pub answers: Distribution,
    /// How long after the deciding probe had ended threads had sent answers from the table that followed.
    pub taken_up: Distribution,
    /// The oldest generation of the table that a thread answers from; `None`: none answers yet.
    pub oldest_table: Option<u64>,
}

/// Adds what `workers` have counted.
pub(super) fn tell_workers(workers: &[(Transport, Arc<Counters>)], told: &mut Exposition) {
    let each_transport = [(Transport::Udp, "udp"), (Transport::Tcp, "tcp")].map(|(transport, label)| {
        let own = workers.iter().filter(|(of, _)| *of == transport).map(|(_, counters)| &**counters);
        (label, own.collect::<Vec<&Counters>>())
    });
    let sum = |workers: &[&Counters], read: &dyn Fn(&Counters) -> u64| -> u64 {
        workers.iter().map(|worker| read(worker)).sum()
    };
    let all: Vec<&Counters> = each_transport.iter().flat_map(|(_, workers)| workers).copied().collect();

    let mut queries = told.counter(
        "rhumb_dns_queries_total",
        "Queries received, by transport and type; \
        `none`: without a question that can be read, `other`: of a type that is not told apart.",
    );
    for (transport, workers) in &each_transport {
        let mut count = |rtype: &str, read: &dyn Fn(&Counters) -> u64| {
            queries.count(&[("transport", transport), ("type", rtype)], sum(workers, read));
        };
        for rtype in Counters::TYPES {
            count(rtype.mnemonic().unwrap_or("other"), &|worker| worker.queries(rtype));
        }
        count("other", &Counters::other_queries);
        count("none", &|worker| worker.questionless.read());
    }
    drop(queries);
    let mut replies =
        told.counter("rhumb_dns_replies_total", "Replies sent, by transport and response code.");
    for (transport, workers) in &each_transport {
        for rcode in Counters::RCODES {
            let labels = [("transport", *transport), ("rcode", rcode.mnemonic())];
            replies.count(&labels, sum(workers, &|worker| worker.replies(rcode)));
        }
    }
    drop(replies);
    let help = "Messages that got no reply, by transport: too short, or responses.";
    let mut dropped = told.counter("rhumb_dns_dropped_total", help);
    for (transport, workers) in &each_transport {
        dropped.count(&[("transport", transport)], sum(workers, &|worker| worker.dropped.read()));
    }
    drop(dropped);
    told.counter("rhumb_dns_truncated_total", "Replies cut so that the client asks by TCP.")
        .count(&[], sum(&all, &|worker| worker.truncated.read()));
    told.counter("rhumb_dns_client_subnet_total", "Queries with an EDNS client subnet.")
        .count(&[], sum(&all, &|worker| worker.client_subnets.read()));
    let help = "Replies ruled out by the rate limit, by what was sent.";
    let mut limited = told.counter("rhumb_dns_rate_limited_total", help);
    limited.count(&[("action", "withheld")], sum(&all, &|worker| worker.limited_withheld.read()));
    limited.count(&[("action", "slipped")], sum(&all, &|worker| worker.limited_slipped.read()));
    limited.count(&[("action", "badcookie")], sum(&all, &|worker| worker.limited_bad_cookie.read()));
    drop(limited);
    let help = "Queries with a cookie, by what it was worth.";
    let mut cookies = told.counter("rhumb_dns_cookies_total", help);
    cookies.count(&[("cookie", "new")], sum(&all, &|worker| worker.cookies_new.read()));
    cookies.count(&[("cookie", "bad")], sum(&all, &|worker| worker.cookies_bad.read()));
    cookies.count(&[("cookie", "good")], sum(&all, &|worker| worker.cookies_good.read()));
}

impl Sockets {
    /// Adds what the sockets have seen.
    pub(super) fn tell(&self, told: &mut Exposition) {
        for (name, help) in [
            ("rhumb_udp_events_total", "What the UDP sockets saw."),
            ("rhumb_tcp_events_total", "What the TCP listeners saw."),
        ] {
            let mut family = told.counter(name, help);
            for (_, event, count) in self.events.iter().filter(|(of, ..)| *of == name) {
                family.count(&[("event", event)], *count);
            }
        }
        if self.oldest_table.is_none() {
            return;
        }
        told.counter(
            "rhumb_udp_overflowed_total",
            "Datagrams that the kernel dropped because a receive buffer was full, or their checksum wrong.",
        )
        .count(&[], self.overflowed);
        told.histogram("rhumb_udp_batch_datagrams", "Datagrams that one receive call brought.").distribution(
            &[],
            &self.batches,
            1.0,
        );
        told.histogram(
            "rhumb_answer_duration_seconds",
            "How long an answer over UDP took to make, without receiving and sending; of one batch in 64.",
        )
        .distribution(&[], &self.answers, NANOSECONDS);
        if let Some(oldest) = self.oldest_table {
            told.gauge(
                "rhumb_table_generation_in_use",
                "The oldest generation of the table that a UDP thread answers from.",
            )
            .count(&[], oldest);
        }
    }
}

impl Answers {
    /// Adds where answers went.
    pub(super) fn tell(&self, told: &mut Exposition) {
        told.gauge("rhumb_flow_counted", "1 if it is counted how often domains take their pools.")
            .truth(&[], self.is_counted);
        let mut answers = told.counter("rhumb_answers_total", "How often a domain has taken a pool.");
        for domain in &self.domains {
            for pool in &domain.pools {
                answers.count(&[("domain", &domain.name), ("pool", &pool.pool)], pool.answers);
            }
        }
        drop(answers);
        let ZoneFlow { zones, others, outside } = &self.zones;
        // A zone may have one of these names.
        let mut counts: BTreeMap<&str, u64> = BTreeMap::from([("other", *others), ("none", *outside)]);
        for (zone, count) in zones {
            *counts.entry(zone).or_default() += count;
        }
        let mut queries = told.counter(
            "rhumb_zone_queries_total",
            "Names looked up for queries, by zone; `none`: in no zone of this server, `other`: beyond the first 1,000.",
        );
        for (zone, count) in counts {
            queries.count(&[("zone", zone)], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_of_the_name_of_a_sum_is_told_once() {
        let zones = vec![("other".to_owned(), 2), ("ai.example".to_owned(), 3)];
        let answers = Answers { zones: ZoneFlow { zones, others: 5, outside: 7 }, ..Answers::default() };
        let mut told = Exposition::default();
        answers.tell(&mut told);
        let text = told.behind(String::new());
        let samples: Vec<&str> = text.lines().filter(|line| line.starts_with("rhumb_zone_")).collect();
        assert_eq!(
            samples,
            [
                "rhumb_zone_queries_total{zone=\"ai.example\"} 3",
                "rhumb_zone_queries_total{zone=\"none\"} 7",
                "rhumb_zone_queries_total{zone=\"other\"} 7",
            ]
        );
    }
}
