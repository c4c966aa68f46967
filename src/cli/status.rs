//! `rhumb status`

use std::fmt::{self, Display};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::assignment;
use super::edits::Edits;
use super::paint::{Tone, paint, painted};
use super::{Asking, Failed, Output, parsed, print, print_json, runtime};
use crate::control::{
    AddressStatus, AwayStatus, DampedStatus, DomainStatus, IsolatedStatus, NameStatus, OrderStatus,
    PoolStatus, Status,
};

/// How long a daemon may take to say that it is there. It takes a millisecond; one that is so busy that
/// it takes this long serves nobody else either, and who asks in a loop must not pile up.
const LIFE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only say whether DNS is answered, for health checks: exit code 1 if it is not
    #[arg(long)]
    ready: bool,
    /// Only say whether the daemon runs, be it ready or not
    #[arg(long, conflicts_with = "ready")]
    alive: bool,
    #[command(flatten)]
    asking: Asking,
}

/// What is shown besides what is believed and served.
struct Ground {
    /// By name, what the daemon was told of each; empty where it keeps them to itself.
    conditions: Vec<Value>,
    /// `None`: the daemon knows no edits.
    edits: Option<Edits>,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { ready, alive, asking } = arguments;
    match (ready, alive) {
        (true, _) => sign_of_life(&asking, "/readyz", "ready"),
        (_, true) => sign_of_life(&asking, "/healthz", "alive"),
        _ => everything(asking),
    }
}

