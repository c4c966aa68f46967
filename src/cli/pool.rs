//! `rhumb pool`

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::client::{Endpoint, encoded};
use super::order;
use super::status::Overview;
use super::{Failed, Output, print, print_json, runtime};
use crate::control::PoolStatus;
use crate::plan::AddressState;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Let a pool come back that is held, or awaits its release
    Release(Release),
    /// Give the pool's addresses to no more clients, and let those that have them go on
    Drain(OfPool),
    /// Count the pool's addresses as down, whatever their check says
    Disable(OfPool),
    /// Count the pool's addresses as up, whatever their check says
    Force(OfPool),
    /// Take an order back: health decides again
    Enable(OfPool),
}

#[derive(Args)]
struct OfPool {
    /// The pool's name
    pool: String,
    #[command(flatten)]
    how: order::How,
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
    let (state, OfPool { pool, how }) = match arguments.action {
        Action::Release(release) => return run_release(release),
        Action::Drain(of) => (AddressState::Drain, of),
        Action::Disable(of) => (AddressState::Down, of),
        Action::Force(of) => (AddressState::Up, of),
        Action::Enable(of) => (AddressState::Auto, of),
    };
    order::give(&pool, None, state, how)
}

fn run_release(release: Release) -> Result<ExitCode, Failed> {
    let Release { pool, endpoint, output } = release;
    let path = format!("/v1/pools/{}/release", encoded(&pool));
    let pool: PoolStatus = runtime()?.block_on(endpoint.post(&path))?;
    match output {
        Output::Text => print(&Overview(&pool).to_string())?,
        Output::Json => print_json(&pool)?,
    }
    Ok(ExitCode::SUCCESS)
}
