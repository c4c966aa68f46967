//! The commands as an operator types them: what they print, and their exit codes.

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::daemon::{rhumb, run};
use support::process::Process;
use support::scene::{DOMAIN, ONCE, Scene};
use support::site::Site;

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

fn printed(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("it prints text")
}

fn complained(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("it prints text")
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A configuration with an unknown record type, an unknown pool and a domain outside the zone.
fn broken(scene: &Scene) -> String {
    let text = scene.ground() + "\n[[domain]]\nname = \"www.example.net\"\npools = [\"a\"]\n";
    text.replace("type = \"A\"", "type = \"AA\"")
}

#[test]
fn check_prints_every_mistake_with_its_place() {
    let scene = Scene::new();
    let file = scene.configure(&scene.ground());
    let file = file.to_str().expect("it is text");
    let good = run(&["check", "--config", file]);
    assert_eq!((code(&good), complained(&good)), (0, ""));
    assert_eq!(printed(&good), format!("{file}: good: 1 zones, 0 domains, 0 pools\n"));
    let good = run(&["check", "--config", file, "--output", "json"]);
    assert_eq!((code(&good), parsed(&good)), (0, json!({ "errors": [] })));

    let text = broken(&scene);
    scene.configure(&text);
    let line = |wanted: &str| text.lines().position(|line| line == wanted).expect("it is there") + 1;
    let places = [
        format!("{file}:{}:8: error: ", line("type = \"AA\"")),
        format!("{file}:{}:8: error: ", line("name = \"www.example.net\"")),
        format!("{file}:{}:10: error: ", line("pools = [\"a\"]")),
    ];
    let bad = run(&["check", "--config", file]);
    assert_eq!((code(&bad), printed(&bad)), (1, ""));
    for place in &places {
        assert!(complained(&bad).contains(place), "{place} in {}", complained(&bad));
    }
    assert_eq!(complained(&bad).matches("error: ").count(), places.len(), "{}", complained(&bad));
    let bad = run(&["check", "--config", file, "--output", "json"]);
    assert_eq!(code(&bad), 1);
    let errors = parsed(&bad)["errors"].as_array().expect("a list").clone();
    let found: Vec<String> =
        errors.iter().map(|e| format!("{file}:{}:{}: error: ", e["line"], e["column"])).collect();
    assert_eq!(found, places);
}

#[test]
fn wrong_usage_is_told_from_failure() {
    for arguments in [
        &[][..],
        &["check"],
        &["no-such-command"],
        &["check", "--config", "x", "--output", "yaml"],
        &["explain", "www.example.com"],
        &["explain", "www.example.com", "--client", "nowhere"],
        &["explain", "a..b", "--client", "192.0.2.1"],
        &["explain", "www.example.com", "--client", "192.0.2.1", "--type", "AA"],
        &["completions", "no-such-shell"],
        &["pool"],
        &["pool", "release"],
    ] {
        let output = run(arguments);
        assert_eq!((code(&output), printed(&output)), (2, ""), "{arguments:?}");
        assert!(complained(&output).contains("Usage: rhumb") || complained(&output).contains("--help"));
    }
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        assert_eq!(code(&run(arguments)), 0, "{arguments:?}");
    }
    let missing = run(&["check", "--config", "/nonexistent/rhumb.toml"]);
    assert_eq!(code(&missing), 1);
    assert!(complained(&missing).starts_with("/nonexistent/rhumb.toml: error: cannot read the file: "));
}

#[test]
fn explain_and_status_say_what_is_served() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    first.kill();
    let text = scene.two_sites([&first, &second], [ONCE, ONCE]);
    let daemon = scene.start(&text);
    let admin = format!("http://{}", daemon.admin());
    let file = scene.path().join("rhumb.toml");
    let file = file.to_str().expect("it is text");

    // By the file alone every address is up; the daemon knows better.
    let question = ["explain", DOMAIN, "--client", "192.0.2.1"];
    let by_file = ["--config", file];
    let by_daemon = ["--admin", &admin];
    for (source, [pool, ip]) in
        [(by_file, ["first", &first.ip().to_string()]), (by_daemon, ["second", &second.ip().to_string()])]
    {
        let output = run(&[&question[..], &source].concat());
        assert_eq!((code(&output), complained(&output)), (0, ""));
        assert!(printed(&output).contains(&format!("takes pool {pool}")), "{}", printed(&output));
        assert!(printed(&output).ends_with(&format!("{DOMAIN}. 1 IN A {ip}\n")), "{}", printed(&output));
        let output = run(&[&question[..], &source, &["--output", "json"]].concat());
        assert_eq!(code(&output), 0);
        let explanation = parsed(&output);
        assert_eq!(explanation["rcode"], "NOERROR");
        assert_eq!(explanation["decisions"][0]["pool"], pool);
        assert_eq!(explanation["answer"], json!([format!("{DOMAIN}. 1 IN A {ip}")]));
    }

    let status = run(&["status", "--admin", &admin]);
    assert_eq!(code(&status), 0);
    for words in [
        format!("domain {DOMAIN}: priority of first, second, TTL 1 s"),
        "pool first: round-robin, 0 of 1 available".to_owned(),
        "last failure: connection refused".to_owned(),
        "pool second: round-robin, 1 of 1 available".to_owned(),
    ] {
        assert!(printed(&status).contains(&words), "{words} in {}", printed(&status));
    }
    // The environment may say it as well.
    let status =
        rhumb().args(["status", "--output", "json"]).env("RHUMB_ADMIN", &admin).output().expect("built");
    assert_eq!(code(&status), 0);
    let status = parsed(&status);
    assert_eq!(status["pools"][0]["addresses"][0]["health"], "down");
    assert_eq!(status["pools"][1]["addresses"][0]["health"], "up");
}

