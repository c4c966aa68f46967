//! `rhumb drill`: breaks sites on purpose and measures what a client sees of it.
//!
//! `walk` takes the sites through five states, while `client` makes requests and an observer asks
//! the name server. What they saw is a `recording`, from which `summary` is computed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ipnet::IpNet;

use super::clock::{self, Clock};
use super::loopback::{CLIENTS, Loopback, NAME, Port, SITES, Setup};
use super::stop::Stop;
use super::{Daemon, Failed, Output, print, print_json, runtime};
use crate::dns::{ClientSubnet, Name};
pub(super) use arguments::Arguments;
use arguments::{Faults, usage};
use breaker::{Breaker, Means};
use client::{Client, Target};
use picture::Picture;
use report::{Report, Run};
use seconds::Seconds;
use summary::Summary;
use upstream::Upstream;
use walk::Pace;

mod arguments;
mod breaker;
mod cache;
mod client;

mod log;
mod measurement;
mod picture;
mod recording;
mod report;
mod seconds;
mod summary;
mod svg;
mod tally;
mod upstream;
mod walk;
mod withdrawal;

/// What a state of the own demo lasts beside two TTLs: many times what its health checks take to
/// notice, so that each state comes to rest.
const DETECTION: Duration = Duration::from_secs(1);

/// How long a state lasts unless it is said: ten times the requests that make a downtime of a
/// second show, at the usual interval.
const STATE_DURATION: Duration = Duration::from_secs(10);

/// Arguments as meant.
struct Drill {
    faults: Faults,
    pace: Pace,
    max_downtime: Duration,
    upstream: Upstream,
    target: Target,
    breaker: Breaker,
    output: Output,
    svg: Option<PathBuf>,
}

pub(super) fn run<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    runtime()?.block_on(async {
        match arguments.pool.clone() {
            Some(pool) => withdrawal::drill(pool, arguments).await,
            None => drill::<D>(arguments).await,
        }
    })
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
        Output::Text => print(&report.to_string())?,
        Output::Json => print_json(&report)?,
    }
    if let Some(file) = &drill.svg {
        draw(file, &report.pictures())?;
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
        connect,
        sites,
        stop_command,
        start_command,
        svg,
        output,
        ..
    } = arguments;
    let path = (!connect).then_some(path);
    let state_duration = state_duration.unwrap_or(STATE_DURATION);
    let drill = |server, subnet: Option<IpNet>, name: Name, port, breaker| {
        let (host, subnet) = (host(&name, port), subnet.map(client_subnet));
        Drill {
            faults: fault,
            pace: Pace { interval, state_duration },
            max_downtime,
            upstream: Upstream { server, name, subnet },
            target: Target { port, host, path, timeout },
            breaker,
            output,
            svg,
        }
    };

    if let (Some(server), Some(name), Some(names), Some(stop), Some(start)) =
        (server, name, sites, stop_command, start_command)
    {
        let breaker = Breaker::new(names, Means::Commands { stop, start });
        return Ok((drill(server, subnet, name, port, breaker), None));
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
    Ok((drill(server, Some(subnet), name, port, breaker), Some(loopback.daemon)))
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

/// The Host header for that name and port.
fn host(name: &Name, port: u16) -> String {
    let host = name.to_string();
    let host = host.trim_end_matches('.');
    if port == 80 { host.to_owned() } else { format!("{host}:{port}") }
}

fn client_subnet(subnet: IpNet) -> ClientSubnet {
    ClientSubnet::new(subnet.addr(), subnet.prefix_len())
}

/// Writes `pictures`, one below the other.
fn draw(file: &Path, pictures: &[Picture<'_>]) -> Result<(), Failed> {
    let failed = |error| Failed::new(format_args!("--svg {}: {error}", file.display()));
    std::fs::write(file, picture::draw(pictures)).map_err(failed)
}
