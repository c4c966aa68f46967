//! `rhumb pool`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::edit::Kind;
use super::order;
use super::status::Overview;
use super::table::Table;
use super::verbs::{Add, Named, One, Set};
use super::{Asking, Failed, Output, parsed, print, print_json, runtime, specified};
use crate::control::PoolStatus;
use crate::plan::AddressState;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the pools
    List(Asking),
    /// Show a pool, and what the configuration says of it
    Show(Named),
    /// Add a pool
    Add(Box<Add>),
    /// Change what the configuration says of a pool
    Set(Box<Set>),
    /// Take a pool out of the configuration
    Remove(One),
    /// Let a pool come back that is held, or awaits its release
    Release(Named),
    /// Give the pool's addresses to no more clients, and let those that have them go on
    Drain(One),
    /// Count the pool's addresses as down, whatever their check says
    Disable(One),
    /// Count the pool's addresses as up, whatever their check says
    Force(One),
    /// Take an order back: health decides again
    Enable(One),
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let (state, One { name, how }) = match arguments.action {
        Action::List(asking) => return list(&asking),
        Action::Show(which) => return show(&which),
        Action::Add(new) => return new.carry_out(Kind::Pool),
        Action::Set(set) => return set.carry_out(Kind::Pool),
        Action::Remove(which) => return which.remove(Kind::Pool),
        Action::Release(which) => return release(&which),
        Action::Drain(of) => (AddressState::Drain, of),
        Action::Disable(of) => (AddressState::Down, of),
        Action::Force(of) => (AddressState::Up, of),
        Action::Enable(of) => (AddressState::Auto, of),
    };
    order::give(&name, None, state, how)
}

fn list(Asking { endpoint, output }: &Asking) -> Result<ExitCode, Failed> {
    let pools = runtime()?.block_on(endpoint.list("/v1/pools"))?;
    if *output == Output::Json {
        print_json(&pools)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["POOL", "POLICY", "STANDING", "AVAILABLE", "STATE", "WHY"]);
    for pool in pools {
        let pool: PoolStatus = parsed(pool)?;
        let available = format!("{} of {}", pool.available, pool.addresses.len());
        let state = pool.order.as_ref().map_or("auto", |order| &order.state).to_owned();
        let why = if pool.standing == "in-service" { String::new() } else { pool.reason };
        let why = pool.order.and_then(|order| order.reason).unwrap_or(why);
        table.push([pool.name, pool.policy, pool.standing, available, state, why]);
    }
    print(&table.render("there are no pools"))?;
    Ok(ExitCode::SUCCESS)
}

fn show(Named { name, asking: Asking { endpoint, output } }: &Named) -> Result<ExitCode, Failed> {
    let value: Value = runtime()?.block_on(endpoint.get(&order::path(name, None)))?;
    match output {
        Output::Json => print_json(&value)?,
        Output::Text => {
            let status: PoolStatus = parsed(value.clone())?;
            print(&format!("{}{}", Overview(&status), specified(Some(&value))))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn release(Named { name, asking: Asking { endpoint, output } }: &Named) -> Result<ExitCode, Failed> {
    let path = order::path(name, None) + "/release";
    let (value, _) = runtime()?.block_on(endpoint.change(Method::POST, &path, None))?;
    match output {
        Output::Text => print(&Overview(&parsed(value)?).to_string())?,
        Output::Json => print_json(&value)?,
    }
    Ok(ExitCode::SUCCESS)
}
