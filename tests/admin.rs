//! The admin API as its clients see it.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::daemon::run;
use support::eventually;
use support::http::{Response, get, post, sample};
use support::scene::{DOMAIN, ONCE, Scene};
use support::site::Site;

/// A refusal as RFC 9457 has it.
fn assert_problem(response: &Response, status: u16, field: Option<&str>) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), "application/problem+json");
    let problem = response.json();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["field"].as_str(), field, "{problem}");
    for member in ["title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {problem}");
    }
}

#[test]
fn every_endpoint_answers_and_refuses_in_kind() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    first.kill();
    let daemon = scene.start(&scene.two_sites([&first, &second], [ONCE, ONCE]));
    let admin = daemon.admin();

    assert_eq!((get(admin, "/healthz").status, get(admin, "/readyz").status), (200, 200));
    let domains = get(admin, "/v1/domains");
    assert_eq!((domains.status, domains.header("content-type")), (200, "application/json"));
    assert_eq!(domains.json()[0]["name"], DOMAIN);
    // Names are names, however they are written.
    for name in [DOMAIN, "WWW.ai.example.com."] {
        let domain = get(admin, &format!("/v1/domains/{name}")).json();
        assert_eq!((&domain["name"], &domain["ttl"]), (&DOMAIN.into(), &domains.json()[0]["ttl"]));
        assert_eq!(domain["specification"]["policy"], "priority");
    }
    let pools = get(admin, "/v1/pools").json();
    let addresses: Vec<_> = (0..2).map(|pool| pools[pool]["addresses"][0].clone()).collect();
    assert_eq!(addresses[0]["target"], first.ip().to_string());
    assert_eq!((&addresses[0]["health"], &addresses[0]["available"]), (&"down".into(), &false.into()));
    assert_eq!(addresses[0]["last_failure"], "connection refused");
    assert_eq!((&addresses[1]["health"], &addresses[1]["available"]), (&"up".into(), &true.into()));
    assert_eq!(get(admin, "/v1/pools/second").json()["name"], "second");
    let status = get(admin, "/v1/status").json();
    assert_eq!(status["domains"], domains.json());

    let explained = get(admin, &format!("/v1/explain?name={DOMAIN}&type=a&client=2001:db8::1"));
    assert_eq!(explained.json()["decisions"][0]["pool"], "second");
    let of_type = |rtype: &str| get(admin, &format!("/v1/explain?name={DOMAIN}{rtype}&client=192.0.2.1"));
    assert_eq!(of_type("").json(), of_type("&type=A").json(), "A is what is meant without a type");

    for (path, status, field) in [
        ("/v1/nothing", 404, None),
        ("/v1/domains/www.example.net", 404, None),
        ("/v1/domains/a..b", 400, Some("name")),
        ("/v1/pools/third", 404, None),
        ("/v1/explain?name=www.example.net", 400, Some("client")),
        ("/v1/explain?client=192.0.2.1", 400, Some("name")),
        ("/v1/explain?name=www.example.net&client=nowhere", 400, Some("client")),
        ("/v1/explain?name=a..b&client=192.0.2.1", 400, Some("name")),
        ("/v1/explain?name=www.example.net&client=192.0.2.1&type=AA", 400, Some("type")),
        ("/v1/explain?name=www.example.net&client=192.0.2.1&colour=red", 400, Some("query")),
    ] {
        assert_problem(&get(admin, path), status, field);
    }
    for path in ["/healthz", "/metrics", "/v1/pools", "/v1/explain"] {
        let refused = post(admin, path);
        assert_problem(&refused, 405, None);
        assert!(refused.header("allow").contains("GET"), "{path}: {refused:?}");
    }
    for path in ["/v1/reload", "/v1/pools/first/release"] {
        assert_problem(&get(admin, path), 405, None);
    }
    assert_problem(&post(admin, "/v1/pools/third/release"), 404, None);
    for (pool, reason) in [
        ("first", "pool `first` is still out of service: its address is down"),
        ("second", "pool `second` is in service"),
    ] {
        let refused = post(admin, &format!("/v1/pools/{pool}/release"));
        assert_problem(&refused, 409, None);
        assert_eq!(refused.json()["detail"], reason);
    }
    assert_eq!(post(admin, "/v1/reload").status, 200);
}

