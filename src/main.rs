//! argv to command to exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    rhumb::cli::run::<rhumb::daemon::Daemon>()
}
