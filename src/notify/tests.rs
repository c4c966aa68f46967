//! What destinations are sent, and who is told.

use std::fs;
use std::path::Path;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::delivery::Route;
use super::outbox::Change;
use super::*;
use crate::config;

const NOON: Duration = Duration::from_secs(1_777_636_800);

fn incident(topic: Topic, subject: Subject, phase: Phase, summary: &str) -> Incident {
    Incident { topic, subject, phase, summary: summary.to_owned(), at: NOON }
}

/// A pool that is out, and an address that was down for 90 s; and 7 more.
fn message() -> Message {
    let pool = incident(Topic::Pool, Subject::pool("vn", None), Phase::Begun, "pool vn is out: <a> & b");
    let mut message = Message::of(pool, clock::now());
    let address = incident(Topic::Address, Subject::pool("vn", Some("a")), Phase::Over, "address vn/a is up");
    message.changes.push(Change { incident: address, began: Some(NOON - Duration::from_secs(90)) });
    message.more = 7;
    message
}

/// The notifications of a configuration.
fn notifications(text: &str) -> Vec<Notification> {
    let loaded = config::parse("test.toml", &format!("geoip.databases = []\n{text}"), Path::new("/etc"));
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).notifications
}

#[test]
fn a_webhook_gets_all_of_it_in_members() {
    assert_eq!(
        webhook::body(&message(), "ns1"),
        json!({
            "version": 1,
            "instance": "ns1",
            "severity": "warning",
            "title": "pool vn is out: <a> & b (and 8 more)",
            "events": [
                {
                    "event": "pool", "state": "begun", "severity": "warning", "pool": "vn", "address": null,
                    "domain": null, "name": null, "summary": "pool vn is out: <a> & b",
                    "at": "2026-05-01T12:00:00.000Z", "began": null,
                },
                {
                    "event": "address", "state": "over", "severity": "warning", "pool": "vn", "address": "a",
                    "domain": null, "name": null, "summary": "address vn/a is up",
                    "at": "2026-05-01T12:00:00.000Z", "began": "2026-05-01T11:58:30.000Z",
                },
            ],
            "more": 7,
        })
    );
}

#[test]
fn slack_gets_text_with_its_three_characters_escaped() {
    assert_eq!(
        slack::body(&message(), "ns1"),
        json!({ "text": "*warning* rhumb on ns1: pool vn is out: &lt;a&gt; &amp; b (and 8 more)\n\
             • 2026-05-01T12:00:00Z warning: pool vn is out: &lt;a&gt; &amp; b\n\
             • 2026-05-01T12:00:00Z over: address vn/a is up, after 1m 30s\n• and 7 more" })
    );
}

#[test]
fn dingtalk_gets_text_and_a_signature() {
    let body = dingtalk::body(&message(), "ns1");
    assert_eq!(body["msgtype"], "text");
    let content = body["text"]["content"].as_str().expect("it is text");
    assert!(
        content.starts_with("warning rhumb on ns1: pool vn is out: <a> & b (and 8 more)\n2026-"),
        "{content}"
    );

    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("url"), "https://oapi.dingtalk.com/robot/send?access_token=t").expect("it can be written");
    fs::write(path("secret"), "SECabc\n").expect("it can be written");
    let text = format!(
        "notification.ding = {{ type = \"dingtalk\", url_file = \"{}\", secret_file = \"{}\" }}",
        path("url"),
        path("secret")
    );
    let credentials = notifications(&text)[0].read_credentials().expect("they are there");
    let secret = credentials.secret.expect("there is one");
    let mut url = reqwest::Url::parse(credentials.url.expect("there is one").reveal()).expect("it is one");
    dingtalk::sign(&mut url, &secret, Duration::from_millis(1_700_000_000_000));
    // As Python's hmac and base64 make it of the same.
    let expected =
        "access_token=t&timestamp=1700000000000&sign=jcUpW0QmtKduN03n4JqQ0PBosVjqnM8gU7fIIvsDmCM%3D";
    assert_eq!(url.query(), Some(expected));
}

