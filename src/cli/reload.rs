//! `rhumb reload`

use std::process::ExitCode;

use hyper::Method;
use serde_json::Value;

use super::{Asking, Failed, Output, print, print_json, runtime};

pub(super) fn run(Asking { endpoint, output }: Asking) -> Result<ExitCode, Failed> {
    let (report, _) = runtime()?.block_on(endpoint.change(Method::POST, "/v1/reload", None))?;
    match output {
        Output::Json => print_json(&report)?,
        Output::Text => print(&told(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A report as people read it.
pub(super) fn told(report: &Value) -> String {
    let mut lines = Vec::new();
    for kind in ["zones", "domains", "pools", "health_checks", "conditions"] {
        for change in ["added", "removed", "changed"] {
            let names = words(&report[kind][change]);
            if !names.is_empty() {
                lines.push(format!("{} {change}: {}", kind.replace('_', " "), names.join(", ")));
            }
        }
    }
    for (member, words) in [
        ("latencies", "latencies changed"),
        ("databases", "location databases changed"),
        ("notifications", "notifications changed"),
        ("logs", "logs changed"),
    ] {
        if report[member] == true {
            lines.push(words.to_owned());
        }
    }
    for (member, told) in [
        ("after_restart", "takes effect at the next restart"),
        ("retired", "edits that the file has now, and that were taken back"),
        ("orphaned", "edits that are not in force any more"),
    ] {
        let found = words(&report[member]);
        if !found.is_empty() {
            lines.push(format!("{told}: {}", found.join(", ")));
        }
    }
    match &lines[..] {
        [] => "reloaded: nothing has changed\n".to_owned(),
        lines => format!("reloaded\n{}", lines.iter().map(|line| format!("  {line}\n")).collect::<String>()),
    }
}

/// The members of a list, as words.
fn words(list: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.as_array().map(|list| list.iter().map(word).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_says_what_is_another_now() {
        let report = json!({
            "pools": { "added": ["a", "b"], "removed": [], "changed": ["c"] }, "domains": { "added": [], "removed": [], "changed": [] },
            "latencies": false, "databases": true, "logs": true, "after_restart": ["server.listen"], "retired": [3], "orphaned": [4, 5],
        });
        assert_eq!(
            told(&report),
            "reloaded\n  pools added: a, b\n  pools changed: c\n  location databases changed\n  logs changed\n  \
             takes effect at the next restart: server.listen\n  \
             edits that the file has now, and that were taken back: 3\n  edits that are not in force any more: 4, 5\n"
        );
        assert_eq!(told(&json!({ "latencies": false })), "reloaded: nothing has changed\n");
    }
}
