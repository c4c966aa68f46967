//! Connections whose end is news.

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinSet;

use super::*;
use crate::probe::{Prober, Trigger};

/// So long that nothing here is noticed by a probe that was due.
const RARELY: Duration = Duration::from_secs(3600);

fn tcp_check() -> CheckKind {
    CheckKind::Tcp(TcpCheck::default())
}

/// A server in one task, which takes its listener and all its connections along when it is killed.
struct Site {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    commands: UnboundedSender<Command>,
    task: JoinHandle<()>,
}

enum Command {
    /// Close every connection, and go on to listen.
    Close,
}

impl Site {
    /// One that closes connections after they were idle for `patience`.
    async fn start(patience: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("is bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let (commands, mut commanded) = unbounded_channel();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (stream, _) = accepted.expect("there are descriptors left");
                        count.fetch_add(1, Ordering::Relaxed);
                        let (saw, _) = unbounded_channel();
                        connections.spawn(async move {
                            let _ = tokio::time::timeout(patience, converse(stream, Script::Reply(OK), &saw)).await;
                        });
                    }
                    Some(Command::Close) = commanded.recv() => connections.abort_all(),
                }
            }
        });
        Site { address, accepted, commands, task }
    }

    async fn kill(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    async fn until_accepted(&self, count: usize) {
        while self.accepted.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn wired(address: SocketAddr, kind: CheckKind, interval: Duration) -> Watch {
    let mut watch = watch(address, kind);
    watch.check.interval = interval;
    watch.check.fast_interval = interval;
    watch.check.tripwire = true;
    watch
}

fn started(watches: Vec<Watch>) -> (Prober, UnboundedReceiver<Report>) {
    let (reports, reported) = unbounded_channel();
    let mut prober = Prober::new(reports, Handle::current(), Limits { max_in_flight: 1000, max_scripts: 1 });
    let targets = (0..).map(TargetId).zip(watches);
    prober.watch(targets.map(|(target, watch)| (target, watch, Verdict::Unknown)));
    (prober, reported)
}

#[tokio::test]
async fn a_killed_server_is_known_to_be_down_at_once() {
    let kinds = [tcp_check(), CheckKind::Http(http_check()), reusing()];
    let mut sites = Vec::new();
    for number in 0..102 {
        sites.push((Site::start(AMPLE).await, kinds[number % kinds.len()].clone()));
    }
    let watches = sites.iter().map(|(site, kind)| wired(site.address, kind.clone(), RARELY)).collect();
    let (_prober, mut reported) = started(watches);
    for _ in &sites {
        assert_eq!(reported.recv().await.expect("the prober runs").outcome, Outcome::Pass);
    }
    let mut delays = Vec::new();
    for (number, (site, kind)) in (0..).zip(&mut sites) {
        // A kept connection is its own tripwire.
        site.until_accepted(if kind.keeps_connection() { 1 } else { 2 }).await;
        let killed = now();
        site.kill().await;
        for trigger in [Trigger::Tripped, Trigger::Confirming] {
            let report = reported.recv().await.expect("the prober runs");
            assert_eq!((report.target, report.trigger), (TargetId(number), trigger), "{kind:?}");
            assert_eq!(report.outcome, Outcome::Fail(Failure::Refused));
        }
        delays.push(killed.elapsed());
    }
    delays.sort();
    let (median, p99) = (delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
    // What one in a hundred takes is told by the bench; here the machine may do other things too.
    assert!(median < Duration::from_millis(10), "median {median:?}, p99 {p99:?}");
}

#[tokio::test]
async fn a_server_that_only_closes_its_connections_stays_up() {
    for kind in [tcp_check(), CheckKind::Http(http_check()), reusing()] {
        let site = Site::start(AMPLE).await;
        let (_prober, mut reported) = started(vec![wired(site.address, kind.clone(), RARELY)]);
        let own = usize::from(!kind.keeps_connection());
        for round in 0..2 {
            let report = reported.recv().await.expect("the prober runs");
            let trigger = if round == 0 { Trigger::Scheduled } else { Trigger::Tripped };
            assert_eq!((report.trigger, report.outcome), (trigger, Outcome::Pass), "{kind:?}");
            // A probe, and where none is kept another connection, also after a trip.
            site.until_accepted((round + 1) * (1 + own)).await;
            if round == 0 {
                site.commands.send(Command::Close).expect("the site runs");
            }
        }
        assert_eq!(reported.try_recv(), Err(TryRecvError::Empty));
    }
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_is_left_alone() {
    const PATIENCE: Duration = Duration::from_millis(100);
    for kind in [tcp_check(), CheckKind::Http(http_check())] {
        let site = Site::start(PATIENCE).await;
        let (_prober, mut reported) = started(vec![wired(site.address, kind, 2 * PATIENCE)]);
        let mut trips = 0;
        let mut since = 0;
        // Without a habit, the next one came within a second.
        while since < 10 {
            let report = reported.recv().await.expect("the prober runs");
            assert_eq!(report.outcome, Outcome::Pass);
            match report.trigger {
                Trigger::Tripped => trips += 1,
                _ if trips >= 3 => since += 1,
                _ => {}
            }
        }
        assert_eq!(trips, 3);
    }
}

#[tokio::test]
async fn without_a_tripwire_there_is_no_other_connection() {
    let site = Site::start(AMPLE).await;
    let mut watch = wired(site.address, tcp_check(), Duration::from_millis(50));
    watch.check.tripwire = false;
    let (_prober, mut reported) = started(vec![watch]);
    for _ in 0..5 {
        assert_eq!(reported.recv().await.expect("the prober runs").outcome, Outcome::Pass);
    }
    site.until_accepted(5).await;
    assert_eq!(site.accepted.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_server_of_one_connection_at_a_time_is_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    let server = tokio::spawn(async move {
        let (saw, _) = unbounded_channel();
        while let Ok((stream, _)) = listener.accept().await {
            converse(stream, Script::Reply(OK), &saw).await;
        }
    });
    let mut watch = wired(address, CheckKind::Http(http_check()), Duration::from_millis(300));
    watch.check.timeout = Duration::from_millis(200);
    let (_prober, mut reported) = started(vec![watch]);
    let mut outcomes = Vec::new();
    while outcomes.len() < 14 {
        outcomes.push(reported.recv().await.expect("the prober runs").outcome);
    }
    let failed = outcomes.iter().filter(|outcome| **outcome != Outcome::Pass).count();
    assert!(failed <= 3, "{outcomes:?}");
    let last = &outcomes[outcomes.len() - 4..];
    assert!(last.iter().all(|outcome| *outcome == Outcome::Pass), "{outcomes:?}");
    server.abort();
}
