//! `rhumb notify`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::client::encoded;
use super::table::Table;
use super::{Asking, Failed, Output, print, print_json, runtime};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show who is told what happens, and whether it arrives
    List(Asking),
    /// Send a test to one destination, or to all
    Test(Test),
}

#[derive(Args)]
struct Test {
    /// The destination; all of them without it
    name: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::List(asking) => list(asking),
        Action::Test(test) => run_test(test),
    }
}

fn list(Asking { endpoint, output }: Asking) -> Result<ExitCode, Failed> {
    let destinations: Value = runtime()?.block_on(endpoint.get("/v1/notifications"))?;
    match output {
        Output::Json => print_json(&destinations)?,
        Output::Text => print(&table(&destinations).render("nobody is told what happens"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(destinations: &Value) -> Table {
    let mut table =
        Table::new(&["NAME", "TYPE", "QUEUED", "DELIVERED", "FAILED", "DROPPED", "LAST", "ERROR"]);
    for destination in destinations.as_array().into_iter().flatten() {
        let cell = |name: &str| match &destination[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let names =
            ["name", "type", "queued", "delivered", "failed", "dropped", "last_delivered", "last_error"];
        table.push(names.map(cell));
    }
    table
}

fn run_test(Test { name, asking: Asking { endpoint, output } }: Test) -> Result<ExitCode, Failed> {
    let results = runtime()?.block_on(async {
        let names = match name {
            Some(name) => vec![name],
            None => {
                let destinations: Value = endpoint.get("/v1/notifications").await?;
                let names = destinations.as_array().into_iter().flatten();
                names.filter_map(|it| it["name"].as_str().map(str::to_owned)).collect()
            }
        };
        let mut results = Vec::new();
        for name in names {
            let path = format!("/v1/notifications/{}/test", encoded(&name));
            let (result, _) = endpoint.change(Method::POST, &path, None).await?;
            results.push((name, result));
        }
        Ok::<_, Failed>(results)
    })?;
    match output {
        Output::Json => {
            let shown: Vec<Value> = results
                .iter()
                .map(|(name, it)| json!({ "name": name, "delivered": it["delivered"], "error": it["error"] }))
                .collect();
            print_json(&shown)?;
        }
        Output::Text if results.is_empty() => print("nobody is told what happens\n")?,
        Output::Text => {
            for (name, result) in &results {
                match result["error"].as_str() {
                    None => print(&format!("{name}: delivered\n"))?,
                    Some(error) => print(&format!("{name}: not delivered: {error}\n"))?,
                }
            }
        }
    }
    let all_arrived = results.iter().all(|(_, result)| result["delivered"] == true);
    Ok(if all_arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
