//! What verbs of different things have in common: how the thing is named, and what is to become of it.

use std::process::ExitCode;

use clap::{Args, Command};

use super::assignment::{self, Assignments};
use super::edit::{self, Action, Kind};
use super::order::How;
use super::{Asking, Failed};

/// Has the help of verbs say whose name they take, which the arguments here do not know.
pub(super) fn of(kind: Kind) -> impl FnMut(Command) -> Command {
    move |verb| {
        verb.mut_args(|argument| match argument.get_id().as_str() {
            "name" => argument.help(format!("The {}'s name", kind.word())),
            _ => argument,
        })
    }
}

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Arguments;

    #[test]
    fn help_says_whose_name_is_wanted() {
        let program = Arguments::command();
        for (noun, expected) in [
            ("pool", "The pool's name"),
            ("domain", "The domain's name"),
            ("health-check", "The health check's name"),
            ("condition", "The condition's name"),
        ] {
            let verbs = program.find_subcommand(noun).expect("there is one").get_subcommands();
            let names =
                verbs.flat_map(|verb| verb.get_arguments()).filter(|it| it.get_id().as_str() == "name");
            let told: Vec<String> = names.filter_map(|it| Some(it.get_help()?.to_string())).collect();
            assert!(told.len() > 3 && told.iter().all(|help| help == expected), "{noun}: {told:?}");
        }
    }
}