#[test]
fn whoever_keeps_it_running_learns_whether_it_runs() {
    let (mut site, scene) = (Site::start(), Scene::new());
    site.hang();
    let made = parsed(&run(&["token", "new", "--name", "a", "--role", "read", "--output", "json"]));
    let tokens = scene.write("tokens", made["line"].as_str().expect("it is text"));
    let text = scene.two_sites([&site, &site], [ONCE, ONCE]);
    let daemon = scene.launch(&text.replacen("[admin]", &format!("[admin]\ntoken_file = {tokens:?}"), 1));
    site.await_connections(1);
    let admin = format!("http://{}", daemon.admin());
    let asked = |arguments: &[&str]| run(&[&["status", "--admin", &admin], arguments].concat());

    let unready = asked(&["--ready"]);
    assert_eq!((code(&unready), printed(&unready)), (1, ""));
    let expected = format!("error: {admin} answered 503 Service Unavailable: the first round of probes has");
    assert!(complained(&unready).starts_with(&expected), "{}", complained(&unready));
    let alive = asked(&["--alive"]);
    assert_eq!((code(&alive), printed(&alive), complained(&alive)), (0, "alive\n", ""));

    site.kill();
    daemon.await_line(0, &["ready"]);
    let ready = asked(&["--ready"]);
    assert_eq!((code(&ready), printed(&ready), complained(&ready)), (0, "ready\n", ""));
    assert_eq!(parsed(&asked(&["--ready", "--output", "json"])), json!({ "ready": true }));
    assert_eq!(code(&asked(&["--ready", "--alive"])), 2);
    // All else is nobody's business.
    assert_eq!(code(&asked(&[])), 1);
}

#[test]
fn without_a_daemon_it_says_whom_it_asked() {
    let nobody = format!("http://{}", Scene::new().admin);
    for arguments in [
        &["status"][..],
        &["status", "--alive"],
        &["explain", DOMAIN, "--client", "192.0.2.1"],
        &["pool", "release", "first"],
    ] {
        let output = run(&[arguments, &["--admin", &nobody]].concat());
        assert_eq!((code(&output), printed(&output)), (1, ""));
        let message = complained(&output);
        assert!(
            message.starts_with(&format!("error: no answer from {nobody}: Connection refused")),
            "{message}"
        );
        assert!(message.contains("hint: is the daemon running"), "{message}");
    }
}

#[test]
fn a_port_in_use_is_named_with_what_is_likely_behind_it() {
    let scene = Scene::new();
    let _daemon = scene.start(&scene.ground());
    let refused = |text: &str| {
        let (status, log) =
            Process::start(support::daemon::serve(&scene.write("second.toml", text))).await_end();
        assert_eq!(status.code(), Some(1), "{log}");
        log
    };
    let log = refused(&scene.ground());
    let expected = format!("error: cannot listen on {} (UDP): Address already in use", scene.dns);
    assert!(log.starts_with(&expected) && log.contains("another server holds this port"), "{log}");

    let other = Scene::new();
    let text = scene.ground().replace(&scene.dns.to_string(), &other.dns.to_string());
    let log = refused(&text);
    let expected = format!("error: admin API: cannot listen on {}: Address already in use", scene.admin);
    assert!(log.starts_with(&expected), "{log}");

    // Of TCP as well, where UDP can be had.
    let _holder = TcpListener::bind(other.dns).expect("it is free");
    let log = refused(&text.replace(&scene.admin.to_string(), &other.admin.to_string()));
    assert!(log.starts_with(&format!("error: cannot listen on {} (TCP)", other.dns)), "{log}");
}

#[test]
fn a_broken_configuration_does_not_start() {
    let scene = Scene::new();
    let file = scene.configure(&broken(&scene));
    let (status, log) = Process::start(support::daemon::serve(&file)).await_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.starts_with(&format!("{}:", file.display())) && log.contains("error: "), "{log}");
}

#[test]
fn completions_and_the_manual_are_what_their_readers_accept() {
    for (shell, word) in [("bash", "_rhumb"), ("zsh", "#compdef rhumb"), ("fish", "complete -c rhumb")] {
        let output = run(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(printed(&output).contains(word), "{shell}");
        for command in [
            "serve",
            "check",
            "health-check",
            "condition",
            "record",
            "explain",
            "status",
            "completions",
            "man",
        ] {
            assert!(printed(&output).contains(command), "{command} for {shell}");
        }
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash is here");
    let script = run(&["completions", "bash"]).stdout;
    bash.stdin.take().expect("it is piped").write_all(&script).expect("bash reads");
    assert!(bash.wait().expect("our own child").success());

    let manual = run(&["man"]);
    assert_eq!(code(&manual), 0);
    assert!(printed(&manual).contains(".TH rhumb 1") && printed(&manual).contains("check"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let scene = Scene::new();
    let file = scene.configure(&scene.ground());
    let check = ["check", "--config", file.to_str().expect("it is text")];
    for arguments in [&check[..], &["man"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().expect("pipes are to be had");
        drop(reader);
        let output = rhumb().args(arguments).stdout(writer).output().expect("it was built");
        assert_eq!((code(&output), complained(&output)), (0, ""), "{arguments:?}");
    }
    let (reader, writer) = std::io::pipe().expect("pipes are to be had");
    drop(reader);
    scene.configure(&broken(&scene));
    let status = rhumb().args(check).stderr(writer).status().expect("it was built");
    assert_eq!(status.code(), Some(1));
}
