//! `rhumb drill`: breaks sites on purpose and measures what a client sees of it.
//!
//! `walk` takes the sites through five states, while `client` makes requests and an observer asks
//! the name server. What they saw is a `recording`, from which `summary` is computed.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};
use ipnet::IpNet;

use super::loopback::{CLIENTS, Fault, Loopback, NAME, Port, SITES, Setup};
use super::stop::Stop;
use super::{Daemon, Failed, Output, print_json, runtime};
use crate::dns::{ClientSubnet, Name};
use breaker::{Breaker, Means};
use client::{Client, Target};
use clock::Clock;
use report::{Report, Run};
use seconds::Seconds;
use summary::Summary;
use upstream::Upstream;
use walk::Pace;

mod breaker;
mod cache;
mod client;
mod clock;
mod measurement;
mod recording;
mod report;
mod seconds;
mod summary;
mod tally;
mod upstream;
mod walk;

/// What a state of the own demo lasts beside two TTLs: many times what its health checks take to
/// notice, so that each state comes to rest.
const DETECTION: Duration = Duration::from_secs(1);

const COMMANDS_HELP: &str = "\
Without --server the drill brings its own sites and name server, on loopback. Against a running \
daemon it needs to know how a site is stopped and started. Against `rhumb demo`, for instance:

  rhumb drill --server 127.0.0.1:5300 --name nginx.ai.example.com --port 8080 \\
    --subnet 14.160.0.0/24 --sites vietnam,hongkong \\
    --stop-command 'curl -fsX POST \"127.0.0.1:8054/sites/$RHUMB_SITE?fault=$RHUMB_FAULT\"' \\
    --start-command 'curl -fsX POST \"127.0.0.1:8054/sites/$RHUMB_SITE?fault=none\"'

The client resolves the name through a cache that honours TTLs, as a resolver does, and requests \
http://NAME:PORT/PATH from the first address of the answer, over a fresh connection each time. It \
tries no second address. The preferred site is the one that is answered while both serve.

Exit code 1: a downtime was longer than --max-downtime, the preferred site never came back, or a \
request failed later than one TTL after the right answer was there.";

#[derive(Args)]
#[command(after_long_help = COMMANDS_HELP)]
pub(super) struct Arguments {
    /// How sites break: connections refused (kill), or made and never answered (hang)
    #[arg(long, value_enum, default_value_t = Faults::Kill)]
    fault: Faults,
    /// The time from one request to the next
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    interval: Duration,
    /// What a request may take
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    timeout: Duration,
    /// How long each of the five states lasts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    state_duration: Duration,
    /// The downtime that a failover may have
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    max_downtime: Duration,
    /// The TTL of the own name server's answers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    ttl: u32,
    /// The TTL of answers that are about to change, or not the best there could be
    /// [default: that of all answers]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    ttl_min: Option<u32>,
    /// The client's network, told to the name server [default with own sites: one in Vietnam]
    #[arg(long, value_name = "PREFIX")]
    subnet: Option<IpNet>,
    /// Ask this name server instead of an own one; a resolver may stand between
    #[arg(long, value_name = "IP:PORT", value_parser = server, conflicts_with_all = ["ttl", "ttl_min"],
        requires_all = ["name", "sites", "stop_command", "start_command"])]
    server: Option<SocketAddr>,
    /// The name to resolve
    #[arg(long, requires = "server")]
    name: Option<Name>,
    /// The port of the sites
    #[arg(long, requires = "server", default_value_t = 80)]
    port: u16,
    /// What is requested
    #[arg(long, requires = "server", default_value = "/")]
    path: String,
    /// The sites' names, the preferred one first
    #[arg(long, value_name = "A,B", requires = "server", value_parser = site_names)]
    sites: Option<[String; 2]>,
    /// Stops the site RHUMB_SITE with the fault RHUMB_FAULT; run by sh
    #[arg(long, value_name = "COMMAND", requires = "server")]
    stop_command: Option<String>,
    /// Starts the site RHUMB_SITE, which has the fault RHUMB_FAULT; run by sh
    #[arg(long, value_name = "COMMAND", requires = "server")]
    start_command: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Faults {
    Kill,
    Hang,
    /// One walk with each
    Both,
}

impl Faults {
    fn list(self) -> &'static [Fault] {
        match self {
            Faults::Kill => &[Fault::Kill],
            Faults::Hang => &[Fault::Hang],
            Faults::Both => &[Fault::Kill, Fault::Hang],
        }
    }
}

/// Arguments as meant.
struct Drill {
    faults: Faults,
    pace: Pace,
    max_downtime: Duration,
    upstream: Upstream,
    target: Target,
    breaker: Breaker,
    output: Output,
}

pub(super) fn run<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    runtime()?.block_on(drill::<D>(arguments))
}

