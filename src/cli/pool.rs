//! `rhumb pool`

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::client::{Endpoint, encoded};
use super::status::Overview;
use super::{Failed, Output, print, print_json, runtime};
use crate::control::PoolStatus;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Let a pool come back that is held, or awaits its release
    Release(Release),
}

#[derive(Args)]
struct Release {
    /// The pool's name
    pool: String,
    #[command(flatten)]
    endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Action::Release(Release { pool, endpoint, output }) = arguments.action;
    let path = format!("/v1/pools/{}/release", encoded(&pool));
    let pool: PoolStatus = runtime()?.block_on(endpoint.post(&path))?;
    match output {
        Output::Text => print(&Overview(&pool).to_string())?,
        Output::Json => print_json(&pool)?,
    }
    Ok(ExitCode::SUCCESS)
}
