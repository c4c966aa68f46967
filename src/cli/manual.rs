//! `rhumb completions` and `rhumb man`, from the same definitions as the arguments.

use std::io;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::Failed;

#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(arguments: Completions, mut command: Command) -> Result<ExitCode, Failed> {
    clap_complete::generate(arguments.shell, &mut command, "rhumb", &mut io::stdout());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(command: Command) -> Result<ExitCode, Failed> {
    clap_mangen::Man::new(command).render(&mut io::stdout()).map_err(Failed::new)?;
    Ok(ExitCode::SUCCESS)
}