/// Asks what is answered to everybody, without a token and in no time; `word` is what a success means.
fn sign_of_life(asking: &Asking, path: &str, word: &str) -> Result<ExitCode, Failed> {
    let Asking { endpoint, output } = asking;
    runtime()?.block_on(async {
        match tokio::time::timeout(LIFE, endpoint.get_text(path)).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(Failed::new(format_args!("no answer from {} in {LIFE:?}", endpoint.name()?))),
        }
    })?;
    match output {
        Output::Text => print(&format!("{word}\n"))?,
        Output::Json => print_json(&json!({ word: true }))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn everything(Asking { endpoint, output }: Asking) -> Result<ExitCode, Failed> {
    let (answer, ground) = runtime()?.block_on(async {
        let answer: Value = endpoint.get("/v1/status").await?;
        let conditions = endpoint.find("/v1/conditions").await?.unwrap_or_default();
        Ok::<_, Failed>((answer, Ground { conditions, edits: endpoint.find("/v1/edits").await? }))
    })?;
    match output {
        Output::Text => {
            let status: Status = parsed(answer)?;
            print(&format!("{}{ground}", Summary(&status)))?;
        }
        Output::Json => {
            let mut answer = answer;
            answer["conditions"] = ground.conditions.into();
            answer["edits"] = ground.edits.map(|Edits { edits }| json!(edits)).unwrap_or_default();
            print_json(&answer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.conditions {
            let name = condition["name"].as_str().unwrap_or_default();
            let specification = condition["specification"].as_object().map(assignment::line);
            writeln!(f, "condition {name}: {}", specification.unwrap_or_default())?;
        }
        for edit in self.edits.iter().flat_map(|Edits { edits }| edits) {
            write!(f, "edit {} of {}: {}", edit.id, edit.object, edit.told())?;
            if let Some(by) = &edit.by {
                write!(f, ", by {by}")?;
            }
            if let Some(until) = &edit.expires_at {
                write!(f, ", until {until}")?;
            }
            write!(f, "{}", because(&edit.reason))?;
            match &edit.orphaned {
                Some(why) => writeln!(f, ", {}", paint(Tone::Bad, format!("not in force: {why}")))?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// A status as people read it.
struct Summary<'s>(&'s Status);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { generation: _, isolated, domains, pools } = self.0;
        if let Some(IsolatedStatus { seconds, silent, of }) = isolated {
            let isolated = format!("isolated for {}", rounded(*seconds));
            let isolated = paint(Tone::Bad, isolated);
            writeln!(f, "{isolated}: {silent} of {of} sites are silent, and nobody is called down for it")?;
        }
        for domain in domains {
            write!(f, "{}", domain_line(domain))?;
        }
        pools.iter().try_for_each(|pool| Overview(pool).fmt(f))
    }
}

/// A domain as people read it.
pub(super) fn domain_line(domain: &DomainStatus) -> String {
    let DomainStatus { name, policy, ttl, pools } = domain;
    format!("domain {name}: {policy} of {}, TTL {ttl} s\n", pools.join(", "))
}

/// A pool as people read it.
pub(super) struct Overview<'s>(pub(super) &'s PoolStatus);

impl Display for Overview<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolStatus {
            name,
            policy,
            standing,
            reason,
            share,
            held_seconds,
            available,
            suspicion,
            // It shows in each address that is under it.
            order: _,
            addresses,
            names,
        } = self.0;
        write!(f, "pool {name}: {policy}, {available} of {} available", addresses.len())?;
        match &standing[..] {
            "in-service" => writeln!(f)?,
            "returning" => writeln!(f, ", returning: {} of the clients", percent(*share))?,
            _ => {
                let words = painted(standing, standing.replace('-', " "));
                let left = held_seconds.map(|left| format!(", {} left", rounded(left))).unwrap_or_default();
                writeln!(f, ", {words}: {reason}{left}")?;
            }
        }
        if let Some(suspicion) = suspicion {
            writeln!(f, "  is its check right? {suspicion}")?;
        }
        let width = addresses.iter().map(|address| address.name.len()).max().unwrap_or(0);
        for address in addresses {
            writeln!(f, "  {:width$}  {}", address.name, address_line(address))?;
        }
        names.iter().try_for_each(|name| writeln!(f, "  {}", name_line(name)))
    }
}

fn name_line(status: &NameStatus) -> String {
    let NameStatus { address, name, addresses, resolved_seconds, changed_seconds, failure } = status;
    let mut words = format!("{address} = {name}: ");
    words += &match (addresses.len(), resolved_seconds, changed_seconds) {
        (_, None, _) => "not resolved yet".to_owned(),
        (count, Some(resolved), changed) => {
            let count = if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") };
            let changed = changed.map(|changed| format!(", unchanged for {}", rounded(changed)));
            format!("{count}, learnt {} ago{}", rounded(*resolved), changed.unwrap_or_default())
        }
    };
    match failure {
        Some(failure) => words + &format!(", last failure: {failure}"),
        None => words,
    }
}

/// An address as people read it, without its name.
pub(super) fn address_line(address: &AddressStatus) -> String {
    let AddressStatus {
        name: _,
        target,
        weight,
        health,
        available,
        share,
        state: _,
        order,
        away,
        damped,
        since_seconds,
        streak,
        last_failure,
        // `rhumb address history` tells of it.
        last_probe: _,
    } = address;
    let mut words = format!("{target}  weight {weight}  {}", painted(health, health));
    if let Some(seconds) = since_seconds {
        words += &format!(" for {}", rounded(*seconds));
    }
    if *streak > 0 {
        words += &format!(", {streak} probes alike");
    }
    if !available {
        words += &format!(", {}", paint(Tone::Warning, "not given to clients"));
    } else if *share < 1.0 {
        words += &format!(", returning with {} of its weight", percent(*share));
    }
    if let Some(DampedStatus { flips, seconds }) = damped {
        words += &format!(", damped after {flips} flips for {}", rounded(*seconds));
    }
    if let Some(order) = order {
        words += &order_words(order);
    }
    if let Some(AwayStatus { reason, seconds }) = away {
        words += &format!(", reported away for {}{}", rounded(*seconds), because(reason));
    }
    match last_failure {
        Some(failure) => words + &format!(", last failure: {failure}"),
        None => words,
    }
}

fn order_words(order: &OrderStatus) -> String {
    let OrderStatus { state, reason, seconds, empty_seconds } = order;
    let mut words = match (&state[..], empty_seconds) {
        ("drain", Some(left)) if *left > 0.0 => format!(", draining, empty in {}", rounded(left.ceil())),
        ("drain", _) => ", drained".to_owned(),
        _ => format!(", {state} by order"),
    };
    if let Some(left) = seconds {
        words += &format!(" for {}", rounded(*left));
    }
    words + &because(reason)
}

fn because(reason: &Option<String>) -> String {
    reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
}

/// Seconds, without a fraction, as people read them.
fn rounded(seconds: f64) -> impl Display {
    humantime::format_duration(std::time::Duration::from_secs(seconds as u64))
}

fn percent(share: f64) -> impl Display {
    format!("{:.0} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(standing: &str, share: f64, held_seconds: Option<f64>, address: AddressStatus) -> PoolStatus {
        PoolStatus {
            name: "a".to_owned(),
            policy: "weighted".to_owned(),
            standing: standing.to_owned(),
            reason: "it has its reasons".to_owned(),
            share,
            held_seconds,
            suspicion: None,
            order: None,
            available: usize::from(address.available),
            addresses: vec![address],
            names: Vec::new(),
        }
    }

    fn address(available: bool, share: f64, damped: Option<DampedStatus>) -> AddressStatus {
        AddressStatus {
            name: "one".to_owned(),
            target: "192.0.2.1".to_owned(),
            weight: 2,
            health: "up".to_owned(),
            available,
            share,
            state: "auto".to_owned(),
            order: None,
            away: None,
            damped,
            since_seconds: Some(61.9),
            streak: 3,
            last_failure: None,
            last_probe: None,
        }
    }

    #[test]
    fn a_pool_says_why_it_gets_less_than_all() {
        let damped = DampedStatus { flips: 6, seconds: 90.5 };
        for (pool, head, tail) in [
            (pool("in-service", 1.0, None, address(true, 1.0, None)), "1 of 1 available", ""),
            (
                pool("in-service", 1.0, None, address(true, 0.325, None)),
                "1 of 1 available",
                ", returning with 32 % of its weight",
            ),
            (
                pool("returning", 0.475, None, address(true, 1.0, None)),
                "1 of 1 available, returning: 48 % of the clients",
                "",
            ),
            (
                pool("held", 0.0, Some(59.7), address(true, 1.0, None)),
                "1 of 1 available, held: it has its reasons, 59s left",
                "",
            ),
            (
                pool("awaits-release", 0.0, None, address(true, 1.0, None)),
                "1 of 1 available, awaits release: it has its reasons",
                "",
            ),
            (
                pool("down", 0.0, None, address(false, 0.0, Some(damped))),
                "0 of 1 available, down: it has its reasons",
                ", not given to clients, damped after 6 flips for 1m 30s",
            ),
        ] {
            let expected = format!(
                "pool a: weighted, {head}\n  one  192.0.2.1  weight 2  up for 1m 1s, 3 probes alike{tail}\n"
            );
            assert_eq!(Overview(&pool).to_string(), expected);
        }
    }

    #[test]
    fn what_was_changed_by_api_is_shown() {
        let edit = |expires: Option<&str>, orphaned: Option<&str>| {
            json!({ "id": 7, "object": "pools/vn", "merge": { "answers": 2 }, "reason": "more", "by": "alice", "from": null,
                "at": null, "expires_at": expires, "orphaned": orphaned })
        };
        let edits =
            json!({ "edits": [edit(Some("2026-11-21T12:00:00Z"), None), edit(None, Some("no pool"))] });
        let ground = Ground {
            conditions: vec![json!({ "name": "db", "specification": { "ip": "10.0.1.5", "port": 5432 } })],
            edits: Some(serde_json::from_value(edits).expect("they are edits")),
        };
        assert_eq!(
            ground.to_string(),
            "condition db: ip = \"10.0.1.5\", port = 5432\n\
             edit 7 of pools/vn: answers=2, by alice, until 2026-11-21T12:00:00Z (more)\n\
             edit 7 of pools/vn: answers=2, by alice (more), not in force: no pool\n"
        );
    }

    #[test]
    fn a_name_says_what_is_known_of_it() {
        let name = |count: usize, resolved_seconds, changed_seconds, failure: Option<&str>| NameStatus {
            address: "alb".to_owned(),
            name: "alb.example.net".to_owned(),
            addresses: vec![[192, 0, 2, 1].into(); count],
            resolved_seconds,
            changed_seconds,
            failure: failure.map(str::to_owned),
        };
        for (status, line) in [
            (name(0, None, None, None), "not resolved yet"),
            (name(0, None, None, Some("timed out")), "not resolved yet, last failure: timed out"),
            (name(1, Some(2.9), Some(61.0), None), "1 address, learnt 2s ago, unchanged for 1m 1s"),
            (
                name(2, Some(70.0), Some(70.0), Some("timed out")),
                "2 addresses, learnt 1m 10s ago, unchanged for 1m 10s, last failure: timed out",
            ),
        ] {
            assert_eq!(name_line(&status), format!("alb = alb.example.net: {line}"));
        }
    }
}
