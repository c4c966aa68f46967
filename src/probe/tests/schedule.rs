//! When probes start, and when they stop.

use std::collections::BTreeMap;

use super::*;
use crate::health::Belief;
use crate::probe::Prober;
use tokio::runtime::Handle;

const INTERVAL: Duration = Duration::from_millis(100);

fn prober() -> (Prober, UnboundedReceiver<Report>) {
    let (reports, reported) = unbounded_channel();
    (Prober::new(reports, Handle::current(), Limits { max_in_flight: 100, max_scripts: 1 }), reported)
}

fn every_interval(address: SocketAddr, kind: CheckKind) -> Watch {
    let mut watch = watch(address, kind);
    watch.check.interval = INTERVAL;
    watch
}

#[tokio::test]
async fn probes_start_an_interval_apart() {
    let server = Server::start(Script::Reply(OK)).await;
    let (mut prober, mut reported) = prober();
    let before = now();
    prober.watch([(
        TargetId(1),
        every_interval(server.address, CheckKind::Http(http_check())),
        Verdict::Unknown,
    )]);
    for number in 0..5 {
        let report = reported.recv().await.expect("the prober runs");
        assert_eq!((report.target, &report.outcome), (TargetId(1), &Outcome::Pass));
        assert!(report.started >= before + INTERVAL * number, "probe {number} came too early");
        assert!(report.finished >= report.started);
    }
}

#[tokio::test]
async fn those_of_which_nothing_of_today_is_known_are_probed_first() {
    let server = Server::start(Script::Reply(OK)).await;
    let (mut prober, mut reported) = prober();
    let kind = || CheckKind::Http(http_check());
    // As after a restart: what was believed of the first three is too old. By their numbers these were later than the others.
    let (stale, known) = ([1, 2, 8], [5, 7, 11]);
    let belief = |number| Belief { verdict: Verdict::Up, is_stale: stale.contains(&number) };
    let targets = stale.into_iter().chain(known).map(|number| {
        let mut watch = watch(server.address, kind());
        watch.check.interval = Duration::from_secs(1);
        (TargetId(number), watch, belief(number))
    });
    prober.watch(targets);
    let mut due = BTreeMap::new();
    while due.len() < 6 {
        let report = reported.recv().await.expect("the prober runs");
        due.entry(report.target.0).or_insert(report.started - report.lateness);
    }
    let of = |numbers: [u64; 3]| numbers.map(|number| due[&number]).into_iter();
    let (last, first) = (of(stale).max().expect("three"), of(known).min().expect("three"));
    assert!(last < first, "a known one was due {:?} before a stale one", last - first);
}

#[tokio::test]
async fn a_slow_target_delays_no_other() {
    let (slow, quick) = (Server::start(Script::Hang).await, Server::start(Script::Reply(OK)).await);
    let (mut prober, mut reported) = prober();
    let kind = || CheckKind::Http(http_check());
    prober.watch([
        (TargetId(1), every_interval(slow.address, kind()), Verdict::Unknown),
        (TargetId(2), every_interval(quick.address, kind()), Verdict::Unknown),
    ]);
    for _ in 0..5 {
        assert_eq!(reported.recv().await.expect("the prober runs").target, TargetId(2));
    }
    assert!(slow.accepted() <= 1);
}

#[tokio::test]
async fn a_new_set_stops_the_gone_and_leaves_the_others() {
    let mut gone = Server::start(Script::Hang).await;
    let stays = Server::start(Script::Reply(OK)).await;
    let comes = Server::start(Script::Reply(OK)).await;
    let (mut prober, mut reported) = prober();
    let staying = || (TargetId(2), every_interval(stays.address, reusing()), Verdict::Unknown);
    prober.watch([(TargetId(1), every_interval(gone.address, reusing()), Verdict::Unknown), staying()]);
    assert!(matches!(gone.next_seen().await, Seen::Request(_)));
    assert_eq!(reported.recv().await.expect("the prober runs").target, TargetId(2));

    prober.watch([staying(), (TargetId(3), every_interval(comes.address, reusing()), Verdict::Unknown)]);
    assert_eq!(gone.next_seen().await, Seen::End);
    let mut counts = [0; 2];
    while counts.iter().any(|&count| count < 3) {
        match reported.recv().await.expect("the prober runs").target {
            TargetId(2) => counts[0] += 1,
            TargetId(3) => counts[1] += 1,
            other => panic!("{other:?} is not watched"),
        }
    }
    assert_eq!(gone.accepted(), 1);
}

#[tokio::test]
async fn dropping_the_prober_closes_its_connections() {
    let mut server = Server::start(Script::Hang).await;
    let (mut prober, mut reported) = prober();
    prober.watch([(
        TargetId(1),
        every_interval(server.address, CheckKind::Http(http_check())),
        Verdict::Unknown,
    )]);
    assert!(matches!(server.next_seen().await, Seen::Request(_)));
    drop(prober);
    assert_eq!(server.next_seen().await, Seen::End);
    assert_eq!(reported.recv().await, None);
}

#[tokio::test]
async fn probes_end_when_nobody_receives() {
    let mut server = Server::start(Script::Reply(OK)).await;
    let (mut prober, reported) = prober();
    drop(reported);
    prober.watch([(TargetId(1), every_interval(server.address, reusing()), Verdict::Unknown)]);
    server.until_end_of_connection().await;
    assert_eq!(server.accepted(), 1);
    assert!(prober.running.values().all(|running| running.0.is_finished()));
}

#[tokio::test]
async fn who_waits_for_its_turn_starts_late_and_does_not_fail() {
    let (slow, quick) = (Server::start(Script::Hang).await, Server::start(Script::Reply(OK)).await);
    let (reports, mut reported) = unbounded_channel();
    let mut prober = Prober::new(reports, Handle::current(), Limits { max_in_flight: 1, max_scripts: 1 });
    let limited = |address| {
        let mut watch = every_interval(address, CheckKind::Http(http_check()));
        watch.check.timeout = 3 * INTERVAL;
        watch
    };
    // The first takes all of its timeout whenever it is probed; the second has hardly more than none.
    prober.watch([
        (TargetId(1), limited(slow.address), Verdict::Unknown),
        (TargetId(2), limited(quick.address), Verdict::Unknown),
    ]);
    let mut latest = Duration::ZERO;
    while latest < INTERVAL {
        let report = reported.recv().await.expect("the prober runs");
        if report.target == TargetId(2) {
            assert_eq!(report.outcome, Outcome::Pass);
            latest = latest.max(report.lateness);
        }
    }
}
