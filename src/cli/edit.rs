//! Edits of the configuration by the admin API, and what they would move.

use std::process::ExitCode;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Endpoint, Precondition, encoded};
use super::order::How;
use super::paint::{Tone, paint};
use super::table::Table;
use super::{Failed, Output, print, print_json, runtime, specified};
use crate::control::{DomainStatus, PoolStatus};
use crate::plan::AddressState;
use crate::routing::{AddressExplained, Explanation, Move, MovedClient};

/// What has a name of its own in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pool,
    Domain,
    HealthCheck,
    Condition,
}

impl Kind {
    /// The one of this name.
    pub(super) fn named(self, name: &str) -> Object<'_> {
        Object::Named(self, name)
    }

    /// Where all of them are, below `/v1/`.
    pub(super) fn path(self) -> &'static str {
        match self {
            Kind::Pool => "pools",
            Kind::Domain => "domains",
            Kind::HealthCheck => "health_checks",
            Kind::Condition => "conditions",
        }
    }

    /// What one is called.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Pool => "pool",
            Kind::Domain => "domain",
            Kind::HealthCheck => "health check",
            Kind::Condition => "condition",
        }
    }
}

/// Something of the configuration that can be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object<'n> {
    Named(Kind, &'n str),
    /// Of this pool, the address of this name.
    Address(&'n str, &'n str),
    /// All records of that name and type.
    Records {
        zone: &'n str,
        owner: &'n str,
        rtype: &'n str,
    },
}

impl Object<'_> {
    /// Its path below `/v1/`, by which the API names it.
    pub(super) fn path(self) -> String {
        match self {
            Object::Named(kind, name) => format!("{}/{}", kind.path(), encoded(name)),
            Object::Address(pool, address) => {
                format!("pools/{}/addresses/{}", encoded(pool), encoded(address))
            }
            Object::Records { zone, owner, rtype } => {
                format!("zones/{}/records/{}/{}", encoded(zone), encoded(owner), encoded(rtype))
            }
        }
    }

    /// In words.
    pub(super) fn told(self) -> String {
        match self {
            Object::Named(kind, name) => format!("{} {name}", kind.word()),
            Object::Address(pool, address) => format!("address {address} of pool {pool}"),
            Object::Records { zone, owner, rtype } => format!("records {owner} {rtype} of zone {zone}"),
        }
    }
}

/// What is done to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// It is made, and must not be there yet.
    Add(Map<String, Value>),
    /// It becomes this, whether it is there or not.
    Put(Map<String, Value>),
    /// What is named of it becomes another, or null: is left out (RFC 7396).
    Merge(Map<String, Value>),
    Remove,
    /// What is ordered of it, whatever its health.
    Order(AddressState),
}

impl Action {
    /// As a transaction has it.
    fn in_transaction(&self, object: Object<'_>) -> Value {
        let object = object.path();
        match self {
            Action::Add(table) | Action::Put(table) => json!({ "object": object, "put": table }),
            Action::Merge(table) => json!({ "object": object, "merge": table }),
            Action::Remove => json!({ "object": object, "remove": true }),
            Action::Order(state) => json!({ "object": object, "state": state.to_string() }),
        }
    }
}

/// Carries it out, or tells what it would move, as `how` says; and shows the object as it is then.
pub(super) fn carry_out(object: Object<'_>, action: &Action, how: How) -> Result<ExitCode, Failed> {
    carry_out_if(object, action, None, how)
}