async fn drill<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    let mut stop = Stop::listen()?;
    let (mut drill, daemon) = tokio::select! {
        prepared = prepare::<D>(arguments) => prepared?,
        () = stop.requested() => return Err(Failed::new("interrupted")),
    };
    let report = tokio::select! {
        report = drill.carry_out() => report,
        () = stop.requested() => Err(Failed::new("interrupted")),
    };
    let restored = tokio::select! {
        restored = drill.breaker.restore() => restored,
        () = stop.requested() => Err(Failed::new("interrupted again, sites may still be broken")),
    };
    if let Some(daemon) = daemon {
        daemon.shutdown().await;
    }
    // If both went wrong, what is still broken matters more.
    restored?;
    let report = report?;
    match drill.output {
        Output::Text => print!("{report}"),
        Output::Json => print_json(&report)?,
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Finds the name server and the sites, or starts them.
async fn prepare<D: Daemon>(arguments: Arguments) -> Result<(Drill, Option<D>), Failed> {
    let Arguments {
        fault,
        interval,
        timeout,
        state_duration,
        max_downtime,
        ttl,
        ttl_min,
        subnet,
        server,
        name,
        port,
        path,
        sites,
        stop_command,
        start_command,
        output,
    } = arguments;
    let pace = Pace { interval, state_duration };
    let drill = |server, subnet: Option<IpNet>, name: Name, port, path, breaker| {
        let host = name.to_string();
        let host = host.trim_end_matches('.');
        let host = if port == 80 { host.to_owned() } else { format!("{host}:{port}") };
        let subnet = subnet.map(|subnet| ClientSubnet::new(subnet.addr(), subnet.prefix_len()));
        Drill {
            faults: fault,
            pace,
            max_downtime,
            upstream: Upstream { server, name, subnet },
            target: Target { port, host, path, timeout },
            breaker,
            output,
        }
    };

    if let (Some(server), Some(name), Some(names), Some(stop), Some(start)) =
        (server, name, sites, stop_command, start_command)
    {
        let breaker = Breaker::new(names, Means::Commands { stop, start });
        return Ok((drill(server, subnet, name, port, path, breaker), None));
    }

    let least = 2 * Duration::from_secs(ttl.into()) + DETECTION;
    if state_duration < least {
        let least = humantime::format_duration(least);
        usage(format_args!("--state-duration: with a TTL of {ttl} s a state comes to rest within {least}"));
    }
    let ttl_min = ttl_min.unwrap_or(ttl);
    if ttl_min > ttl {
        usage(format_args!("--ttl-min: {ttl_min} s is more than the TTL of {ttl} s"));
    }
    let setup = Setup {
        dns: Port::Exactly(0),
        admin: Port::Exactly(0),
        sites: Port::Exactly(0),
        ttl,
        ttl_min,
        log_level: "error",
    };
    let loopback = Loopback::<D>::start(setup).await?;
    let server = loopback.dns();
    let port = loopback.sites.port();
    let (_, usual) = CLIENTS[0];
    let subnet = subnet.unwrap_or_else(|| usual.parse().expect("the demo's networks are prefixes"));
    let name = NAME.parse().expect("the demo's name is a name");
    let breaker = Breaker::new(SITES.map(|(name, ..)| name.to_owned()), Means::Own(loopback.sites));
    Ok((drill(server, Some(subnet), name, port, "/".to_owned(), breaker), Some(loopback.daemon)))
}

impl Drill {
    async fn carry_out(&mut self) -> Result<Report, Failed> {
        let mut report = Report {
            server: self.upstream.server,
            name: self.upstream.name.to_string(),
            sites: self.breaker.names.clone(),
            interval: Seconds(self.pace.interval),
            timeout: Seconds(self.target.timeout),
            runs: Vec::new(),
        };
        for &fault in self.faults.list() {
            let sites = self.breaker.names.clone();
            let tells = self.output == Output::Text;
            if tells {
                let each = humantime::format_duration(self.pace.state_duration);
                eprintln!("fault {}, five states of {each} each:", fault.word());
            }
            let (started, clock) = (clock::date(), Clock::start());
            let client = Client::new(clock, self.upstream.clone(), self.target.clone());
            let progress = |at, stage: recording::Stage| {
                if tells {
                    eprintln!("{:>9}  {}", Seconds(at).to_string(), stage.label(&sites));
                }
            };
            let observer = self.upstream.clone();
            let recording =
                walk::walk(&mut self.breaker, fault, self.pace, clock, client, observer, progress).await?;
            let summary = Summary::of(&recording, &sites, self.max_downtime);
            report.runs.push(Run::new(started, fault, summary, recording));
        }
        Ok(report)
    }
}

/// Ends the process as clap does for what it finds wrong itself: with code 2.
fn usage(message: impl std::fmt::Display) -> ! {
    super::Arguments::command().error(ErrorKind::ValueValidation, message).exit()
}

/// Below a millisecond timers are no longer exact.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time < Duration::from_millis(1) => Err("at least 1ms".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{error}; write it as in 10ms or 1s")),
    }
}

/// With or without the port.
fn server(text: &str) -> Result<SocketAddr, String> {
    let with_port = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    text.parse().or_else(|_| with_port()).map_err(|_| "not an IP address, with or without a port".to_owned())
}

fn site_names(text: &str) -> Result<[String; 2], String> {
    match text.split_once(',') {
        Some((preferred, other)) if !preferred.is_empty() && !other.is_empty() && !other.contains(',') => {
            Ok([preferred.to_owned(), other.to_owned()])
        }
        _ => Err("two names with a comma between, the preferred one first".to_owned()),
    }
}
