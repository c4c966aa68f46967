//! What verbs of different things have in common: how the thing is named, and what is to become of it.

use std::process::ExitCode;

use clap::Args;

use super::assignment::{self, Assignments};
use super::edit::{self, Action, Kind};
use super::order::How;
use super::{Asking, Failed};

/// Which one is meant, and which daemon is asked.
#[derive(Args)]
pub(super) struct Named {
    /// Its name
    pub(super) name: String,
    #[command(flatten)]
    pub(super) asking: Asking,
}

/// Which one is added, and what it is.
#[derive(Args)]
pub(super) struct Add {
    /// Its name
    name: String,
    #[command(flatten)]
    table: Assignments,
    #[command(flatten)]
    how: How,
}

/// Which one is changed, and to what.
#[derive(Args)]
pub(super) struct Set {
    /// Its name
    name: String,
    #[command(flatten)]
    changes: Changes,
}

/// What becomes another.
#[derive(Args)]
pub(super) struct Changes {
    #[command(flatten)]
    table: Assignments,
    /// Leave this out from now on
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// To which one something is done that needs no more words.
#[derive(Args)]
pub(super) struct One {
    /// Its name
    pub(super) name: String,
    #[command(flatten)]
    pub(super) how: How,
}

impl Add {
    pub(super) fn carry_out(self, kind: Kind) -> Result<ExitCode, Failed> {
        let Add { name, table, how } = self;
        edit::carry_out(kind.named(&name), &Action::Add(table.table()?), how)
    }
}

impl Set {
    pub(super) fn carry_out(self, kind: Kind) -> Result<ExitCode, Failed> {
        self.changes.carry_out(kind.named(&self.name))
    }
}

impl Changes {
    pub(super) fn carry_out(self, object: edit::Object<'_>) -> Result<ExitCode, Failed> {
        let Changes { table, unset, how } = self;
        edit::carry_out(object, &Action::Merge(assignment::merge(table, &unset)?), how)
    }
}

impl One {
    pub(super) fn remove(self, kind: Kind) -> Result<ExitCode, Failed> {
        edit::carry_out(kind.named(&self.name), &Action::Remove, self.how)
    }
}
