//! `rhumb domain`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::edit::Kind;
use super::status::domain_line;
use super::table::Table;
use super::verbs::{Add, Named, One, Set};
use super::{Asking, Failed, Output, parsed, print, print_json, runtime, specified};
use crate::control::DomainStatus;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the domains
    List(Asking),
    /// Show a domain, and what the configuration says of it
    Show(Named),
    /// Add a domain
    Add(Box<Add>),
    /// Change what the configuration says of a domain
    Set(Box<Set>),
    /// Take a domain out of the configuration
    Remove(One),
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::List(asking) => list(&asking),
        Action::Show(which) => show(&which),
        Action::Add(new) => new.carry_out(Kind::Domain),
        Action::Set(set) => set.carry_out(Kind::Domain),
        Action::Remove(which) => which.remove(Kind::Domain),
    }
}

fn list(Asking { endpoint, output }: &Asking) -> Result<ExitCode, Failed> {
    let domains = runtime()?.block_on(endpoint.list("/v1/domains"))?;
    if *output == Output::Json {
        print_json(&domains)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["DOMAIN", "POLICY", "TTL", "POOLS"]);
    for domain in domains {
        let DomainStatus { name, policy, ttl, pools } = parsed(domain)?;
        table.push([name, policy, format!("{ttl} s"), pools.join(" ")]);
    }
    print(&table.render("there are no domains"))?;
    Ok(ExitCode::SUCCESS)
}

fn show(Named { name, asking: Asking { endpoint, output } }: &Named) -> Result<ExitCode, Failed> {
    let path = format!("/v1/{}", Kind::Domain.named(name).path());
    let value: Value = runtime()?.block_on(endpoint.get(&path))?;
    match output {
        Output::Json => print_json(&value)?,
        Output::Text => {
            let status: DomainStatus = parsed(value.clone())?;
            print(&format!("{}{}", domain_line(&status), specified(Some(&value))))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
