//! What the daemon tells of itself: the query log, read back as others read it, and its own log.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use support::daemon::{Daemon, run};
use support::dns::{ask, framed, query, receive, receive_by_tcp, socket_to};
use support::http::{delete, get, sample, send_json};
use support::others::program;
use support::process::Process;
use support::scene::{DOMAIN, ONCE, QUICK, Scene};
use support::site::Site;
use support::{eventually, own_address};

/// A daemon that logs queries as `log` says.
fn configuration(scene: &Scene, log: &str) -> String {
    let record = |name: &str, rtype: &str, data: &str| {
        format!("\n[[zone.record]]\nname = \"{name}\"\ntype = \"{rtype}\"\ndata = {data}\n")
    };
    let host = record("host", "A", r#"["192.0.2.1", "192.0.2.2"]"#);
    format!("{log}\n{}{host}{}", scene.ground(), record("alias", "CNAME", "\"host\""))
}

/// What one query has come to, as the client knows it: transport, its port, the message and its reply.
struct Asked {
    transport: &'static str,
    client: SocketAddr,
    query: Message,
    reply: Message,
}

/// Asks for all kinds of things, over both transports.
fn ask_around(daemon: &Daemon) -> Vec<Asked> {
    let names = [
        ("host.ai.example.com.", RecordType::A),
        ("alias.ai.example.com.", RecordType::A),
        ("ai.example.com.", RecordType::SOA),
        ("nothing.ai.example.com.", RecordType::AAAA),
        ("elsewhere.example.net.", RecordType::A),
        (r"a\.b.ai.example.com.", RecordType::TXT),
    ];
    let by_udp = names.map(|(name, rtype)| {
        let (socket, query) = (socket_to(daemon.dns()), query(name, rtype));
        socket.send(&query.to_vec().expect("it can be encoded")).expect("loopback takes it");
        let reply = receive(&socket, query.metadata.id);
        Asked { transport: "udp", client: socket.local_addr().expect("it has one"), query, reply }
    });
    let mut stream = TcpStream::connect(daemon.dns()).expect("it listens");
    let client = stream.local_addr().expect("it has one");
    let by_tcp = names.map(|(name, rtype)| {
        let query = query(name, rtype);
        stream.write_all(&framed(&query)).expect("it reads");
        Asked { transport: "tcp", client, reply: receive_by_tcp(&mut stream), query }
    });
    by_udp.into_iter().chain(by_tcp).collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn written(daemon: &Daemon) -> f64 {
    sample(daemon.admin(), "rhumb_query_log_written_total")
}

#[test]
fn lines_of_json_say_what_was_asked_and_answered() {
    let scene = Scene::new();
    let path = scene.path().join("queries.json");
    let daemon = scene.start(&configuration(&scene, "[query_log]\nfile = \"queries.json\""));
    let asked = ask_around(&daemon);
    eventually("all to be written", || (lines(&path).len() == asked.len()).then_some(()));
    for Asked { transport, client, query, reply } in &asked {
        let question = &query.queries[0];
        let line = lines(&path)
            .into_iter()
            .find(|line| line["id"] == query.metadata.id && line["transport"] == *transport)
            .unwrap_or_else(|| panic!("no line for {question}"));
        let name = question.name().to_string();
        assert_eq!(line["qname"], name.trim_end_matches('.').replace(r"\046", r"\."), "{line}");
        assert_eq!(line["qtype"], question.query_type().to_string());
        assert_eq!(line["client"], client.ip().to_string());
        assert_eq!(line["port"], client.port());
        assert_eq!(line["query_size"], query.to_vec().expect("it can be encoded").len());
        let code = match u16::from(reply.metadata.response_code) {
            0 => "NOERROR",
            3 => "NXDOMAIN",
            5 => "REFUSED",
            other => panic!("{other}"),
        };
        assert_eq!(line["rcode"], code, "{line}");
        assert_eq!(line["answer_count"], reply.answers.len());
        let is_authoritative = line["flags"].as_str().is_some_and(|flags| flags.contains("aa"));
        assert_eq!(is_authoritative, reply.metadata.authoritative);
        let mut addresses: Vec<String> =
            reply.answers.iter().filter_map(|record| Some(record.data.ip_addr()?.to_string())).collect();
        if name.starts_with("alias") {
            addresses.insert(0, "host.ai.example.com".to_owned());
        }
        assert_eq!(line["answers"], json!(addresses));
    }
    assert_eq!((written(&daemon), sample(daemon.admin(), "rhumb_query_log_dropped_total")), (12.0, 0.0));

    // Moved away, as logrotate does: the next is in another file.
    let moved = scene.path().join("queries.json.1");
    std::fs::rename(&path, &moved).expect("it is there");
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration reloaded"]);
    ask_around(&daemon);
    eventually("the second file", || (lines(&path).len() == asked.len()).then_some(()));
    assert_eq!(lines(&moved).len(), asked.len());

    // And it can end.
    scene.configure(&configuration(&scene, ""));
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration reloaded"]);
    assert_eq!(get(daemon.admin(), "/v1/query_log").json()["format"], Value::Null);
    ask_around(&daemon);
    assert_eq!(written(&daemon), 24.0);
}

#[test]
fn a_reader_of_dnstap_reads_what_was_asked_and_answered() {
    let scene = Scene::new();
    let [socket, captured] = ["tap.sock", "captured"].map(|name| scene.path().join(name));
    let log = "[query_log]\nformat = \"dnstap\"\nsocket = \"tap.sock\"\nidentity = \"site-1\"";
    let daemon = scene.start(&configuration(&scene, log));
    // It comes late: what was asked before waits for it.
    let asked = ask_around(&daemon);
    let mut capture = program("fstrm_capture");
    capture.args(["-t", "protobuf:dnstap.Dnstap", "-u"]).arg(&socket).arg("-w").arg(&captured);
    let capture = Process::start(capture);
    eventually("all to be written", || (written(&daemon) >= asked.len() as f64).then_some(()));
    capture.signal(Signal::SIGTERM);
    capture.await_end();
    let output = program("dnstap-ldns").arg("-y").arg("-r").arg(&captured).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let records: Vec<&str> = text.split("---\n").filter(|record| !record.trim().is_empty()).collect();
    assert_eq!(records.len(), asked.len(), "{text}");
    for Asked { transport, client, query, reply } in &asked {
        let (id, protocol) = (format!(" id: {}\n", query.metadata.id), transport.to_uppercase());
        let record = records
            .iter()
            .find(|record| record.contains(&id) && record.contains(&format!("socket_protocol: {protocol}\n")))
            .unwrap_or_else(|| panic!("no record of {id} by {protocol} in {text}"));
        for said in [
            "identity: \"site-1\"\n".to_owned(),
            "type: AUTH_RESPONSE\n".to_owned(),
            "socket_family: INET\n".to_owned(),
            format!("query_address: \"{}\"\n", client.ip()),
            format!("query_port: {}\n", client.port()),
            format!("response_address: \"{}\"\n", daemon.dns().ip()),
            format!("response_port: {}\n", daemon.dns().port()),
            format!("opcode: QUERY, rcode: {}, id", rcode(reply)),
            format!("ANSWER: {}, ", reply.answers.len()),
        ] {
            assert!(record.contains(&said), "{said} in {record}");
        }
        for answer in &reply.answers {
            let name = answer.name.to_string();
            assert!(record.lines().any(|line| line.trim().starts_with(&name)), "{answer} in {record}");
        }
    }

    // Gone, it delays nothing, and is told.
    eventually("it to be told", || {
        ask_around(&daemon);
        get(daemon.admin(), "/v1/query_log").json()["problem"].is_string().then_some(())
    });
}

/// As dnstap-ldns writes it.
fn rcode(reply: &Message) -> &'static str {
    match u16::from(reply.metadata.response_code) {
        0 => "NOERROR",
        3 => "NXDOMAIN",
        5 => "REFUSED",
        other => panic!("{other}"),
    }
}

#[test]
fn what_the_filter_wants_is_recorded_and_nothing_else() {
    let scene = Scene::new();
    let path = scene.path().join("queries.json");
    let log =
        |filter: &str| configuration(&scene, &format!("[query_log]\nfile = \"queries.json\"\n{filter}"));
    let daemon = scene.start(&log(r#"rcodes = ["NXDOMAIN", "SERVFAIL"]"#));
    let state = || get(daemon.admin(), "/v1/query_log").json();
    let mut seen = 0;
    let filtered = || sample(daemon.admin(), "rhumb_query_log_filtered_total");
    // The names of those that are in the file since the last time.
    let mut recorded = || {
        let before = written(&daemon) + filtered();
        let asked = ask_around(&daemon).len() as f64;
        eventually("all to be judged", || (written(&daemon) + filtered() == before + asked).then_some(()));
        let lines = lines(&path).split_off(seen);
        seen += lines.len();
        let mut names: Vec<String> = lines
            .iter()
            .map(|line| format!("{} {}", line["transport"].as_str().unwrap_or("-"), line["qname"]))
            .collect();
        names.sort();
        names
    };
    let by_both = |names: &[&str]| -> Vec<String> {
        let by = |transport: &str| names.iter().map(|name| format!("{transport} \"{name}\"")).collect();
        let both: [Vec<String>; 2] = ["tcp", "udp"].map(by);
        both.concat()
    };
    let [missing, dotted] = ["nothing.ai.example.com", r"a\\.b.ai.example.com"];
    assert_eq!(recorded(), by_both(&[dotted, missing]));
    assert_eq!(state()["rcodes"], json!(["NXDOMAIN", "SERVFAIL"]));

    let reload = |filter: &str| {
        scene.configure(&log(filter));
        assert_eq!(support::http::post(daemon.admin(), "/v1/reload").status, 200, "{filter}");
    };
    reload(r#"zones = ["NOTHING.ai.example.com", "example.net."]"#);
    assert_eq!(recorded(), by_both(&["elsewhere.example.net", missing]));
    reload(
        r#"zones = ["ai.example.com"]
rcodes = ["NXDOMAIN", "REFUSED"]"#,
    );
    assert_eq!(recorded(), by_both(&[dotted, missing]));
    assert_eq!((written(&daemon), filtered()), (12.0, 24.0));
    assert_eq!((&state()["written"], &state()["filtered"]), (&json!(12), &json!(24)));
    let output = run(&["query-log", "show", "--admin", &format!("http://{}", daemon.admin())]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("only what is replied with NXDOMAIN, REFUSED and in ai.example.com"), "{shown}");

    // And without one it is everything again.
    reload("");
    assert_eq!(recorded().len(), 12);
}

#[test]
fn the_share_of_queries_is_changed_for_a_while() {
    let scene = Scene::new();
    let daemon = scene.start(&configuration(&scene, "[query_log]\nfile = \"queries.json\"\nsample = 0"));
    let path = scene.path().join("queries.json");
    let state = || get(daemon.admin(), "/v1/query_log").json();
    let put = |body: &str| send_json(daemon.admin(), "PUT", "/v1/query_log", body);
    ask_around(&daemon);
    assert_eq!((&state()["sample"], &state()["passing"]), (&json!(0.0), &json!(false)));
    let changed = put(r#"{"sample": 1, "for": "1h"}"#);
    assert_eq!((changed.status, &changed.json()["sample"]), (200, &json!(1.0)), "{changed:?}");
    assert!(state()["seconds_left"].as_f64().is_some_and(|left| (3500.0..=3600.0).contains(&left)));
    let asked = ask_around(&daemon);
    eventually("them to be written", || (lines(&path).len() == asked.len()).then_some(()));
    // For so short a time that it is over at once.
    assert_eq!(put(r#"{"sample": 1, "for": "1ms"}"#).status, 200);
    eventually("it to be over", || (state()["passing"] == false).then_some(()));
    assert_eq!(state()["sample"], 0.0);
    ask_around(&daemon);
    assert_eq!(put(r#"{"sample": 0.5}"#).status, 200);
    assert_eq!(delete(daemon.admin(), "/v1/query_log").status, 204);
    assert_eq!(lines(&path).len(), asked.len(), "none was recorded when none was to be");

    for (body, field) in
        [(r#"{"sample": 2}"#, "sample"), ("{}", "sample"), (r#"{"sample": 1, "for": 3}"#, "for")]
    {
        let refused = put(body);
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!(field)), "{body}");
    }
    let records = get(daemon.admin(), "/v1/audit").json();
    assert_eq!(
        (&records["records"][0]["action"], &records["records"][0]["object"]),
        (&json!("reset"), &json!("query_log"))
    );
    assert_eq!(records["records"][0]["before"]["sample"], 0.5);
}

#[test]
fn without_a_place_there_is_no_query_log() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let refused = send_json(daemon.admin(), "PUT", "/v1/query_log", r#"{"sample": 1}"#);
    assert_eq!((refused.status, refused.header("content-type")), (409, "application/problem+json"));
    let admin = format!("http://{}", daemon.admin());
    let output = run(&["query-log", "show", "--admin", &admin]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "there is no query log\n");
}

#[test]
fn what_is_logged_is_changed_by_reload_by_api_and_for_a_while() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let reload = |level: &str| {
        scene.configure(&format!("[log]\n{level}\n{}", scene.ground()));
        let from = daemon.said();
        // Whatever is logged, this says when it is done.
        assert_eq!(support::http::post(daemon.admin(), "/v1/reload").status, 200);
        from
    };
    let state = || get(daemon.admin(), "/v1/log").json();
    assert_eq!(state(), json!({ "level": "info", "filter": "", "passing": false, "seconds_left": null }));
    // A swap of the table is told at debug.
    let from = reload("level = \"debug\"");
    daemon.await_line(from, &["DEBUG", "table published"]);
    let from = reload("level = \"info\"\nfilter = \"rhumb::daemon=debug\"");
    daemon.await_line(from, &["DEBUG", "table published"]);
    let from = reload("level = \"info\"");
    daemon.await_line(from, &["configuration reloaded: logs changed"]);
    let from = reload("level = \"info\"\nformat = \"text\"");
    daemon.await_line(from, &["configuration reloaded: nothing has changed"]);

    let admin = format!("http://{}", daemon.admin());
    let log = |arguments: &[&str]| {
        let output = run(&[&["log"], arguments, &["--admin", &admin]].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(log(&["show"]), "level: info\n");
    assert!(log(&["level", "error", "--for", "1h"]).starts_with("level: error, for "));
    // What was told by API goes over a reload: nothing of this one is logged.
    let unsaid = reload("level = \"debug\"");
    assert_eq!(log(&["reset"]), "level: debug\n");
    let said = reload("level = \"debug\"");
    daemon.await_line(said, &["configuration reloaded"]);
    assert_eq!(unsaid, said);
    log(&["level", "trace", "--for", "1ms"]);
    eventually("it to be over", || (log(&["show"]) == "level: debug\n").then_some(()));

    for (body, field) in [
        (r#"{"level": "loud"}"#, "level"),
        (r#"{"filter": "rhumb"}"#, "filter"),
        (r#"{"level": "info", "for": "soon"}"#, "for"),
        ("{}", "level"),
    ] {
        let refused = send_json(daemon.admin(), "PUT", "/v1/log", body);
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!(field)), "{body}");
    }
}

#[test]
fn the_journal_is_told_priorities() {
    use std::os::unix::fs::MetadataExt;

    let scene = Scene::new();
    let config = scene.configure(&scene.ground());
    let path = scene.path().join("journal");
    let file = std::fs::File::create(&path).expect("a file");
    let of_file = file.metadata().expect("it is open");
    let mut command: Command = support::daemon::serve(&config);
    command.env("JOURNAL_STREAM", format!("{}:{}", of_file.dev(), of_file.ino())).stderr(file);
    let mut child = command.spawn().expect("it was built");
    let first = eventually("the first line", || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.lines().find(|line| line.contains("ready")).map(str::to_owned)
    });
    child.kill().expect("our own child");
    child.wait().expect("nobody else waits for it");
    assert!(first.starts_with("<6>ready"), "{first}");
}

/// An object of JSON that says each thing once, as not every reader insists on.
struct Once(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Once;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(key.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("`{key}` is there twice")));
                    }
                }
                Ok(Once(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[test]
fn lines_of_the_log_are_objects_of_json_if_that_is_wanted() {
    assert!(serde_json::from_str::<Once>(r#"{"level":"INFO","level":"WARN"}"#).is_err());
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let text = scene.two_sites([&first, &second], [QUICK, ONCE]);
    let daemon = scene.start(&format!("[log]\nformat = \"json\"\nlevel = \"debug\"\n{text}"));
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    daemon.await_line(0, &["\"WARN\"", "down: "]);
    let from = daemon.said();
    scene.configure("nonsense");
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["\"ERROR\"", "configuration refused"]);
    daemon.signal(Signal::SIGTERM);
    let (status, said) = daemon.into_process().await_end();
    assert!(status.success(), "{said}");

    let mut levels = BTreeSet::new();
    for line in said.lines() {
        let Once(members) = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |key: &str| members.get(key).and_then(Value::as_str).unwrap_or_default();
        assert!(!text("message").is_empty() && !text("timestamp").is_empty(), "{line}");
        levels.insert(text("level").to_owned());
    }
    assert!(
        levels.iter().all(|level| ["ERROR", "WARN", "INFO", "DEBUG"].contains(&&level[..])),
        "{levels:?}"
    );
    assert!(levels.len() > 2, "{levels:?}");
}

/// What somebody who collects traces is sent, request by request.
struct Collector {
    address: SocketAddr,
    bodies: mpsc::Receiver<Vec<u8>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind((own_address(), 4318)).expect("an address of our own");
        let address = listener.local_addr().expect("it has one");
        let (sender, bodies) = mpsc::channel();
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || while take_request(&stream, &sender).is_some() {});
            }
        });
        Collector { address, bodies }
    }

    /// Waits for what holds all of these texts, with what came before it.
    fn await_texts(&self, texts: &[&str]) {
        let mut all = Vec::new();
        while !texts.iter().all(|text| memchr::memmem::find(&all, text.as_bytes()).is_some()) {
            let body = self.bodies.recv_timeout(support::PATIENCE);
            all.extend(
                body.unwrap_or_else(|error| {
                    panic!("{error}: {texts:?} in {}", String::from_utf8_lossy(&all))
                }),
            );
        }
    }
}

/// Reads one request off a connection, answers it, and passes its body on.
fn take_request(mut stream: &TcpStream, bodies: &mpsc::Sender<Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|_| line.starts_with("POST /v1/traces "))?;
    while !line.trim().is_empty() {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    bodies.send(body).ok()?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
        .ok()
}

#[test]
fn the_steps_of_the_control_path_are_told_as_traces() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let collector = Collector::start();
    let traces = format!("[traces]\notlp = \"http://{}\"\n", collector.address);
    let text = format!("{traces}{}", scene.two_sites([&first, &second], [QUICK, ONCE]));
    let daemon = scene.start(&text);
    first.kill();
    daemon.await_line(0, &["down: ", "pool=first"]);
    collector.await_texts(&[
        "transition",
        "probe",
        "decision and swap",
        "rhumb.generation",
        "first",
        "service.name",
    ]);

    assert_eq!(support::http::post(daemon.admin(), "/v1/reload").status, 200);
    scene.configure("nothing = \"of this\"");
    assert_eq!(support::http::post(daemon.admin(), "/v1/reload").status, 422);
    let order = r#"{"state": "drain"}"#;
    assert_eq!(send_json(daemon.admin(), "PATCH", "/v1/pools/second/addresses/b", order).status, 200);
    collector.await_texts(&[
        "reload",
        "read and compile",
        "rhumb.trigger",
        "unknown key `nothing`",
        "edit",
        "journal",
        "pools/second/addresses/b",
    ]);
    // What waits is delivered before it ends.
    assert_eq!(support::http::delete(daemon.admin(), "/v1/edits/1").status, 204);
    daemon.signal(Signal::SIGTERM);
    collector.await_texts(&["pools/second/addresses/b"]);
    let (status, _) = daemon.into_process().await_end();
    assert!(status.success());
}

#[test]
fn a_collector_that_is_not_there_is_told_once_and_delays_nothing() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let traces = format!("[traces]\notlp = \"http://{}:4318\"\n", own_address());
    let text = format!("{traces}{}", scene.two_sites([&first, &second], [QUICK, ONCE]));
    let daemon = scene.start(&text);
    first.kill();
    daemon.await_line(0, &["down: ", "pool=first"]);
    daemon.await_answer(DOMAIN, second.ip());
    daemon.await_line(0, &["WARN", "traces cannot be delivered"]);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.into_process().await_end().0.success());
}

#[test]
fn a_full_disk_is_told_and_keeps_no_answer_back() {
    let scene = Scene::new();
    let daemon = scene.start(&configuration(&scene, "[query_log]\nfile = \"/dev/full\""));
    eventually("the disk to be full", || {
        assert_eq!(ask(daemon.dns(), &query("host.ai.example.com.", RecordType::A)).answers.len(), 2);
        get(daemon.admin(), "/v1/query_log").json()["problem"].is_string().then_some(())
    });
    daemon.await_line(0, &["WARN", "the query log cannot be written"]);
    assert_eq!(ask_around(&daemon).len(), 12);
}
