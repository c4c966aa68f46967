//! Asks a server on loopback for a while and tells, as one JSON object, what it answered, what
//! that cost it, and how long it took.
//!
//! Without `--rate` it keeps [`WINDOW`] queries in flight, so that the server is never idle. With
//! `--rate` it sends at that rate whatever the server does, and counts the latency of a query from
//! the moment when it was due: a server that stalls is not asked less for it.
//!
//! Queries leave in bursts through UDP segmentation offload (`UDP_SEGMENT`), which costs the sender
//! a fraction of a `sendmmsg`: so it is the server that is the limit, on a machine of two cores.
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmsg};
use nix::unistd::Pid;
use rhumb::dns::{ClientSubnet, Name, Rtype, query_message};
use serde_json::json;

/// Different queries, one for each message id: the id tells which was answered.
const QUERIES: usize = 1 << 16;

/// Queries in flight at saturation: batches of any size are always full, and it is less than the
/// some 270 small datagrams that fit the receive buffer of a server that asks for no larger one.
const WINDOW: usize = 192;

/// Datagrams per system call; the kernel segments no more than 64 at once.
const BURST: usize = 64;

/// At saturation, silence after which what is in flight is given up for lost.
const LOST_AFTER: Duration = Duration::from_millis(20);

/// Not measured at the beginning: caches and clock rates find their level.
const WARM_UP: Duration = Duration::from_millis(200);

/// With a rate, how long replies are waited for after the last query.
const LAST_REPLIES: Duration = Duration::from_millis(50);