/// The same, if that is so of the object when it comes to it.
pub(super) fn carry_out_if(
    object: Object<'_>,
    action: &Action,
    precondition: Option<&Precondition>,
    how: How,
) -> Result<ExitCode, Failed> {
    runtime()?.block_on(async {
        if let Action::Add(_) = action {
            expect_absent(object, &how.endpoint).await?;
        }
        if how.dry_run {
            return rehearse(object, action, &how).await;
        }
        let (value, edit) = ask(object, action, precondition, &how).await?;
        match how.output {
            Output::Json => print_json(&with_edit(value, edit))?,
            Output::Text => {
                if *action == Action::Remove {
                    print(&format!("removed {}\n", object.told()))?;
                } else {
                    print(&shown(object, &how.endpoint).await?)?;
                }
                if let Some(edit) = edit {
                    let back = format!("edit {edit}: `rhumb edits revert {edit}` takes it back");
                    print(&format!("{}\n", paint(Tone::Faint, back)))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Refuses to add what is there: a PUT would take its place, and so would a transaction, which is what a dry run is.
async fn expect_absent(object: Object<'_>, endpoint: &Endpoint) -> Result<(), Failed> {
    if endpoint.find::<Value>(&format!("/v1/{}", object.path())).await?.is_none() {
        return Ok(());
    }
    let told = object.told();
    Err(Failed(format!("error: {told} is there already\nhint: `set` changes it, `remove` takes it away")))
}

async fn ask(
    object: Object<'_>,
    action: &Action,
    mut precondition: Option<&Precondition>,
    how: &How,
) -> Result<(Value, Option<String>), Failed> {
    let path = format!("/v1/{}", object.path());
    let (method, path, content) = match action {
        Action::Add(table) => match object {
            Object::Address(pool, name) => {
                let mut table = table.clone();
                table.insert("name".to_owned(), name.into());
                let path = format!("/v1/{}/addresses", Kind::Pool.named(pool).path());
                (Method::POST, path, Some(Value::Object(table)))
            }
            _ => {
                precondition = Some(&Precondition::IfNoneMatch);
                (Method::PUT, path, Some(Value::Object(table.clone())))
            }
        },
        Action::Put(table) => (Method::PUT, path, Some(Value::Object(table.clone()))),
        Action::Merge(table) => (Method::PATCH, path, Some(Value::Object(table.clone()))),
        Action::Remove => (Method::DELETE, path, None),
        Action::Order(state) => {
            let expires = how.expires();
            let order = json!({ "state": state.to_string(), "reason": how.reason, "expires": expires });
            return how.endpoint.change(Method::PATCH, &path, Some(&order)).await;
        }
    };
    how.endpoint.change_if(method, &(path + &how.query()), content.as_ref(), precondition).await
}

/// What was answered, with the number of the edit where there is place for it.
fn with_edit(value: Value, edit: Option<String>) -> Value {
    let number =
        || edit.as_deref().map_or(Value::Null, |edit| edit.parse::<u64>().map_or(edit.into(), Value::from));
    match value {
        Value::Null => json!({ "edit": number() }),
        other => other,
    }
}

/// The object as it is now; of an address its pool.
async fn shown(object: Object<'_>, endpoint: &Endpoint) -> Result<String, Failed> {
    match object {
        Object::Named(Kind::Pool, pool) | Object::Address(pool, _) => {
            let path = format!("/v1/{}", Kind::Pool.named(pool).path());
            let pool: PoolStatus = endpoint.get(&path).await?;
            Ok(super::status::Overview(&pool).to_string())
        }
        Object::Named(Kind::Domain, _) => {
            let domain: DomainStatus = endpoint.get(&format!("/v1/{}", object.path())).await?;
            Ok(super::status::domain_line(&domain))
        }
        Object::Named(Kind::HealthCheck | Kind::Condition, _) | Object::Records { .. } => {
            let value: Value = endpoint.get(&format!("/v1/{}", object.path())).await?;
            Ok(format!("{}:{}", object.told(), specified(Some(&value))))
        }
    }
}

/// What a transaction would move.
#[derive(Deserialize)]
struct Rehearsal {
    moves: Vec<Move>,
}

async fn rehearse(object: Object<'_>, action: &Action, how: &How) -> Result<ExitCode, Failed> {
    let transaction = json!({
        "reason": how.reason, "expires": how.expires(), "edits": [action.in_transaction(object)],
    });
    let path = "/v1/transactions?dry_run=true";
    let (answer, _) = how.endpoint.change(Method::POST, path, Some(&transaction)).await?;
    match how.output {
        Output::Json => print_json(&answer)?,
        Output::Text => {
            let rehearsal: Rehearsal = serde_json::from_value(answer).map_err(Failed::new)?;
            print(&told(object, &rehearsal))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A headline for each domain, and a row for each client that moves.
fn told(object: Object<'_>, rehearsal: &Rehearsal) -> String {
    let mut text = String::new();
    for Move { domain, rtype, asked, moved, clients } in &rehearsal.moves {
        let (countries, get) = if *asked == 1 { ("country", "gets") } else { ("countries", "get") };
        text += &format!("{domain} {rtype}: {moved} of {asked} {countries} {get} another answer\n");
        let mut table = Table::new(&["COUNTRY", "CLIENT", "NOW", "THEN"]);
        for MovedClient { country, client, before, after } in clients {
            let [mut now, mut then] = [before, after].map(|explanation| destination(explanation, false));
            if now == then {
                // It is what each takes of the clients that is another.
                [now, then] = [before, after].map(|explanation| destination(explanation, true));
            }
            table.push([country.clone(), client.to_string(), now, then]);
        }
        text += &table.render("  none of them is told one by one");
        if clients.len() < *moved && !clients.is_empty() {
            text += &format!("  and {} more\n", moved - clients.len());
        }
    }
    let nothing = match object {
        _ if !text.is_empty() => "",
        // Records are no domain's, of whose clients alone it is told; what a check finds is not known before.
        Object::Records { .. } | Object::Named(Kind::HealthCheck | Kind::Condition, _) => {
            "it would be accepted; "
        }
        _ => "no answer would be another; ",
    };
    text + nothing + "nothing was changed\n"
}

/// The pool that gives the addresses, and those, with their weights or without; or why there are none.
fn destination(explanation: &Explanation, has_weights: bool) -> String {
    let last = explanation.decisions.iter().rev().find_map(|decision| {
        let address = |address: &AddressExplained| match has_weights {
            true => format!("{} ({})", address.target, address.weight),
            false => address.target.clone(),
        };
        let addresses: Vec<String> = decision.addresses.iter().map(address).collect();
        Some((decision.pool.as_deref()?, addresses.join(" ")))
    });
    match last {
        Some((pool, addresses)) if addresses.is_empty() => pool.to_owned(),
        Some((pool, addresses)) => format!("{pool}: {addresses}"),
        None => explanation.rcode.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_the_api_names_them() {
        assert_eq!(Object::Address("a b", "x/1").path(), "pools/a%20b/addresses/x%2F1");
        assert_eq!(Kind::Domain.named("*.example.com").path(), "domains/%2A.example.com");
        let records = Object::Records { zone: "a.example", owner: "@", rtype: "TXT" };
        assert_eq!(records.path(), "zones/a.example/records/%40/TXT");
    }

    #[test]
    fn a_rehearsal_says_who_moves_and_where() {
        let explanation = |pool: &str, ip: &str, weight: u16| {
            json!({ "name": "a.example", "type": "A", "client": "14.160.0.1", "place": null, "rcode": "NOERROR",
                "answer": [], "scope": 24, "decisions": [{ "domain": "a.example", "choices": [], "all_down": null,
                "pool": pool, "reason": null, "shortened_ttl": null, "addresses": [{ "name": "1", "target": ip,
                "weight": weight, "share": 1.0, "up": true }] }] })
        };
        let answer = json!({ "moves": [{ "domain": "a.example", "type": "A", "asked": 240, "moved": 5, "clients": [
            { "country": "VN", "client": "14.160.0.1", "before": explanation("vn", "192.0.2.1", 1),
              "after": explanation("hk", "192.0.2.2", 1) },
            { "country": "TH", "client": "14.160.0.1", "before": explanation("vn", "192.0.2.1", 1),
              "after": explanation("vn", "192.0.2.1", 5) }] }] });
        let rehearsal: Rehearsal = serde_json::from_value(answer).expect("it is one");
        assert_eq!(
            told(Kind::Pool.named("vn"), &rehearsal),
            "a.example A: 5 of 240 countries get another answer\n\
             COUNTRY  CLIENT      NOW                THEN\n\
             VN       14.160.0.1  vn: 192.0.2.1      hk: 192.0.2.2\n\
             TH       14.160.0.1  vn: 192.0.2.1 (1)  vn: 192.0.2.1 (5)\n\
             \x20 and 3 more\n\
             nothing was changed\n"
        );
        let nothing = Rehearsal { moves: Vec::new() };
        assert!(told(Kind::Pool.named("vn"), &nothing).starts_with("no answer would be another"));
        assert!(told(Kind::Condition.named("db"), &nothing).starts_with("it would be accepted"));
    }
}
