//! Recordings made up by hand, and what the report says of them.

use std::time::Duration;

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn facts(aborted: Option<&str>, standing: &str) -> Facts {
    Facts {
        server: SocketAddr::from(([127, 0, 0, 1], 53)),
        name: "www.example.com.".to_owned(),
        subject: Subject { pool: "a".to_owned(), address: None },
        addresses: vec![A],
        places: BTreeMap::from([(A, "a one".to_owned())]),
        started: SystemTime::UNIX_EPOCH,
        ttl: Seconds(ms(1_000)),
        interval: Seconds(ms(500)),
        timeout: Seconds(ms(1_000)),
        max_downtime: Seconds(ms(800)),
        aborted: aborted.map(str::to_owned),
        ended: Seconds(ms(20_000)),
        standing: Some(standing.to_owned()),
    }
}

/// Ten seconds of each state; requests by start, address and whether they succeeded, answers by
/// their time.
fn report(facts: Facts, requests: &[(u64, IpAddr, bool)], lookups: &[(u64, IpAddr)]) -> Report {
    let begins = [(Phase::Steady, ms(0)), (Phase::Out, ms(10_000)), (Phase::Restored, ms(20_000))];
    let request = |&(started, address, succeeded): &(u64, IpAddr, bool)| Request {
        started: ms(started),
        ended: ms(started + 5),
        address: Some(address),
        failure: (!succeeded).then(|| "timed out".to_owned()),
    };
    let lookup = |&(at, address): &(u64, IpAddr)| Lookup {
        asked: ms(at.saturating_sub(1)),
        answered: ms(at),
        addresses: [address].into(),
        ttl: ms(1_000),
    };
    let recording = Recording {
        spans: crate::cli::drill::recording::spans(&begins, ms(30_000)),
        requests: requests.iter().map(request).collect(),
        lookups: lookups.iter().map(lookup).collect(),
    };
    Report::new(facts, recording)
}

const REQUESTS: [(u64, IpAddr, bool); 6] = [
    (500, A, true),
    (10_500, A, true),
    (11_000, B, true),
    (19_000, B, true),
    (20_700, B, true),
    (21_000, A, true),
];
const LOOKUPS: [(u64, IpAddr); 5] = [(1, A), (10_200, A), (10_250, B), (20_100, B), (20_150, A)];

#[test]
fn times_count_from_the_order_and_from_its_end() {
    let report = report(facts(None, "in-service"), &REQUESTS, &LOOKUPS);
    let times = [report.unanswered, report.unused, report.answered_again, report.used_again];
    assert_eq!(times.map(|time| time.map(|time| time.0)), [250, 500, 150, 1_005].map(|at| Some(ms(at))));
    assert!(report.passed());
    let text = report.to_string();
    for expected in [
        "taken out         pool a\n",
        "downtime          none\nanswers left it   0.250 s\nclients left it   0.500 s\n",
        "out            3/3 100.0 %  a one 192.0.2.1 x1, 198.51.100.1 x2\n",
        "\npassed\n",
    ] {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
}

#[test]
fn bars_are_missed() {
    // What is to be different, and what is said of it.
    let failing: Vec<_> =
        REQUESTS.iter().map(|&(at, ip, _)| (at, ip, !(11_000..20_000).contains(&at))).collect();
    let staying: Vec<_> = REQUESTS.iter().map(|&(at, _, succeeded)| (at, A, succeeded)).collect();
    let gone: Vec<_> = LOOKUPS.iter().map(|&(at, ip)| (at, if at > 20_000 { B } else { ip })).collect();
    let stale: Vec<_> = LOOKUPS.iter().map(|&(at, _)| (at, A)).collect();
    type Case<'c> = (&'c [(u64, IpAddr, bool)], &'c [(u64, IpAddr)], &'c str, &'c [&'c str]);
    let cases: [Case<'_>; 5] = [
        (&failing, &LOOKUPS, "in-service", &["9.705 s of downtime, where at most 0.800 s is allowed"]),
        (&staying, &LOOKUPS, "in-service", &["pool a was used to the end, though it was out"]),
        (&REQUESTS, &stale, "in-service", &["pool a was answered to the end, though it was out"]),
        (&REQUESTS, &gone, "in-service", &["pool a never came back"]),
        // As its configuration says.
        (&REQUESTS, &gone, "held", &[]),
    ];
    for (requests, lookups, standing, missed) in cases {
        let report = report(facts(None, standing), requests, lookups);
        assert_eq!(report.missed, missed);
        assert_eq!(report.passed(), missed.is_empty());
    }
}

#[test]
fn a_drill_cut_short_has_not_passed_though_nothing_failed() {
    let report = report(facts(Some("interrupted"), "in-service"), &REQUESTS, &LOOKUPS[..2]);
    assert_eq!((report.missed.len(), report.passed()), (0, false));
    assert!(report.to_string().ends_with("\n\nABORTED: interrupted\n"), "{report}");
    let picture = crate::cli::drill::picture::draw(&[report.picture()]);
    assert!(picture.contains(">aborted: interrupted</text>") && picture.contains(">aborted</text>"));
}