#[derive(Parser)]
struct Arguments {
    /// The server; without one nothing is done
    #[arg(long)]
    to: Option<SocketAddr>,
    /// What is asked, and what is expected
    #[arg(long, value_enum, default_value_t = Ask::Hit)]
    ask: Ask,
    /// Ask for a client subnet, another one each time
    #[arg(long)]
    subnet: bool,
    /// How many names the zone has: w0000000.gslb.example and on
    #[arg(long, default_value_t = 1000)]
    names: u32,
    /// How long to measure
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Queries a second, in an open loop
    #[arg(long)]
    rate: Option<u32>,
    /// The server's process, for the CPU time that it uses
    #[arg(long)]
    pid: Option<u32>,
    /// The server's thread, when the process does more than serve: the name that it begins with
    #[arg(long)]
    thread: Option<String>,
    /// The core to run on
    #[arg(long)]
    core: Option<usize>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Ask {
    /// Names that exist; answers are expected
    Hit,
    /// Names that do not; NXDOMAIN is expected
    Missing,
    /// Names that exist; anything will do
    Echo,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Cargo runs every bench: alone or with `--bench`.
    let Some(server) = arguments.to.filter(|_| !arguments.bench) else {
        return ExitCode::SUCCESS;
    };
    match run(server, &arguments) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(server: SocketAddr, arguments: &Arguments) -> io::Result<serde_json::Value> {
    if let Some(core) = arguments.core {
        let mut set = CpuSet::new();
        set.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
    }
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    let mut load = Load {
        queries: queries(arguments),
        ask: arguments.ask,
        due: vec![0; QUERIES],
        next: 0,
        latencies: Vec::with_capacity(1 << 22),
        counts: Counts::default(),
        buffers: vec![[0; 2048]; BURST],
        headers: MultiHeaders::preallocate(BURST, None),
        start: Instant::now(),
        socket,
    };

    load.ask(arguments.rate, WARM_UP)?;
    let cpu = || arguments.pid.map(|pid| cpu_time(pid, arguments.thread.as_deref())).transpose();
    let (before, cpu_before, began) = (load.counts, cpu()?, Instant::now());
    load.latencies.clear();
    load.ask(arguments.rate, Duration::from_secs_f64(arguments.seconds))?;
    let (cpu_after, took) = (cpu()?, began.elapsed());
    let answered = load.counts.answered - before.answered;
    if arguments.rate.is_some() {
        load.wait_for_last()?;
    }

    let counts = load.counts;
    let used = cpu_after.zip(cpu_before).map(|(after, before)| after - before);
    load.latencies.sort_unstable();
    let at = |share: f64| match load.latencies.len() {
        0 => None,
        count => Some(f64::from(load.latencies[((count - 1) as f64 * share) as usize]) / 1e3),
    };
    Ok(json!({
        "answered": answered,
        "seconds": took.as_secs_f64(),
        "per_second": answered as f64 / took.as_secs_f64(),
        "wrong": counts.wrong,
        "lost": counts.sent.saturating_sub(counts.answered + counts.wrong),
        "sent": counts.sent,
        "cpu_ns": used.filter(|_| answered > 0).map(|used| used as f64 / answered as f64),
        "cpu_share": used.map(|used| used as f64 / took.as_nanos() as f64),
        "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1.0),
    }))
}

#[derive(Clone, Copy, Default)]
struct Counts {
    sent: u64,
    answered: u64,
    wrong: u64,
    /// Given up at saturation.
    lost: u64,
}

struct Load {
    socket: UdpSocket,
    /// The query of each id.
    queries: Vec<Vec<u8>>,
    ask: Ask,
    /// When the query of each id was due, in nanoseconds from `start`; 0 if it is not in flight.
    due: Vec<u64>,
    /// The id to send next.
    next: usize,
    /// In nanoseconds.
    latencies: Vec<u32>,
    counts: Counts,
    buffers: Vec<[u8; 2048]>,
    headers: MultiHeaders<()>,
    start: Instant,
}

impl Load {
    fn ask(&mut self, rate: Option<u32>, time: Duration) -> io::Result<()> {
        let begin = self.now();
        let end = begin + time.as_nanos() as u64;
        let mut last_reply = begin;
        let mut asked = 0u64;
        loop {
            let now = self.now();
            if now >= end {
                return Ok(());
            }
            match rate {
                Some(rate) => {
                    let spacing = 1e9 / f64::from(rate);
                    let due = ((now - begin) as f64 / spacing) as u64;
                    if due > asked {
                        let count = (due - asked).min(BURST as u64);
                        let first = begin + (asked as f64 * spacing) as u64;
                        asked += self.send(count as usize, first, spacing)?;
                    }
                }
                None => {
                    let Counts { sent, answered, wrong, lost } = self.counts;
                    let room = WINDOW - (sent - answered - wrong - lost) as usize;
                    if room >= BURST / 2 {
                        self.send(room.min(BURST), now, 0.0)?;
                    }
                }
            }
            if self.receive()? > 0 {
                last_reply = now;
            } else if rate.is_none() && now - last_reply > LOST_AFTER.as_nanos() as u64 {
                self.due.fill(0);
                self.counts.lost = self.counts.sent - self.counts.answered - self.counts.wrong;
                last_reply = now;
            }
        }
    }

    fn wait_for_last(&mut self) -> io::Result<()> {
        let end = self.now() + LAST_REPLIES.as_nanos() as u64;
        while self.now() < end {
            self.receive()?;
        }
        Ok(())
    }

    /// Sends `count` queries, the first of which was due at `due`.
    fn send(&mut self, count: usize, due: u64, spacing: f64) -> io::Result<u64> {
        let count = count.min(QUERIES - self.next);
        let slices: [IoSlice<'_>; BURST] =
            std::array::from_fn(|n| IoSlice::new(&self.queries[self.next + n % count]));
        // All queries have the same length, as segments must.
        let length = self.queries[0].len() as u16;
        let segments = [ControlMessage::UdpGsoSegments(&length)];
        match sendmsg::<()>(self.socket.as_raw_fd(), &slices[..count], &segments, MsgFlags::empty(), None) {
            Ok(_) => {}
            // A full buffer, or the server was not there for the query before.
            Err(Errno::EAGAIN | Errno::ECONNREFUSED) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        for n in 0..count {
            self.due[self.next + n] = due + (n as f64 * spacing) as u64;
        }
        self.next = (self.next + count) % QUERIES;
        self.counts.sent += count as u64;
        Ok(count as u64)
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut slices: [[IoSliceMut<'_>; 1]; BURST] = {
            let mut buffers = self.buffers.iter_mut();
            std::array::from_fn(|_| [IoSliceMut::new(buffers.next().expect("BURST buffers"))])
        };
        let fd = self.socket.as_raw_fd();
        let replies = match recvmmsg(fd, &mut self.headers, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
            Ok(replies) => replies,
            Err(Errno::EAGAIN | Errno::ECONNREFUSED | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let now = self.start.elapsed().as_nanos() as u64;
        let mut received = 0;
        for reply in replies {
            let Some(reply) = reply.iovs().next() else { continue };
            received += 1;
            let Some(id) = reply.first_chunk().map(|id| usize::from(u16::from_be_bytes(*id))) else {
                continue;
            };
            let due = std::mem::take(&mut self.due[id]);
            if due == 0 {
                continue;
            }
            if is_right(self.ask, reply) {
                self.counts.answered += 1;
                self.latencies.push(now.saturating_sub(due).min(u64::from(u32::MAX)) as u32);
            } else {
                self.counts.wrong += 1;
            }
        }
        Ok(received)
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

/// Whether the header of `reply` is what is expected: the rcode, and how many answers.
fn is_right(ask: Ask, reply: &[u8]) -> bool {
    let &[_, _, flags, codes, _, _, _, answers, ..] = reply else { return false };
    match ask {
        Ask::Hit => flags & 0x80 != 0 && codes & 15 == 0 && answers > 0,
        Ask::Missing => flags & 0x80 != 0 && codes & 15 == 3,
        Ask::Echo => true,
    }
}

fn queries(arguments: &Arguments) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(7);
    let letter = if arguments.ask == Ask::Missing { 'n' } else { 'w' };
    (0..=u16::MAX)
        .map(|id| {
            let number = random.u32(..arguments.names);
            let name: Name = format!("{letter}{number:07}.gslb.example").parse().expect("a name");
            // Unicast addresses, allocated or not.
            let client = Ipv4Addr::from_bits(random.u32(0x0100_0000..0xe000_0000));
            let subnet = arguments.subnet.then(|| ClientSubnet::new(client.into(), 24));
            query_message(id, &name, Rtype::A, subnet)
        })
        .collect()
}

/// The nanoseconds that the threads of a process have run, or those whose name begins with
/// `thread`: the scheduler's own account, which unlike utime and stime is not sampled.
fn cpu_time(pid: u32, thread: Option<&str>) -> io::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task: PathBuf = task?.path();
        if let Some(thread) = thread
            && !std::fs::read_to_string(task.join("comm"))?.starts_with(thread)
        {
            continue;
        }
        let account = std::fs::read_to_string(task.join("schedstat"))?;
        sum += account.split(' ').next().and_then(|ran| ran.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}
