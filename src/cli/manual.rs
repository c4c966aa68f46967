//! `rhumb completions` and `rhumb man`, from the same definitions as the arguments.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Failed, print};

#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(arguments: Completions, mut command: Command) -> Result<ExitCode, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "rhumb", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Args)]
pub(super) struct Man {
    /// The command that the page is about, instead of the whole
    command: Option<String>,
}

pub(super) fn man(arguments: Man, mut program: Command) -> Result<ExitCode, Failed> {
    // Gives commands their full names and the options that all share.
    program.build();
    let subject = match arguments.command {
        None => program,
        Some(name) => program
            .find_subcommand(&name)
            .cloned()
            .map(|command| command.display_name(format!("rhumb-{name}")))
            .ok_or_else(|| Failed::new(format_args!("there is no command `{name}`")))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(subject).render(&mut page).map_err(Failed::new)?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
