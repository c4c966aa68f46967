//! Metrics as Prometheus, its tools and its operators see them.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use serde_json::Value;
use support::daemon::Daemon;
use support::dns::{ask, ask_by_tcp, query};
use support::eventually;
use support::http::{delete, get, post, request, sample, send_json};
use support::process::Process;
use support::scene::{DOMAIN, ONCE, QUICK, Scene};
use support::site::Site;

/// The name that a pool resolves.
const ALB: &str = "alb.elb.example.net";

/// A signed zone, as far as is needed for it to count as one. Its signatures end in 2030 and, of its name servers, in 2029.
const SIGNED: &str = "$TTL 60
@ SOA ns hostmaster 1 14400 3600 1209600 60
@ NS ns
@ RRSIG SOA 13 3 60 20300101000000 20200101000000 1 signed.example.com. c2lnbmF0dXJl
@ RRSIG NS 13 3 60 20290101000000 20200101000000 1 signed.example.com. c2lnbmF0dXJl
ns A 192.0.2.1
";

/// Two sites, a second zone, a signed one, and a pool whose addresses `resolver` knows.
fn everything(scene: &Scene, sites: [&Site; 2], resolver: SocketAddr) -> String {
    std::fs::write(scene.path().join("signed.zone"), SIGNED).expect("the directory is ours");
    format!(
        r#"{}
[resolver]
servers = ["{resolver}"]

[pool.named]
address = [{{ name = "alb", resolve = "{ALB}" }}]

[[zone]]
name = "other.example.com"
nameservers = ["ns1.ai.example.com"]
contact = "hostmaster.example.com"

[[zone]]
name = "signed.example.com"
file = "signed.zone"

[notification.hook]
type = "webhook"
url = "http://127.0.0.1:9/"
"#,
        scene.two_sites(sites, [QUICK, ONCE])
    )
}

/// Starts whoever knows [`ALB`].
fn authority(scene: &Scene) -> Daemon {
    let ground = scene.ground().replace("ai.example.com", "elb.example.net");
    let record = "\n[[zone.record]]\nname = \"alb\"\ntype = \"A\"\ndata = \"192.0.2.7\"\n";
    scene.start(&format!("{ground}{record}"))
}

