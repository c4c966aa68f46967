//! What `rhumb drill` is told, as typed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};
use ipnet::IpNet;

use super::super::client::Endpoint;
use super::super::loopback::Fault;
use super::super::{self as cli, Output};
use crate::dns::Name;

const MORE_HELP: &str = "\
Without --pool and --server the drill brings its own sites and name server, on loopback.

With --pool a running daemon is told to take a pool, or an address of it, out of its answers, and \
later to bring it back; the sites themselves are left alone. The client asks the resolver of this \
machine, or --server:

  rhumb drill --pool vietnam --name nginx.ai.example.com --subnet 14.160.0.0/24 --svg drill.svg

It does not begin while another pool of the name is unhealthy. It brings the pool back at once when \
another one becomes unhealthy, when fewer than --abort-below of the requests of the last five \
seconds succeed, when somebody else changes the order, and when it is interrupted; should it die, \
the daemon brings the pool back by itself within five seconds.

With --stop-command and --start-command sites are broken for real. Against `rhumb demo`, for \
instance:

  rhumb drill --server 127.0.0.1:5300 --name nginx.ai.example.com --port 8080 \\
    --subnet 14.160.0.0/24 --sites vietnam,hongkong \\
    --stop-command 'curl -fsX POST \"127.0.0.1:8054/sites/$RHUMB_SITE?fault=$RHUMB_FAULT\"' \\
    --start-command 'curl -fsX POST \"127.0.0.1:8054/sites/$RHUMB_SITE?fault=none\"'

The client resolves the name through a cache that honours TTLs, as a resolver does, and requests \
http://NAME:PORT/PATH from the first address of the answer, over a fresh connection each time. It \
tries no second address. The preferred site is the one that is answered while both serve.

Exit code 1: a downtime was longer than --max-downtime, what was taken out or broken never came \
back, a request failed later than one TTL after the right answer was there, or the drill did not \
begin or was cut short.";

#[derive(Args)]
#[command(after_long_help = MORE_HELP)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("means").args(["pool", "stop_command"]))]
pub(in crate::cli) struct Arguments {
    /// How sites break: connections refused (kill), or made and never answered (hang)
    #[arg(long, value_enum, default_value_t = Faults::Kill)]
    pub(super) fault: Faults,
    /// The time from one request to the next
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(super) interval: Duration,
    /// What a request may take
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(super) timeout: Duration,
    /// How long each state lasts [default: 10s; with --pool at least two TTLs]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) state_duration: Option<Duration>,
    /// The downtime that a failover may have
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub(super) max_downtime: Duration,
    /// The TTL of the own name server's answers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) ttl: u32,
    /// The TTL of answers that are about to change, or not the best there could be
    /// [default: that of all answers]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) ttl_min: Option<u32>,
    /// The client's network, told to the name server [default with own sites: one in Vietnam]
    #[arg(long, value_name = "PREFIX")]
    pub(super) subnet: Option<IpNet>,
    /// Ask this name server instead of an own one; a resolver may stand between [default with
    /// --pool: the resolver of this machine]
    #[arg(long, value_name = "IP:PORT", value_parser = server, requires = "means")]
    pub(super) server: Option<SocketAddr>,
    /// The name to resolve
    #[arg(long, requires = "means", conflicts_with_all = ["ttl", "ttl_min"])]
    pub(super) name: Option<Name>,
    /// The port of the sites
    #[arg(long, requires = "means", default_value_t = 80)]
    pub(super) port: u16,
    /// What is requested
    #[arg(long, requires = "means", default_value = "/")]
    pub(super) path: String,
    /// Only connect, and request nothing
    #[arg(long, requires = "means", conflicts_with = "path")]
    pub(super) connect: bool,
    /// The sites' names, the preferred one first
    #[arg(long, value_name = "A,B", requires = "stop_command", value_parser = site_names)]
    pub(super) sites: Option<[String; 2]>,
    /// Stops the site RHUMB_SITE with the fault RHUMB_FAULT; run by sh
    #[arg(long, value_name = "COMMAND", requires_all = ["server", "name", "sites", "start_command"])]
    pub(super) stop_command: Option<String>,
    /// Starts the site RHUMB_SITE, which has the fault RHUMB_FAULT; run by sh
    #[arg(long, value_name = "COMMAND", requires = "stop_command")]
    pub(super) start_command: Option<String>,
    /// Have a running daemon take this pool out, and bring it back
    #[arg(long, requires = "name", conflicts_with = "fault")]
    pub(super) pool: Option<String>,
    /// Only this address of the pool
    #[arg(long, requires = "pool")]
    pub(super) address: Option<String>,
    /// Bring it back at once when fewer requests than this succeed
    #[arg(long, value_name = "PERCENT", requires = "pool", default_value = "80%", value_parser = percent)]
    pub(super) abort_below: f64,
    #[command(flatten)]
    pub(super) endpoint: Endpoint,
    /// Draw what happened when, as SVG
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Faults {
    Kill,
    Hang,
    /// One walk with each
    Both,
}

impl Faults {
    /// The fault of each walk.
    pub(super) fn list(self) -> &'static [Fault] {
        match self {
            Faults::Kill => &[Fault::Kill],
            Faults::Hang => &[Fault::Hang],
            Faults::Both => &[Fault::Kill, Fault::Hang],
        }
    }
}

/// Ends the process as clap does for what it finds wrong itself: with code 2.
pub(super) fn usage(message: impl std::fmt::Display) -> ! {
    cli::Arguments::command().error(ErrorKind::ValueValidation, message).exit()
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

/// A share in percent, with or without the sign.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    match number.parse() {
        Ok(share) if (0.0..=100.0).contains(&share) => Ok(share),
        _ => Err("a percentage from 0% to 100%".to_owned()),
    }
}
