//! More than the server can do: queries without end, and no descriptors left. It stays within its
//! memory, answers what it can, and goes on looking after its sites.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use rhumb::dns::{Name, Rtype, query_message};
use support::daemon::Daemon;
use support::dns::{addresses, ask, ask_by_tcp, query};
use support::http::{get, sample};
use support::others::program;
use support::process::Process;
use support::scene::{DOMAIN, Scene, UNLIMITED};
use support::site::Site;
use support::{StopOnDrop, eventually, now, own_address};

/// A check as the two sites have it here, in TOML.
const CHECK: &str = r#"interval = "500ms", timeout = "500ms""#;
const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(500);
/// Failures in a row until an address is down: the default.
const FALL: u32 = 2;
/// As many probes are waited for.
const PROBES: u32 = 8;

/// How much longer than before the flood something may take during it, where flood and server share
/// whatever cores there are. Whoever has to wait for the flood waits far longer.
const BUSY: u32 = 2;

/// How much longer than its timings say something may take on a machine that is slow without a
/// flood. A server that works off its queue of queries first would not be done within.
const SLOW: u32 = 10;

/// Failures in a row that prove nothing of a site that answers from the very process that floods.
const PATIENT: u32 = 10;

/// Who floods: threads, and queries that each of them sends from one address before it takes another.
const FLOODERS: usize = 2;
const QUERIES: usize = 8;

/// What a flood may add to the memory: what is held for TCP clients, probes and the API's
/// replies, all of it bounded. A server that kept something for each source or name of this flood
/// would need more within a second.
const MAX_GROWTH_KIB: u64 = 16 << 10;

/// Sends queries of random names, half of them from random addresses and half in the name of one, until
/// it is told to stop.
fn flood(server: SocketAddr, stop: &AtomicBool) {
    let socket = || UdpSocket::bind((own_address(), 0)).expect("a port");
    let victim = socket();
    let steered: Name = DOMAIN.parse().expect("a name");
    while !stop.load(Ordering::Relaxed) {
        let other = socket();
        for source in [&victim, &other].repeat(QUERIES) {
            let label = fastrand::u64(..);
            let zone = ["ai.example.com", "elsewhere.net"][usize::from(fastrand::bool())];
            let random: Name = format!("{label:x}.{zone}").parse().expect("a name");
            let name = if fastrand::u8(..8) == 0 { &steered } else { &random };
            // A full queue takes no more, which is the aim.
            let _ = source.send_to(&query_message(label as u16, name, Rtype::A, None), server);
        }
    }
}

/// Probes of a pool that have ended, however they did.
fn probes(daemon: &Daemon, pool: &str) -> u32 {
    let series = format!("rhumb_probes_total{{pool=\"{pool}\",");
    let metrics = get(daemon.admin(), "/metrics").body;
    let values = metrics.lines().filter(|line| line.starts_with(&series));
    values.filter_map(|line| line.split_whitespace().last()?.parse::<u32>().ok()).sum()
}

/// Datagrams that the kernel threw away because the server's queue was full.
fn overflowed(server: SocketAddr) -> u64 {
    let SocketAddr::V4(server) = server else { panic!("tests flood by IPv4") };
    let address = u32::from_ne_bytes(server.ip().octets());
    let local = format!("{address:08X}:{:04X}", server.port());
    let sockets = std::fs::read_to_string("/proc/net/udp").expect("this is Linux");
    let of_server = sockets.lines().filter(|line| line.split_whitespace().nth(1) == Some(&local));
    of_server.map(|line| line.split_whitespace().last().map_or(0, |drops| drops.parse().unwrap_or(0))).sum()
}