#[test]
fn everything_that_happens_is_told_as_documented_and_counted_as_often() {
    let (mut first, second) = (Site::start(), Site::start());
    let (names, scene) = (Scene::new(), Scene::new());
    let authority = authority(&names);
    let text = everything(&scene, [&first, &second], authority.dns());
    let daemon = scene.start(&text);
    let (dns, admin) = (daemon.dns(), daemon.admin());

    // Every kind of event. First what is counted exactly, before anybody looks whether something has turned.
    for _ in 0..70 {
        ask(dns, &query(DOMAIN, RecordType::A));
    }
    for _ in 0..3 {
        ask(dns, &query(DOMAIN, RecordType::AAAA));
        ask(dns, &query("nothing.other.example.com", RecordType::HINFO));
    }
    ask(dns, &query("www.example.net", RecordType::MX));
    for _ in 0..5 {
        ask_by_tcp(dns, &query("other.example.com", RecordType::SOA));
    }
    // Its thread counts a reply when it is on its way, and may do so after that.
    let queries = |transport: &str, rtype: &str| {
        format!(r#"rhumb_dns_queries_total{{transport="{transport}",type="{rtype}"}}"#)
    };
    let replies = |transport: &str, rcode: &str| {
        format!(r#"rhumb_dns_replies_total{{transport="{transport}",rcode="{rcode}"}}"#)
    };
    for (series, count) in [
        (queries("udp", "A"), 70.0),
        (queries("udp", "AAAA"), 3.0),
        (queries("udp", "other"), 3.0),
        (queries("udp", "MX"), 1.0),
        (queries("udp", "SOA"), 0.0),
        (queries("tcp", "SOA"), 5.0),
        (queries("tcp", "A"), 0.0),
        (replies("udp", "NOERROR"), 73.0),
        (replies("udp", "NXDOMAIN"), 3.0),
        (replies("udp", "REFUSED"), 1.0),
        (replies("tcp", "NOERROR"), 5.0),
        (r#"rhumb_zone_queries_total{zone="ai.example.com"}"#.to_owned(), 73.0),
        (r#"rhumb_zone_queries_total{zone="other.example.com"}"#.to_owned(), 8.0),
        (r#"rhumb_zone_queries_total{zone="none"}"#.to_owned(), 1.0),
        (format!(r#"rhumb_answers_total{{domain="{DOMAIN}",pool="first"}}"#), 70.0),
        // One datagram was on its way at a time: each was a batch, and of these the first was timed and the 65th.
        ("rhumb_udp_batch_datagrams_count".to_owned(), 77.0),
        ("rhumb_udp_batch_datagrams_sum".to_owned(), 77.0),
        ("rhumb_answer_duration_seconds_count".to_owned(), 2.0),
    ] {
        assert_eq!(sample(admin, &series), count, "{series}");
    }
    let up = r#"rhumb_domain_healthy{domain="www.ai.example.com"}"#;
    let stage =
        |stage: &str| sample(admin, &format!(r#"rhumb_failover_stage_seconds_count{{stage="{stage}"}}"#));
    assert_eq!(sample(admin, up), 1.0);
    let before = ["detected", "decided", "published", "in_use"].map(stage);
    first.kill();
    daemon.await_answer(DOMAIN, second.ip());
    // It is counted behind the answer.
    eventually("the first answer to be counted", || (stage("in_use") > before[3]).then_some(()));
    let after = ["detected", "decided", "published", "in_use"].map(stage);
    for (stage, (before, after)) in before.into_iter().zip(after).enumerate() {
        assert!(after > before, "stage {stage}: {before} to {after}");
    }
    assert_eq!(sample(admin, "rhumb_table_generation_in_use"), sample(admin, "rhumb_table_generation"));

    assert_eq!(post(admin, "/v1/reload").status, 200);
    let pool = "/v1/pools/second";
    assert_eq!(send_json(admin, "PATCH", pool, r#"{"state":"drain"}"#).status, 200);
    assert_eq!(send_json(admin, "PATCH", pool, r#"{"colour":"red"}"#).status, 422);
    assert_eq!(request(admin, "BREW", "/coffee", &[]).expect("it answers").status, 404);
    assert_eq!(sample(admin, r#"rhumb_edits{state="in_force"}"#), 1.0);
    assert!(sample(admin, "rhumb_edits_journal_bytes") > 20.0);
    assert_eq!(sample(admin, r#"rhumb_edits_refused_total{reason="mistaken"}"#), 1.0);
    assert_eq!(delete(admin, "/v1/edits/1").status, 204);
    for (series, count) in [
        ("rhumb_edits_made_total", 1.0),
        ("rhumb_edits_ended_total", 1.0),
        (r#"rhumb_edits{state="in_force"}"#, 0.0),
        (r#"rhumb_admin_requests_total{route="/v1/pools/{pool}",method="PATCH",status="200"}"#, 1.0),
        (r#"rhumb_admin_requests_total{route="none",method="other",status="404"}"#, 1.0),
        ("rhumb_config_last_reload_successful", 1.0),
        ("rhumb_ready", 1.0),
        ("rhumb_zones", 3.0),
        (r#"rhumb_zone_signed_until_timestamp_seconds{zone="signed.example.com"}"#, 1_861_920_000.0),
        ("rhumb_domains", 1.0),
        ("rhumb_pools", 3.0),
        ("rhumb_addresses", 3.0),
        ("rhumb_probe_targets", 2.0),
    ] {
        assert_eq!(sample(admin, series), count, "{series}");
    }
    let from = daemon.said();
    scene.configure("nonsense");
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration refused"]);
    eventually("the refusal", || (sample(admin, "rhumb_config_last_reload_successful") == 0.0).then_some(()));

    let response = get(admin, "/metrics");
    assert_eq!(response.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let families = families(&response.body);
    check(&response.body);
    let documented = documented();
    assert_eq!(documented, families, "docs/metrics.md on the left, what is told on the right");
    let known = known(&families);
    for file in ["deploy/prometheus/rules.yml", "deploy/grafana/dashboards/rhumb.json"] {
        let unknown: Vec<String> = named_in(&read(file)).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{file} names what there is not: {unknown:?}");
    }

    // What is gone is told no more, its counts included: not in the second scrape after that.
    let gone = text.replace("\"first\", \"second\"", "\"second\"");
    let gone = gone.replacen("[pool.first]\nhealth_check = \"first\"\naddress", "[pool.third]\naddress", 1);
    scene.configure(&gone);
    assert_eq!(post(admin, "/v1/reload").status, 200);
    get(admin, "/metrics");
    let body = get(admin, "/metrics").body;
    let left: Vec<&str> = body.lines().filter(|line| line.contains("pool=\"first\"")).collect();
    // But for what the domain has taken, which it tells until a restart.
    assert!(left.iter().all(|line| line.starts_with("rhumb_answers_total")), "{left:?}");
    assert!(body.contains("pool=\"third\""));
}

#[test]
fn prometheus_scrapes_it_and_evaluates_its_rules() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [ONCE, ONCE]));
    for _ in 0..25 {
        ask(daemon.dns(), &query(DOMAIN, RecordType::A));
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/rules.yml");
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\nscrape_configs:\n\
         - job_name: rhumb\n  static_configs: [{{targets: [\"{}\"]}}]\n",
        daemon.admin()
    );
    let config = scene.write("prometheus.yml", &config);
    let server = SocketAddr::new(daemon.admin().ip(), 9090);
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", scene.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={server}"));
    let prometheus = Process::start(command);
    prometheus.await_line(0, &["Server is ready to receive web requests"]);
    let ask = |query: &str| -> String {
        let server = format!("http://{server}");
        let output = Command::new("promtool").args(["query", "instant", &server, query]).output();
        let output = output.expect("tests/run has installed it");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    };
    // Each line is `{labels} => value @[time]`.
    let value = |query: &str| -> Option<f64> {
        let told = ask(query);
        let (_, value) = told.lines().next()?.rsplit_once("=> ")?;
        value.split(' ').next()?.parse().ok()
    };
    eventually("a scrape", || value("up{job=\"rhumb\"}").filter(|up| *up == 1.0));
    for (query, expected) in [
        (r#"sum(rhumb_dns_queries_total{transport="udp",type="A"})"#, 25.0),
        ("sum(rhumb_dns_queries_total)", 25.0),
        (r#"sum(rhumb_dns_replies_total{rcode="NOERROR"})"#, 25.0),
        ("min(rhumb_domain_healthy)", 1.0),
    ] {
        assert_eq!(value(query), Some(expected), "{query}");
    }
    assert!(
        value("time() - process_start_time_seconds{job=\"rhumb\"}")
            .is_some_and(|up| (0.0..600.0).contains(&up))
    );
    eventually("the rules", || value(r#"sum(rhumb:dns_queries:rate1m)"#));
    assert_eq!(ask(r#"ALERTS{alertstate="firing"}"#).trim(), "");
    assert_eq!(prometheus.lines(&["Evaluating rule failed"]), [""; 0]);
}

#[test]
fn the_rules_do_what_their_tests_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    for arguments in [&["check", "rules", "rules.yml"][..], &["test", "rules", "rules_test.yml"]] {
        let output = Command::new("promtool").current_dir(&folder).args(arguments).output();
        let output = output.expect("tests/run has installed it");
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    }
    let names = |file: &str, key: &str| -> BTreeSet<String> {
        let text = read(&format!("deploy/prometheus/{file}"));
        text.lines().filter_map(|line| Some(line.trim().strip_prefix(key)?.to_owned())).collect()
    };
    assert_eq!(
        names("rules.yml", "- alert: "),
        names("rules_test.yml", "alertname: "),
        "each alert has a test"
    );
}

#[test]
fn prometheus_can_read_every_query_of_the_dashboard() {
    fn queries(of: &Value, found: &mut Vec<String>) {
        match of {
            Value::Array(list) => list.iter().for_each(|it| queries(it, found)),
            Value::Object(members) => {
                found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|it| queries(it, found));
            }
            _ => {}
        }
    }
    let dashboard = read("deploy/grafana/dashboards/rhumb.json");
    let mut found = Vec::new();
    queries(&serde_json::from_str(&dashboard).expect("it is JSON"), &mut found);
    assert_eq!(found.len(), dashboard.matches("\"expr\":").count());
    // As rules, which promtool reads as Prometheus does. JSON is YAML.
    let rules = found.iter().enumerate().map(|(number, query)| {
        // Its variables stand in strings only.
        serde_json::json!({ "record": format!("query:{number}"), "expr": query })
    });
    let rules =
        serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules.collect::<Vec<Value>>() }] });
    let scene = Scene::new();
    let file = scene.write("dashboard.yml", &rules.to_string());
    let output = Command::new("promtool").args(["check", "rules"]).arg(file).output();
    let output = output.expect("tests/run has installed it");
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.contains(&format!("{} rules found", found.len())), "{said}");
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Has Prometheus' own linter look at a scrape.
fn check(metrics: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("tests/run has installed it");
    let mut input = promtool.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut input, metrics.as_bytes()).expect("it reads");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    assert!(
        output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// Type and help of a family.
type Family = (String, String);

/// The families of docs/metrics.md: the rows of its tables that begin with a name.
fn documented() -> BTreeMap<String, Family> {
    let mut families = BTreeMap::new();
    for line in read("docs/metrics.md").lines() {
        let columns: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        // There is also a table of how many series there are.
        let [name, kind @ ("counter" | "gauge" | "histogram"), help] = columns[..] else { continue };
        let name = name.trim_start_matches('`');
        let name = name.trim_end_matches('`');
        let name = name.split_once('{').map_or(name, |(name, _)| name).to_owned();
        assert!(families.insert(name, (kind.to_owned(), help.to_owned())).is_none(), "twice: {line}");
    }
    families
}

/// Every name that a query may have.
fn known(families: &BTreeMap<String, Family>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (name, (kind, _)) in families {
        match &kind[..] {
            "histogram" => {
                known.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")))
            }
            _ => drop(known.insert(name.clone())),
        }
    }
    let rules = read("deploy/prometheus/rules.yml");
    known.extend(rules.lines().filter_map(|line| Some(line.trim().strip_prefix("- record: ")?.to_owned())));
    known
}

/// The names of metrics in the queries of rules, or of a dashboard.
fn named_in(text: &str) -> BTreeSet<String> {
    let queries: Vec<String> = match serde_json::from_str::<Value>(text) {
        Ok(dashboard) => expressions(&dashboard),
        Err(_) => text
            .lines()
            .filter_map(|line| Some(line.trim().trim_start_matches("- ").strip_prefix("expr: ")?.to_owned()))
            .collect(),
    };
    assert!(queries.len() > 10, "{queries:?}");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = queries.iter().flat_map(|query| query.split(|c: char| !is_name(c)));
    let is_metric =
        |word: &&str| ["rhumb_", "rhumb:", "process_"].iter().any(|start| word.starts_with(start));
    words.filter(is_metric).map(str::to_owned).collect()
}

/// The values of all members `expr` and of the queries of variables.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match (&name[..], value) {
                ("expr" | "definition", Value::String(query)) => vec![query.clone()],
                (_, value) => expressions(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// Reads the text exposition format, version 0.0.4, and returns type and help of every family.
///
/// # Panics
///
/// Where a scraper would give up: a line that is none, a sample outside its family or said twice,
/// a family without HELP and TYPE in front of it, in pieces, or without samples.
fn families(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut helped: BTreeMap<String, String> = BTreeMap::new();
    let mut series = BTreeSet::new();
    let mut sampled = BTreeSet::new();
    let mut current = (String::new(), String::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(
                !words.is_empty() && helped.insert(name.to_owned(), words.to_owned()).is_none(),
                "{line}"
            );
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let help = helped.get(name).unwrap_or_else(|| panic!("{line}")).clone();
            assert!(families.insert(name.to_owned(), (kind.to_owned(), help)).is_none(), "{line}");
            current = (name.to_owned(), kind.to_owned());
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            value.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(series.insert(key.to_owned()), "said twice: {line}");
            let name = key.split_once('{').map_or(key, |(name, labels)| {
                assert!(labels.ends_with('}'), "{line}");
                name
            });
            let suffix = name.strip_prefix(&current.0[..]).unwrap_or_else(|| panic!("{line} in {current:?}"));
            let suffixes: &[&str] =
                if current.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line} in {current:?}");
            sampled.insert(current.0.clone());
        }
    }
    assert!(families.keys().all(|name| sampled.contains(name)), "families without samples: {text}");
    families
}
