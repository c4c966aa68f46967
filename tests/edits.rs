//! What is edited through the API is in force at once, is kept, and can be taken back.

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use support::daemon::Daemon;
use support::dns::{addresses, ask, query};
use support::http::{Response, delete, get, post, request_with, send_json, try_send_json};
use support::scene::Scene;
use support::{ASK_AGAIN, eventually};

/// Two pools without checks, and a domain that prefers the first.
fn world(scene: &Scene) -> String {
    scene.ground()
        + r#"
# The one that is preferred.
[pool.first]
policy = "weighted"
[[pool.first.address]]
name = "a"             # by the door
ip = "192.0.2.1"
weight = 1

[pool.second]
[[pool.second.address]]
name = "b"
ip = "192.0.2.2"

[[domain]]
name = "www.ai.example.com"
policy = "priority"
pools = ["first", "second"]
ttl = 1
"#
}

const WWW: &str = "www.ai.example.com";

fn resolve(daemon: &Daemon, name: &str) -> Vec<String> {
    daemon.resolve(name).iter().map(ToString::to_string).collect()
}

fn send(daemon: &Daemon, method: &str, path: &str, content: &Value) -> Response {
    send_json(daemon.admin(), method, path, &content.to_string())
}

/// Has it done, which is expected to work.
fn done(daemon: &Daemon, method: &str, path: &str, content: &Value) -> Response {
    let response = send(daemon, method, path, content);
    assert!((200..300).contains(&response.status), "{method} {path} {content}: {response:?}");
    response
}

fn edits(daemon: &Daemon) -> Vec<Value> {
    let listed = get(daemon.admin(), "/v1/edits").json();
    listed["edits"].as_array().expect("a list").clone()
}

#[test]
fn everything_can_be_created_changed_and_removed_and_the_next_query_says_so() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    assert_eq!(resolve(&daemon, WWW), ["192.0.2.1"]);

    let added = done(&daemon, "POST", "/v1/pools/first/addresses", &json!({"name": "c", "ip": "192.0.2.3"}));
    assert_eq!((added.status, added.header("location")), (201, "/v1/pools/first/addresses/c"));
    done(&daemon, "PATCH", "/v1/pools/first/addresses/a", &json!({"weight": 0, "reason": "canary"}));
    assert_eq!(resolve(&daemon, WWW), ["192.0.2.3"], "it alone takes traffic now");
    let again = send(&daemon, "POST", "/v1/pools/first/addresses", &json!({"name": "c", "ip": "192.0.2.4"}));
    assert_eq!((again.status, again.json()["field"].as_str()), (409, Some("name")));

    let new = json!({"policy": "round-robin", "address": [{"name": "d", "ip": "192.0.2.9"}]});
    assert_eq!(done(&daemon, "PUT", "/v1/pools/third", &new).status, 201);
    assert_eq!(done(&daemon, "PUT", "/v1/pools/third", &new).header("rhumb-edit"), "", "the same again");
    let shop = "shop.ai.example.com";
    assert_eq!(
        done(&daemon, "PUT", "/v1/domains/shop.ai.example.com", &json!({"pools": ["third"]})).status,
        201
    );
    assert_eq!(resolve(&daemon, shop), ["192.0.2.9"]);
    done(&daemon, "PATCH", "/v1/domains/shop.ai.example.com", &json!({"pools": ["second"], "ttl": "9s"}));
    let reply = ask(daemon.dns(), &query(shop, RecordType::A));
    assert_eq!((reply.answers[0].ttl, addresses(&reply)[0].to_string()), (9, "192.0.2.2".to_owned()));
    assert_eq!(delete(daemon.admin(), "/v1/pools/third").status, 204);
    assert_eq!(delete(daemon.admin(), "/v1/domains/shop.ai.example.com").status, 204);
    assert_eq!(delete(daemon.admin(), "/v1/domains/shop.ai.example.com").status, 404, "it is not there");
    let reply = ask(daemon.dns(), &query(shop, RecordType::A));
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);

    let record = "/v1/zones/ai.example.com/records/mail/A";
    assert_eq!(done(&daemon, "PUT", record, &json!({"data": ["192.0.2.25"]})).status, 201);
    assert_eq!(resolve(&daemon, "mail.ai.example.com"), ["192.0.2.25"]);
    assert_eq!(delete(daemon.admin(), record).status, 204);

    let check = json!({"type": "tcp", "interval": "100ms", "timeout": "50ms"});
    done(&daemon, "PUT", "/v1/health_checks/tcp", &check);
    assert_eq!(get(daemon.admin(), "/v1/health_checks/tcp").json()["specification"], check);
    let listed = get(daemon.admin(), "/v1/health_checks").json();
    assert_eq!(listed[0]["name"], "tcp");
    done(&daemon, "PUT", "/v1/conditions/third", &json!({"any": ["pool:second"]}));
    done(&daemon, "PATCH", "/v1/pools/first", &json!({"condition": "third"}));
    let needed = delete(daemon.admin(), "/v1/conditions/third");
    assert_eq!(needed.status, 409);
    assert!(
        needed.json()["detail"].as_str().is_some_and(|why| why.starts_with("pools/first: ")),
        "{needed:?}"
    );

    // Each of it can be taken back, and then all is as in the file.
    while let Some(edit) = edits(&daemon).pop() {
        let path = format!("/v1/edits/{}", edit["id"]);
        assert_eq!(get(daemon.admin(), &path).json(), edit);
        assert_eq!(delete(daemon.admin(), &path).status, 204, "{edit}");
        assert_eq!(delete(daemon.admin(), &path).status, 404);
    }
    assert_eq!(resolve(&daemon, WWW), ["192.0.2.1"]);
    assert_eq!(get(daemon.admin(), "/v1/edits/export").body, world(&scene));
}

