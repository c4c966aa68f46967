//! Those are told what happens whom the configuration names: by the real program, to real peers.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use rcgen::generate_simple_self_signed;
use serde_json::Value;
use support::daemon::{Daemon, run, serve};
use support::eventually;
use support::fake::Fake;
use support::http::{get, post, sample};
use support::others::program;
use support::process::Process;
use support::scene::{DOMAIN, Scene};
use support::site::Site;

/// A check that finds out soon.
const CHECK: &str = r#"interval = "200ms", timeout = "200ms""#;

/// What is in the files of secrets; nobody may say it.
const PASSWORD: &str = "swordfish";
const PATH: &str = "T000-B000-XXXX";

/// What Slack and DingTalk answer.
fn services(target: &str) -> (u16, &'static [(&'static str, &'static str)], String) {
    let body = if target.contains("/robot/send") { r#"{"errcode":0,"errmsg":"ok"}"# } else { "ok" };
    (200, &[("content-type", "application/json")], body.to_owned())
}

/// A peer of `tests/notify/peer.py`, with a certificate that `ca.pem` trusts.
fn peer(scene: &Scene, kind: &str, at: SocketAddr) -> Process {
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notify/peer.py"))
        .args([kind, &at.ip().to_string(), &at.port().to_string()])
        .args([scene.path().join("cert.pem"), scene.path().join("key.pem")]);
    let process = Process::start(command);
    process.await_line(0, &["listening"]);
    process
}

fn write_certificate(scene: &Scene) {
    let made = generate_simple_self_signed([scene.admin.ip().to_string()]).expect("the name is good");
    scene.write("cert.pem", &made.cert.pem());
    scene.write("key.pem", &made.signing_key.serialize_pem());
}

/// An Alertmanager, that of Debian.
fn alertmanager(scene: &Scene, at: SocketAddr) -> Process {
    let configuration = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
    let file = scene.write("alertmanager.yml", configuration);
    let mut command = program("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", scene.path().join("alertmanager").display()))
        .arg(format!("--web.listen-address={at}"))
        .arg("--cluster.listen-address=");
    let process = Process::start(command);
    process.await_line(0, &["Listening on"]);
    process
}

/// The names of the alerts that are active there.
fn active_alerts(at: SocketAddr) -> Vec<String> {
    let alerts = get(at, "/api/v2/alerts?active=true").json();
    let alerts = alerts.as_array().expect("a list").iter();
    let name = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {}", label("alertname"), label("severity"), label("pool"), label("address"))
    };
    let mut names: Vec<String> = alerts.map(|alert| name(alert).trim().to_owned()).collect();
    names.sort();
    names
}

/// What the daemon says of the destination of this name.
fn destination(daemon: &Daemon, name: &str) -> Value {
    let all = get(daemon.admin(), "/v1/notifications").json();
    let all = all.as_array().expect("a list");
    all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name}: {all:?}")).clone()
}

