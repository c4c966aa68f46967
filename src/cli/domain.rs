//! `rhumb domain`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::assignment::{self, Assignments};
use super::edit::{self, Action as Change, Object};
use super::order::How;
use super::status::domain_line;
use super::table::Table;
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
    Show(Show),
    /// Add a domain
    Add(Box<Add>),
    /// Change what the configuration says of a domain
    Set(Box<Set>),
    /// Take a domain out of the configuration
    Remove(OfDomain),
}

#[derive(Args)]
struct Show {
    /// The name that clients ask for
    domain: String,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Add {
    /// The name that clients ask for
    domain: String,
    #[command(flatten)]
    table: Assignments,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct Set {
    /// The name that clients ask for
    domain: String,
    #[command(flatten)]
    table: Assignments,
    /// Leave this out from now on
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct OfDomain {
    /// The name that clients ask for
    domain: String,
    #[command(flatten)]
    how: How,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::List(asking) => list(&asking),
        Action::Show(which) => show(&which),
        Action::Add(new) => {
            let Add { domain, table, how } = *new;
            edit::carry_out(Object::Domain(&domain), &Change::Add(table.table()?), how)
        }
        Action::Set(set) => {
            let Set { domain, table, unset, how } = *set;
            let merge = assignment::merge(table, &unset)?;
            edit::carry_out(Object::Domain(&domain), &Change::Merge(merge), how)
        }
        Action::Remove(OfDomain { domain, how }) => {
            edit::carry_out(Object::Domain(&domain), &Change::Remove, how)
        }
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

fn show(Show { domain, asking: Asking { endpoint, output } }: &Show) -> Result<ExitCode, Failed> {
    let path = format!("/v1/{}", Object::Domain(domain).path());
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