#[test]
fn what_is_refused_names_its_place_and_changes_nothing() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let before = get(daemon.admin(), "/v1/edits/export").body;
    let a = "/v1/pools/first/addresses/a";
    for (method, path, content, status, field) in [
        ("PATCH", a, json!({"ip": "nowhere"}), 422, Some("ip")),
        ("PATCH", a, json!({"weight": 70_000}), 422, Some("weight")),
        ("PATCH", a, json!({"expires": "1h"}), 400, None),
        ("PATCH", a, json!({"name": "z"}), 422, Some("name")),
        ("PATCH", "/v1/pools/none", json!({"policy": "hash"}), 404, None),
        ("PUT", "/v1/pools/first", json!({"address": []}), 422, Some("address")),
        ("PUT", "/v1/pools/first", json!({"address": [{"name": "x"}]}), 422, Some("address[0]")),
        ("PUT", "/v1/pools/fi%20rst", json!({"address": [{"name": "x", "ip": "192.0.2.1"}]}), 422, None),
        ("PUT", "/v1/domains/elsewhere.example", json!({"pools": ["first"]}), 422, Some("name")),
        ("PUT", "/v1/zones/ai.example.com/records/x/NOTYPE", json!({"data": ""}), 400, Some("type")),
        ("PUT", "/v1/zones/none.example/records/x/A", json!({"data": "192.0.2.1"}), 422, None),
        ("PUT", "/v1/zones/ai.example.com/records/www/CNAME", json!({"data": "a.example."}), 409, None),
        ("DELETE", "/v1/pools/second", json!({}), 409, None),
        ("DELETE", "/v1/pools/none", json!({}), 404, None),
        ("POST", "/v1/pools/first/addresses", json!({"ip": "192.0.2.1"}), 400, Some("name")),
        ("POST", "/v1/transactions", json!({"edits": {}}), 400, Some("edits")),
        ("POST", "/v1/transactions", json!({"edits": [{"object": "pools/first"}]}), 400, Some("edits[0]")),
        (
            "POST",
            "/v1/transactions",
            json!({"edits": [
                {"object": "pools/first/addresses/a", "merge": {"weight": 5}},
                {"object": "pools/second", "merge": {"policy": "none"}},
            ]}),
            422,
            Some("edits[1].policy"),
        ),
    ] {
        let refused = send(&daemon, method, path, &content);
        let told = (refused.status, refused.header("content-type"));
        assert_eq!(told, (status, "application/problem+json"), "{method} {path} {content}: {refused:?}");
        assert_eq!(refused.json()["field"].as_str(), field, "{method} {path} {content}: {refused:?}");
    }
    assert_eq!(get(daemon.admin(), "/v1/edits/export").body, before);
    assert!(edits(&daemon).is_empty());
    assert_eq!(resolve(&daemon, WWW), ["192.0.2.1"]);
}

