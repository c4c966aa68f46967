//! Where answers go and where clients are sent, as the admin API tells it.

mod support;

use std::fmt::Write;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use support::dns::{addresses, ask, ask_by_tcp, query, resolve_for};
use support::http::{Response, get, post, put_csv, sample, send_json};
use support::scene::Scene;

/// Pools by name, with the rest of what each says.
fn pools(list: &[(&str, &str)]) -> String {
    list.iter().zip(1..).fold(String::new(), |mut text, ((name, more), octet)| {
        let address = format!("address = [{{ name = \"a\", ip = \"192.0.2.{octet}\" }}]");
        writeln!(text, "[pool.{name}]\n{more}\n{address}").expect("a String takes everything");
        text
    })
}

const SITES: [(&str, &str); 2] =
    [("vietnam", "location = { country = \"VN\" }"), ("hongkong", "location = { country = \"HK\" }")];

fn domain(name: &str, policy: &str, pools: &str) -> String {
    format!("[[domain]]\nname = \"{name}\"\npolicy = \"{policy}\"\npools = {pools}\nttl = \"1s\"\n")
}

/// Two domains of which one stands below the other, and one by itself.
fn world(scene: &Scene) -> String {
    [
        scene.ground(),
        pools(&SITES),
        "[pool.asia]\ndomain = \"asia.ai.example.com\"\n".to_owned(),
        domain("www.ai.example.com", "priority", "[\"asia\"]"),
        domain("asia.ai.example.com", "nearest", "[\"vietnam\", \"hongkong\"]"),
        domain("last.ai.example.com", "priority", "[\"hongkong\"]"),
    ]
    .concat()
}

fn assert_problem(response: &Response, status: u16, field: Option<&str>) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), "application/problem+json");
    assert_eq!(response.json()["field"].as_str(), field, "{response:?}");
}

#[test]
fn answers_are_counted_by_domain_and_pool_over_reloads() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let admin = daemon.admin();
    let flow = |query: &str| get(admin, &format!("/v1/flow{query}"));
    let edge = |pool: &str, answers: u64| json!({ "pool": pool, "answers": answers });
    let of = |name: &str, answers: u64, pools: &[Value]| json!({ "name": name, "answers": answers, "pools": pools });
    let all = |response: Response| response.json()["domains"].clone();

    let vietnam = resolve_for(daemon.dns(), "www.ai.example.com", "14.160.0.0/24");
    let covered = get(admin, "/v1/coverage?domain=last.ai.example.com").json();
    let clients = covered["clients"].as_array().expect("a list");
    let client = clients.iter().find(|client| client["country"] == "HK").expect("it is on the map");
    let subnet = format!("{}/32", client["client"].as_str().expect("an address"));
    let hongkong = resolve_for(daemon.dns(), "www.ai.example.com", &subnet);
    assert_ne!(vietnam, hongkong, "the two are where they are thought to be");
    resolve_for(daemon.dns(), "asia.ai.example.com", "14.160.0.0/24");
    let reply = ask_by_tcp(daemon.dns(), &query("last.ai.example.com", RecordType::A));
    assert_eq!(addresses(&reply), hongkong);
    // What is no domain's is no answer of one.
    assert_eq!(addresses(&ask(daemon.dns(), &query("ns1.ai.example.com", RecordType::A))), [scene.dns.ip()]);
    let expected = json!([
        of("www.ai.example.com", 2, &[edge("asia", 2)]),
        of("asia.ai.example.com", 3, &[edge("vietnam", 2), edge("hongkong", 1)]),
        of("last.ai.example.com", 1, &[edge("hongkong", 1)]),
    ]);
    assert_eq!(all(flow("")), expected);

    // In parts, and one alone.
    let mut path = "/v1/flow?limit=2".to_owned();
    let mut parts = Vec::new();
    loop {
        let part = get(admin, &path);
        assert_eq!(part.status, 200, "{part:?}");
        parts.extend(part.json()["domains"].as_array().expect("a list").clone());
        let Some(next) = part.header("link").strip_suffix(">; rel=\"next\"") else { break };
        path = next.strip_prefix('<').expect("a link").to_owned();
    }
    assert_eq!(Value::from(parts), expected);
    assert_eq!(all(flow("?domain=ASIA.ai.example.com")), json!([expected[1]]));

    // What was counted is kept, that of a pool that the domain has no more behind the others.
    let edited = world(&scene).replace("\"vietnam\", \"hongkong\"", "\"hongkong\"");
    scene.configure(&edited);
    assert_eq!(post(admin, "/v1/reload").status, 200);
    assert_eq!(resolve_for(daemon.dns(), "asia.ai.example.com", "14.160.0.0/24"), hongkong);
    let after = of("asia.ai.example.com", 4, &[edge("hongkong", 2), edge("vietnam", 2)]);
    assert_eq!(all(flow("?domain=asia.ai.example.com")), json!([after]));
    assert_eq!(all(flow(""))[0], expected[0]);

    let series = |domain: &str, pool: &str| {
        sample(admin, &format!("rhumb_answers_total{{domain=\"{domain}\",pool=\"{pool}\"}}"))
    };
    assert_eq!(series("asia.ai.example.com", "hongkong"), 2.0);
    assert_eq!(series("www.ai.example.com", "asia"), 2.0);
    assert_eq!(sample(admin, "rhumb_flow_counted"), 1.0);

    for (query, status, field) in [
        ("?limit=0", 400, Some("limit")),
        ("?limit=1001", 400, Some("limit")),
        ("?limit=many", 400, Some("query")),
        ("?colour=red", 400, Some("query")),
        ("?domain=a..b", 400, Some("domain")),
        ("?domain=ns1.ai.example.com", 404, None),
        ("?after=nothing.ai.example.com", 404, None),
    ] {
        assert_problem(&flow(query), status, field);
    }
}

