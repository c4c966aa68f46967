//! The page about the API is right: each of its examples is run, in order, against a daemon with the
//! example configuration, and prints what stands below it.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::scene::Scene;

/// What stands for anything, of a line or in a text of JSON.
const ANYTHING: &str = "...";

/// The page says that it is served there.
const ADMIN: &str = "127.0.0.1:8053";

/// An example, and what it prints.
struct Example {
    line: usize,
    command: String,
    is_json: bool,
    printed: String,
}

#[test]
fn every_example_prints_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| {
        std::fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let examples = examples(&read("docs/api.md"));
    assert!(examples.len() > 20, "only {} examples were found", examples.len());
    let scene = Scene::new();
    let daemon = scene.start(&configuration(&scene, &read("config/rhumb.toml")));
    for example in &examples {
        let command = example.command.replace(ADMIN, &daemon.admin().to_string());
        let mut shell = Command::new("timeout");
        shell.args(["60", "sh", "-e", "-c", &command]).current_dir(scene.path()).stdin(Stdio::null());
        let output = shell.output().expect("there is a shell");
        let found = String::from_utf8_lossy(&output.stdout).replace(&daemon.admin().to_string(), ADMIN);
        let line = example.line;
        assert!(output.status.success(), "line {line}: {output:?}");
        let differs = if example.is_json {
            json_differs(&example.printed, &found)
        } else {
            text_differs(&example.printed, &found)
        };
        if let Some(why) = differs {
            panic!("docs/api.md, line {line}: {why}; it printed\n{found}");
        }
    }
}

/// The example configuration, at the addresses of `scene` and without checks: its sites exist nowhere.
fn configuration(scene: &Scene, example: &str) -> String {
    let state = scene.path().join("state");
    let replaced = [
        (r#"["0.0.0.0:53", "[::]:53"]"#, format!("[\"{}\"]", scene.dns)),
        (&format!("\"{ADMIN}\"")[..], format!("\"{}\"", scene.admin)),
        ("\"/var/lib/rhumb\"", format!("\"{}\"", state.display())),
        ("health_check = \"web\"\n", String::new()),
    ];
    replaced.iter().fold(example.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the example configuration has no {from}");
        text.replace(from, to)
    })
}

/// The blocks of `page` that are marked as such, each with the block that follows it.
fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    // The line where a command stands that nothing was said of so far.
    let mut open: Option<(usize, String)> = None;
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            assert!(!line.trim_start().starts_with("curl "), "line {number}: this is never run");
            continue;
        };
        let block: Vec<&str> =
            lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
        let content = block.join("\n");
        match (kind, open.take()) {
            ("sh api", None) => open = Some((number, content)),
            ("json" | "text", Some((line, command))) => {
                assert!(!content.trim().is_empty(), "line {number}: this says nothing");
                examples.push(Example { line, command, is_json: kind == "json", printed: content });
            }
            (_, Some((line, _))) => panic!("line {line}: it is not said what this prints"),
            _ => assert!(!content.contains("curl "), "line {number}: this is never run"),
        }
    }
    assert!(open.is_none(), "it is not said what the last example prints");
    examples
}

/// Why `found` does not have all the lines of `said`, in their order; `None`: it has.
fn text_differs(said: &str, found: &str) -> Option<String> {
    let mut lines = found.lines().map(str::trim_end);
    let missing = said
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && *line != ANYTHING)
        .find(|wanted| !lines.by_ref().any(|line| matches(wanted, line)));
    missing.map(|line| format!("there is no line `{line}`, or not there"))
}

/// Whether `text` is `pattern`, in which dots stand for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(last) => text.ends_with(last),
    }
}

fn json_differs(said: &str, found: &str) -> Option<String> {
    let said: Value = match serde_json::from_str(said) {
        Ok(said) => said,
        Err(error) => return Some(format!("the page has no JSON there: {error}")),
    };
    match serde_json::from_str(found) {
        Ok(found) => value_differs("the reply", &said, &found),
        Err(error) => Some(format!("this is no JSON: {error}")),
    }
}

/// Why `found` is not `said`: of objects it may have more members, and of lists more elements in
/// between, unless the page says that there are none. A moment may be any other.
fn value_differs(place: &str, said: &Value, found: &Value) -> Option<String> {
    match (said, found) {
        (Value::Object(said), Value::Object(found)) => said.iter().find_map(|(name, said)| {
            let Some(found) = found.get(name) else { return Some(format!("{place} has no `{name}`")) };
            value_differs(&format!("{place}.{name}"), said, found)
        }),
        (Value::Array(said), Value::Array(found)) if !said.is_empty() => {
            let mut rest = found.iter();
            let missing = said
                .iter()
                .find(|said| !rest.by_ref().any(|found| value_differs(place, said, found).is_none()));
            missing.map(|said| format!("{place} has no element {said}, or not there"))
        }
        (Value::String(said), Value::String(found)) if matches(said, found) => None,
        (Value::String(said), Value::String(found)) if is_moment(said) && is_moment(found) => None,
        _ if said == found => None,
        _ => Some(format!("{place} is {found}, not {said}")),
    }
}

fn is_moment(text: &str) -> bool {
    humantime::parse_rfc3339(text).is_ok()
}

#[test]
fn what_is_not_as_the_page_says_is_found() {
    let found =
        r#"{"a": 1, "b": [1, 2, 3], "c": [], "at": "2026-11-21T10:00:00.123Z", "d": {"e": "one two"}}"#;
    for said in [
        "{}",
        r#"{"a": 1}"#,
        r#"{"b": [1, 3], "c": []}"#,
        r#"{"at": "2020-01-01T00:00:00Z", "d": {"e": "one ..."}}"#,
    ] {
        assert_eq!(json_differs(said, found), None, "{said}");
    }
    for said in [
        r#"{"a": 2}"#,
        r#"{"a": "1"}"#,
        r#"{"z": null}"#,
        r#"{"b": [3, 1]}"#,
        r#"{"b": []}"#,
        r#"{"b": [1, 1]}"#,
        r#"{"c": [1]}"#,
        r#"{"at": "today"}"#,
        r#"{"d": {"e": "two ..."}}"#,
        "[",
    ] {
        assert!(json_differs(said, found).is_some(), "{said}");
    }
    assert_eq!(text_differs("one\nth...e", "one\r\ntwo\nthree\n"), None);
    for said in ["two\none", "four", "t...x", "one two", "on"] {
        assert!(text_differs(said, "one\ntwo\nthree\n").is_some(), "{said}");
    }
    let page = "```sh api\ncurl a\n```\n\nThis prints\n\n```text\nb\n```\n";
    assert_eq!(examples(page).len(), 1);
    for page in [
        "    curl a\n",
        "```sh\ncurl a\n```\n",
        "```sh api\ncurl a\n```\n",
        "```sh api\na\n```\n```text\n```\n",
    ] {
        assert!(std::panic::catch_unwind(|| examples(page)).is_err(), "{page}");
    }
}
