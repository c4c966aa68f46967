//! `rhumb drill`: the five states, for real.

mod support;

use std::process::Output;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::daemon::{rhumb, run};
use support::eventually;
use support::http::get;
use support::process::Process;

fn drilled(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaint}"))
}

/// Both faults at once, so that the test takes half the time: they have nothing in common.
#[test]
fn a_failover_takes_less_than_two_seconds_and_nothing_fails_after_it() {
    let drills = ["kill", "hang"].map(|fault| {
        std::thread::spawn(move || {
            let pace = ["--interval", "10ms", "--state-duration", "3s"];
            (fault, run(&[&["drill", "--output", "json", "--fault", fault][..], &pace].concat()))
        })
    });
    for drill in drills {
        let (fault, output) = drill.join().expect("the program was run");
        let report = drilled(&output);
        let run = &report["runs"][0];
        let summary = |key: &str| format!("{fault}: {key} is {}", run[key]);
        assert_eq!(output.status.code(), Some(0), "{}", summary("missed"));
        assert_eq!((&run["fault"], &run["passed"]), (&fault.into(), &true.into()));

        // A request every 10 ms for 15 s, of which some states have none that can succeed.
        assert!(run["requests"].as_u64() > Some(1_400), "{}", summary("requests"));
        assert_eq!(run["settled"]["failed"], 0);
        assert!(run["settled"]["requests"].as_u64() > Some(600), "{}", summary("settled"));
        let failovers = run["failovers"].as_array().expect("a list");
        let labels: Vec<_> = failovers.iter().map(|failover| failover["label"].clone()).collect();
        assert_eq!(labels, ["vietnam down", "hongkong back"], "{}", summary("failovers"));
        for failover in failovers {
            let downtime = failover["downtime"].as_f64().expect("it has an end");
            assert!(0.0 < downtime && downtime < 2.0, "{}", summary("failovers"));
        }

        let states = run["states"].as_array().expect("a list");
        let sites: Vec<Vec<_>> = states
            .iter()
            .map(|state| state["used"].as_array().expect("a list").iter().map(|used| &used["site"]).collect())
            .collect();
        assert!(sites[0].iter().all(|site| *site == "vietnam") && !sites[0].is_empty(), "{sites:?}");
        assert!(sites[1].iter().any(|site| *site == "hongkong"), "{sites:?}");
        assert!(sites[3].iter().all(|site| *site == "hongkong") && !sites[3].is_empty(), "{sites:?}");
        assert!(sites[4].iter().any(|site| *site == "vietnam"), "{sites:?}");
        assert_eq!(states[2]["right_answer"], Value::Null, "there is none while both are down");

        let reason = if fault == "kill" { "connection refused" } else { "timed out" };
        assert!(states[2]["failures"][reason].as_u64() > Some(200), "{}", states[2]["failures"]);
        assert_eq!(run["log"].as_array().map(Vec::len), run["requests"].as_u64().map(|count| count as usize));
        assert_eq!(run["answers"][0]["addresses"], serde_json::json!(["127.0.84.1", "127.0.84.2"]));
    }
}

/// A running `rhumb demo` and the arguments of a drill against it.
fn demo_and_arguments() -> (Process, String, Vec<String>) {
    let mut command = rhumb();
    command.args(["demo", "--output", "json", "--dns-port", "0", "--admin-port", "0"]);
    let demo = Process::start(command);
    let line = demo.await_line(0, &["{\"dns\":"]);
    let whereabouts: Value = serde_json::from_str(&line).expect("one line of JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let control = text(&whereabouts["control"]);
    let site = text(&whereabouts["sites"][0]["addresses"][0]);
    let port = site.rsplit(':').next().expect("an address and a port").to_owned();
    let order = |fault| format!("curl -fsS -X POST \"{control}/sites/$RHUMB_SITE?fault={fault}\"");
    let arguments = [
        ("--server", text(&whereabouts["dns"])),
        ("--name", text(&whereabouts["name"])),
        ("--subnet", text(&whereabouts["clients"][0]["subnet"])),
        ("--port", port),
        ("--sites", "vietnam,hongkong".to_owned()),
        ("--stop-command", order("$RHUMB_FAULT")),
        ("--start-command", order("none")),
    ];
    let arguments = arguments.into_iter().flat_map(|(option, value)| [option.to_owned(), value]);
    (demo, control.strip_prefix("http://").expect("plain HTTP").to_owned(), arguments.collect())
}

fn faults(control: &str) -> Vec<String> {
    let sites = get(control.parse().expect("an address and a port"), "/sites").json();
    let sites = sites.as_array().expect("a list").iter();
    sites.map(|site| site["fault"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn a_running_daemon_is_drilled_by_commands() {
    let (_demo, control, arguments) = demo_and_arguments();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let pace = ["--interval", "50ms", "--state-duration", "2s", "--fault", "hang", "--output", "json"];
    let output = run(&[&["drill"], &arguments[..], &pace].concat());
    let report = drilled(&output);
    assert_eq!(output.status.code(), Some(0), "{}", report["runs"][0]["missed"]);
    assert_eq!(report["runs"][0]["states"][1]["used"][0]["site"], "hongkong");
    assert_eq!(faults(&control), ["none", "none"]);
}

#[test]
fn a_missed_bar_is_told_and_fails_the_drill() {
    let (_demo, control, arguments) = demo_and_arguments();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let pace = ["--interval", "20ms", "--state-duration", "2s", "--max-downtime", "1ms"];
    let output = run(&[&["drill"], &arguments[..], &pace].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("MISSED: ") && text.contains("of downtime, where at most 0.001 s is allowed"),
        "{text}"
    );
    assert!(!text.contains("passed"), "{text}");
    assert_eq!(faults(&control), ["none", "none"]);
}

/// The arguments with `more` behind the command that stops a site.
fn stopping(mut arguments: Vec<String>, more: &str) -> Vec<String> {
    let option = arguments.iter().position(|argument| argument == "--stop-command").expect("it is there");
    arguments[option + 1] += more;
    let pace = ["--state-duration", "10ms", "--interval", "1ms"].map(str::to_owned);
    [vec!["drill".to_owned()], arguments, pace.to_vec()].concat()
}

#[test]
fn an_interrupted_drill_mends_what_it_broke() {
    let (_demo, control, arguments) = demo_and_arguments();
    let mut command = rhumb();
    // The drill stays in the state that it is interrupted in.
    command.args(stopping(arguments, " && exec sleep 1000"));
    let drill = Process::start(command);
    eventually("vietnam to be broken", || (faults(&control) == ["kill", "none"]).then_some(()));
    drill.signal(Signal::SIGINT);
    let (status, text) = drill.await_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("interrupted"), "{text}");
    assert_eq!(faults(&control), ["none", "none"]);
}

#[test]
fn a_command_that_fails_ends_the_drill() {
    let (_demo, control, arguments) = demo_and_arguments();
    let mut command = rhumb();
    command.args(stopping(arguments, " && exit 3"));
    let (status, text) = Process::start(command).await_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("--stop-command for site vietnam: exit status: 3"), "{text}");
    assert_eq!(faults(&control), ["none", "none"], "what the command had broken is mended");
}

#[test]
fn wrong_usage_is_code_2() {
    for arguments in [
        &["--state-duration", "2s"][..],
        &["--interval", "0s"],
        &["--ttl", "0"],
        &["--server", "127.0.0.1"],
        &["--name", "www.example.com"],
        &["--fault", "flood"],
    ] {
        let output = run(&[&["drill"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
