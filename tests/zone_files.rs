//! Zone files of one odd feature each, given to `nsd-checkzone`, `kzonecheck` and `rhumb check`: what the other servers
//! load, rhumb loads, but for what a case explains.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use support::others::program;

/// The zone that all files are of.
const ZONE: &str = "z.example";

/// Stands in front of the `records` of a case.
const HEAD: &str = "$TTL 3600\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// One of `tests/zone_files/cases.toml`, which says what its parts are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    records: Option<String>,
    file: Option<String>,
    included: Option<String>,
    refused: Option<String>,
    line: Option<usize>,
    why: Option<String>,
}

/// What a program says of a file.
struct Verdict {
    loads: bool,
    said: String,
}

#[test]
fn what_other_servers_load_is_loaded() {
    let Cases { case: cases } =
        toml::from_str(include_str!("zone_files/cases.toml")).expect("the cases are sound");
    assert!(cases.len() > 100, "only {} cases were found", cases.len());
    let faults: Vec<String> = cases.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

/// What is not as it should be.
fn fault(case: &Case) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let write =
        |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("it can be written");
    let file = match (&case.file, &case.records) {
        (Some(file), None) => file.clone(),
        (None, Some(records)) => format!("{HEAD}{records}"),
        _ => return Some(format!("{}: it has `file` or `records`", case.name)),
    };
    write("z.example.zone", &file);
    write(
        "rhumb.toml",
        &format!("geoip.databases = []\nzone = [{{ name = \"{ZONE}\", file = \"z.example.zone\" }}]\n"),
    );
    if let Some(included) = &case.included {
        write("part.zone", included);
    }
    let path = directory.path().join("z.example.zone").display().to_string();
    let nsd = verdict(program("nsd-checkzone").args([ZONE, &path]), directory.path());
    let knot = verdict(program("kzonecheck").args(["-o", ZONE, &path]), directory.path());
    let mut own = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    let rhumb = verdict(own.args(["check", "--config", "rhumb.toml"]), directory.path());

    let place = case.line.map_or(String::new(), |line| format!("z.example.zone:{line}:"));
    let is_as_said = match &case.refused {
        None => rhumb.loads,
        Some(part) => !rhumb.loads && rhumb.said.contains(part) && rhumb.said.contains(&place),
    };
    let is_stricter = !rhumb.loads && (nsd.loads || knot.loads);
    let is_laxer = rhumb.loads && !nsd.loads && !knot.loads;
    let is_explained = case.why.is_some() || !is_stricter && !is_laxer;
    (!is_as_said || !is_explained).then(|| {
        let told = |who: &str, verdict: &Verdict| {
            format!("  {who} {}: {}\n", if verdict.loads { "loads" } else { "refuses" }, verdict.said.trim())
        };
        format!("{}\n{}{}{}", case.name, told("nsd", &nsd), told("knot", &knot), told("rhumb", &rhumb))
    })
}

fn verdict(command: &mut Command, directory: &Path) -> Verdict {
    let output = command.current_dir(directory).output().expect("the program can be run");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    Verdict { loads: output.status.success(), said }
}
