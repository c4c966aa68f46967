//! `rhumb address`, and what `rhumb pool` orders

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Endpoint, encoded};
use super::status::Overview;
use super::{Failed, Output, print, print_json, runtime};
use crate::control::{HistoryStatus, PoolStatus, TransitionStatus};
use crate::plan::AddressState;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Give the address to no more clients, and let those that have it go on
    Drain(OfAddress),
    /// Count the address as down, whatever its check says
    Disable(OfAddress),
    /// Count the address as up, whatever its check says
    Force(OfAddress),
    /// Take an order back: the address's health decides again
    Enable(OfAddress),
    /// Show what the last probes of the address found
    History(OfHistory),
}

#[derive(Args)]
struct OfHistory {
    /// The pool's name
    pool: String,
    /// The address's name within the pool
    address: String,
    #[command(flatten)]
    endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Args)]
struct OfAddress {
    /// The pool's name
    pool: String,
    /// The address's name within the pool
    address: String,
    #[command(flatten)]
    how: How,
}

/// How an order is given.
#[derive(Args)]
pub(super) struct How {
    /// Why, for whoever looks at the status
    #[arg(long)]
    reason: Option<String>,
    /// How long the order stands, as in 30s or 2h; until it is taken back unless said
    #[arg(long = "for", value_name = "SPAN", value_parser = humantime::parse_duration)]
    lasts: Option<Duration>,
    #[command(flatten)]
    endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let (state, OfAddress { pool, address, how }) = match arguments.action {
        Action::Drain(of) => (AddressState::Drain, of),
        Action::Disable(of) => (AddressState::Down, of),
        Action::Force(of) => (AddressState::Up, of),
        Action::Enable(of) => (AddressState::Auto, of),
        Action::History(of) => return history(of),
    };
    give(&pool, Some(&address), state, how)
}

/// Gives an order for an address, or for a whole pool, and prints the pool as it is then.
pub(super) fn give(
    pool: &str,
    address: Option<&str>,
    state: AddressState,
    how: How,
) -> Result<ExitCode, Failed> {
    let How { reason, lasts, endpoint, output } = how;
    let expires = lasts.map(|lasts| humantime::format_duration(lasts).to_string());
    let order = json!({ "state": state.to_string(), "reason": reason, "expires": expires });
    let pool: PoolStatus = runtime()?.block_on(async {
        let _: serde_json::Value = endpoint.patch(&path(pool, address), &order).await?;
        endpoint.get(&path(pool, None)).await
    })?;
    match output {
        Output::Text => print(&Overview(&pool).to_string())?,
        Output::Json => print_json(&pool)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn history(OfHistory { pool, address, endpoint, output }: OfHistory) -> Result<ExitCode, Failed> {
    let path = format!("{}/history", path(&pool, Some(&address)));
    let history: HistoryStatus = runtime()?.block_on(endpoint.get(&path))?;
    match output {
        Output::Text => print(&told(&history))?,
        Output::Json => print_json(&history)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One line for each change of the verdict, and one for each outcome.
fn told(history: &HistoryStatus) -> String {
    let mut text = String::new();
    for TransitionStatus { seconds_ago, to, reason } in &history.transitions {
        text += &format!("{seconds_ago:>9.3} s ago  turned {to}: {reason}\n");
    }
    for probe in &history.outcomes {
        let phases = [
            ("resolve", probe.resolve_ms),
            ("connect", probe.connect_ms),
            ("TLS", probe.tls_ms),
            ("first octet", probe.first_byte_ms),
        ];
        let phases: String = phases
            .into_iter()
            .filter_map(|(phase, took)| Some(format!(", {phase} {:.1} ms", took?)))
            .collect();
        let words = probe.reason.as_deref().unwrap_or("passed");
        text +=
            &format!("{:>9.3} s ago  {words}, after {:.1} ms{phases}\n", probe.seconds_ago, probe.took_ms);
    }
    text
}

/// Where an address or a pool is found.
pub(super) fn path(pool: &str, address: Option<&str>) -> String {
    let of_address = address.map(|address| format!("/addresses/{}", encoded(address)));
    format!("/v1/pools/{}{}", encoded(pool), of_address.unwrap_or_default())
}