#[test]
fn a_race_is_lost_by_whoever_has_not_seen_the_latest() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let path = "/v1/pools/first/addresses/a";
    let change = |tag: &str, weight: u16| {
        let body = json!({"weight": weight}).to_string();
        let length = body.len().to_string();
        let headers = [("if-match", tag), ("content-length", &length[..])];
        request_with(daemon.admin(), "PATCH", path, &headers, &body).expect("it answers")
    };
    let seen = get(daemon.admin(), path).header("etag").to_owned();
    let first = change(&seen, 2);
    assert_eq!(first.status, 200);
    assert_eq!(first.header("etag"), get(daemon.admin(), path).header("etag"));
    assert_eq!(change(&seen, 3).status, 412);
    assert_eq!(get(daemon.admin(), path).json()["weight"], 2);
    assert_eq!(change(first.header("etag"), 3).status, 200);
    assert_eq!(change("*", 4).status, 200);
    assert_eq!(change("no-quotes", 5).status, 400);
    let unless_there = |path: &str| {
        let body = json!({"address": [{"name": "x", "ip": "192.0.2.77"}]}).to_string();
        let length = body.len().to_string();
        let headers = [("if-none-match", "*"), ("content-length", &length[..])];
        request_with(daemon.admin(), "PUT", path, &headers, &body).expect("it answers").status
    };
    assert_eq!((unless_there("/v1/pools/first"), unless_there("/v1/pools/new")), (412, 201));
    let seen = get(daemon.admin(), path).header("etag").to_owned();
    let unchanged = request_with(daemon.admin(), "GET", path, &[("if-none-match", &seen[..])], "");
    assert_eq!(unchanged.expect("it answers").status, 304);
}

#[test]
fn an_edit_may_end_by_itself() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let from = daemon.said();
    done(&daemon, "PATCH", "/v1/pools/first/addresses/a", &json!({"ip": "192.0.2.50", "expires": "1s"}));
    assert_eq!(resolve(&daemon, WWW), ["192.0.2.50"]);
    let listed = edits(&daemon);
    assert_eq!(listed.len(), 1);
    assert!(listed[0]["expires_at"].as_str() > listed[0]["at"].as_str(), "{listed:?}");
    daemon.await_line(from, &["the edit no longer stands"]);
    assert_eq!(resolve(&daemon, WWW), ["192.0.2.1"]);
    assert!(edits(&daemon).is_empty());

    // Its end is a change like its beginning.
    let record = &get(daemon.admin(), "/v1/audit?limit=1").json()["records"][0];
    let said = [&record["who"], &record["action"], &record["object"]];
    assert_eq!(said, ["expiry", "expire", "pools/first/addresses/a"]);
    assert_eq!([&record["before"]["ip"], &record["after"]["ip"]], ["192.0.2.50", "192.0.2.1"]);
}

#[test]
fn what_is_below_an_order_follows_it_without_a_gap() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let a = "/v1/pools/first/addresses/a";
    done(&daemon, "PATCH", a, &json!({"state": "drain", "reason": "new kernel"}));
    done(&daemon, "PATCH", a, &json!({"state": "down", "expires": "1s"}));
    let mut after = 0;
    while after < 100 {
        assert_ne!(
            resolve(&daemon, WWW),
            ["192.0.2.1"],
            "it has been under one order or the other all the time"
        );
        after += usize::from(!daemon.lines(&["drain again, no longer down"]).is_empty());
    }
    let order = &get(daemon.admin(), "/v1/pools/first").json()["addresses"][0]["order"];
    assert_eq!([&order["state"], &order["reason"]], ["drain", "new kernel"]);
}

