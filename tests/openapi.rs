//! What the admin API says of itself: whether that is sound, complete, and what it does.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::daemon::{Daemon, run};
use support::http::{get, request};
use support::others::program;
use support::scene::Scene;

/// One of everything that can be edited.
const WORLD: &str = include_str!("openapi/world.toml");

/// The methods of HTTP that OpenAPI writes as members of a path.
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// How long requests are made, in seconds, and which: enough to have each operation tried some hundred
/// times, and the same each time. `tests/openapi/run` goes on for longer.
const SECONDS: &str = "45";
/// The same of one who may do little, most of which is refused at the door.
const FEW_SECONDS: &str = "12";
const SEED: &str = "1";

/// A new token with this role, and the line of the file for it.
fn token(arguments: &[&str]) -> (String, String) {
    let output = run(&[&["token", "new", "--output", "json"], arguments].concat());
    let made: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let text = |member: &str| made[member].as_str().expect("it is text").to_owned();
    (text("token"), text("line"))
}

/// A daemon with everything in [`WORLD`]; `admin` is more of the section of this name.
fn start(scene: &Scene, admin: &str) -> Daemon {
    let ground = scene.ground().replacen("[admin]", &format!("[admin]\n{admin}"), 1);
    scene.start(&format!("{ground}{WORLD}"))
}

fn described(daemon: &Daemon) -> Value {
    let description = get(daemon.admin(), "/openapi.json");
    assert_eq!((description.status, description.header("content-type")), (200, "application/json"));
    description.json()
}

/// Each path, as it is written and as it can be asked for, with what there is at it.
fn paths(description: &Value) -> impl Iterator<Item = (&str, String, &serde_json::Map<String, Value>)> {
    let paths = description["paths"].as_object().expect("an object");
    paths.iter().map(|(path, item)| {
        let filled = path.split('/').map(|part| if part.starts_with('{') { "A" } else { part });
        let filled: Vec<&str> = filled.collect();
        (&path[..], filled.join("/"), item.as_object().expect("an object"))
    })
}

/// A program of those that `tests/openapi/run` installs.
fn tool(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/openapi/venv/bin").join(name);
    assert!(path.is_file(), "{} is missing: tests/openapi/run installs it", path.display());
    let mut command = program("timeout");
    command.args(["--kill-after=10s", "20m"]).arg(path);
    command
}

fn assert_good(output: &Output) {
    let told = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{}{}", told[0], told[1]);
}

#[test]
fn what_it_says_is_sound() {
    let scene = Scene::new();
    let daemon = start(&scene, "");
    let file = scene.write("openapi.json", &get(daemon.admin(), "/openapi.json").body);
    assert_eq!(described(&daemon)["openapi"], "3.1.0");
    assert_good(&tool("openapi-spec-validator").arg(file).output().expect("it runs"));
}

#[test]
fn every_method_of_every_path_is_described() {
    let scene = Scene::new();
    let daemon = start(&scene, "");
    let description = described(&daemon);
    for (path, filled, item) in paths(&description) {
        // Nothing takes this one, and a refusal says what is taken.
        let refused = request(daemon.admin(), "OPTIONS", &filled, &[]).expect("somebody answers");
        assert_eq!(refused.status, 405, "{path}: {refused:?}");
        let allowed: BTreeSet<String> =
            refused.header("allow").split(',').map(|method| method.trim().to_lowercase()).collect();
        // Wherever there is GET.
        let allowed: BTreeSet<&str> =
            allowed.iter().map(|method| &method[..]).filter(|&it| it != "head").collect();
        let described: BTreeSet<&str> =
            METHODS.into_iter().filter(|method| item.contains_key(*method)).collect();
        assert_eq!(allowed, described, "{path}");
    }
}

#[test]
fn what_takes_no_token_is_what_is_said_to_take_none() {
    let scene = Scene::new();
    let tokens = scene.write("tokens", &token(&["--name", "alice", "--role", "edit"]).1);
    let daemon = start(&scene, &format!("token_file = \"{}\"", tokens.display()));
    let description = described(&daemon);
    assert_eq!(description["security"][0]["bearer"], Value::Array(Vec::new()));
    for (path, filled, item) in paths(&description) {
        for method in METHODS.into_iter().filter(|method| item.contains_key(*method)) {
            let reply = request(daemon.admin(), &method.to_uppercase(), &filled, &[("content-length", "0")])
                .expect("somebody answers");
            let is_open = item[method]["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(reply.status != 401, is_open, "{method} {path}: {reply:?}");
        }
    }
}

/// Requests that go with the description and requests that do not, by two who may more and less.
/// They edit, remove and reload, too. Whatever comes back is a reply that is described, and none says
/// that the daemon is at fault.
#[test]
fn requests_of_all_kinds_are_answered_as_described() {
    let variable = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let seconds = variable("RHUMB_OPENAPI_SECONDS", SECONDS);
    let seed = variable("RHUMB_OPENAPI_SEED", SEED);
    let scene = Scene::new();
    let (few, first) = token(&["--name", "ci", "--role", "operate", "--pools", "vietnam"]);
    let (all, second) = token(&["--name", "alice", "--role", "edit"]);
    let tokens = scene.write("tokens", &format!("{first}\n{second}\n"));
    let daemon = start(&scene, &format!("token_file = \"{}\"", tokens.display()));
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi");
    let description = scene.write("openapi.json", &get(daemon.admin(), "/openapi.json").body);
    for (token, seconds) in [(few, FEW_SECONDS), (all, &seconds[..])] {
        let output = tool("schemathesis")
            .arg("--config-file")
            .arg(format!("{directory}/schemathesis.toml"))
            .arg("run")
            .arg(&description)
            .args(["--url", &format!("http://{}", daemon.admin()), "--no-color"])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--seed", &seed, "--max-time", seconds])
            .args(["--generation-database", "none", "--request-timeout", "30", "--continue-on-failure"])
            .args(["--warnings", "off"])
            .env("RHUMB_URL", format!("http://{}", daemon.admin()))
            .env("RHUMB_TOKEN", &token)
            .env("PYTHONPATH", directory)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .current_dir(scene.path())
            .output()
            .expect("it runs");
        assert_good(&output);
    }
    assert_eq!(daemon.lines(&["panicked"]), Vec::<String>::new());
    assert_eq!(get(daemon.admin(), "/healthz").status, 200);
}
