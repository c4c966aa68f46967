//! Programs of the operator that tell whether an address is healthy.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

mod output;

#[cfg(test)]
mod tests;

use super::budget::Budget;
use super::{cause, now};
use crate::health::{Failure, LocalFailure, Phase};
use crate::plan::{ScriptCheck, Watch};
use output::FirstLine;

/// Where programs are looked for that a script calls by name, where this process was not told.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The places of scripts: no more than that run at the same time, whatever the number of targets.
pub(super) struct Scripts {
    places: Semaphore,
    count: usize,
}

impl Scripts {
    /// Lets `count` scripts run at the same time.
    pub(super) fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Scripts { places: Semaphore::new(count), count }
    }

    /// Waits for a place, runs the script and judges how it ends. With this, all that it has
    /// started ends as well, also if this is dropped.
    ///
    /// Its time starts when it has its place. That it waits for one is no fault of the address:
    /// where it takes the whole time of a probe, there are too few, and that is what is reported.
    pub(super) async fn probe(
        &self,
        watch: &Watch,
        script: &ScriptCheck,
        address: SocketAddr,
        budget: &mut Budget,
    ) -> Result<(), Failure> {
        let timeout = budget.whole();
        let too_few = |_| Failure::Local(LocalFailure::NoScriptPlace { places: self.count, after: timeout });
        let place = tokio::time::timeout(timeout, self.places.acquire()).await.map_err(too_few)?;
        let _place = place.map_err(|error| Failure::Local(LocalFailure::System(error.to_string())))?;
        *budget = budget.anew(now());

        let started = start(watch, script, address, timeout);
        let (mut group, output) = started.map_err(|error| cannot_run(script, &error))?;
        let mut line = FirstLine::default();
        let status = budget.spend(Phase::Script, group.ended(output, &mut line)).await?;
        judge(status, &line)
    }
}

/// A script and what it has started, unless that has left the group. It ends with this value.
struct Group {
    child: Child,
    id: Pid,
}

impl Group {
    /// Waits until the script has ended, whoever of its children is still there, and takes down what
    /// it prints.
    async fn ended(&mut self, mut output: pipe::Receiver, line: &mut FirstLine) -> io::Result<ExitStatus> {
        let status = tokio::select! {
            status = self.child.wait() => status?,
            never = line.listen(&mut output) => match never {},
        };
        line.take_rest(output);
        Ok(status)
    }
}

impl Drop for Group {
    /// The group keeps its number as long as somebody is in it. That the script itself has been
    /// waited for changes nothing: between that and this there is no time to come round to it again.
    fn drop(&mut self) {
        // Nobody is left: that is as well.
        let _ = killpg(self.id, Signal::SIGKILL);
    }
}

fn start(
    watch: &Watch,
    script: &ScriptCheck,
    address: SocketAddr,
    timeout: Duration,
) -> io::Result<(Group, pipe::Receiver)> {
    let (output, write) = io::pipe()?;
    let mut command = Command::new(&script.program);
    command
        .args(&script.arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()))
        .env("RHUMB_ADDRESS", address.ip().to_string())
        .env("RHUMB_POOL", watch.pool.as_deref().unwrap_or_default())
        .env("RHUMB_ADDRESS_NAME", &watch.address)
        .env("RHUMB_CHECK", &watch.check.name)
        .env("RHUMB_TIMEOUT_MS", timeout.as_millis().to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(write.try_clone()?)
        .stderr(write)
        .process_group(0);
    if let Some(port) = watch.port {
        command.env("RHUMB_PORT", port.to_string());
    }
    let child = command.spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group { child, id: Pid::from_raw(id.expect("it has not been waited for")) };
    Ok((group, pipe::Receiver::from_owned_fd(output.into())?))
}

fn cannot_run(script: &ScriptCheck, error: &io::Error) -> Failure {
    Failure::Local(match cause::failure(error) {
        Some(Failure::Local(reason)) if !matches!(reason, LocalFailure::System(_)) => reason,
        _ => LocalFailure::System(format!("cannot run `{}`: {error}", script.program)),
    })
}

fn judge(status: ExitStatus, line: &FirstLine) -> Result<(), Failure> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::Exit { code, said: line.text() }),
        (None, signal) => Err(Failure::Killed { signal: signal.unwrap_or_default(), said: line.text() }),
    }
}
