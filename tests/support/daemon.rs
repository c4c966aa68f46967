//! The program under test.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Output};

use super::process::Process;
use super::{dns, eventually};

/// A running `rhumb serve`.
pub(crate) struct Daemon {
    process: Process,
    dns: SocketAddr,
    admin: SocketAddr,
}

impl Daemon {
    pub(super) fn new(process: Process, dns: SocketAddr, admin: SocketAddr) -> Daemon {
        Daemon { process, dns, admin }
    }

    /// Where it answers DNS.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Where it serves its admin API.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The addresses that it gives for `name` now.
    pub(crate) fn resolve(&self, name: &str) -> Vec<IpAddr> {
        dns::resolve(self.dns, name)
    }

    /// Waits until it gives exactly `address` for `name`.
    pub(crate) fn await_answer(&self, name: &str, address: IpAddr) {
        eventually(&format!("{name} to be {address}"), || (self.resolve(name) == [address]).then_some(()));
    }

    /// The process alone.
    pub(crate) fn into_process(self) -> Process {
        self.process
    }
}

impl Deref for Daemon {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// The program, with nothing of this environment that would change what it does.
pub(crate) fn rhumb() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    for variable in ["RUST_LOG", "RHUMB_ADMIN", "RHUMB_CA", "RHUMB_TOKEN_FILE"] {
        command.env_remove(variable);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

/// `rhumb serve` with that configuration.
pub(crate) fn serve(config: &Path) -> Command {
    let mut command = rhumb();
    command.arg("serve").arg("--config").arg(config);
    command
}

/// Runs the program with `arguments` to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    rhumb().args(arguments).output().expect("it was built")
}
