//! The command line: arguments as typed, one file per command.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::Loaded;

mod check;
mod client;
mod demo;
mod drill;
mod explain;
mod latency;
mod loopback;
mod manual;
mod order;
mod pool;
mod serve;
mod status;
mod stop;
mod token;

/// What commands need of the daemon, which lives a floor above them.
pub trait Daemon: Sized {
    /// Why it does not start.
    type Error: std::error::Error;

    /// Starts with `loaded`, logging as its settings say, and returns when DNS is answered.
    fn start(loaded: Loaded) -> impl Future<Output = Result<Self, Self::Error>>;

    /// Where DNS is answered.
    fn dns(&self) -> &[SocketAddr];

    /// Where the admin API is served.
    fn admin(&self) -> SocketAddr;

    /// Stops it.
    fn shutdown(self) -> impl Future<Output = ()>;

    /// Runs with `loaded` until a signal says stop; `file` is what a reload reads. `ignore_edits`:
    /// what was ordered by API before is put aside.
    fn serve(
        loaded: Loaded,
        file: &Path,
        ignore_edits: bool,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Authoritative DNS for global server load balancing: every query is answered with the nearest
/// healthy site.
#[derive(Parser)]
#[command(name = "rhumb", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Arguments),
    /// Validate a configuration: every error at once, each with its place
    Check(check::Arguments),
    /// Show it all on this machine: two sites, a name server between them, nothing to configure
    Demo(demo::Arguments),
    /// Break sites on purpose and measure what a client sees
    Drill(Box<drill::Arguments>),
    /// Explain why a client gets the answer it gets, step by step
    Explain(explain::Arguments),
    /// Show domains, pools, addresses and their health
    Status(status::Arguments),
    /// Change what a pool does
    Pool(pool::Arguments),
    /// Drain, disable, force and enable an address
    Address(order::Arguments),
    /// Give the latencies that you measured
    Latency(latency::Arguments),
    /// Make tokens for the admin API
    Token(token::Arguments),
    /// Print completions for a shell
    Completions(manual::Completions),
    /// Print a manual page
    Man(manual::Man),
}

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Carries out the command that this process was started with. Exit codes: 0 done, 1 refused or
/// failed, 2 wrong usage.
pub fn run<D: Daemon>() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run::<D>(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Demo(arguments) => demo::run::<D>(arguments),
        Command::Drill(arguments) => drill::run::<D>(*arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Pool(arguments) => pool::run(arguments),
        Command::Address(arguments) => order::run(arguments),
        Command::Latency(arguments) => latency::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Completions(arguments) => manual::completions(arguments, Arguments::command()),
        Command::Man(arguments) => manual::man(arguments, Arguments::command()),
    };
    match result {
        Ok(code) => code,
        Err(Failed(message)) => {
            // Whoever reads it may have gone away; the exit code still says it.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

/// A command did not succeed, for this reason in an operator's words.
struct Failed(String);

impl Failed {
    /// `error: ` and the reason.
    fn new(reason: impl std::fmt::Display) -> Self {
        Failed(format!("error: {reason}"))
    }
}

/// The runtime of a command that waits for sockets.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::new(format_args!("cannot start threads: {error}")))
}

/// Prints `value` as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(value).map_err(Failed::new)?;
    print(&format!("{text}\n"))
}

/// Prints `text` to standard output. A reader that goes away, as `head` does, has what it wanted.
fn print(text: &str) -> Result<(), Failed> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failed::new(format_args!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