/// The next line of `process` with these words, as JSON.
fn printed(process: &Process, words: &[&str]) -> Value {
    let line = process.await_line(0, words);
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The one message to what has `target` in it.
fn posted(asked: &[(String, Value)], target: &str) -> Option<Value> {
    let mut found = asked.iter().filter(|(asked, _)| asked.contains(target));
    let first = found.next()?;
    assert_eq!(found.next(), None, "one message is enough");
    Some(first.1.clone())
}

#[test]
fn a_site_that_dies_is_one_message_at_each_destination() {
    let scene = Scene::new();
    let at = |port| SocketAddr::new(scene.admin.ip(), port);
    write_certificate(&scene);
    let (mails, requests) = (peer(&scene, "smtp", at(8025)), peer(&scene, "https", at(8443)));
    let _alertmanager = alertmanager(&scene, at(9093));
    let fake = Fake::start(services);
    scene.write("password", &format!("{PASSWORD}\n"));
    scene.write("slack.url", &format!("{}/services/{PATH}", fake.url()));
    scene.write("ding.url", &format!("{}/robot/send?access_token={PATH}", fake.url()));
    let (mut one, mut other, second) = (Site::start(), Site::start(), Site::start());
    let text = format!(
        r#"{ground}
[health_check]
web = {{ type = "http", path = "/health", {CHECK} }}
[pool.first]
health_check = "web"
address = [{{ name = "a", ip = "{}", port = 8080 }}, {{ name = "b", ip = "{}", port = 8080 }}]
[pool.second]
health_check = "web"
address = [{{ name = "c", ip = "{second}", port = 8080 }}]
[[domain]]
name = "{DOMAIN}"
policy = "priority"
pools = ["first", "second"]
ttl = "1s"

[notification.hook]
type = "webhook"
url = "https://{https}/hook"
token_file = "password"
ca_file = "cert.pem"
EVENTS
[notification.chat]
type = "slack"
url_file = "slack.url"
EVENTS
[notification.ding]
type = "dingtalk"
url_file = "ding.url"
secret_file = "password"
EVENTS
[notification.alerts]
type = "alertmanager"
url = "http://{alertmanager}"
EVENTS
[notification.mail]
type = "email"
host = "{smtp}"
port = 8025
ca_file = "cert.pem"
from = "rhumb <rhumb@example.com>"
to = ["ops@example.com", "Night Shift <night@example.com>"]
username = "rhumb"
password_file = "password"
EVENTS
"#,
        one.ip(),
        other.ip(),
        ground = scene.ground(),
        second = second.ip(),
        https = at(8443),
        alertmanager = at(9093),
        smtp = scene.admin.ip(),
    );
    let events = r#"events = ["domain", "pool", "address"]
group_wait = "1500ms""#;
    let daemon = scene.start(&text.replace("EVENTS", events));
    one.kill();
    other.kill();

    let hook = printed(&requests, &["\"path\""]);
    assert_eq!(
        (&hook["path"], &hook["authorization"]),
        (&"/hook".into(), &format!("Bearer {PASSWORD}").into())
    );
    let told = |body: &Value| {
        let events = body["events"].as_array().expect("a list").iter();
        let mut told: Vec<String> = events
            .map(|it| format!("{} {} {}", it["event"].as_str().unwrap_or(""), it["state"], it["address"]))
            .collect();
        told.sort();
        told.join(", ").replace('"', "")
    };
    assert_eq!(told(&hook["body"]), "address begun a, address begun b, pool begun null");

    let mut asked = Vec::new();
    let (slack, ding) = eventually("both services to be told", || {
        asked.extend(fake.asked());
        Some((posted(&asked, "/services/")?, posted(&asked, "/robot/send")?))
    });
    let text_of = |value: &Value| value.as_str().expect("it is text").to_owned();
    for text in [text_of(&slack["text"]), text_of(&ding["text"]["content"])] {
        for words in ["address first/a", "address first/b", "pool first is out of service"] {
            assert!(text.contains(words), "{text}");
        }
    }
    let (target, _) = asked.iter().find(|(target, _)| target.contains("/robot/")).expect("it was seen");
    assert!(target.contains("&timestamp=") && target.contains("&sign="), "{target}");

    let mail = printed(&mails, &["\"mail\""]);
    assert_eq!((&mail["tls"], &mail["mail"]["Auto-Submitted"]), (&true.into(), &"auto-generated".into()));
    assert_eq!(mail["to"], serde_json::json!(["ops@example.com", "night@example.com"]));
    let body = text_of(&mail["body"]);
    assert!(body.contains("address first/a") && body.contains("pool first is out of service"), "{body}");

    eventually("the alerts", || {
        let expected = [
            "RhumbAddressDown warning first a",
            "RhumbAddressDown warning first b",
            "RhumbPoolOut warning first",
        ];
        (active_alerts(at(9093)) == expected).then_some(())
    });

    one.revive();
    other.revive();
    eventually("the alerts to be over", || active_alerts(at(9093)).is_empty().then_some(()));
    let over = printed(&mails, &["\"mail\"", "pool first is back in service, after "]);
    assert!(text_of(&over["body"]).contains("over: address first/a "), "{over}");
    eventually("all to be counted", || {
        let delivered = |name| destination(&daemon, name)["delivered"] == 2;
        ["hook", "chat", "ding", "alerts", "mail"].into_iter().all(delivered).then_some(())
    });
    let series = r#"rhumb_notifications_total{destination="hook",result="delivered"}"#;
    assert_eq!(sample(daemon.admin(), series), 2.0);

    let api = ["/v1/notifications", "/v1/edits/export", "/v1/audit", "/metrics"]
        .map(|path| get(daemon.admin(), path).body)
        .concat();
    for secret in [PASSWORD, PATH] {
        assert_eq!(daemon.lines(&[secret]), Vec::<String>::new());
        assert!(!api.contains(secret), "{api}");
    }
}

#[test]
fn a_destination_that_hangs_delays_nobody_and_one_that_was_away_is_told_later() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let (hanging, mut late, fake) = (Site::start(), Site::start(), Fake::start(services));
    hanging.hang();
    late.kill();
    let hook = |name: &str, url: &str| {
        format!(
            "[notification.{name}]\ntype = \"webhook\"\nurl = \"{url}\"\ngroup_wait = \"100ms\"\ntimeout = \"1m\"\n"
        )
    };
    let at = |site: &Site| format!("http://{}:8080/", site.ip());
    let text = [
        scene.two_sites([&first, &second], [CHECK, CHECK]),
        hook("hanging", &at(&hanging)),
        hook("late", &at(&late)),
        hook("live", &fake.url()),
    ]
    .concat();
    let daemon = scene.start(&text);
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    eventually("it to be told", || (!fake.asked().is_empty()).then_some(()));
    hanging.await_connections(1);
    daemon.await_line(0, &["WARN", "a notification was not delivered, and will be again", "late", "refused"]);

    // Health goes on while they are not done.
    first.revive();
    daemon.await_answer(DOMAIN, first.ip());
    eventually("its end to be told", || {
        let over = |(_, body): &(String, Value)| body["events"][0]["state"] == "over";
        fake.asked().iter().any(over).then_some(())
    });
    let stuck = destination(&daemon, "hanging");
    assert_eq!(
        (&stuck["delivered"], &stuck["last_error"]),
        (&0.into(), &Value::Null),
        "it hangs all the while"
    );
    late.revive();
    eventually("what was late", || (destination(&daemon, "late")["delivered"] == 2).then_some(()));
    assert_eq!(destination(&daemon, "late")["failed"], 0);
}

