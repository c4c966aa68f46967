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
    /// Start without the edits that were made by API, and put their file aside
    #[arg(long)]
    ignore_edits: bool,
}

pub(super) fn run<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { config: file, ignore_edits } = arguments;
    let loaded = config::load(&file).map_err(|diagnostics| Failed(diagnostics.to_string()))?;
    runtime()?.block_on(D::serve(loaded, &file, ignore_edits)).map_err(Failed::new)?;
    Ok(ExitCode::SUCCESS)
}
