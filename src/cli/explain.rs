//! `rhumb explain`

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::client::{Endpoint, encoded};
use super::{Failed, Output, print, print_json, runtime};
use crate::config;
use crate::dns::{Name, Rtype};
use crate::routing::{self, ChoiceExplained, Explanation, RoutingTable};

#[derive(Args)]
pub(super) struct Arguments {
    /// The name that is asked for
    name: Name,
    /// The type that is asked for
    #[arg(long = "type", value_name = "TYPE", default_value = "A", value_parser = record_type)]
    rtype: Rtype,
    /// The client that asks
    #[arg(long, value_name = "IP")]
    client: IpAddr,
    /// Explain by this configuration, with every address up, instead of asking a daemon
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

fn record_type(text: &str) -> Result<Rtype, String> {
    Rtype::parse(text).ok_or_else(|| "not a record type; A, AAAA, MX or TYPE123 are".to_owned())
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { name, rtype, client, config, endpoint, output } = arguments;
    let explanation = match config {
        Some(file) => {
            let loaded = config::load(&file).map_err(|diagnostics| Failed(diagnostics.to_string()))?;
            let table = RoutingTable::well(Arc::new(loaded.plan), loaded.geo);
            routing::explain(&table, &name, rtype, client)
        }
        None => {
            let name = encoded(&name.to_string());
            let path =
                format!("/v1/explain?name={name}&type={rtype}&client={}", encoded(&client.to_string()));
            runtime()?.block_on(endpoint.get(&path))?
        }
    };
    match output {
        Output::Text => print(&Tree(&explanation).to_string())?,
        Output::Json => print_json(&explanation)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An explanation as people read it.
struct Tree<'e>(&'e Explanation);

impl Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { name, rtype, client, place, decisions, rcode, answer, scope } = self.0;
        writeln!(f, "{name} {rtype} for {client}")?;
        match place {
            Some(place) => {
                let known = [&place.continent, &place.country, &place.subdivision].into_iter().flatten();
                let mut words: Vec<String> = known.cloned().collect();
                words.extend(place.asn.map(|asn| format!("AS{asn}")));
                if let (Some(latitude), Some(longitude)) = (place.latitude, place.longitude) {
                    words.push(format!("{latitude:.1} {longitude:.1}"));
                }
                let words = if words.is_empty() { "nowhere known".to_owned() } else { words.join(" ") };
                let sources = if place.databases.is_empty() {
                    String::new()
                } else {
                    format!(", says {}", place.databases.join(" and "))
                };
                writeln!(f, "├─ client: {} is {words}{sources}", place.prefix)?;
            }
            None => writeln!(f, "├─ client: its place plays no part")?,
        }
        for decision in decisions {
            writeln!(f, "├─ {}", decision.domain)?;
            for choice in &decision.choices {
                let ChoiceExplained { rule, source, policy, among, candidates } = choice;
                let rule = rule.map_or(String::new(), |number| {
                    format!("rule {number} ({}): ", source.as_deref().unwrap_or("any"))
                });
                writeln!(f, "│  ├─ {rule}{policy} among {}", pools_that_are(among))?;
                let last = candidates.len().saturating_sub(1);
                for (position, candidate) in candidates.iter().enumerate() {
                    let branch = if position == last { '└' } else { '├' };
                    writeln!(f, "│  │  {branch}─ pool {}: {}", candidate.pool, candidate.finding)?;
                }
            }
            if let Some(all_down) = &decision.all_down {
                writeln!(f, "│  ├─ no pool has a healthy address: {all_down}")?;
            }
            if let Some(ttl) = decision.shortened_ttl {
                writeln!(f, "│  ├─ for {ttl} s only: another answer is near, or would be better")?;
            }
            if let (None, Some(reason)) = (&decision.pool, &decision.reason) {
                writeln!(f, "│  └─ {reason}")?;
            }
            if let (Some(pool), Some(reason)) = (&decision.pool, &decision.reason) {
                writeln!(f, "│  └─ takes pool {pool}: {reason}")?;
                let last = decision.addresses.len().saturating_sub(1);
                for (position, address) in decision.addresses.iter().enumerate() {
                    let branch = if position == last { '└' } else { '├' };
                    let health = match address.share {
                        share if address.up && share < 1.0 => {
                            format!("up, back to {:.0} % of its weight", share * 100.0)
                        }
                        _ if address.up => "up".to_owned(),
                        _ => "down".to_owned(),
                    };
                    let (name, target, weight) = (&address.name, &address.target, address.weight);
                    writeln!(f, "│     {branch}─ {name} {target}: {health}, weight {weight}")?;
                }
            }
        }
        writeln!(f, "└─ {rcode}, scope /{scope}")?;
        for record in answer {
            writeln!(f, "   {record}")?;
        }
        Ok(())
    }
}

fn pools_that_are(among: &str) -> &str {
    match among {
        "in service" => "pools in service",
        "healthy" => "pools that are healthy",
        _ => "all pools",
    }
}