#[test]
fn root_certificates_that_come_later_are_found() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    write_certificate(&scene);
    let at = SocketAddr::new(scene.admin.ip(), 8443);
    let requests = peer(&scene, "https", at);
    let text = format!(
        "{}[notification.hook]\ntype = \"webhook\"\nurl = \"https://{at}/hook\"\ngroup_wait = \"0s\"\nevents = [\"pool\"]\n",
        scene.two_sites([&first, &second], [CHECK, CHECK])
    );
    let roots = scene.path().join("roots.pem");
    let mut command = serve(&scene.configure(&text));
    command.env("SSL_CERT_FILE", &roots).env("SSL_CERT_DIR", scene.path().join("roots"));
    let daemon = scene.attach(Process::start(command));
    daemon.await_line(0, &["ready"]);
    first.kill();
    daemon.await_line(
        0,
        &["WARN", "a notification was not delivered, and will be again", "no root certificates"],
    );

    fs::copy(scene.path().join("cert.pem"), &roots).expect("there is room");
    assert_eq!(printed(&requests, &["\"path\""])["path"], "/hook");
    eventually("it to be counted", || (destination(&daemon, "hook")["delivered"] == 1).then_some(()));
    assert_eq!(destination(&daemon, "hook")["failed"], 0);
}

#[test]
fn destinations_are_tested_reloaded_and_told_of_mistakes() {
    let (scene, fake, other) = (Scene::new(), Fake::start(services), Fake::start(services));
    let secret = |fake: &Fake| scene.write("slack.url", &format!("{}/services/{PATH}", fake.url()));
    let chat = "[notification.chat]\ntype = \"slack\"\nurl_file = \"slack.url\"\ngroup_wait = \"0s\"\n";
    let text = format!("{}{chat}", scene.ground());
    let config = scene.configure(&text);
    let config = config.to_str().expect("UTF-8");
    let missing = run(&["check", "--config", config]);
    let complaint = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        !missing.status.success() && complaint.contains("slack.url: error: cannot read the file"),
        "{complaint}"
    );

    secret(&fake);
    assert!(run(&["check", "--config", config]).status.success());
    let daemon = scene.start(&text);
    let admin = format!("http://{}", daemon.admin());
    let asked = |arguments: &[&str]| run(&[arguments, &["--admin", &admin]].concat());
    let tested = asked(&["notify", "test"]);
    assert_eq!(String::from_utf8_lossy(&tested.stdout), "chat: delivered\n");
    let told = fake.asked();
    assert!(
        told.len() == 1 && told[0].1["text"].as_str().is_some_and(|it| it.contains("this is a test")),
        "{told:?}"
    );
    let unknown = asked(&["notify", "test", "nobody"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no notification `nobody`"));
    let listed = asked(&["notify", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("chat  slack "), "{listed:?}");
    let audit = get(daemon.admin(), "/v1/audit").json();
    assert_eq!(audit["records"][0]["object"], "notifications/chat", "{audit}");

    scene.configure(&format!("{text}nonsense = 1\n"));
    assert_eq!(post(daemon.admin(), "/v1/reload").status, 422);
    let refused = |told: &[(String, Value)]| {
        let text = told.first()?.1["text"].as_str()?.to_owned();
        assert!(text.contains("the configuration was refused: ") && text.contains("nonsense"), "{text}");
        Some(())
    };
    eventually("the mistake to be told", || refused(&fake.asked()));

    scene.configure(&text);
    secret(&other);
    let reloaded = post(daemon.admin(), "/v1/reload").json();
    assert_eq!(reloaded["notifications"], true, "{reloaded}");
    assert!(asked(&["notify", "test", "chat"]).status.success());
    // It may be told as well of what lasted when it was new.
    let is_test =
        |(_, body): &&(String, Value)| body["text"].as_str().is_some_and(|it| it.contains("this is a test"));
    assert_eq!(other.asked().iter().filter(is_test).count(), 1, "it has moved");
    assert_eq!(post(daemon.admin(), "/v1/reload").json()["notifications"], false);

    // What is counted of a destination is told as long as it is one.
    let counted =
        || get(daemon.admin(), "/metrics").body.matches("rhumb_notifications_total{destination").count();
    assert_eq!(counted(), 3);
    scene.configure(&scene.ground());
    assert_eq!(post(daemon.admin(), "/v1/reload").json()["notifications"], true);
    assert_eq!(counted(), 0);
    scene.configure(&text);
    assert_eq!(post(daemon.admin(), "/v1/reload").json()["notifications"], true);
    assert_eq!(
        sample(daemon.admin(), r#"rhumb_notifications_total{destination="chat",result="failed"}"#),
        0.0
    );

    scene.write("slack.url", "http://127.0.0.1:9/services/x");
    assert_eq!(post(daemon.admin(), "/v1/reload").status, 200);
    let failed = asked(&["notify", "test"]);
    let printed = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(!failed.status.success() && printed.contains("chat: not delivered: "), "{printed}");
    assert_eq!(daemon.lines(&[PATH]), Vec::<String>::new());
}
