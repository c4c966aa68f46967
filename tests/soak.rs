//! A daemon under everything at once, for long: a steady stream of queries, a site that dies and comes
//! back, reloads, edits, connections that say nothing and connections that are cut. No query is lost, no answer is
//! wrong, and what the daemon takes of the machine stays as it was.
//!
//! Half an hour of it: `cargo test --release --test soak -- --ignored --nocapture`

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use socket2::SockRef;
use support::daemon::Daemon;
use support::dns::{ask_by_tcp, query, socket_to};
use support::http::{post, send_json};
use support::now;
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;

/// Names beside that of the sites, so that tables are of some size.
const NAMES: usize = 1_000;

/// Message ids, each of which is under way once at most.
const IDS: usize = 1 << 16;

/// By how much queries may be late together. What this machine did not let the stream send for longer is not sent in a
/// burst once it does: that would be beyond saturation.
const CATCHES_UP: Duration = Duration::from_millis(50);

/// As much as the daemon asks for.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Connections that send an octet now and then, to DNS and to the admin API, and are let go of in turn.
const SLOW_CLIENTS: usize = 40;

/// What allocators keep, and what comes and goes: a tenth, and as many octets.
const SLACK: u64 = 8 << 20;

/// Descriptors that probes, requests and TCP queries have open at a moment.
const OPEN_AT_ONCE: usize = 24;

/// Threads that read and write files, and end when there is nothing to do for a while.
const THREADS_AT_ONCE: u64 = 4;

/// How much of everything.
struct Load {
    lasts: Duration,
    queries_per_second: u64,
    /// Between two flips, reloads and edits.
    flip_every: Duration,
    reload_every: Duration,
    edit_every: Duration,
}

#[test]
fn a_while_of_everything_leaves_nothing_behind() {
    soak(&Load {
        lasts: Duration::from_secs(12),
        queries_per_second: 1_000,
        flip_every: Duration::from_millis(600),
        reload_every: Duration::from_millis(500),
        edit_every: Duration::from_millis(50),
    });
}

#[test]
#[ignore = "takes half an hour, and a machine for itself: see docs/operations.md"]
fn half_an_hour_of_everything_leaves_nothing_behind() {
    soak(&Load {
        lasts: Duration::from_secs(1_800),
        queries_per_second: 20_000,
        flip_every: Duration::from_secs(5),
        reload_every: Duration::from_secs(10),
        edit_every: Duration::from_millis(250),
    });
}

fn soak(load: &Load) {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let ground = with_names(&scene.two_sites([&first, &second], [QUICK; 2]));
    let daemon = scene.start(&ground);
    daemon.await_answer(DOMAIN, first.ip());
    let (stream, done) = (Stream::to(daemon.dns(), [first.ip(), second.ip()]), AtomicBool::new(false));
    let rest = |every: Duration| {
        // It has an end of its own, which is near.
        let until = now() + every;
        while now() < until && !done.load(Ordering::Relaxed) {
            thread::sleep(every.min(Duration::from_millis(20)));
        }
        !done.load(Ordering::Relaxed)
    };
    let (flips, reloads, edits, by_tcp) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let count = |of: &AtomicU64| {
        of.fetch_add(1, Ordering::Relaxed);
    };
    let samples = thread::scope(|scope| {
        scope.spawn(|| stream.receive(&done));
        scope.spawn(|| stream.send(load.queries_per_second, &done));
        scope.spawn(|| slow_clients([daemon.dns(), daemon.admin()], &done));
        scope.spawn(|| {
            let (dns, message) = (daemon.dns(), query(DOMAIN, RecordType::A));
            while rest(Duration::from_millis(50)) {
                assert_eq!(ask_by_tcp(dns, &message).answers.len(), 1);
                count(&by_tcp);
            }
        });
        scope.spawn(|| {
            while rest(load.flip_every) {
                first.kill();
                daemon.await_answer(DOMAIN, second.ip());
                first.revive();
                daemon.await_answer(DOMAIN, first.ip());
                count(&flips);
            }
        });
        scope.spawn(|| {
            for version in (0..).take_while(|_| rest(load.reload_every)) {
                scene.configure(&ground.replace("ttl = \"7s\"", &format!("ttl = \"{}s\"", 7 + version % 2)));
                let reply = post(daemon.admin(), "/v1/reload");
                assert_eq!(reply.status, 200, "{reply:?}");
                count(&reloads);
            }
        });
        scope.spawn(|| {
            for version in (1..).take_while(|_| rest(load.edit_every)) {
                let path = format!("/v1/pools/p{}/addresses/a", version % 100);
                let edit = format!("{{\"weight\": {}}}", version % 50_000 + 1);
                let reply = send_json(daemon.admin(), "PATCH", &path, &edit);
                assert_eq!(reply.status, 200, "{reply:?}");
                count(&edits);
            }
        });
        let samples = watch(&daemon, load.lasts, &stream);
        done.store(true, Ordering::Relaxed);
        samples
    });
    let total = |of: &AtomicU64| of.load(Ordering::Relaxed);
    println!(
        "{} queries, {} lost, {} wrong; {} by TCP, {} flips, {} reloads, {} edits",
        total(&stream.sent),
        total(&stream.lost),
        total(&stream.wrong),
        total(&by_tcp),
        total(&flips),
        total(&reloads),
        total(&edits)
    );
    assert!(total(&flips) > 1 && total(&reloads) > 1 && total(&edits) > 1 && total(&by_tcp) > 1);
    assert!(total(&stream.sent) > load.queries_per_second * load.lasts.as_secs() / 2);
    assert_eq!((total(&stream.wrong), total(&stream.lost)), (0, 0));

    // All that is made once is made in the first half.
    let (early, late) = (samples[samples.len() / 2], samples[samples.len() - 1]);
    assert!(late.resident <= early.resident + early.resident / 10 + SLACK, "{samples:?}");
    assert!(late.descriptors <= early.descriptors + OPEN_AT_ONCE, "{samples:?}");
    assert!(late.threads <= early.threads + THREADS_AT_ONCE, "{samples:?}");
}

