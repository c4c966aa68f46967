//! `rhumb pool`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::assignment::{self, Assignments};
use super::edit::{self, Action as Change, Object};
use super::order::{self, How};
use super::status::Overview;
use super::table::Table;
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
    Show(Show),
    /// Add a pool
    Add(Box<Add>),
    /// Change what the configuration says of a pool
    Set(Box<Set>),
    /// Take a pool out of the configuration
    Remove(OfPool),
    /// Let a pool come back that is held, or awaits its release
    Release(Show),
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
struct Show {
    /// The pool's name
    pool: String,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Add {
    /// The pool's name
    pool: String,
    #[command(flatten)]
    table: Assignments,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct Set {
    /// The pool's name
    pool: String,
    #[command(flatten)]
    table: Assignments,
    /// Leave this out from now on
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct OfPool {
    /// The pool's name
    pool: String,
    #[command(flatten)]
    how: How,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let (state, OfPool { pool, how }) = match arguments.action {
        Action::List(asking) => return list(&asking),
        Action::Show(which) => return show(&which),
        Action::Add(new) => {
            let Add { pool, table, how } = *new;
            return edit::carry_out(Object::Pool(&pool), &Change::Add(table.table()?), how);
        }
        Action::Set(set) => {
            let Set { pool, table, unset, how } = *set;
            let merge = assignment::merge(table, &unset)?;
            return edit::carry_out(Object::Pool(&pool), &Change::Merge(merge), how);
        }
        Action::Remove(OfPool { pool, how }) => {
            return edit::carry_out(Object::Pool(&pool), &Change::Remove, how);
        }
        Action::Release(which) => return release(&which),
        Action::Drain(of) => (AddressState::Drain, of),
        Action::Disable(of) => (AddressState::Down, of),
        Action::Force(of) => (AddressState::Up, of),
        Action::Enable(of) => (AddressState::Auto, of),
    };
    order::give(&pool, None, state, how)
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

fn show(Show { pool, asking: Asking { endpoint, output } }: &Show) -> Result<ExitCode, Failed> {
    let value: Value = runtime()?.block_on(endpoint.get(&order::path(pool, None)))?;
    match output {
        Output::Json => print_json(&value)?,
        Output::Text => {
            let status: PoolStatus = parsed(value.clone())?;
            print(&format!("{}{}", Overview(&status), specified(Some(&value))))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn release(Show { pool, asking: Asking { endpoint, output } }: &Show) -> Result<ExitCode, Failed> {
    let path = order::path(pool, None) + "/release";
    let (value, _) = runtime()?.block_on(endpoint.change(Method::POST, &path, None))?;
    match output {
        Output::Text => print(&Overview(&parsed(value)?).to_string())?,
        Output::Json => print_json(&value)?,
    }
    Ok(ExitCode::SUCCESS)
}
