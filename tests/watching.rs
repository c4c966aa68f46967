//! A change of the configuration's files is a reload, however it is made, and nothing else is.

mod support;

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use support::daemon::{Daemon, run};
use support::eventually;
use support::http::{get, request, sample};
use support::process::Process;
use support::scene::Scene;

const HOST: &str = "host.ai.example.com";

/// A configuration that is watched, in which [`HOST`] has this address.
fn with_host(scene: &Scene, address: &str) -> String {
    let ground = scene.ground().replace("watch = false\n", "");
    format!(
        "{ground}\n[[zone.record]]\nname = \"host\"\ntype = \"A\"\ndata = \"{address}\"\n[log]\nlevel = \"debug\"\n"
    )
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Starts the daemon with the configuration at `path`, and waits until it watches it.
fn start(scene: &Scene, path: &Path) -> Daemon {
    let daemon = scene.attach(Process::start(support::daemon::serve(path)));
    daemon.await_line(0, &["ready"]);
    daemon.await_line(0, &["hold what they held"]);
    daemon
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn reloads(daemon: &Daemon, result: &str) -> f64 {
    let line = format!(r#"rhumb_reloads_total{{result="{result}",trigger="file"}} "#);
    let metrics = get(daemon.admin(), "/metrics").body;
    let found = metrics.lines().find_map(|metric| metric.strip_prefix(&line)?.parse().ok());
    found.unwrap_or(0.0)
}

#[test]
fn a_file_may_be_written_to_or_replaced() {
    let scene = Scene::new();
    let path = scene.configure(&with_host(&scene, "192.0.2.1"));
    let daemon = start(&scene, &path);

    write(&path, &with_host(&scene, "192.0.2.2"));
    daemon.await_line(0, &["configuration reloaded: 1 zone changed", "trigger=\"file\""]);
    assert_eq!(daemon.resolve(HOST), [ip("192.0.2.2")]);

    // As editors do, more than once: what is watched is the name, not the file.
    for last in 3..6 {
        let other = scene.write("rhumb.toml.new", &with_host(&scene, &format!("192.0.2.{last}")));
        fs::rename(other, &path).expect("it can be moved");
        daemon.await_answer(HOST, ip(&format!("192.0.2.{last}")));
    }
    assert_eq!((reloads(&daemon, "accepted"), reloads(&daemon, "refused")), (4.0, 0.0));
}

#[test]
fn a_token_is_good_for_nothing_once_its_line_is_gone() {
    let scene = Scene::new();
    let made = ["one", "two"].map(|name| {
        let output = run(&["token", "new", "--name", name, "--role", "read", "--output", "json"]);
        let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        ["token", "line"].map(|member| made[member].as_str().expect("a text").to_owned())
    });
    let [[first, first_line], [second, second_line]] = &made;
    let tokens = scene.write("tokens", &format!("{first_line}\n"));
    let admin = format!("listen = \"{}\"\n", scene.admin);
    let text = with_host(&scene, "192.0.2.1").replace(&admin, &format!("{admin}token_file = \"tokens\"\n"));
    let daemon = start(&scene, &scene.configure(&text));
    let status = |token: &str| {
        let headers = [("authorization", &format!("Bearer {token}")[..])];
        request(daemon.admin(), "GET", "/v1/whoami", &headers).expect("it answers").status
    };
    assert_eq!((status(first), status(second)), (200, 401));

    let from = daemon.said();
    write(&tokens, &format!("{second_line}\n"));
    daemon.await_line(from, &["configuration reloaded", "trigger=\"file\""]);
    assert_eq!((status(first), status(second)), (401, 200));
}

#[test]
fn links_may_lead_elsewhere() {
    let scene = Scene::new();
    // As Kubernetes puts a ConfigMap, and as a deployment keeps versions.
    let version = |number: u8| {
        let directory = scene.path().join(format!("..{number}"));
        fs::create_dir(&directory).expect("it can be made");
        write(&directory.join("rhumb.toml"), &with_host(&scene, &format!("192.0.2.{number}")));
        directory
    };
    let point = |link: &str, at: &Path| {
        let [link, new] = [link, "new"].map(|name| scene.path().join(name));
        symlink(at, &new).and_then(|()| fs::rename(new, link)).expect("links can be made");
    };
    point("..data", &version(1));
    point("rhumb.toml", Path::new("..data/rhumb.toml"));
    point("etc", scene.path());
    let daemon = start(&scene, &scene.path().join("etc/rhumb.toml"));
    assert_eq!(daemon.resolve(HOST), [ip("192.0.2.1")]);
    for number in 2..5 {
        point("..data", &version(number));
        daemon.await_answer(HOST, ip(&format!("192.0.2.{number}")));
    }
    let elsewhere = scene.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("it can be made");
    write(&elsewhere.join("rhumb.toml"), &with_host(&scene, "192.0.2.9"));
    point("etc", &elsewhere);
    daemon.await_answer(HOST, ip("192.0.2.9"));
    // The way that does not lead there any more is not looked at.
    let from = daemon.said();
    write(&elsewhere.join("rhumb.toml"), &with_host(&scene, "192.0.2.10"));
    daemon.await_line(from, &["configuration reloaded"]);
    // It is counted just after it is logged.
    let accepted = eventually("the last reload to be counted", || {
        Some(reloads(&daemon, "accepted")).filter(|accepted| *accepted >= 5.0)
    });
    assert_eq!((accepted, reloads(&daemon, "refused")), (5.0, 0.0));
}

#[test]
fn a_directory_may_be_replaced() {
    let scene = Scene::new();
    let directory = |name: &str, address: &str| {
        let path = scene.path().join(name);
        fs::create_dir(&path).expect("it can be made");
        write(&path.join("rhumb.toml"), &with_host(&scene, address));
        path
    };
    let place = directory("etc", "192.0.2.1");
    let daemon = start(&scene, &place.join("rhumb.toml"));
    fs::rename(&place, scene.path().join("etc.old")).expect("it can be moved");
    // Nothing is served but what is known, whatever is made of the time in between.
    let new = directory("etc.new", "192.0.2.2");
    fs::rename(new, &place).expect("it can be moved");
    daemon.await_answer(HOST, ip("192.0.2.2"));
    write(&place.join("rhumb.toml"), &with_host(&scene, "192.0.2.3"));
    daemon.await_answer(HOST, ip("192.0.2.3"));
}

#[test]
fn files_that_the_configuration_names_count() {
    let scene = Scene::new();
    let zone = |address: &str| {
        format!(
            "$TTL 60\n@ SOA ns1.ai.example.com. hostmaster.example.com. 1 1 1 1 1\n@ NS ns1.ai.example.com.\n$INCLUDE more\nhost A {address}\n"
        )
    };
    fs::create_dir(scene.path().join("zones")).expect("it can be made");
    scene.write("zones/more", "");
    let file = scene.write("zones/static.zone", &zone("192.0.2.1"));
    let text = with_host(&scene, "192.0.2.9")
        + "\n[[zone]]\nname = \"static.example\"\nfile = \"zones/static.zone\"\n";
    let path = scene.configure(&text);
    let daemon = start(&scene, &path);
    let host = "host.static.example";
    assert_eq!(daemon.resolve(host), [ip("192.0.2.1")]);
    write(&file, &zone("192.0.2.2"));
    daemon.await_answer(host, ip("192.0.2.2"));

    // A mistake is told once, and changes nothing.
    let from = daemon.said();
    write(&file, &zone("192.0.2.256"));
    daemon.await_line(from, &["configuration refused, nothing has changed"]);
    daemon.await_line(from, &["zones/static.zone:5:"]);
    let from = daemon.said();
    write(&file, &zone("192.0.2.256"));
    daemon.await_line(from, &["hold what they held"]);
    assert_eq!((reloads(&daemon, "accepted"), reloads(&daemon, "refused")), (1.0, 1.0));
    assert_eq!(daemon.resolve(host), [ip("192.0.2.2")]);

    let included = scene.write("zones/more", "other A 192.0.2.4\n");
    daemon.await_line(from, &["configuration refused, nothing has changed"]);
    write(&file, &zone("192.0.2.3"));
    daemon.await_answer(host, ip("192.0.2.3"));
    assert_eq!(daemon.resolve("other.static.example"), [ip("192.0.2.4")]);
    write(&included, "other A 192.0.2.5\n");
    daemon.await_answer("other.static.example", ip("192.0.2.5"));
}

#[test]
fn where_the_kernel_cannot_tell_the_files_are_looked_at() {
    support::need_root();
    let scene = Scene::new();
    let path = scene.configure(&with_host(&scene, "192.0.2.1"));
    // A namespace of users has a limit of its own.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let serve = support::daemon::serve(&path);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script]);
    command.arg(serve.get_program()).args(serve.get_args());
    let daemon = scene.attach(Process::start(command));
    daemon.await_line(0, &["WARN", "does not tell of changes", "looked at every 2 s"]);
    daemon.await_line(0, &["hold what they held"]);
    for last in 2..4 {
        write(&path, &with_host(&scene, &format!("192.0.2.{last}")));
        daemon.await_answer(HOST, ip(&format!("192.0.2.{last}")));
    }
    assert_eq!(daemon.lines(&["does not tell of changes"]).len(), 1, "it is told once");
}

#[test]
fn what_holds_the_same_is_not_loaded_again() {
    let scene = Scene::new();
    let text = with_host(&scene, "192.0.2.1");
    let path = scene.configure(&text);
    let daemon = start(&scene, &path);
    let generation = || sample(daemon.admin(), "rhumb_table_generation");
    let before = generation();
    for _ in 0..3 {
        let from = daemon.said();
        write(&path, &text);
        daemon.await_line(from, &["hold what they held"]);
    }
    assert_eq!((reloads(&daemon, "accepted"), reloads(&daemon, "refused")), (0.0, 0.0));
    assert_eq!(generation(), before);
}
