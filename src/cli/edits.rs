//! `rhumb edits`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use similar::TextDiff;

use super::client::encoded;
use super::paint::{Tone, paint};
use super::table::Table;
use super::{Asking, Failed, Output, parsed, print, print_json, runtime};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List what was changed by API and is laid over the file
    List(Asking),
    /// Show an edit
    Show(Show),
    /// Take edits back
    Revert(Revert),
    /// Print the configuration with the edits in it
    Export(Export),
}

#[derive(Args)]
struct Show {
    /// The number of the edit
    id: u64,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Revert {
    /// The numbers of the edits
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args)]
struct Export {
    /// Print how it differs from this file instead
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
    #[command(flatten)]
    endpoint: super::client::Endpoint,
}

/// All the edits.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Edits {
    pub(super) edits: Vec<Edit>,
}

/// An edit, as the API has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Edit {
    pub(super) id: u64,
    pub(super) object: String,
    pub(super) reason: Option<String>,
    pub(super) by: Option<String>,
    pub(super) from: Option<String>,
    pub(super) at: Option<String>,
    pub(super) expires_at: Option<String>,
    /// Why it is not in force.
    pub(super) orphaned: Option<String>,
    /// `merge`, `put`, `remove` or `state`.
    #[serde(flatten)]
    pub(super) change: Map<String, Value>,
}

impl Edit {
    /// What it does, in a line.
    pub(super) fn told(&self) -> String {
        if let Some(Value::Object(merge)) = self.change.get("merge") {
            let parts = merge.iter().map(|(key, value)| match value {
                Value::Null => format!("no {key}"),
                value => format!("{key}={value}"),
            });
            return parts.collect::<Vec<_>>().join(" ");
        }
        if let Some(state) = self.change.get("state").and_then(Value::as_str) {
            return format!("state={state}");
        }
        if self.change.contains_key("remove") { "removed".to_owned() } else { "put".to_owned() }
    }
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failed> {
    match arguments.action {
        Action::List(asking) => list(&asking),
        Action::Show(which) => show(&which),
        Action::Revert(which) => revert(&which),
        Action::Export(how) => export(&how),
    }
}

fn list(Asking { endpoint, output }: &Asking) -> Result<ExitCode, Failed> {
    let answer: Value = runtime()?.block_on(endpoint.get("/v1/edits"))?;
    match output {
        Output::Json => print_json(&answer)?,
        Output::Text => {
            let Edits { edits } = parsed(answer)?;
            print(&table(&edits).render("there are no edits: everything is as in the file"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A row for each edit.
fn table(edits: &[Edit]) -> Table {
    let mut table = Table::new(&["ID", "OBJECT", "CHANGE", "BY", "AT", "UNTIL", "NOTE"]);
    for edit in edits {
        let orphaned = edit.orphaned.as_ref().map(|why| format!("not in force: {why}"));
        table.push([
            edit.id.to_string(),
            edit.object.clone(),
            edit.told(),
            edit.by.clone().unwrap_or_default(),
            edit.at.clone().unwrap_or_default(),
            edit.expires_at.clone().unwrap_or_default(),
            orphaned.or(edit.reason.clone()).unwrap_or_default(),
        ]);
    }
    table
}

fn show(Show { id, asking: Asking { endpoint, output } }: &Show) -> Result<ExitCode, Failed> {
    let answer: Value = runtime()?.block_on(endpoint.get(&format!("/v1/edits/{id}")))?;
    match output {
        Output::Json => print_json(&answer)?,
        Output::Text => {
            let edit: Edit = parsed(answer)?;
            let mut text = format!("edit {} of {}: {}\n", edit.id, edit.object, edit.told());
            for (word, value) in [
                ("by", &edit.by),
                ("from", &edit.from),
                ("at", &edit.at),
                ("until", &edit.expires_at),
                ("reason", &edit.reason),
                ("not in force", &edit.orphaned),
            ] {
                text += &value.as_ref().map(|value| format!("  {word}: {value}\n")).unwrap_or_default();
            }
            if let Some(Value::Object(put)) = edit.change.get("put") {
                text += &super::assignment::toml(put);
            }
            print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn revert(Revert { ids, asking: Asking { endpoint, output } }: &Revert) -> Result<ExitCode, Failed> {
    runtime()?.block_on(async {
        for (done, id) in ids.iter().enumerate() {
            endpoint.delete(&format!("/v1/edits/{}", encoded(&id.to_string()))).await.map_err(|failed| {
                let Failed(reason) = failed;
                match &ids[..done] {
                    [] => Failed(reason),
                    before => Failed(format!("{reason}\nnote: taken back before that: {before:?}")),
                }
            })?;
            if *output == Output::Text {
                print(&format!("edit {id} taken back\n"))?;
            }
        }
        Ok::<_, Failed>(())
    })?;
    if *output == Output::Json {
        print_json(&json!({ "reverted": ids }))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn export(Export { diff, endpoint }: &Export) -> Result<ExitCode, Failed> {
    let text = runtime()?.block_on(endpoint.get_text("/v1/edits/export"))?;
    match diff {
        None => print(&text)?,
        Some(path) => print(&difference(path, &text)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How the file differs from `text`, as `patch` reads it.
fn difference(path: &Path, text: &str) -> Result<String, Failed> {
    let name = path.display().to_string();
    let before = std::fs::read_to_string(path).map_err(|error| {
        Failed(format!(
            "error: cannot read {name}: {error}\nhint: --diff takes the file that the daemon reads"
        ))
    })?;
    let difference = TextDiff::from_lines(&before[..], text);
    let difference = difference.unified_diff().header(&name, &format!("{name} with the edits")).to_string();
    let paint_line = |line: &str| match line.as_bytes().first() {
        Some(b'+') => paint(Tone::Good, line),
        Some(b'-') => paint(Tone::Bad, line),
        _ => line.to_owned(),
    };
    Ok(difference.lines().map(|line| paint_line(line) + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_say_what_they_do_and_why_not() {
        let edits: Edits = serde_json::from_value(json!({ "edits": [
            { "id": 7, "object": "pools/vn", "merge": { "answers": 2, "serves": null }, "reason": "more", "by": "alice",
              "from": "10.0.0.7", "at": "2026-11-21T10:00:00Z", "expires_at": null, "orphaned": null },
            { "id": 8, "object": "pools/hk/addresses/a", "state": "drain", "reason": null, "by": "bob", "from": "socket",
              "at": "2026-11-21T11:00:00Z", "expires_at": "2026-11-21T12:00:00Z", "orphaned": "there is no pool `hk`" },
            { "id": 9, "object": "domains/a.example", "remove": true, "reason": null, "by": "bob", "from": "socket",
              "at": "2026-11-21T11:00:00Z", "expires_at": null, "orphaned": null },
        ] })).expect("they are some");
        let told = table(&edits.edits).render("");
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[1].starts_with("7   pools/vn              answers=2 no serves  alice"), "{told}");
        assert!(lines[1].ends_with("more"), "{told}");
        assert!(lines[2].ends_with("2026-11-21T12:00:00Z  not in force: there is no pool `hk`"), "{told}");
        assert!(lines[3].contains("removed"), "{told}");
    }

    #[test]
    fn a_difference_is_a_patch() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a = 1\nb = 2\n").expect("it can be written");
        let name = file.path().display();
        assert_eq!(
            difference(file.path(), "a = 1\nb = 3\n").ok().expect("it can be read"),
            format!("--- {name}\n+++ {name} with the edits\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n")
        );
        assert_eq!(difference(file.path(), "a = 1\nb = 2\n").ok().expect("likewise"), "");
    }
}
