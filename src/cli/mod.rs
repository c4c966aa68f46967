//! The command line: arguments as typed, one file per command.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::Loaded;
use paint::Colour;

mod address;
mod assignment;
mod audit;
mod check;
mod client;
mod clock;
mod definition;
mod demo;
#[cfg(test)]
mod documented;
mod domain;
mod drill;
mod edit;
mod edits;
mod events;
mod explain;
mod latency;
mod log;
mod loopback;
mod manual;
mod notify;
mod order;
mod paint;
mod pool;
mod record;
mod reload;
mod serve;
mod status;
mod stop;
mod table;
mod token;
mod top;
mod verbs;

/// How a daemon begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beginning {
    /// What was ordered by API before is put aside.
    pub ignore_edits: bool,
    /// It takes over from the one that runs, if there is one.
    pub takeover: bool,
    /// When its configuration began to be read; `None`: there is no file to be read again.
    pub read_from: Option<Instant>,
}

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

    /// Runs with `loaded` until a signal says stop, or another process takes over; `file` is what a
    /// reload reads.
    fn serve(
        loaded: Loaded,
        file: &Path,
        beginning: Beginning,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Authoritative DNS for global server load balancing: every query is answered with the nearest
/// healthy site.
#[derive(Parser)]
#[command(name = "rhumb", version, arg_required_else_help = true)]
struct Arguments {
    /// When to use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    color: Colour,
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
    /// Watch domains, pools, addresses and their health, live
    Top(top::Arguments),
    /// List, change, add, drain, disable and release pools
    #[command(mut_subcommands(verbs::of(edit::Kind::Pool)))]
    Pool(pool::Arguments),
    /// List, change, add, weigh, drain, disable, force and enable addresses
    Address(address::Arguments),
    /// List, change, add and remove domains
    #[command(mut_subcommands(verbs::of(edit::Kind::Domain)))]
    Domain(domain::Arguments),
    /// List, change, add and remove health checks
    #[command(mut_subcommands(verbs::of(edit::Kind::HealthCheck)))]
    HealthCheck(definition::Arguments),
    /// List, change, add and remove conditions, on which pools depend
    #[command(mut_subcommands(verbs::of(edit::Kind::Condition)))]
    Condition(definition::Arguments),
    /// List, change, add and remove records of zones
    Record(record::Arguments),
    /// List what was changed by API, take it back, and export it
    Edits(edits::Arguments),
    /// Have the daemon read its configuration anew
    Reload(Asking),
    /// Show what happens, as it happens
    Events(events::Arguments),
    /// Show who changed what by API
    Audit(audit::Arguments),
    /// Show as whom the daemon knows you, and what you may
    Whoami(Asking),
    /// Give the latencies that you measured
    Latency(latency::Arguments),
    /// Show and change what the daemon logs
    Log(log::LogArguments),
    /// Show and change which queries the daemon records
    QueryLog(log::QueryLogArguments),
    /// Show who is told what happens, and send them a test
    Notify(notify::Arguments),
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

/// What commands have in common that ask a daemon and print what it answers.
#[derive(clap::Args)]
struct Asking {
    #[command(flatten)]
    endpoint: client::Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Carries out the command that this process was started with. Exit codes: 0 done, 1 refused or
/// failed, 2 wrong usage.
pub fn run<D: Daemon>() -> ExitCode {
    let Arguments { color, command } = Arguments::parse();
    paint::decide(color);
    let result = match command {
        Command::Serve(arguments) => serve::run::<D>(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Demo(arguments) => demo::run::<D>(arguments),
        Command::Drill(arguments) => drill::run::<D>(*arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Top(arguments) => top::run(arguments),
        Command::Pool(arguments) => pool::run(arguments),
        Command::Address(arguments) => address::run(arguments),
        Command::Domain(arguments) => domain::run(arguments),
        Command::HealthCheck(arguments) => definition::run(edit::Kind::HealthCheck, arguments),
        Command::Condition(arguments) => definition::run(edit::Kind::Condition, arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Edits(arguments) => edits::run(arguments),
        Command::Reload(arguments) => reload::run(arguments),
        Command::Events(arguments) => events::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Whoami(arguments) => audit::whoami(arguments),
        Command::Latency(arguments) => latency::run(arguments),
        Command::Log(arguments) => log::log(arguments),
        Command::QueryLog(arguments) => log::query_log(arguments),
        Command::Notify(arguments) => notify::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Completions(arguments) => manual::completions(arguments, Arguments::command()),
        Command::Man(arguments) => manual::man(arguments, Arguments::command()),
    };
    match result {
        Ok(code) => code,
        Err(Failed(message)) => {
            complain(&message);
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

/// Says `message` on standard error. Whoever reads that may have gone away; exit codes still say what
/// is to be known.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// What a daemon has answered, as one of its types.
fn parsed<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failed> {
    serde_json::from_value(value).map_err(|error| {
        Failed(format!(
            "error: the daemon sent what this version cannot read: {error}\n\
             hint: `rhumb --version` should be that of the daemon"
        ))
    })
}

/// What the configuration says of an object, edits included, as lines of TOML; and which edits those are.
fn specified(object: Option<&serde_json::Value>) -> String {
    let specification = object.and_then(|object| object["specification"].as_object());
    let mut text = specification.map(|table| format!("\n{}", assignment::toml(table))).unwrap_or_default();
    let edits = object.and_then(|object| object["edits"].as_array()).filter(|edits| !edits.is_empty());
    if let Some(edits) = edits {
        let ids: Vec<String> = edits.iter().map(ToString::to_string).collect();
        text += &format!("edits: {}\n", ids.join(" "));
    }
    text
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
