//! How changes are asked for, and what `rhumb address` and `rhumb pool` order

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::client::{Endpoint, encoded};
use super::edit::{self, Action, Kind, Object};
use super::{Failed, Output};
use crate::plan::AddressState;

/// How a change is asked for.
#[derive(Args)]
pub(super) struct How {
    /// Why, for whoever looks at it later
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// How long it stands, as in 30s or 2h; until it is taken back unless said
    #[arg(long = "for", value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub(super) lasts: Option<Duration>,
    /// Change nothing, and tell which clients of which domains would get another answer
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

impl How {
    /// How long it stands, as the API has it.
    pub(super) fn expires(&self) -> Option<String> {
        self.lasts.map(|lasts| humantime::format_duration(lasts).to_string())
    }

    /// The reason and the end as the query of a URI.
    pub(super) fn query(&self) -> String {
        let (reason, expires) = (self.reason.clone(), self.expires());
        let parts = [("reason", reason), ("expires", expires)].into_iter();
        let parts = parts.filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// Gives an order for an address, or for a whole pool, and prints the pool as it is then.
pub(super) fn give(
    pool: &str,
    address: Option<&str>,
    state: AddressState,
    how: How,
) -> Result<ExitCode, Failed> {
    let object = address.map_or(Kind::Pool.named(pool), |address| Object::Address(pool, address));
    edit::carry_out(object, &Action::Order(state), how)
}

/// Where an address or a pool is found.
pub(super) fn path(pool: &str, address: Option<&str>) -> String {
    let object = address.map_or(Kind::Pool.named(pool), |address| Object::Address(pool, address));
    format!("/v1/{}", object.path())
}
