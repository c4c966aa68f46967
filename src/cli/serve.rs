//! `rhumb serve`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Beginning, Daemon, Failed, clock, runtime};
use crate::config;

#[derive(Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Start without the edits that were made by API, and put their file aside
    #[arg(long)]
    ignore_edits: bool,
    /// Take over from the daemon that runs with the same `state_dir`, without losing a query; if there is
    /// none, start like any other
    #[arg(long)]
    takeover: bool,
}

pub(super) fn run<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { config: file, ignore_edits, takeover } = arguments;
    let read_from = Some(clock::now());
    let loaded = config::load(&file).map_err(|diagnostics| Failed(diagnostics.to_string()))?;
    runtime()?
        .block_on(D::serve(loaded, &file, Beginning { ignore_edits, takeover, read_from }))
        .map_err(Failed::new)?;
    Ok(ExitCode::SUCCESS)
}
