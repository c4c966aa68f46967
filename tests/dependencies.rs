//! What .deny.toml says of licences, bans and sources, held without the network.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

fn policy() -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deny.toml");
    let text = std::fs::read_to_string(path).expect("it stands at the top");
    toml::from_str(&text).expect("it says all of these")
}

/// Everything that a build or its tests take on this machine.
fn packages() -> Vec<Package> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo has started this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let Metadata { packages } = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert!(packages.len() > 100, "{}", packages.len());
    packages
}

/// Whether the licences that `expression` (SPDX) takes together, or one of those that it leaves open, are
/// allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    // An older form of the same.
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let result = any_of(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "`{expression}` is no expression");
    result
}

fn any_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut result = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all_of(words, at, allowed);
    }
    result
}

fn all_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut result = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allowed);
    }
    result
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let word = words[*at];
    *at += 1;
    if word == "(" {
        let result = any_of(words, at, allowed);
        assert_eq!(words.get(*at), Some(&")"), "{words:?}");
        *at += 1;
        return result;
    }
    // With an exception it is another licence, which would have to be named.
    let is_excepted = words.get(*at) == Some(&"WITH");
    *at += if is_excepted { 2 } else { 0 };
    !is_excepted && allowed.iter().any(|allowed| allowed == word)
}

#[test]
fn expressions_are_read_as_spdx_has_them() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned()];
    for (expression, wanted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT AND ISC", true),
        ("MIT OR ISC AND GPL-3.0", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("MIT WITH some-exception", false),
        ("MIT WITH some-exception OR ISC", true),
    ] {
        assert_eq!(is_allowed(expression, &allowed), wanted, "{expression}");
    }
}

#[test]
fn everything_may_be_depended_on() {
    let Policy { licenses, bans, sources } = policy();
    let mut faults = BTreeMap::new();
    for Package { name, version, license, source } in packages() {
        let mut fault = |fault: String| faults.insert(format!("{name} {version}"), fault);
        match &license {
            Some(license) if is_allowed(license, &licenses.allow) => {}
            license => {
                fault(format!("its licence is not among those of .deny.toml: {license:?}"));
            }
        }
        if bans.deny.iter().any(|banned| banned.name == name) {
            fault("it is banned".to_owned());
        }
        // The project itself has none.
        let registry = source.as_deref().map(|source| source.strip_prefix("registry+").unwrap_or(source));
        if registry.is_some_and(|registry| !sources.allow_registry.iter().any(|allowed| allowed == registry))
        {
            fault(format!("it comes from {source:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