#[test]
fn edits_live_with_a_file_that_changes() {
    let scene = Scene::new();
    let text = world(&scene);
    let daemon = scene.start(&text);
    done(&daemon, "PATCH", "/v1/pools/first/addresses/a", &json!({"weight": 7}));
    done(&daemon, "PATCH", "/v1/pools/second/addresses/b", &json!({"weight": 3}));

    // What is exported says the same, with its comments; once it is the file, nothing is left to edit.
    let exported = get(daemon.admin(), "/v1/edits/export").body;
    assert_eq!(exported.replace("weight = 7", "weight = 1").replace("weight = 3\n", ""), text);
    scene.configure(
        &text
            .replace("[pool.second]", "[pool.other]")
            .replace("\"second\"", "\"other\"")
            .replace("pool.second.", "pool.other."),
    );
    assert!(post(daemon.admin(), "/v1/reload").status < 300);
    let orphaned: Vec<Value> = edits(&daemon).iter().map(|edit| edit["orphaned"].clone()).collect();
    assert_eq!(orphaned, [Value::Null, json!("there is no address `b`")]);
    assert_eq!(get(daemon.admin(), "/v1/pools/first").json()["addresses"][0]["weight"], 7);

    // Taken back, an orphan changes nothing that is served, but what would come back with its pool.
    let orphan = edits(&daemon)[1]["id"].clone();
    done(&daemon, "DELETE", &format!("/v1/edits/{orphan}"), &Value::Null);
    let record = get(daemon.admin(), "/v1/audit?limit=1").json()["records"][0].clone();
    assert_eq!([&record["action"], &record["before"]["orphaned"]["id"]], [&json!("revert"), &orphan]);

    scene.configure(&exported);
    let from = daemon.said();
    assert!(post(daemon.admin(), "/v1/reload").status < 300);
    daemon.await_line(from, &["the file says it by now"]);
    assert!(edits(&daemon).is_empty());
    assert_eq!(
        get(daemon.admin(), "/v1/pools/second").json()["addresses"][0]["weight"],
        3,
        "the file says it"
    );
}

#[test]
fn several_edits_are_one() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let edits_of = json!({"reason": "exercise", "edits": [
        {"object": "pools/third", "put": {"address": [{"name": "d", "ip": "192.0.2.9"}]}},
        {"object": "domains/www.ai.example.com", "merge": {"pools": ["third", "second"]}},
        {"object": "pools/first", "remove": true},
        {"object": "pools/second/addresses/b", "state": "drain"},
    ]});
    let moves = done(&daemon, "POST", "/v1/transactions?dry_run=true", &edits_of).json();
    assert_eq!((edits(&daemon).len(), resolve(&daemon, WWW)), (0, vec!["192.0.2.1".to_owned()]));
    let moved = &moves["moves"][0];
    assert_eq!(moved["domain"], WWW);
    assert_eq!(moved["moved"], moved["asked"], "{moved}");
    let client = &moved["clients"][0];
    assert_eq!(
        (&client["before"]["decisions"][0]["pool"], &client["after"]["decisions"][0]["pool"]),
        (&json!("first"), &json!("third"))
    );

    let made = done(&daemon, "POST", "/v1/transactions", &edits_of).json();
    assert_eq!((&made["edits"], resolve(&daemon, WWW)), (&json!([1, 2, 3, 4]), vec!["192.0.2.9".to_owned()]));
    assert!(edits(&daemon).iter().all(|edit| edit["reason"] == "exercise"));
    assert_eq!(get(daemon.admin(), "/v1/pools/second").json()["addresses"][0]["state"], "drain");
    assert_eq!(get(daemon.admin(), "/v1/pools/first").status, 404);
    assert_eq!(delete(daemon.admin(), "/v1/pools/first").status, 204, "it is removed already");
}

#[test]
fn lists_come_in_pages() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let page = get(daemon.admin(), "/v1/pools?limit=1");
    assert_eq!(
        (page.json()[0]["name"].as_str(), page.json().as_array().map(Vec::len)),
        (Some("first"), Some(1))
    );
    let next = page.header("link").split_once('>').expect("a link").0.trim_start_matches('<').to_owned();
    let last = get(daemon.admin(), &next);
    assert_eq!((last.json()[0]["name"].as_str(), last.header("link")), (Some("second"), ""));
    assert_eq!(get(daemon.admin(), "/v1/domains?limit=0").json()["field"], "limit");
    assert_eq!(get(daemon.admin(), "/v1/domains?after=www.ai.example.com").json(), json!([]));
}