/// `ground` with names that nothing ever happens to, but for a TTL and weights.
fn with_names(ground: &str) -> String {
    let mut text = ground.to_owned();
    for pool in 0..100 {
        let address = |name: &str, last: u8| format!("{{ name = \"{name}\", ip = \"10.0.{pool}.{last}\" }}");
        let (a, b) = (address("a", 1), address("b", 2));
        write!(text, "[pool.p{pool}]\npolicy = \"weighted\"\naddress = [{a}, {b}]\n").expect("it fits");
    }
    for name in 0..NAMES {
        let pool = name % 100;
        write!(text, "[[domain]]\nname = \"w{name}.ai.example.com\"\npools = [\"p{pool}\"]\nttl = \"7s\"\n")
            .expect("it fits");
    }
    text
}

/// Queries at a steady rate, and what becomes of them.
struct Stream {
    socket: UdpSocket,
    /// Ready to be sent, but for their ids: that of the sites, and the others.
    queries: Vec<Vec<u8>>,
    sites: [IpAddr; 2],
    /// By id: what was asked, plus one; 0: nothing that is not answered.
    under_way: Vec<AtomicU64>,
    sent: AtomicU64,
    lost: AtomicU64,
    wrong: AtomicU64,
}

impl Stream {
    fn to(server: SocketAddr, sites: [IpAddr; 2]) -> Self {
        let names = (0..NAMES).map(|name| format!("w{name}.ai.example.com"));
        let names = std::iter::once(DOMAIN.to_owned()).chain(names);
        let queries = names.map(|name| query(&name, RecordType::A).to_vec().expect("it can be written"));
        let socket = socket_to(server);
        // Replies wait there while this machine is busy with other things; that is no loss of the daemon's.
        SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER).expect("any size can be asked for");
        Stream {
            socket,
            queries: queries.collect(),
            sites,
            under_way: (0..IDS).map(|_| AtomicU64::new(0)).collect(),
            sent: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
        }
    }

    /// Sends until `done`, whatever comes back, and then takes what is not answered by then for lost.
    fn send(&self, per_second: u64, done: &AtomicBool) {
        let mut start = now();
        let mut message = Vec::new();
        for number in 0.. {
            let due = start + Duration::from_nanos(number * 1_000_000_000 / per_second);
            start += now().saturating_duration_since(due).saturating_sub(CATCHES_UP);
            // What is due within a millisecond leaves together: sleeping costs as much as many queries.
            if let Some(early) = due.checked_duration_since(now()).filter(|early| early.as_millis() > 0) {
                thread::sleep(early);
            }
            if done.load(Ordering::Relaxed) {
                break;
            }
            let id = (number % IDS as u64) as usize;
            let what = (number % self.queries.len() as u64) as usize;
            message.clone_from(&self.queries[what]);
            message[..2].copy_from_slice(&(id as u16).to_be_bytes());
            if self.under_way[id].swap(what as u64 + 1, Ordering::Relaxed) != 0 {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            self.socket.send(&message).expect("loopback takes it");
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        let deadline = now() + support::PATIENCE / 12;
        let waiting =
            || self.under_way.iter().filter(|what| what.load(Ordering::Relaxed) != 0).count() as u64;
        while waiting() > 0 && now() < deadline {
            thread::sleep(support::ASK_AGAIN);
        }
        self.lost.fetch_add(waiting(), Ordering::Relaxed);
    }

    fn receive(&self, done: &AtomicBool) {
        let socket = self.socket.try_clone().expect("there are descriptors");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("it can be set");
        let mut message = [0; 512];
        // Once more after the end, until there is nothing left.
        loop {
            let length = match socket.recv(&mut message) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let is_over = done.load(Ordering::Relaxed);
                    if is_over && self.under_way.iter().all(|what| what.load(Ordering::Relaxed) == 0) {
                        return;
                    }
                    if is_over && self.lost.load(Ordering::Relaxed) > 0 {
                        return;
                    }
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let reply = &message[..length];
            let id = usize::from(u16::from_be_bytes([reply[0], reply[1]]));
            let what = self.under_way[id].swap(0, Ordering::Relaxed);
            let is_right = what != 0 && self.is_right(reply, what as usize - 1);
            if !is_right {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether `reply` gives an address of what was asked.
    fn is_right(&self, reply: &[u8], what: usize) -> bool {
        let question_end = self.queries[what].len();
        // NOERROR, an answer; and behind its name, type, class, TTL and length the address.
        if reply[3] & 0x0f != 0 || reply[6..8] == [0, 0] || reply.len() < question_end + 16 {
            return false;
        }
        let octets: [u8; 4] = reply[question_end + 12..question_end + 16].try_into().expect("four octets");
        match what {
            0 => self.sites.contains(&IpAddr::from(octets)),
            _ => octets[..3] == [10, 0, ((what - 1) % 100) as u8],
        }
    }
}

/// Holds connections that say something now and then, each for a while.
fn slow_clients(servers: [SocketAddr; 2], done: &AtomicBool) {
    let mut open: Vec<TcpStream> = Vec::new();
    let says: [&[u8]; 2] = [&[0, 40, 1, 1], b"GET /v1/pools HTTP/1.1\r\nx: "];
    for number in 0_usize.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        if open.len() >= SLOW_CLIENTS {
            open.remove(0);
        }
        let at = number % servers.len();
        let mut stream = TcpStream::connect(servers[at]).expect("it listens");
        stream.write_all(says[at]).expect("it reads");
        open.push(stream);
        for stream in &mut open {
            // It may have been cut off by then, which is what it deserves.
            let _ = stream.write_all(b"x");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// What the daemon takes of the machine.
#[derive(Clone, Copy, Debug)]
struct Sample {
    resident: u64,
    descriptors: usize,
    threads: u64,
}

/// Looks at `daemon` for as long as `lasts`.
fn watch(daemon: &Daemon, lasts: Duration, stream: &Stream) -> Vec<Sample> {
    let pid = daemon.pid();
    let mut samples = Vec::new();
    let every = lasts / 30;
    for number in 0..30 {
        thread::sleep(every);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let figure = |key: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("Linux tells it");
            line.split_whitespace().next().and_then(|figure| figure.parse().ok()).expect("a number")
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
        let sample = Sample { resident: figure("VmRSS:") * 1024, descriptors, threads: figure("Threads:") };
        println!(
            "{:6.0} s: {:6.1} MiB, {} descriptors, {} threads; {} queries, {} lost",
            (every * (number + 1)).as_secs_f64(),
            sample.resident as f64 / 1_048_576.0,
            sample.descriptors,
            sample.threads,
            stream.sent.load(Ordering::Relaxed),
            stream.lost.load(Ordering::Relaxed)
        );
        samples.push(sample);
    }
    samples
}
