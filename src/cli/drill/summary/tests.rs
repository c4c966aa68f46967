//! Recordings made up by hand, and what the summary says of them.

use std::collections::BTreeSet;

use super::super::recording::Lookup;
use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn seconds(value: u64) -> Seconds {
    Seconds(ms(value))
}

fn sites() -> [String; 2] {
    ["a", "b"].map(str::to_owned)
}

/// Five states of ten seconds each; requests are given as start in milliseconds and address, with
/// the reason if they failed. A request takes 5 ms.
fn recording(requests: &[(u64, IpAddr, Option<&str>)], lookups: &[(u64, &[IpAddr])]) -> Recording {
    let begins = [0, 10_000, 20_000, 30_000, 40_000];
    Recording {
        spans: Stage::ALL
            .into_iter()
            .zip(begins)
            .map(|(stage, began)| Span { stage, began: ms(began), ended: ms(began + 10_000) })
            .collect(),
        requests: requests
            .iter()
            .map(|&(started, address, failure)| Request {
                started: ms(started),
                ended: ms(started + 5),
                address: Some(address),
                failure: failure.map(str::to_owned),
            })
            .collect(),
        lookups: lookups
            .iter()
            .map(|&(answered, addresses)| Lookup {
                asked: ms(answered.saturating_sub(1)),
                answered: ms(answered),
                addresses: addresses.iter().copied().collect(),
                ttl: ms(1_000),
            })
            .collect(),
    }
}

const REFUSED: Option<&str> = Some("connection refused");

/// A drill as it should be.
fn good() -> Recording {
    recording(
        &[
            (500, A, None),
            (9_500, A, None),
            (10_500, A, REFUSED),
            (11_500, B, None),
            (19_500, B, None),
            (20_500, B, REFUSED),
            (29_500, A, REFUSED),
            (30_500, A, REFUSED),
            (31_500, B, None),
            (40_500, B, None),
            (41_500, A, None),
        ],
        &[(10, &[A]), (10_100, &[A]), (10_210, &[B]), (25_000, &[A]), (30_160, &[B]), (40_150, &[A])],
    )
}