#[test]
fn dingtalk_says_in_its_answer_whether_it_has_taken_a_message() {
    for (answer, is_final) in [
        (r#"{"errcode":0,"errmsg":"ok"}"#, None),
        (r#"{"errcode":310000,"errmsg":"sign not match"}"#, Some(true)),
        (r#"{"errcode":130101,"errmsg":"send too fast"}"#, Some(false)),
        (r#"{"errcode":-1,"errmsg":"system busy"}"#, Some(false)),
        ("<html>", Some(false)),
    ] {
        let failure = dingtalk::check(answer.as_bytes()).err();
        assert_eq!(failure.map(|failure| failure.hurdle.is_final), is_final, "{answer}");
    }
}

#[test]
fn what_a_mail_server_says_of_a_login_has_no_password_in_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    fs::write(&file, "geheim!\n").expect("it can be written");
    let text = format!(
        "notification.mail = {{ type = \"email\", host = \"127.0.0.1\", tls = \"none\", from = \"a@b.test\", \
         to = [\"c@d.test\"], username = \"user\", password_file = \"{}\" }}",
        file.display()
    );
    let notification = &notifications(&text)[0];
    let credentials = notification.read_credentials().expect("it is there");
    let route = Route::new(notification, credentials, "ns1".to_owned()).expect("there is a way");
    // As Python's base64 makes it of b"\0user\0geheim!", and of the password.
    for said in ["AHVzZXIAZ2VoZWltIQ==", "geheim!", "Z2VoZWltIQ=="] {
        let reason = route.without_secrets(format!("535 5.7.8 what is {said}?"));
        assert_eq!(reason, "535 5.7.8 what is ***?");
    }
}

/// A mail server that says to each recipient what `judge` makes of their name and of how many came before the
/// connection, and likewise to QUIT: nothing, if that is empty. Tells of each letter who gets it.
async fn take_mail(
    listener: TcpListener,
    judge: fn(&str, usize) -> &'static str,
    letters: UnboundedSender<Vec<String>>,
) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.expect("it listens");
        let (read, mut write) = stream.into_split();
        let (mut lines, mut recipients) = (BufReader::new(read).lines(), Vec::new());
        write.write_all(b"220 mail.test\r\n").await.expect("it reads");
        while let Ok(Some(line)) = lines.next_line().await {
            let recipient = line.strip_prefix("RCPT TO:<").and_then(|rest| rest.strip_suffix("@d.test>"));
            let reply = match (recipient, &line[..]) {
                (Some(name), _) => {
                    let reply = judge(name, connection);
                    if reply.starts_with("250") {
                        recipients.push(name.to_owned());
                    }
                    reply
                }
                (None, "DATA") => {
                    write.write_all(b"354 go on\r\n").await.expect("it reads");
                    while lines.next_line().await.expect("it goes on").is_some_and(|line| line != ".") {}
                    letters.send(std::mem::take(&mut recipients)).expect("the test listens");
                    "250 taken"
                }
                (None, "QUIT") => judge("QUIT", connection),
                (None, _) => "250 well",
            };
            if !reply.is_empty() {
                // Whoever has said QUIT may be gone.
                let _ = write.write_all(format!("{reply}\r\n").as_bytes()).await;
            }
        }
    }
}

/// A destination of mail to these names, with [`take_mail`] behind it; `keys` are said of it besides.
async fn mail_server(
    names: &[&str],
    keys: &str,
    judge: fn(&str, usize) -> &'static str,
) -> (Notification, mpsc::UnboundedReceiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let (letters, told) = unbounded_channel();
    tokio::spawn(take_mail(listener, judge, letters));
    let to: Vec<String> = names.iter().map(|name| format!("\"{name}@d.test\"")).collect();
    let text = format!(
        "notification.mail = {{ type = \"email\", host = \"127.0.0.1\", port = {port}, tls = \"none\", \
         from = \"a@b.test\", to = [{}]{keys} }}",
        to.join(", ")
    );
    (notifications(&text).remove(0), told)
}

/// The way to that.
async fn mail_to(
    names: &[&str],
    judge: fn(&str, usize) -> &'static str,
) -> (Route, mpsc::UnboundedReceiver<Vec<String>>) {
    let (notification, told) = mail_server(names, "", judge).await;
    let credentials = notification.read_credentials().expect("there are none");
    (Route::new(&notification, credentials, "ns1".to_owned()).expect("there is a way"), told)
}

#[tokio::test]
async fn a_mailbox_that_is_gone_silences_no_other() {
    let judge = |name: &str, _| if name == "gone" { "550 5.1.1 no such user" } else { "250 well" };
    let (route, mut letters) = mail_to(&["good", "gone", "other"], judge).await;
    let refused = route.deliver(&message(), LONG_ENOUGH).await.expect("two have it");
    assert_eq!(letters.try_recv().expect("it was sent"), ["good", "other"]);
    assert!(refused.len() == 1 && refused[0].starts_with("gone@d.test: "), "{refused:?}");

    let (route, mut letters) = mail_to(&["gone"], judge).await;
    let failure = route.deliver(&message(), LONG_ENOUGH).await.expect_err("nobody has it");
    assert!(failure.hurdle.is_final && failure.reason.contains("no such user"), "{failure:?}");
    assert!(letters.try_recv().is_err());
}

#[tokio::test]
async fn whoever_has_a_letter_does_not_get_it_again_when_others_do() {
    let judge = |name: &str, connection| match (name, connection) {
        ("gone", _) => "550 5.1.1 no such user",
        ("busy", 0) => "452 4.3.1 later",
        _ => "250 well",
    };
    let (route, mut letters) = mail_to(&["good", "busy", "gone"], judge).await;
    let mut message = message();
    let failure = route.deliver(&message, LONG_ENOUGH).await.expect_err("one has to wait");
    assert!(!failure.hurdle.is_final, "{failure:?}");
    assert!(["busy@d.test: ", "gone@d.test: "].iter().all(|it| failure.reason.contains(it)), "{failure:?}");
    // Another one in between is for everybody.
    route.deliver(&self::message(), LONG_ENOUGH).await.expect("it is taken");
    message.served = failure.served;
    let refused = route.deliver(&message, LONG_ENOUGH).await.expect("all have it who can");
    assert!(refused.len() == 1 && refused[0].starts_with("gone@d.test: "), "{refused:?}");
    let told = std::iter::from_fn(|| letters.try_recv().ok()).collect::<Vec<_>>();
    assert_eq!(told, [&["good"][..], &["good", "busy"], &["busy"]]);
}

#[tokio::test]
async fn whoever_has_a_letter_does_not_get_it_again_with_what_has_happened_since() {
    let judge = |name: &str, connection| match (name, connection) {
        ("busy", 0) => "452 4.3.1 later",
        _ => "250 well",
    };
    // The second attempt is the last message that the rate lets through, which has in it all that waits.
    let keys = ", group_wait = \"0s\", rate_limit = { messages = 2, per = \"1h\" }, events = [\"order\"]";
    let (notification, mut letters) = mail_server(&["good", "busy"], keys, judge).await;
    let notifier = Notifier::new(Handle::current(), "ns1".to_owned());
    notifier.replace(vec![(notification, Credentials::default())]);
    for pool in ["vn", "hk"] {
        notifier.tell(incident(Topic::Order, Subject::pool(pool, None), Phase::Once, "an order is over"));
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        let letter = tokio::time::timeout(LONG_ENOUGH, letters.recv()).await.expect("it is sent");
        told.push(letter.expect("the server listens"));
    }
    assert_eq!(told, [["good"], ["busy"]]);
    assert!(notifier.status()[0].queued > 0, "the other waits");
}

#[tokio::test]
async fn a_letter_that_was_taken_is_not_sent_again_for_want_of_a_farewell() {
    let judge = |name: &str, _| if name == "QUIT" { "" } else { "250 well" };
    let (route, mut letters) = mail_to(&["good"], judge).await;
    // The server has time for the second when the first has hung up.
    for _ in 0..2 {
        let refused = route.deliver(&message(), LONG_ENOUGH).await.expect("it was taken");
        assert_eq!(refused, Vec::<String>::new());
        assert_eq!(letters.try_recv().expect("it was sent"), ["good"]);
    }
}

#[test]
fn an_alert_is_the_same_until_it_is_over() {
    let now = NOON + Duration::from_secs(30);
    let body = alertmanager::body(&message(), "ns1", Duration::from_secs(60), now);
    assert_eq!(
        body,
        json!([
            {
                "labels": {
                    "alertname": "RhumbPoolOut", "severity": "warning", "job": "rhumb", "instance": "ns1", "pool": "vn",
                },
                "annotations": { "summary": "pool vn is out: <a> & b" },
                "startsAt": "2026-05-01T12:00:00.000Z",
                "endsAt": "2026-05-01T12:04:30.000Z",
            },
            {
                "labels": {
                    "alertname": "RhumbAddressDown", "severity": "warning", "job": "rhumb", "instance": "ns1",
                    "pool": "vn", "address": "a",
                },
                "annotations": { "summary": "address vn/a is up" },
                "startsAt": "2026-05-01T11:58:30.000Z",
                "endsAt": "2026-05-01T12:00:00.000Z",
            },
        ])
    );
}

#[test]
fn a_destination_is_told_of_what_it_wants() {
    let text = r#"
        [notification]
        all = { type = "webhook", url = "http://127.0.0.1:9/" }
        vn = { type = "webhook", url = "http://127.0.0.1:9/", events = ["pool", "address"], pools = ["vn-*"] }
        shop = { type = "webhook", url = "http://127.0.0.1:9/", events = ["domain"], domains = ["*.Shop.test."] }
    "#;
    let told = |topic, subject: Subject| {
        let incident = incident(topic, subject, Phase::Begun, "");
        let wants = |notification: Notification| {
            let name = notification.name.clone();
            let destination = Destination::new(notification, Credentials::default(), String::new());
            destination.wants(&incident).then_some(name)
        };
        notifications(text).into_iter().filter_map(wants).collect::<Vec<_>>().join(" ")
    };
    for (topic, subject, expected) in [
        (Topic::Pool, Subject::pool("vn-1", None), "all vn"),
        (Topic::Pool, Subject::pool("hk-1", None), "all"),
        (Topic::Address, Subject::pool("vn-1", Some("a")), "vn"),
        (Topic::Domain, Subject::domain("www.shop.test"), "all shop"),
        (Topic::Domain, Subject::domain("www.other.test"), "all"),
        (Topic::Isolation, Subject::default(), "all"),
        (Topic::Daemon, Subject::default(), ""),
    ] {
        assert_eq!(told(topic, subject.clone()), expected, "{topic:?} {subject}");
    }
}

#[tokio::test]
async fn whoever_tells_waits_for_nobody_and_what_finds_no_room_is_counted() {
    let notifier = Notifier::new(Handle::current(), "here".to_owned());
    let text =
        "notification.hook = { type = \"webhook\", url = \"http://127.0.0.1:9/\", group_wait = \"1h\" }";
    let destinations: Vec<_> =
        notifications(text).into_iter().map(|it| (it, Credentials::default())).collect();
    assert!(notifier.replace(destinations.clone()));
    // Its task has no turn before this one waits for something.
    let surplus = 5;
    for pool in 0..ON_THEIR_WAY + surplus {
        let pool = incident(Topic::Pool, Subject::pool(pool.to_string(), None), Phase::Begun, "");
        notifier.tell(pool);
    }
    while notifier.status()[0].dropped == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(notifier.status()[0].dropped, surplus as u64);
    assert_eq!((notifier.status()[0].delivered, notifier.status()[0].failed), (0, 0));

    assert!(!notifier.replace(destinations.clone()), "nothing has changed");
    assert_eq!(notifier.status()[0].dropped, surplus as u64, "it is the same one");
    let mut other = destinations;
    other[0].0.timeout *= 2;
    assert!(notifier.replace(other.clone()));
    assert_eq!(notifier.status()[0].dropped, surplus as u64, "it is the same one, with more time");
    other[0].0.name = "other".to_owned();
    assert!(notifier.replace(other));
    assert_eq!(notifier.status()[0].dropped, 0, "it is another one");
}

/// Where a webhook is that takes requests one after the other, and what they are.
async fn hook() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let (sender, bodies) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            // A body ends with its object.
            while !request.ends_with(b"}") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = sender.send(String::from_utf8_lossy(&request).into_owned());
        }
    });
    (format!("http://{address}/"), bodies)
}

