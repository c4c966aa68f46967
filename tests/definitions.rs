//! Health checks, conditions and records, and the tables of addresses, edited on the command line.

mod support;

use std::net::IpAddr;
use std::process::Output;

use support::daemon::run;
use support::scene::{QUICK, Scene};
use support::site::Site;

fn complained(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("it prints text")
}

#[test]
fn checks_conditions_and_records_of_a_running_daemon_are_edited() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [QUICK, QUICK]));
    let admin = format!("http://{}", daemon.admin());
    let answered = |arguments: &[&str]| run(&[arguments, &["--admin", &admin]].concat());
    let asked = |arguments: &[&str]| {
        let output = answered(arguments);
        assert_eq!((output.status.code(), complained(&output)), (Some(0), ""), "{arguments:?}");
        String::from_utf8(output.stdout).expect("it prints text")
    };
    let zone = "ai.example.com";

    let said = asked(&["record", "add", zone, "mail", "A", "192.0.2.25", "--reason", "mail moves"]);
    assert!(said.starts_with("records mail A of zone ai.example.com:\ndata = [\"192.0.2.25\"]\n"), "{said}");
    let ips = |texts: &[&str]| -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an IP address")).collect()
    };
    let mail = || {
        let mut found = daemon.resolve("mail.ai.example.com");
        found.sort_unstable();
        found
    };
    assert_eq!(mail(), ips(&["192.0.2.25"]));
    let rehearsed = asked(&["record", "add", zone, "mail", "A", "192.0.2.26", "--dry-run"]);
    assert_eq!(rehearsed, "it would be accepted; nothing was changed\n");
    asked(&["record", "add", zone, "mail", "A", "192.0.2.26", "--ttl", "5m"]);
    assert_eq!(mail(), ips(&["192.0.2.25", "192.0.2.26"]));
    let listed = asked(&["record", "list", zone]);
    assert!(listed.contains("mail  A     5m   192.0.2.26\n"), "{listed}");
    asked(&["record", "remove", zone, "mail", "A", "192.0.2.25"]);
    assert_eq!(mail(), ips(&["192.0.2.26"]));
    let wrong = answered(&["record", "set", zone, "mail", "A", "mail"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(complained(&wrong).contains("422") && complained(&wrong).contains("(at data"), "{wrong:?}");
    asked(&["record", "remove", zone, "mail", "A"]);
    let missing = answered(&["record", "show", zone, "mail", "A"]);
    assert!(complained(&missing).contains("hint: `rhumb record list` names those there are"), "{missing:?}");

    asked(&["health-check", "add", "plain", "type=tcp", "interval=500ms", "timeout=400ms"]);
    asked(&["health-check", "set", "plain", "fall=3", "--for", "1h"]);
    assert!(asked(&["health-check", "list"]).contains("fall = 3"));
    asked(&["pool", "set", "first", "health_check=plain"]);
    let needed = answered(&["health-check", "remove", "plain"]);
    assert_eq!(needed.status.code(), Some(1));
    assert!(complained(&needed).contains("409"), "{needed:?}");
    asked(&["address", "set", "first", "a", "weight=3", "port=8080", "--reason", "as before"]);
    assert!(asked(&["address", "show", "first", "a"]).contains("weight = 3"));

    asked(&["condition", "add", "other", "any=[\"pool:second\"]"]);
    assert!(
        asked(&["condition", "show", "other"]).starts_with("condition other:\nany = [\"pool:second\"]\n")
    );
    let missing = answered(&["condition", "show", "another"]);
    assert!(
        complained(&missing).contains("hint: `rhumb condition list` names those there are"),
        "{missing:?}"
    );
    let removed = asked(&["condition", "remove", "other"]);
    assert!(removed.starts_with("removed condition other\n"), "{removed}");
}
