//! Checks of type `script`.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::reader::{Table, Value, list, string};
use super::super::report::Report;
use super::super::source::Located;
use crate::plan::{CheckKind, ScriptCheck};

/// The keys of a check of type `script`.
pub(super) const KEYS: &[&str] = &["command"];

/// A program and what it is given, as written.
pub(super) struct ScriptSpec {
    command: Option<Located<Vec<Located<String>>>>,
}

impl ScriptSpec {
    /// Takes its keys out of the table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        ScriptSpec { command: table.required("command", command) }
    }

    /// Looks whether the program can be run; `None`: there is a mistake, and it has been noted.
    pub(super) fn convert(self, report: &Report) -> Option<CheckKind> {
        let mut words = self.command?.value.into_iter();
        let program = words.next()?;
        if let Some(fault) = program_fault(&program.value) {
            report.error(program.place, format!("`{}` cannot be run: {fault}", program.value));
            return None;
        }
        let arguments = words.map(|argument| argument.value).collect();
        Some(CheckKind::Script(ScriptCheck { program: program.value, arguments }))
    }
}

/// A list of words, the first of which is an absolute path.
fn command(value: Value<'_>) -> Option<Vec<Located<String>>> {
    if value.is_string() {
        return value.refuse(
            "a command is a list of words, and no shell takes it apart",
            "write it as in [\"/usr/lib/x/check\", \"argument\"]".to_owned(),
        );
    }
    let words = list(word)(value)?;
    let program = words.first()?;
    if !program.value.starts_with('/') {
        value.report.error_with_hint(
            program.place,
            format!("`{}` is no absolute path", program.value),
            "scripts are not looked for in the PATH".to_owned(),
        );
        return None;
    }
    Some(words)
}

/// A word that can be given to a program.
fn word(value: Value<'_>) -> Option<String> {
    let text = string(value)?;
    match text.contains('\0') {
        true => value.refuse("the octet 0 ends a word of a command", None),
        false => Some(text),
    }
}

/// Why the file of a program cannot be run by anybody.
fn program_fault(program: &str) -> Option<String> {
    let is_executable = |program: &Path| -> io::Result<bool> {
        let metadata = program.metadata()?;
        Ok(metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    match is_executable(Path::new(program)) {
        Ok(true) => None,
        Ok(false) => Some("it is no executable file".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
