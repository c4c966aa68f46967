//! `rhumb token`

use std::io::{self, Read};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::{Failed, Output, print, print_json};
use crate::config::{PoolPatterns, Role, TokenHash, TokenHolder};

/// Bits of a token: nobody can try a part of 2^256 that matters.
const BITS: usize = 256;

/// In front of a token, so that whoever looks for secrets in the wrong place finds it.
const PREFIX: &str = "rhumb_";

/// What can be drawn from 2^128 takes as many characters, if each may be a letter of either case or
/// a digit. One that is shorter was thought of, or can be guessed.
const SHORTEST: usize = 22;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a token, and the line for the daemon's token file; the token is shown this once
    New(New),
    /// Read a token from standard input, and print its hash
    Hash(Hash),
}

#[derive(Args)]
struct New {
    /// Whose it is, as the audit log will say
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What they may
    #[arg(long, value_parser = role)]
    role: Role,
    /// The pools that they may change, as patterns with commas between: `*` stands for any characters, `?` for one
    #[arg(long, value_name = "PATTERNS", value_parser = PoolPatterns::parse)]
    pools: Option<PoolPatterns>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Args)]
struct Hash {
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::New(new) => run_new(new)?,
        Action::Hash(hash) => run_hash(hash)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_new(new: New) -> Result<(), Failed> {
    let New { name, role, pools, output } = new;
    let holder = TokenHolder::new(&name, role, pools).map_err(Failed::new)?;
    let mut random = [0; BITS / 8];
    SystemRandom::new().fill(&mut random).map_err(|_| Failed::new("this host has no randomness"))?;
    let token = format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&random));
    let line = holder.line(&TokenHash::of(token.as_bytes()));
    match output {
        Output::Text => print(&format!(
            "The token, which is shown this once:\n\n{token}\n\nThe line for the daemon's token file:\n\n{line}\n"
        )),
        Output::Json => print_json(&json!({ "token": token, "line": line })),
    }
}

fn run_hash(hash: Hash) -> Result<(), Failed> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failed::new(format_args!("cannot read standard input: {error}")))?;
    let token = text.trim();
    if token.chars().any(char::is_whitespace) {
        return Err(Failed::new("a token is one word"));
    }
    if token.len() < SHORTEST {
        return Err(Failed::new(format_args!(
            "a token of less than {SHORTEST} characters can be guessed; `rhumb token new` makes one"
        )));
    }
    let hashed = TokenHash::of(token.as_bytes()).to_string();
    match hash.output {
        Output::Text => print(&format!("{hashed}\n")),
        Output::Json => print_json(&json!({ "hash": hashed })),
    }
}

fn role(text: &str) -> Result<Role, String> {
    let known = Role::ALL.into_iter().find(|role| role.word() == text);
    known.ok_or_else(|| format!("use one of {}", Role::ALL.map(Role::word).join(", ")))
}
