//! `rhumb record`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::assignment::value_of;
use super::client::{Endpoint, Precondition, encoded};
use super::edit::{self, Action as Change, Object};
use super::order::How;
use super::table::Table;
use super::{Asking, Failed, Output, parsed, print, print_json, runtime, specified};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the records that the configuration writes itself, of all zones or of one
    List(List),
    /// Show the records of a name and type
    Show(Show),
    /// Add records to those of a name and type
    Add(Box<Records>),
    /// Put records in the place of those of a name and type
    Set(Box<Records>),
    /// Take records of a name and type out of the configuration
    Remove(Box<Remove>),
}

#[derive(Args)]
struct List {
    /// The zone's name
    zone: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Which {
    /// The zone's name
    zone: String,
    /// The records' name, relative to the zone; `@` is the zone's own
    name: String,
    /// Their type, such as A or TXT
    #[arg(value_name = "TYPE")]
    rtype: String,
}

#[derive(Args)]
struct Show {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Records {
    #[command(flatten)]
    which: Which,
    /// What each of them says, as in a zone file
    #[arg(required = true)]
    data: Vec<String>,
    /// The TTL of all of them, as in 300 or 1h; the zone's unless said
    #[arg(long, value_name = "SPAN", value_parser = value_of)]
    ttl: Option<Value>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct Remove {
    #[command(flatten)]
    which: Which,
    /// What those say that are taken out; all of that name and type unless said
    data: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// Records of a name and type, as the API lists them.
#[derive(Deserialize)]
struct Listed {
    object: String,
    specification: Map<String, Value>,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::List(which) => list(&which),
        Action::Show(which) => show(&which),
        Action::Add(new) => add(*new),
        Action::Set(set) => {
            let Records { which, data, ttl, how } = *set;
            edit::carry_out(which.object(), &Change::Put(table(data, ttl)), how)
        }
        Action::Remove(which) => remove(*which),
    }
}

impl Which {
    fn object(&self) -> Object<'_> {
        Object::Records { zone: &self.zone, owner: &self.name, rtype: &self.rtype }
    }
}

fn list(List { zone, asking: Asking { endpoint, output } }: &List) -> Result<ExitCode, Failed> {
    let records: Vec<Value> = runtime()?.block_on(async {
        let zones: Vec<Value> = match zone {
            Some(zone) => vec![json!({ "name": zone })],
            None => endpoint.get("/v1/zones").await?,
        };
        let mut records = Vec::new();
        for zone in &zones {
            let zone = encoded(zone["name"].as_str().unwrap_or_default());
            records.extend(endpoint.list(&format!("/v1/zones/{zone}/records")).await?);
        }
        Ok::<_, Failed>(records)
    })?;
    if *output == Output::Json {
        print_json(&records)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["ZONE", "NAME", "TYPE", "TTL", "DATA"]);
    for record in records {
        let Listed { object, specification } = parsed(record)?;
        let segments = object.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy());
        let [_, zone, _, name, rtype] = &segments.collect::<Vec<_>>()[..] else { continue };
        let ttl = specification.get("ttl").map(text).unwrap_or_default();
        for data in data_of(&specification) {
            table.push([zone.to_string(), name.to_string(), rtype.to_string(), ttl.clone(), data]);
        }
    }
    print(&table.render("the configuration has no records but those of zone files"))?;
    Ok(ExitCode::SUCCESS)
}

fn show(Show { which, asking: Asking { endpoint, output } }: &Show) -> Result<ExitCode, Failed> {
    let object = which.object();
    let value: Value = runtime()?.block_on(endpoint.get(&format!("/v1/{}", object.path())))?;
    match output {
        Output::Json => print_json(&value)?,
        Output::Text => print(&format!("{}:{}", object.told(), specified(Some(&value))))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(Records { which, data, ttl, how }: Records) -> Result<ExitCode, Failed> {
    let object = which.object();
    let Some(Found { data: mut all, seen }) = find(object, &how.endpoint)? else {
        let absent = Precondition::IfNoneMatch;
        return edit::carry_out_if(object, &Change::Put(table(data, ttl)), Some(&absent), how);
    };
    if let Some(known) = data.iter().find(|one| all.contains(one)) {
        let told = object.told();
        return Err(Failed(format!(
            "error: {told}: `{known}` is there already\nhint: `set` puts others in the place of all"
        )));
    }
    all.extend(data);
    edit::carry_out_if(object, &Change::Merge(table(all, ttl)), seen.as_ref(), how)
}

fn remove(Remove { which, data, how }: Remove) -> Result<ExitCode, Failed> {
    let object = which.object();
    if data.is_empty() {
        return edit::carry_out(object, &Change::Remove, how);
    }
    let Found { data: mut left, seen } = find(object, &how.endpoint)?.unwrap_or_default();
    if let Some(unknown) = data.iter().find(|one| !left.contains(one)) {
        let (told, zone) = (object.told(), &which.zone);
        return Err(Failed(format!(
            "error: {told}: there is no `{unknown}`\nhint: `rhumb record list {zone}` prints those there are"
        )));
    }
    left.retain(|one| !data.contains(one));
    let change = if left.is_empty() { Change::Remove } else { Change::Merge(table(left, None)) };
    edit::carry_out_if(object, &change, seen.as_ref(), how)
}

/// Records as they are there.
#[derive(Default)]
struct Found {
    /// What each of them says.
    data: Vec<String>,
    /// What is to be so still when they are changed.
    seen: Option<Precondition>,
}

fn find(object: Object<'_>, endpoint: &Endpoint) -> Result<Option<Found>, Failed> {
    let path = format!("/v1/{}", object.path());
    let found = runtime()?.block_on(endpoint.find_tagged::<Value>(&path))?;
    Ok(found.map(|(value, tag)| {
        let data = value["specification"].as_object().map(data_of).unwrap_or_default();
        Found { data, seen: tag.map(Precondition::IfMatch) }
    }))
}

fn table(data: Vec<String>, ttl: Option<Value>) -> Map<String, Value> {
    let mut table = Map::from_iter([("data".to_owned(), json!(data))]);
    table.extend(ttl.map(|ttl| ("ttl".to_owned(), ttl)));
    table
}

/// What each of the records says.
fn data_of(specification: &Map<String, Value>) -> Vec<String> {
    match specification.get("data") {
        Some(Value::Array(list)) => list.iter().map(text).collect(),
        Some(one) => vec![text(one)],
        None => Vec::new(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