#[test]
fn what_is_too_much_for_metrics_is_counted_all_the_same() {
    let scene = Scene::new();
    let mut text = scene.ground() + &pools(&SITES);
    for number in 0..501 {
        text += &domain(&format!("w{number}.ai.example.com"), "priority", "[\"vietnam\", \"hongkong\"]");
    }
    let daemon = scene.start(&text);
    daemon.resolve("w500.ai.example.com");
    let metrics = get(daemon.admin(), "/metrics").body;
    assert!(
        !metrics.contains("rhumb_answers_total") && metrics.contains("rhumb_flow_counted 1"),
        "{metrics}"
    );
    let flow = get(daemon.admin(), "/v1/flow?after=w499.ai.example.com").json();
    assert_eq!(
        (&flow["domains"][0]["answers"], flow["domains"].as_array().map(Vec::len)),
        (&json!(1), Some(1))
    );
}

#[test]
fn every_country_is_sent_where_it_is_explained_to_be() {
    let scene = Scene::new();
    let canary = "[[domain]]\nname = \"canary.ai.example.com\"\npolicy = \"weighted\"\n\
                  pools = [{ pool = \"vietnam\", weight = 9 }, { pool = \"hongkong\", weight = 1 }]\nttl = \"1s\"\n";
    let daemon = scene.start(&(world(&scene) + canary));
    let admin = daemon.admin();
    let coverage = |query: &str| get(admin, &format!("/v1/coverage?domain={query}"));

    let found = coverage("www.ai.example.com&down=vietnam");
    assert_eq!((found.status, found.header("content-type")), (200, "application/json"));
    let found = found.json();
    assert_eq!((&found["domain"], &found["type"]), (&json!("www.ai.example.com"), &json!("A")));
    let clients = found["clients"].as_array().expect("a list");
    assert!(clients.len() > 200, "{} countries", clients.len());
    let in_country = |country: &str| clients.iter().find(|client| client["country"] == country);
    for (country, pool) in [("VN", "vietnam"), ("HK", "hongkong")] {
        let client = in_country(country).expect("it is on the map");
        assert_eq!(client["pools"], json!(["asia", pool]));
        assert_eq!(client["after"], json!(["asia", "hongkong"]));
        assert_eq!(client.get("shares"), None, "chance plays no part");
    }
    for client in clients.iter().step_by(20) {
        let address = client["client"].as_str().expect("an address");
        let explained = get(admin, &format!("/v1/explain?name=www.ai.example.com&client={address}")).json();
        assert_eq!(explained["place"]["country"], client["country"]);
        let decisions = explained["decisions"].as_array().expect("a list");
        let pools: Vec<&Value> = decisions.iter().map(|decision| &decision["pool"]).collect();
        assert_eq!(json!(pools), client["pools"]);
    }

    let drawn = coverage("canary.ai.example.com").json();
    let client = &drawn["clients"][0];
    assert_eq!(client["pools"], json!(["vietnam"]));
    let shares = json!([{"pools": ["vietnam"], "share": 0.9}, {"pools": ["hongkong"], "share": 0.1}]);
    assert_eq!((&client["shares"], client.get("after")), (&shares, None));
    let none = coverage("last.ai.example.com&type=AAAA").json();
    assert_eq!(none["clients"][0]["pools"], json!([]), "there is no IPv6");

    for (query, status, field) in [
        ("www.ai.example.com&down=third", 400, Some("down")),
        ("www.ai.example.com&down=asia", 400, Some("down")),
        ("www.ai.example.com&type=AA", 400, Some("type")),
        ("www.ai.example.com&colour=red", 400, Some("query")),
        ("a..b", 400, Some("domain")),
        ("ns1.ai.example.com", 404, None),
    ] {
        assert_problem(&coverage(query), status, field);
    }
    assert_problem(&get(admin, "/v1/coverage"), 400, Some("domain"));
}

