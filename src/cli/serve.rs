//! `rhumb serve`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Daemon, Failed, runtime};

#[derive(Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    runtime()?.block_on(D::serve(&arguments.config)).map_err(|error| Failed(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}