#[test]
fn downtime_is_from_the_first_failure_to_the_next_success_while_a_site_is_up() {
    // Requests, and per failover: the state, the downtime, the failed requests.
    type Case<'c> = (&'c [(u64, IpAddr, Option<&'c str>)], &'c [(&'c str, Option<u64>, usize)]);
    let cases: &[Case<'_>] = &[
        (&[], &[]),
        (&[(1_000, A, None), (11_000, B, None)], &[]),
        (&[(10_500, A, REFUSED), (11_500, B, None)], &[("a down", Some(1_005), 1)]),
        (
            &[(10_000, A, REFUSED), (10_500, A, REFUSED), (11_500, B, None), (12_500, B, None)],
            &[("a down", Some(1_505), 2)],
        ),
        // Whoever fails while no site is up has lost nothing by DNS.
        (&[(20_500, B, REFUSED), (21_500, B, None)], &[]),
        (&[(20_500, B, REFUSED), (30_000, B, None)], &[("b back", Some(5), 0)]),
        (&[(20_500, B, REFUSED), (30_500, A, REFUSED), (31_000, B, None)], &[("b back", Some(1_005), 1)]),
        // Never over to the other site: the time of both down is left out of the middle.
        (&[(15_000, A, REFUSED), (25_000, A, REFUSED), (31_000, B, None)], &[("a down", Some(6_005), 1)]),
        // Under way when the state changed.
        (&[(9_998, A, REFUSED), (11_000, B, None)], &[("a down", Some(1_007), 1)]),
        (&[(19_998, B, REFUSED), (25_000, A, REFUSED), (31_000, B, None)], &[("b back", Some(1_007), 1)]),
        (&[(40_500, B, REFUSED), (41_000, A, None)], &[("a back", Some(505), 1)]),
        (&[(45_000, B, REFUSED)], &[("a back", None, 1)]),
        (
            &[(10_500, A, REFUSED), (11_000, B, None), (11_500, A, REFUSED), (13_000, B, None)],
            &[("a down", Some(505), 1), ("a down", Some(1_505), 1)],
        ),
    ];
    for (requests, expected) in cases {
        let summary = Summary::of(&recording(requests, &[]), &sites(), ms(2_000));
        let found: Vec<_> = summary
            .failovers
            .iter()
            .map(|failover| (&failover.label[..], failover.downtime, failover.failed))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(label, downtime, failed)| (label, downtime.map(seconds), failed))
            .collect();
        assert_eq!(found, expected, "{requests:?}");
    }
}

#[test]
fn a_good_drill_in_numbers() {
    let summary = Summary::of(&good(), &sites(), ms(2_000));
    assert_eq!((summary.requests, summary.succeeded), (11, 7));
    assert_eq!(summary.mean_latency, Some(seconds(5)));
    assert_eq!(summary.average_downtime, Some(Seconds(ms(1_005 + 1_505) / 2)));
    assert_eq!(summary.ttl, seconds(1_000));
    // From 0, 11.210, 31.160 and 41.150 s on.
    assert_eq!((summary.settled.requests, summary.settled.failed), (6, 0));
    assert_eq!(summary.missed, Vec::<String>::new());

    type Row = (&'static str, usize, usize, Option<u64>, Option<u64>, u64);
    let expected: [Row; 5] = [
        ("baseline", 2, 2, Some(10), Some(505), 0),
        ("a down", 3, 2, Some(210), Some(1_505), 1_005),
        ("both down", 2, 0, None, None, 9_500),
        ("b back", 2, 1, Some(160), Some(1_505), 1_505),
        ("a back", 2, 2, Some(150), Some(505), 0),
    ];
    for (state, (label, requests, succeeded, right, first, outage)) in summary.states.iter().zip(expected) {
        assert_eq!(state.label, label);
        assert_eq!((state.requests, state.succeeded), (requests, succeeded), "{label}");
        assert_eq!(state.right_answer, right.map(seconds), "{label}");
        assert_eq!(state.first_success, first.map(seconds), "{label}");
        assert_eq!(state.longest_outage, seconds(outage), "{label}");
    }
    let used = |site: &str, address, requests| Used { site: site.to_owned(), address, requests };
    assert_eq!(summary.states[4].used, [used("a", A, 1), used("b", B, 1)]);
    assert_eq!(summary.states[2].failures, BTreeMap::from([("connection refused".to_owned(), 2)]));
}

#[test]
fn every_missed_bar_is_told() {
    let spoilt = |spoil: fn(&mut Recording)| {
        let mut recording = good();
        spoil(&mut recording);
        Summary::of(&recording, &sites(), ms(1_600)).missed
    };
    assert_eq!(spoilt(|_| {}), Vec::<String>::new());
    assert_eq!(
        spoilt(|recording| recording.requests[7].started = ms(30_000) + ms(1_000)),
        Vec::<String>::new(),
        "settled only from 31.160 s on"
    );
    assert_eq!(
        spoilt(|recording| {
            let [started, ended] = [19_998, 20_003].map(ms);
            let failure = REFUSED.map(str::to_owned);
            recording.requests[4] = Request { started, ended, failure, ..recording.requests[4].clone() };
        }),
        Vec::<String>::new(),
        "under way when the other site went down as well"
    );
    assert_eq!(
        spoilt(|recording| recording.requests[8] =
            Request { ended: ms(31_700), ..recording.requests[8].clone() }),
        ["b back: 1.700 s of downtime, where at most 1.600 s is allowed"]
    );
    assert_eq!(
        spoilt(|recording| recording.requests[4].failure = REFUSED.map(str::to_owned)),
        [
            "a down: 2.005 s of downtime, where at most 1.600 s is allowed",
            "requests that failed later than one TTL after the right answer: 1"
        ]
    );
    assert_eq!(
        spoilt(|recording| {
            recording.requests.truncate(9);
        }),
        ["a never came back"]
    );
    assert_eq!(
        spoilt(|recording| recording.requests.last_mut().unwrap().failure = REFUSED.map(str::to_owned)),
        [
            "a never came back",
            "a back: no request succeeded any more",
            "requests that failed later than one TTL after the right answer: 1"
        ]
    );
    assert_eq!(
        spoilt(|recording| {
            recording.requests.drain(..2);
        }),
        ["no request succeeded in the baseline"]
    );
}

#[test]
fn right_is_what_leads_to_a_site_that_serves() {
    let set = |addresses: &[IpAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
    // An answer, and in which of the five states it is right.
    let cases = [
        (set(&[]), [false, false, false, false, false]),
        (set(&[A]), [true, false, false, false, true]),
        (set(&[B]), [true, true, false, true, false]),
        (set(&[A, B]), [true, false, false, false, false]),
    ];
    for (answer, expected) in cases {
        let right = Stage::ALL.map(|stage| stage.is_right(&answer, &set(&[A])));
        assert_eq!(right, expected, "{answer:?}");
    }
}

#[test]
fn times_are_seconds_in_json() {
    let summary = Summary::of(&good(), &sites(), ms(2_000));
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["mean_latency"], 0.005);
    assert_eq!(
        json["failovers"][0],
        serde_json::json!({
            "stage": "preferred-down", "label": "a down", "began": 10.5, "failed": 1, "downtime": 1.005
        })
    );
    assert_eq!(json["settled"], serde_json::json!({ "requests": 6, "failed": 0 }));
    assert_eq!(json["states"][3]["right_answer"], 0.16);
    assert_eq!(json["states"][2]["right_answer"], serde_json::Value::Null);
}