#[test]
fn the_network_is_not_let_in_without_a_token() {
    let scene = Scene::new();
    let text = scene.ground().replace(&scene.admin.to_string(), "0.0.0.0:8053");
    let file = scene.configure(&text);
    let output = run(&["check", "--config", file.to_str().expect("it is text")]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().position(|line| line.contains("0.0.0.0:8053")).expect("it is there") + 1;
    assert!(message.starts_with(&format!("{}:{line}:10: error: ", file.display())), "{message}");
    assert!(message.contains("token_file"), "{message}");
}

#[test]
fn metrics_are_in_prometheus_text_form_and_complete() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = scene.start(&scene.two_sites([&first, &second], [ONCE, ONCE]));
    assert_eq!(daemon.resolve(DOMAIN), [first.ip()]);
    assert_eq!(post(daemon.admin(), "/v1/reload").status, 200);
    // A reply is counted as sent when it is on its way, and may be here before that.
    let sent = || sample(daemon.admin(), r#"rhumb_udp_events_total{event="sent"}"#);
    eventually("the reply to be counted", || (sent() == 1.0).then_some(()));
    let response = get(daemon.admin(), "/metrics");
    assert_eq!(response.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let families = families(&response.body);
    let expected = [
        ("rhumb_address_available", "gauge"),
        ("rhumb_address_up", "gauge"),
        ("rhumb_answers_total", "counter"),
        ("rhumb_dns_client_subnet_total", "counter"),
        ("rhumb_dns_cookies_total", "counter"),
        ("rhumb_dns_dropped_total", "counter"),
        ("rhumb_dns_rate_limited_total", "counter"),
        ("rhumb_dns_replies_total", "counter"),
        ("rhumb_dns_truncated_total", "counter"),
        ("rhumb_flow_counted", "gauge"),
        ("rhumb_isolated", "gauge"),
        ("rhumb_outcome_to_swap_seconds", "histogram"),
        ("rhumb_pool_check_suspected", "gauge"),
        ("rhumb_pool_share", "gauge"),
        ("rhumb_probe_duration_seconds", "histogram"),
        ("rhumb_probe_lateness_seconds", "histogram"),
        ("rhumb_probes_total", "counter"),
        ("rhumb_reloads_total", "counter"),
        ("rhumb_table_generation", "gauge"),
        ("rhumb_tcp_events_total", "counter"),
        ("rhumb_transitions_total", "counter"),
        ("rhumb_udp_events_total", "counter"),
    ];
    assert_eq!(families, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into());
    for sample in [
        "rhumb_dns_replies_total{rcode=\"NOERROR\"} 1",
        "rhumb_udp_events_total{event=\"received\"} 1",
        "rhumb_probes_total{pool=\"first\",check=\"first\",outcome=\"pass\"} 1",
        "rhumb_outcome_to_swap_seconds_count 2",
        "rhumb_outcome_to_swap_seconds_bucket{le=\"+Inf\"} 2",
        "rhumb_reloads_total{result=\"accepted\",trigger=\"api\"} 1",
        "rhumb_pool_share{pool=\"first\"} 1",
    ] {
        assert!(response.body.lines().any(|line| line == sample), "{sample} in\n{}", response.body);
    }
}

/// Reads the text exposition format, version 0.0.4, and returns the type of every family.
///
/// # Panics
///
/// Where a scraper would give up: a line that is none, a sample outside its family or said twice,
/// a family without HELP and TYPE in front of it, in pieces, or without samples.
fn families(text: &str) -> BTreeMap<String, String> {
    assert!(text.ends_with('\n'));
    let mut families = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut sampled = BTreeSet::new();
    let mut current = (String::new(), String::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(helped.insert(name.to_owned()) && !words.is_empty(), "{line}");
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(helped.contains(name), "{line}");
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            current = (name.to_owned(), kind.to_owned());
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            value.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(series.insert(key.to_owned()), "said twice: {line}");
            let name = key.split_once('{').map_or(key, |(name, labels)| {
                let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
                assert!(are_labels(labels), "{line}");
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

/// `name="value"`, with commas between; no value here has a quote, a comma or a backslash.
fn are_labels(text: &str) -> bool {
    text.split(',').all(|label| {
        label.split_once('=').is_some_and(|(name, value)| {
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_')
                && value.is_some_and(|value| !value.contains(['"', '\\']))
        })
    })
}

#[test]
fn what_nothing_watches_has_an_empty_history() {
    let scene = Scene::new();
    let pools = r#"
[pool.plain]
address = [{ name = "a", ip = "192.0.2.1" }]

[pool.named]
address = [{ name = "a", resolve = "nowhere.invalid" }]
"#;
    let daemon = scene.start(&format!("{}{pools}", scene.ground()));
    for pool in ["plain", "named"] {
        let history = get(daemon.admin(), &format!("/v1/pools/{pool}/addresses/a/history"));
        assert_eq!(history.status, 200, "{pool}: {history:?}");
        assert_eq!((&history.json()["outcomes"], &history.json()["transitions"]), (&json!([]), &json!([])));
        assert_problem(&get(daemon.admin(), &format!("/v1/pools/{pool}/addresses/b/history")), 404, None);
    }
}