/// Edits the weight of an address until the daemon is gone; the last that was acknowledged, and the one
/// that was under way.
fn edit_until_the_end(admin: SocketAddr, address: &str, is_over: &AtomicBool) -> (Option<u64>, u64) {
    let mut kept = None;
    for weight in 1_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return (kept, weight);
        }
        let body = json!({"weight": weight}).to_string();
        let path = format!("/v1/pools/busy/addresses/{address}");
        match try_send_json(admin, "PATCH", &path, &body) {
            Ok(response) if response.status == 200 => kept = Some(weight),
            Ok(other) => panic!("{other:?}"),
            // It was killed in the midst of it.
            Err(_) => return (kept, weight),
        }
    }
    unreachable!("weights do not run out")
}

/// Kills a daemon `rounds` times under a stream of edits from `WORKERS` at once: none that was
/// acknowledged may be gone.
fn kill_under_edits(rounds: usize) {
    const WORKERS: u16 = 4;
    let scene = Scene::new();
    let addresses: String = (0..WORKERS)
        .map(|at| format!("[[pool.busy.address]]\nname = \"w{at}\"\nip = \"192.0.2.{}\"\n", 100 + at))
        .collect();
    let text = world(&scene) + "[pool.busy]\npolicy = \"weighted\"\n" + &addresses;
    let mut random = fastrand::Rng::with_seed(11);
    let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..rounds {
        let daemon = scene.start(&text);
        let (admin, is_over) = (daemon.admin(), AtomicBool::new(false));
        let pool = get(admin, "/v1/pools/busy").json();
        for address in pool["addresses"].as_array().expect("a list") {
            let (name, weight) = (address["name"].as_str().expect("a name"), address["weight"].as_u64());
            if let Some((kept, under_way)) = expected.get(name) {
                let weight = weight.expect("a number");
                assert!(
                    weight == *kept || weight == *under_way,
                    "round {round}: {name} has {weight}, not {kept}"
                );
            }
        }
        let pause = Duration::from_millis(random.u64(1..60));
        thread::scope(|scope| {
            let is_over = &is_over;
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| format!("w{worker}"))
                .map(|name| {
                    (
                        scope.spawn({
                            let name = name.clone();
                            move || edit_until_the_end(admin, &name, is_over)
                        }),
                        name,
                    )
                })
                .collect();
            thread::sleep(pause);
            // Dropping it kills it.
            drop(daemon);
            is_over.store(true, Ordering::Relaxed);
            for (worker, name) in workers {
                let (kept, under_way) = worker.join().expect("no edit is refused");
                acknowledged += kept.unwrap_or(0);
                let before = expected.get(&name).map_or(1, |(weight, _)| *weight);
                expected.insert(name, (kept.unwrap_or(before), under_way));
            }
        });
        // What was not acknowledged in this round may be there or not; look before the next begins.
        let daemon = scene.start(&text);
        let pool = get(daemon.admin(), "/v1/pools/busy").json();
        for address in pool["addresses"].as_array().expect("a list") {
            let name = address["name"].as_str().expect("a name").to_owned();
            let weight = address["weight"].as_u64().expect("a number");
            if let Some((kept, under_way)) = expected.get(&name) {
                assert!(
                    weight == *kept || weight == *under_way,
                    "round {round}: {name} has {weight}, not {kept}"
                );
            }
            expected.insert(name, (weight, weight));
        }
    }
    assert!(acknowledged > rounds as u64, "only {acknowledged} edits were acknowledged");
    println!("{rounds} kills, {acknowledged} edits acknowledged, none lost");
}

#[test]
fn no_acknowledged_edit_is_lost_to_a_kill() {
    kill_under_edits(20);
}

