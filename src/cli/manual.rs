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

pub(super) fn man(command: Command) -> Result<ExitCode, Failed> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(Failed::new)?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
