//! `rhumb status`

use std::fmt::{self, Display};
use std::process::ExitCode;

use clap::Args;

use super::client::Endpoint;
use super::{Failed, Output, print, print_json, runtime};
use crate::control::{
    AddressStatus, AwayStatus, DampedStatus, DomainStatus, IsolatedStatus, NameStatus, OrderStatus,
    PoolStatus, Status,
};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { endpoint, output } = arguments;
    let status: Status = runtime()?.block_on(endpoint.get("/v1/status"))?;
    match output {
        Output::Text => print(&Summary(&status).to_string())?,
        Output::Json => print_json(&status)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A status as people read it.
struct Summary<'s>(&'s Status);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { generation: _, isolated, domains, pools } = self.0;
        if let Some(IsolatedStatus { seconds, silent, of }) = isolated {
            let seconds = rounded(*seconds);
            writeln!(
                f,
                "isolated for {seconds}: {silent} of {of} sites are silent, and nobody is called down for it"
            )?;
        }
        for DomainStatus { name, policy, ttl, pools } in domains {
            writeln!(f, "domain {name}: {policy} of {}, TTL {ttl} s", pools.join(", "))?;
        }
        pools.iter().try_for_each(|pool| Overview(pool).fmt(f))
    }
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
                let words = standing.replace('-', " ");
                let left = held_seconds.map(|left| format!(", {} left", rounded(left))).unwrap_or_default();
                writeln!(f, ", {words}: {reason}{left}")?;
            }
        }
        if let Some(suspicion) = suspicion {
            writeln!(f, "  is its check right? {suspicion}")?;
        }
        let width = addresses.iter().map(|address| address.name.len()).max().unwrap_or(0);
        for address in addresses {
            writeln!(f, "  {:width$}  {}", address.name, line(address))?;
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

fn line(address: &AddressStatus) -> String {
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
    let mut words = format!("{target}  weight {weight}  {health}");
    if let Some(seconds) = since_seconds {
        words += &format!(" for {}", rounded(*seconds));
    }
    if *streak > 0 {
        words += &format!(", {streak} probes alike");
    }
    if !available {
        words += ", not given to clients";
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
