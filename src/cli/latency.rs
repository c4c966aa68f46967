//! `rhumb latency`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::client::Endpoint;
use super::{Failed, Output, print, print_json, runtime};

const PATH: &str = "/v1/latency";

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Put the measurements of a file in the place of all that were given before
    Set(Set),
    /// Print the measurements that were given, as CSV
    Show(Show),
    /// Forget the measurements that were given
    Clear(Clear),
}

#[derive(Args)]
struct Set {
    /// CSV as in the files of `[[latency]]`: prefix or AS number, pool, milliseconds
    file: PathBuf,
    #[command(flatten)]
    endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Args)]
struct Show {
    #[command(flatten)]
    endpoint: Endpoint,
}

#[derive(Args)]
struct Clear {
    #[command(flatten)]
    endpoint: Endpoint,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What there is then.
#[derive(Serialize, Deserialize)]
struct Given {
    measurements: usize,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::Set(Set { file, endpoint, output }) => {
            let content = std::fs::read(&file)
                .map_err(|error| Failed::new(format_args!("cannot read {}: {error}", file.display())))?;
            let given: Given = runtime()?.block_on(endpoint.put(PATH, content))?;
            tell(&given, output)?;
        }
        Action::Show(Show { endpoint }) => print(&runtime()?.block_on(endpoint.get_text(PATH))?)?,
        Action::Clear(Clear { endpoint, output }) => {
            runtime()?.block_on(endpoint.delete(PATH))?;
            tell(&Given { measurements: 0 }, output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(given: &Given, output: Output) -> Result<(), Failed> {
    match output {
        Output::Text => print(&format!("measurements given by API: {}\n", given.measurements)),
        Output::Json => print_json(given),
    }
}
