//! `rhumb address`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::assignment::Assignments;
use super::edit::{self, Action as Change, Object};
use super::order::{self, How, path};
use super::status::address_line;
use super::table::Table;
use super::verbs::Changes;
use super::{Asking, Failed, Output, parsed, print, print_json, runtime};
use crate::control::{AddressStatus, HistoryStatus, PoolStatus, TransitionStatus};
use crate::plan::AddressState;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the addresses of all pools, or of one
    List(List),
    /// Show an address, and what the configuration says of it
    Show(Named),
    /// Add an address to a pool
    Add(Box<Add>),
    /// Change what the configuration says of an address
    Set(Box<Set>),
    /// Take an address out of its pool
    Remove(OfAddress),
    /// Give an address another weight; 0: it takes no traffic
    Weight(Weight),
    /// Give the address to no more clients, and let those that have it go on
    Drain(OfAddress),
    /// Count the address as down, whatever its check says
    Disable(OfAddress),
    /// Count the address as up, whatever its check says
    Force(OfAddress),
    /// Take an order back: the address's health decides again
    Enable(OfAddress),
    /// Show what the last probes of the address found
    History(Named),
}

#[derive(Args)]
struct List {
    /// The pool's name
    pool: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Which {
    /// The pool's name
    pool: String,
    /// The address's name within the pool
    address: String,
}

#[derive(Args)]
struct Named {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Add {
    #[command(flatten)]
    which: Which,
    /// The IP address that clients are given
    #[arg(long, conflicts_with_all = ["cname", "resolve"])]
    ip: Option<std::net::IpAddr>,
    /// The name that clients are given
    #[arg(long, value_name = "NAME", conflicts_with = "resolve")]
    cname: Option<String>,
    /// The name whose addresses clients are given
    #[arg(long, value_name = "NAME")]
    resolve: Option<String>,
    /// Where its check connects
    #[arg(long)]
    port: Option<u16>,
    /// Its weight among the addresses of the pool
    #[arg(long)]
    weight: Option<u16>,
    #[command(flatten)]
    rest: Assignments,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct Set {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Args)]
struct Weight {
    #[command(flatten)]
    which: Which,
    /// The weight
    weight: u16,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct OfAddress {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    how: How,
}

impl Which {
    fn object(&self) -> Object<'_> {
        Object::Address(&self.pool, &self.address)
    }
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let (state, OfAddress { which, how }) = match arguments.action {
        Action::List(which) => return list(&which),
        Action::Show(which) => return show(&which),
        Action::Add(new) => return add(*new),
        Action::Set(set) => return set.changes.carry_out(set.which.object()),
        Action::Remove(OfAddress { which, how }) => {
            return edit::carry_out(which.object(), &Change::Remove, how);
        }
        Action::Weight(Weight { which, weight, how }) => {
            let merge = Map::from_iter([("weight".to_owned(), json!(weight))]);
            return edit::carry_out(which.object(), &Change::Merge(merge), how);
        }
        Action::History(of) => return history(&of),
        Action::Drain(of) => (AddressState::Drain, of),
        Action::Disable(of) => (AddressState::Down, of),
        Action::Force(of) => (AddressState::Up, of),
        Action::Enable(of) => (AddressState::Auto, of),
    };
    order::give(&which.pool, Some(&which.address), state, how)
}

fn add(Add { which, ip, cname, resolve, port, weight, rest, how }: Add) -> Result<ExitCode, Failed> {
    let mut table = rest.table()?;
    let given = [
        ("ip", ip.map(|ip| json!(ip))),
        ("cname", cname.map(Value::String)),
        ("resolve", resolve.map(Value::String)),
        ("port", port.map(Value::from)),
        ("weight", weight.map(Value::from)),
    ];
    table.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    edit::carry_out(which.object(), &Change::Add(table), how)
}

fn list(List { pool, asking: Asking { endpoint, output } }: &List) -> Result<ExitCode, Failed> {
    let pools: Vec<Value> = runtime()?.block_on(async {
        match pool {
            Some(pool) => Ok(vec![endpoint.get(&path(pool, None)).await?]),
            None => endpoint.list("/v1/pools").await,
        }
    })?;
    if *output == Output::Json {
        let of = |pool: &Value| {
            let name = pool["name"].clone();
            let addresses = pool["addresses"].as_array().cloned().unwrap_or_default();
            addresses.into_iter().map(move |mut address| {
                address["pool"] = name.clone();
                address
            })
        };
        print_json(&pools.iter().flat_map(of).collect::<Vec<Value>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table =
        Table::new(&["POOL", "ADDRESS", "TARGET", "WEIGHT", "HEALTH", "STATE", "CLIENTS", "NOTE"]);
    for pool in pools {
        let pool: PoolStatus = parsed(pool)?;
        for address in pool.addresses {
            let clients = if address.available { "given" } else { "not given" }.to_owned();
            let note = note(&address);
            let AddressStatus { name, target, weight, health, state, .. } = address;
            table.push([pool.name.clone(), name, target, weight.to_string(), health, state, clients, note]);
        }
    }
    print(&table.render("there are no addresses"))?;
    Ok(ExitCode::SUCCESS)
}

/// The first thing to know of an address beyond its health.
fn note(address: &AddressStatus) -> String {
    let order = address.order.as_ref().and_then(|order| order.reason.clone());
    let failure = (address.health == "down").then(|| address.last_failure.clone()).flatten();
    order.or(failure).unwrap_or_default()
}

fn show(Named { which, asking: Asking { endpoint, output } }: &Named) -> Result<ExitCode, Failed> {
    let (Which { pool, address }, object) = (which, which.object());
    let (whole, own) = runtime()?.block_on(async {
        let whole: PoolStatus = endpoint.get(&path(pool, None)).await?;
        let own: Option<Value> = endpoint.find(&format!("/v1/{}", object.path())).await?;
        Ok::<_, Failed>((whole, own))
    })?;
    let found = whole.addresses.iter().find(|status| status.name == *address);
    if found.is_none() && own.is_none() {
        let told = object.told();
        return Err(Failed(format!(
            "error: there is no {told}\nhint: `rhumb address list {pool}` names them"
        )));
    }
    match output {
        Output::Json => match own {
            Some(own) => print_json(&own)?,
            None => print_json(&found)?,
        },
        Output::Text => {
            let mut text = format!("{}:", object.told());
            text += &found.map(|found| format!(" {}\n", address_line(found))).unwrap_or("\n".to_owned());
            text += &super::specified(own.as_ref());
            print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn history(Named { which, asking: Asking { endpoint, output } }: &Named) -> Result<ExitCode, Failed> {
    let path = format!("/v1/{}/history", which.object().path());
    let history: HistoryStatus = runtime()?.block_on(endpoint.get(&path))?;
    match output {
        Output::Text => print(&told(&history))?,
        Output::Json => print_json(&history)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One line for each change of the verdict, and one for each outcome.
fn told(history: &HistoryStatus) -> String {
    if history.outcomes.is_empty() && history.transitions.is_empty() {
        return "no probe of it has ended yet, or nothing watches it\n".to_owned();
    }
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
