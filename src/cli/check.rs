//! `rhumb check`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Failed, Output, print, print_json};
use crate::config;

#[derive(Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { config: file, output } = arguments;
    let result = config::load(&file).and_then(|loaded| {
        loaded.check_files()?;
        Ok(loaded)
    });
    match (&result, output) {
        (Ok(loaded), Output::Text) => {
            let plan = &loaded.plan;
            let (zones, domains, pools) = (plan.zones.len(), plan.domains.len(), plan.pools.len());
            let file = file.display();
            print(&format!("{file}: good: {zones} zones, {domains} domains, {pools} pools\n"))?;
        }
        (Ok(_), Output::Json) => print_json(&json!({ "errors": [] }))?,
        (Err(diagnostics), Output::Text) => return Err(Failed(diagnostics.to_string())),
        (Err(diagnostics), Output::Json) => print_json(&json!({ "errors": diagnostics }))?,
    }
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