fn webhook_at(url: &str) -> Vec<(Notification, Credentials)> {
    let text = format!(
        "notification.hook = {{ type = \"webhook\", url = \"{url}\", group_wait = \"0s\", events = [\"order\", \"pool\"] }}"
    );
    notifications(&text).into_iter().map(|it| (it, Credentials::default())).collect()
}

const LONG_ENOUGH: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_waits_for_a_destination_that_moves_is_told_where_it_is_now() {
    let notifier = Notifier::new(Handle::current(), "ns1".to_owned());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nowhere = format!("http://{}/", listener.local_addr().expect("it is bound"));
    drop(listener);
    notifier.replace(webhook_at(&nowhere));
    notifier.tell(incident(Topic::Order, Subject::pool("vn", None), Phase::Once, "an order is over"));
    let is_retrying = async {
        while !notifier.status()[0].is_retrying {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG_ENOUGH, is_retrying).await.expect("it is tried");
    let (url, mut bodies) = hook().await;
    assert!(notifier.replace(webhook_at(&url)));
    let body = tokio::time::timeout(LONG_ENOUGH, bodies.recv()).await.expect("it is told").expect("a body");
    assert!(body.contains("an order is over"), "{body}");
}

#[tokio::test]
async fn what_waits_for_a_destination_that_is_no_more_is_counted_as_dropped() {
    let notifier = Notifier::new(Handle::current(), "ns1".to_owned());
    notifier.replace(webhook_at("http://127.0.0.1:9/"));
    let destination = Arc::clone(&notifier.shared.running.load()[0].destination);
    notifier.tell(incident(Topic::Order, Subject::pool("vn", None), Phase::Once, "an order is over"));
    tokio::time::timeout(LONG_ENOUGH, notifier.close()).await.expect("it ends");
    assert_eq!(destination.known().dropped, 1);
    assert_eq!(notifier.status(), [], "nobody is told any more, and there is nothing to tell of them");
}

#[tokio::test]
async fn a_destination_whose_task_has_panicked_is_told_of_what_lasts_and_what_follows() {
    let notifier = Notifier::new(Handle::current(), "ns1".to_owned());
    let (url, mut bodies) = hook().await;
    notifier.replace(webhook_at(&url));
    notifier.shared.running.load()[0].destination.panics.store(true, Ordering::Relaxed);
    notifier.tell(incident(Topic::Pool, Subject::pool("vn", None), Phase::Begun, "vn is out"));
    for _ in 0..2 {
        let body =
            tokio::time::timeout(LONG_ENOUGH, bodies.recv()).await.expect("it is told").expect("a body");
        assert!(body.contains("vn is out"), "{body}");
    }
}
