//! What breaks the sites of a drill and mends them.

use std::process::Stdio;

use tokio::process::Command;

use crate::cli::Failed;
use crate::cli::loopback::{Fault, Sites};

/// The two sites of a drill, the preferred one first.
pub(super) struct Breaker {
    pub(super) names: [String; 2],
    pub(super) means: Means,
    /// The fault of each, while it has one.
    broken: [Option<Fault>; 2],
}

/// How it is done.
pub(super) enum Means {
    /// To sites of our own.
    Own(Sites),
    /// By the operator's shell commands, which find the site's name in `RHUMB_SITE` and the fault,
    /// `kill` or `hang`, in `RHUMB_FAULT`.
    Commands {
        /// Breaks a site.
        stop: String,
        /// Mends it.
        start: String,
    },
}

impl Breaker {
    /// Of sites that serve.
    pub(super) fn new(names: [String; 2], means: Means) -> Self {
        Breaker { names, means, broken: [None; 2] }
    }

    /// Breaks the site at that position.
    pub(super) async fn stop(&mut self, site: usize, fault: Fault) -> Result<(), Failed> {
        // Noted first: what fails or is cancelled half-way is to be mended as well.
        self.broken[site] = Some(fault);
        let name = &self.names[site];
        match &mut self.means {
            Means::Own(sites) => sites.set(name, fault).await.map_err(Failed::new),
            Means::Commands { stop, .. } => run("--stop-command", stop, name, fault).await,
        }
    }

    /// Mends the site at that position, if it is broken.
    pub(super) async fn start(&mut self, site: usize) -> Result<(), Failed> {
        let Some(fault) = self.broken[site] else { return Ok(()) };
        let name = &self.names[site];
        match &mut self.means {
            Means::Own(sites) => sites.set(name, Fault::None).await.map_err(Failed::new)?,
            Means::Commands { start, .. } => run("--start-command", start, name, fault).await?,
        }
        self.broken[site] = None;
        Ok(())
    }

    /// Mends whatever is broken; the first failure is told after everything has been tried.
    pub(super) async fn restore(&mut self) -> Result<(), Failed> {
        let first = self.start(0).await;
        let second = self.start(1).await;
        first.and(second)
    }
}

/// Runs `command` with what it needs to know. Its output is none of the report's.
async fn run(option: &str, command: &str, site: &str, fault: Fault) -> Result<(), Failed> {
    let failed =
        |reason: &dyn std::fmt::Display| Failed::new(format_args!("{option} for site {site}: {reason}"));
    let status = Command::new("sh")
        .args(["-c", command])
        .env("RHUMB_SITE", site)
        .env("RHUMB_FAULT", fault.word())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // One that is under way when the drill ends must not break what has just been mended.
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| failed(&error))?;
    if status.success() { Ok(()) } else { Err(failed(&status)) }
}