/// Takes some minutes: `cargo test --release --test edits -- --ignored --nocapture`.
#[test]
#[ignore = "takes some minutes"]
fn no_acknowledged_edit_is_lost_to_a_thousand_kills() {
    kill_under_edits(1000);
}

#[test]
fn a_transaction_is_made_if_each_object_is_what_was_seen() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let (first, second) = ("pools/first/addresses/a", "pools/second/addresses/b");
    let seen = |object: &str| get(daemon.admin(), &format!("/v1/{object}")).header("etag").to_owned();
    let tags = [first, second].map(seen);
    // Of both, to the same weight, if they are as they were seen.
    let both = |tags: &[String; 2], weight: u16| {
        json!({"edits": [
            {"object": first, "if_match": tags[0], "merge": {"weight": weight}},
            {"object": second, "if_match": tags[1], "merge": {"weight": weight}},
        ]})
    };
    let asked = |query: &str, content: &Value| {
        let answer = send(&daemon, "POST", &format!("/v1/transactions{query}"), content);
        (answer.status, answer.json()["field"].as_str().map(str::to_owned))
    };
    done(&daemon, "PATCH", &format!("/v1/{second}"), &json!({"weight": 3}));
    let before = get(daemon.admin(), "/v1/edits/export").body;
    let lost = (412, Some("edits[1]".to_owned()));
    assert_eq!(asked("?dry_run=true", &both(&tags, 5)), lost);
    assert_eq!(asked("", &both(&tags, 5)), lost);
    assert_eq!(get(daemon.admin(), "/v1/edits/export").body, before, "none was made");
    let tags = [first, second].map(seen);
    assert_eq!(asked("?dry_run=true", &both(&tags, 5)), (200, None));
    assert_eq!(asked("", &both(&tags, 5)), (200, None));
    assert_eq!(asked("", &both(&tags, 6)), (412, Some("edits[0]".to_owned())), "it was made");
    // What it does itself is no change by somebody else; what is not there is not what anybody has seen.
    let tag = seen(first);
    let twice = json!({"edits": [
        {"object": first, "if_match": tag, "merge": {"weight": 7}},
        {"object": first, "if_match": format!("\"none\", {tag}"), "state": "drain"},
        {"object": second, "if_match": "*", "merge": {"weight": 7}},
        {"object": first, "if_match": null, "merge": {"weight": 8}},
    ]});
    assert_eq!(asked("", &twice), (200, None));
    let new = json!({"edits": [{"object": "pools/third", "if_match": "*",
        "put": {"address": [{"name": "c", "ip": "192.0.2.3"}]}}]});
    assert_eq!(asked("", &new), (412, Some("edits[0]".to_owned())));
    let malformed = json!({"edits": [{"object": first, "if_match": "none", "state": "drain"}]});
    assert_eq!(asked("", &malformed), (400, Some("edits[0].if_match".to_owned())));
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let scene = Scene::new();
    let daemon = scene.start(&world(&scene));
    let both = |ip: &str| {
        json!({"edits": [
            {"object": "pools/first/addresses/a", "merge": {"ip": ip}},
            {"object": "pools/second/addresses/b", "merge": {"ip": format!("{ip}0")}},
        ]})
    };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::Relaxed) {
                let exported = get(daemon.admin(), "/v1/edits/export").body;
                let is_new = |ip: &str| exported.contains(&format!("ip = \"{ip}\""));
                let pairs = [
                    ("192.0.2.1", "192.0.2.2"),
                    ("198.51.100.1", "198.51.100.10"),
                    ("198.51.100.2", "198.51.100.20"),
                ];
                assert!(pairs.iter().any(|(a, b)| is_new(a) && is_new(b)), "{exported}");
                seen += 1;
                thread::sleep(ASK_AGAIN);
            }
            seen
        });
        for round in 0..40 {
            done(&daemon, "POST", "/v1/transactions", &both(["198.51.100.1", "198.51.100.2"][round % 2]));
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(looking.join().expect("both are always of one kind") > 0);
    });
    let found =
        eventually("the last", || Some(resolve(&daemon, WWW)).filter(|found| found == &["198.51.100.2"]));
    assert_eq!(found.len(), 1);
}
