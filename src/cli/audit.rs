//! `rhumb audit` and `rhumb whoami`

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::table::Table;
use super::{Asking, Failed, Output, print, print_json, runtime};

#[derive(Args)]
pub(super) struct Arguments {
    /// At most as many records, the latest
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Those before the record of this number
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
    #[command(flatten)]
    asking: Asking,
}

/// Who changed what.
pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { limit, before, asking: Asking { endpoint, output } } = arguments;
    let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
    let audit: Value = runtime()?.block_on(endpoint.get(&format!("/v1/audit?limit={limit}{before}")))?;
    match output {
        Output::Json => print_json(&audit)?,
        Output::Text => print(&table(&audit).render("nothing was changed by API"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(audit: &Value) -> Table {
    let mut table = Table::new(&["SEQ", "AT", "WHO", "FROM", "ACTION", "OBJECT", "REASON"]);
    for record in audit["records"].as_array().into_iter().flatten() {
        let cell = |name: &str| match &record[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.push(["seq", "at", "who", "from", "action", "object", "reason"].map(cell));
    }
    table
}

/// As whom this program asks, and what they may.
pub(super) fn whoami(Asking { endpoint, output }: Asking) -> Result<ExitCode, Failed> {
    let answer: Value = runtime()?.block_on(endpoint.get("/v1/whoami"))?;
    match output {
        Output::Json => print_json(&answer)?,
        Output::Text => {
            let word = |name: &str| answer[name].as_str().unwrap_or("unknown").to_owned();
            let pools: Option<Vec<&str>> =
                answer["pools"].as_array().map(|pools| pools.iter().filter_map(Value::as_str).collect());
            let pools = pools.map(|pools| format!(", of pools {}", pools.join(" "))).unwrap_or_default();
            print(&format!("{}: may {}{pools}, at {}\n", word("name"), word("role"), endpoint.name()?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
