//! The prober under load, and a small server to be probed: see `bench/probes/run`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rhumb::health::{Outcome, TargetId, Verdict};
use rhumb::plan::{CheckKind, Endpoint, HealthCheck, HttpCheck, HttpVersion, StatusRange, Watch};
use rhumb::probe::{Limits, ProbeThread, Prober};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Where the server listens; each target has an address of its own there.
const PORT: u16 = 18_080;

/// Until each target has been probed, and has its connections.
const WARM_UP: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["serve", ..] => serve(),
        ["probe", targets, interval, seconds, mode, ..] => {
            let number = |text: &str| text.parse::<u64>().expect("a number");
            probe(number(targets), number(interval), number(seconds), mode);
        }
        _ => {
            eprintln!("usage: probes serve | probes probe TARGETS INTERVAL_MS SECONDS keep|close|wire");
            std::process::exit(2);
        }
    }
}

/// The address of a target: all of 127.0.0.0/8 leads here, so that ports do not run out.
fn address(target: u64) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + target as u32)
}

/// Answers every request with 200, and closes the connection where the request says so.
fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("is set");
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).expect("the port is free");
        let listener: TcpListener = socket.listen(4096).expect("it listens");
        println!("ready");
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut request = [0; 512];
                while let Ok(length @ 1..) = stream.read(&mut request).await {
                    let reply: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    let closes = request[..length].windows(5).any(|word| word == b"close");
                    if stream.write_all(reply).await.is_err() || closes {
                        return;
                    }
                }
            });
        }
    });
}

#[allow(clippy::disallowed_methods, reason = "a bench looks at the clock")]
fn probe(targets: u64, interval: u64, seconds: u64, mode: &str) {
    let before = resident();
    let thread = ProbeThread::start().expect("a thread");
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let mut prober = Prober::new(reports, thread.handle(), Limits { max_in_flight: 8192, max_scripts: 1 });
    let interval = Duration::from_millis(interval);
    prober.watch(
        (0..targets).map(|target| (TargetId(target + 1), watch(target, interval, mode), Verdict::Unknown)),
    );

    let start = Instant::now();
    let end = start + WARM_UP + Duration::from_secs(seconds);
    let (mut lateness, mut failed, mut first, mut cpu) = (Vec::new(), 0u64, Vec::new(), 0);
    let mut began = start;
    while let Some(report) = reported.blocking_recv() {
        if report.started < start + WARM_UP {
            if first.len() < targets as usize {
                first.push(report.lateness);
            }
            continue;
        }
        if cpu == 0 {
            (cpu, began) = (cpu_nanos(), Instant::now());
        }
        lateness.push(report.lateness);
        failed += u64::from(report.outcome != Outcome::Pass);
        if report.started >= end {
            break;
        }
    }
    let (spent, took) = (cpu_nanos() - cpu, began.elapsed());
    let memory = resident();
    lateness.sort();
    first.sort();
    let at =
        |list: &[Duration], part: f64| list[((list.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        r#"{{"probes": {}, "failed": {failed}, "seconds": {:.3}, "cpu_us": {:.2}, "core": {:.4}, "late_p50_ms": {:.3}, "late_p99_ms": {:.3}, "late_max_ms": {:.3}, "first_late_p99_ms": {:.3}, "rss_mib": {:.1}, "bytes_per_target": {}}}"#,
        lateness.len(),
        took.as_secs_f64(),
        spent as f64 / lateness.len() as f64 / 1e3,
        spent as f64 / took.as_nanos() as f64,
        at(&lateness, 0.5),
        at(&lateness, 0.99),
        at(&lateness, 1.0),
        at(&first, 0.99),
        memory as f64 / f64::from(1 << 20),
        (memory - before) / targets,
    );
    drop(prober);
}

fn watch(target: u64, interval: Duration, mode: &str) -> Watch {
    Watch {
        pool: Some("pool".to_owned()),
        address: format!("address-{target}"),
        endpoint: Endpoint::Ip(address(target).into()),
        resolved_from: None,
        port: Some(PORT),
        check: HealthCheck {
            name: "check".to_owned(),
            kind: CheckKind::Http(HttpCheck {
                version: HttpVersion::Http1,
                method: "GET".to_owned(),
                path: "/health".to_owned(),
                host: Some("bench.example".to_owned()),
                headers: Vec::new(),
                expect_body: None,
                expect_body_regex: None,
                expect_status: vec![StatusRange { first: 200, last: 299 }],
                reuse: mode == "keep",
            }),
            interval,
            fast_interval: interval / 4,
            timeout: interval.min(Duration::from_millis(500)),
            fall: 2,
            rise: 2,
            initial: Verdict::Unknown,
            tripwire: mode != "close",
            damping: None,
        },
    }
}

/// What the scheduler has charged the thread of the probes, in nanoseconds.
fn cpu_nanos() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
    tasks
        .flatten()
        .filter(|task| {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            name.trim() == "probes" && task.file_name() != std::process::id().to_string().as_str()
        })
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Octets of memory that this process has in use.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has one");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}
