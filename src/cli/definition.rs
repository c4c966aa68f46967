//! `rhumb health-check` and `rhumb condition`: what the configuration defines for pools to name

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::edit::Kind;
use super::table::Table;
use super::verbs::{Add, Named, One, Set};
use super::{Asking, Failed, Output, assignment, parsed, print, print_json, runtime, specified};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List those there are
    List(Asking),
    /// Show what the configuration says of one
    Show(Named),
    /// Add one
    Add(Box<Add>),
    /// Change what the configuration says of one
    Set(Box<Set>),
    /// Take one out of the configuration
    Remove(One),
}

/// One of a list, as the API has it.
#[derive(Deserialize)]
struct Listed {
    name: String,
    specification: Map<String, Value>,
    edits: Vec<u64>,
}

pub(super) fn run(kind: Kind, arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::List(asking) => list(kind, &asking),
        Action::Show(which) => show(kind, &which),
        Action::Add(new) => new.carry_out(kind),
        Action::Set(set) => set.carry_out(kind),
        Action::Remove(which) => which.remove(kind),
    }
}

fn list(kind: Kind, Asking { endpoint, output }: &Asking) -> Result<ExitCode, Failed> {
    let found = runtime()?.block_on(endpoint.list(&format!("/v1/{}", kind.path())))?;
    if *output == Output::Json {
        print_json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["NAME", "SPECIFICATION", "EDITS"]);
    for one in found {
        let Listed { name, specification, edits } = parsed(one)?;
        let edits: Vec<String> = edits.iter().map(ToString::to_string).collect();
        table.push([name, assignment::line(&specification), edits.join(" ")]);
    }
    print(&table.render(&format!("there are no {}s", kind.word())))?;
    Ok(ExitCode::SUCCESS)
}

fn show(kind: Kind, Named { name, asking: Asking { endpoint, output } }: &Named) -> Result<ExitCode, Failed> {
    let object = kind.named(name);
    let value: Value = runtime()?.block_on(endpoint.get(&format!("/v1/{}", object.path())))?;
    match output {
        Output::Json => print_json(&value)?,
        Output::Text => print(&format!("{}:{}", object.told(), specified(Some(&value))))?,
    }
    Ok(ExitCode::SUCCESS)
}