/// What of the process is in memory, in KiB.
fn resident(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_flood_of_queries_neither_fills_the_memory_nor_delays_the_probes() {
    for (limit, is_limited) in [(UNLIMITED, false), ("", true)] {
        endure_a_flood(limit, is_limited);
    }
}

/// How long it takes until so many more probes of the second pool have ended.
fn await_probes(daemon: &Daemon, wanted: u32) -> Duration {
    let began = now();
    let so_far = probes(daemon, "second");
    eventually("probes", || (probes(daemon, "second") >= so_far + wanted).then_some(()));
    began.elapsed()
}

/// Kills the first site, and returns how long it takes until it is down.
fn await_down(daemon: &Daemon, first: &mut Site) -> Duration {
    let from = daemon.said();
    let killed = now();
    first.kill();
    daemon.await_line(from, &["down: ", "pool=first"]);
    killed.elapsed()
}

/// Fails if something that should take `nominal` took `took` during the flood, and `quiet` before.
fn assert_on_time(what: &str, nominal: Duration, quiet: Duration, took: Duration) {
    eprintln!("{what}: {quiet:?} before the flood, {took:?} during it");
    assert!(
        took < BUSY * quiet.max(nominal) && took < SLOW * nominal,
        "{what} in {took:?}, {quiet:?} before"
    );
}

/// A flood of a server with this line about its rate limit.
fn endure_a_flood(limit: &str, is_limited: bool) {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let patient = format!("{CHECK}, fall = {PATIENT}");
    let text = scene.two_sites([&first, &second], [CHECK, &patient]).replace(UNLIMITED, limit);
    let daemon = scene.start(&text);
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    let quiet_probes = await_probes(&daemon, PROBES);
    let quiet_down = await_down(&daemon, &mut first);
    first.revive();
    daemon.await_answer(DOMAIN, first.ip());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // However this ends, the flood does.
        let _end = StopOnDrop(&stop);
        for _ in 0..FLOODERS {
            scope.spawn(|| flood(scene.dns, &stop));
        }
        eventually("the queue to overflow", || (overflowed(scene.dns) > 0).then_some(()));
        let before = resident(&daemon);

        let took = await_probes(&daemon, PROBES);
        assert_on_time("probes", PROBES * INTERVAL, quiet_probes, took);
        let noticed = await_down(&daemon, &mut first);
        assert_on_time("down", FALL * INTERVAL + TIMEOUT, quiet_down, noticed);
        assert!(daemon.lines(&["down: ", "pool=second"]).is_empty(), "a flood is no fault of a site");

        let grown = resident(&daemon).saturating_sub(before);
        let received = sample(daemon.admin(), r#"rhumb_udp_events_total{event="received"}"#);
        let withheld = sample(daemon.admin(), r#"rhumb_dns_rate_limited_total{action="withheld"}"#);
        eprintln!(
            "{received} queries taken, {withheld} replies withheld, {} lost to a full queue; {grown} KiB more",
            overflowed(scene.dns)
        );
        assert!(grown < MAX_GROWTH_KIB, "{grown} KiB more than before {received} queries");
        assert_eq!(withheld > 0.0, is_limited);
    });
    // By TCP: what is left of the flood stands in line for UDP.
    let answered = ask_by_tcp(scene.dns, &query(DOMAIN, RecordType::A));
    assert_eq!(addresses(&answered), [second.ip()]);
}

/// Descriptors that the server may have: some 20 are its own.
const DESCRIPTORS: usize = 64;

/// Fewer than its own: each call that needs one more fails, whoever closes one in the meantime.
const TOO_FEW: usize = 4;

/// Changes how many descriptors a running process may have.
fn limit(process: &Process, descriptors: usize) {
    let mut command = program("prlimit");
    command.arg(format!("--pid={}", process.pid())).arg(format!("--nofile={descriptors}:{DESCRIPTORS}"));
    assert!(command.status().expect("prlimit runs").success(), "the process is ours");
}

/// The API's metrics on a connection that is there already.
fn metrics(kept: &mut BufReader<TcpStream>) -> String {
    kept.get_mut().write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
    let mut length = 0;
    loop {
        let mut line = String::new();
        kept.read_line(&mut line).expect("a header");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    kept.read_exact(&mut body).expect("the rest of the response");
    String::from_utf8(body).expect("metrics are text")
}

#[test]
fn without_descriptors_udp_goes_on_and_no_site_is_blamed() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [CHECK, CHECK]);
    let serve = support::daemon::serve(&scene.configure(&text));
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\""));
    limited.arg(serve.get_program()).args(serve.get_args());
    let process = Process::start(limited);
    process.await_line(0, &["ready"]);
    let mut kept = BufReader::new(TcpStream::connect(scene.admin).expect("it listens"));
    metrics(&mut kept);

    // Clients who take all there are, idle. Who asks is answered, by either transport.
    let mut idle = Vec::new();
    let question = query(DOMAIN, RecordType::A);
    for _ in 0..4 * DESCRIPTORS {
        idle.push(TcpStream::connect(scene.dns).expect("it listens"));
        assert_eq!(addresses(&ask(scene.dns, &question)), [first.ip()]);
    }
    assert_eq!(addresses(&ask_by_tcp(scene.dns, &question)), [first.ip()]);

    // None at all for anyone, for twice as many probes as would put every site down.
    limit(&process, TOO_FEW);
    let missed = |metrics: &str, pool: &str| -> u32 {
        let series = format!("rhumb_probes_total{{pool=\"{pool}\",check=\"{pool}\",outcome=\"local\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0, |value| value.parse().expect("a count"))
    };
    let [already_first, already_second] =
        ["first", "second"].map(|pool| missed(&metrics(&mut kept), pool) + 2 * FALL);
    eventually("the probes to be in want of descriptors", || {
        assert_eq!(addresses(&ask(scene.dns, &question)), [first.ip()]);
        let metrics = metrics(&mut kept);
        let enough =
            missed(&metrics, "first") >= already_first && missed(&metrics, "second") >= already_second;
        enough.then_some(())
    });
    assert_eq!(process.lines(&["down: "]), Vec::<String>::new());

    limit(&process, DESCRIPTORS);
    assert_eq!(addresses(&ask_by_tcp(scene.dns, &question)), [first.ip()]);
    // Probes find what they look for again.
    let so_far = second.connections();
    second.await_connections(so_far + 2);
    assert_eq!(process.lines(&["down: "]), Vec::<String>::new());
}
