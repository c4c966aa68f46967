//! `rhumb serve`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Daemon, Failed, runtime};
use crate::config;

#[derive(Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { config: file } = arguments;
    let loaded = config::load(&file).map_err(|diagnostics| Failed(diagnostics.to_string()))?;
    runtime()?.block_on(D::serve(loaded, &file)).map_err(Failed::new)?;
    Ok(ExitCode::SUCCESS)
}