#[test]
fn a_dry_run_tells_who_would_move_and_moves_nobody() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let admin = daemon.admin();
    // Measured by somebody, and no part of what is edited.
    assert_eq!(put_csv(admin, "/v1/latency", "198.51.100.0/24,hongkong,1\n").status, 200);
    let dry_run = |edits: Value| {
        let transaction = json!({ "edits": edits }).to_string();
        let response = send_json(admin, "POST", "/v1/transactions?dry_run=true", &transaction);
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["moves"].as_array().expect("a list").clone()
    };
    let coverage = || get(admin, "/v1/coverage?domain=asia.ai.example.com&down=vietnam").json();
    let before = coverage();
    let clients = before["clients"].as_array().expect("a list");
    let is_of_vietnam = |client: &&Value| client["pools"] == json!(["vietnam"]);
    let of_vietnam: Vec<&Value> =
        clients.iter().filter(is_of_vietnam).map(|client| &client["client"]).collect();
    assert!(!of_vietnam.is_empty() && of_vietnam.len() < clients.len(), "{}", of_vietnam.len());

    for edits in [
        json!([{"object": "pools/vietnam/addresses/a", "state": "drain"}]),
        json!([{"object": "pools/vietnam", "state": "down"}]),
        json!([{"object": "domains/asia.ai.example.com", "merge": {"pools": ["hongkong"]}}]),
    ] {
        let moves = dry_run(edits.clone());
        let domains: Vec<&Value> = moves.iter().map(|moved| &moved["domain"]).collect();
        assert_eq!(domains, ["www.ai.example.com", "asia.ai.example.com"], "{edits}");
        for moved in &moves {
            assert_eq!((&moved["type"], &moved["asked"]), (&json!("A"), &json!(clients.len())));
            assert_eq!(moved["moved"], json!(of_vietnam.len()), "{edits}");
            let told = moved["clients"].as_array().expect("a list");
            assert_eq!(told.iter().map(|client| &client["client"]).collect::<Vec<_>>(), of_vietnam);
            let last = |when: &str| {
                let decisions = told[0][when]["decisions"].as_array().expect("a list");
                decisions.last().expect("there is one")["pool"].clone()
            };
            assert_eq!((last("before"), last("after")), (json!("vietnam"), json!("hongkong")));
        }
    }
    for edits in [
        json!([]),
        json!([{"object": "pools/vietnam/addresses/a", "state": "up"}]),
        json!([{"object": "pools/new", "put": {"address": [{"name": "a", "ip": "192.0.2.9"}]}}]),
        json!([{"object": "domains/last.ai.example.com", "merge": {"ttl": "7s"}}]),
    ] {
        assert_eq!(dry_run(edits.clone()), Vec::<Value>::new(), "{edits}");
    }
    // Without one of its two addresses a pool has less than its minimum.
    let pair = json!({"object": "pools/vietnam", "put": {
        "location": {"country": "VN"}, "min_available": 2,
        "address": [{"name": "a", "ip": "192.0.2.1"}, {"name": "b", "ip": "192.0.2.3"}],
    }});
    let short = json!({"object": "pools/vietnam/addresses/b", "state": "drain"});
    assert_eq!(dry_run(json!([pair, short]))[0]["clients"][0]["after"]["decisions"][1]["pool"], "hongkong");

    // A new pool that everybody would be sent to, and the same one if nothing of it is given.
    let new = json!({"object": "pools/new", "put": {"address": [{"name": "a", "ip": "192.0.2.9"}]}});
    let named = json!({"object": "domains/last.ai.example.com", "merge": {"pools": ["new", "hongkong"]}});
    assert_eq!(dry_run(json!([new, named]))[0]["moved"], json!(clients.len()));
    let drained = json!({"object": "pools/new", "state": "drain"});
    assert_eq!(dry_run(json!([new, named, drained])), Vec::<Value>::new());

    assert_eq!(coverage(), before);
    assert_eq!(get(admin, "/v1/edits").json()["edits"], json!([]));
}
