//! The admin API as its clients see it.

mod support;

use serde_json::json;
use support::daemon::run;
use support::http::{Response, get, post};
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
