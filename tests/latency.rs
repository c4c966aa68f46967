//! Latencies that are given to the running daemon: in force with the next query, and for good.

mod support;

use std::net::IpAddr;

use nix::sys::signal::Signal;
use support::daemon::{Daemon, run};
use support::dns::resolve_for;
use support::http::{Response, delete, get, post, put_csv, request, request_with, try_put_csv};
use support::scene::{DOMAIN, Scene};

const PATH: &str = "/v1/latency";
/// Clients that `near` was measured for in a file, and those that nothing was.
const LISTED: &str = "203.0.113.0/24";
const OTHERS: &str = "198.51.100.0/24";

/// `near`, which comes first, and `far`; one measurement of each is in a file.
fn two_pools(scene: &Scene) -> String {
    scene.write("listed.csv", "203.0.113.0/24,near,5\n203.0.113.0/24,far,20\n");
    format!(
        r#"{}
[pool.near]
address = [{{ name = "a", ip = "192.0.2.1" }}]

[pool.far]
address = [{{ name = "a", ip = "192.0.2.2" }}]

[[domain]]
name = "{DOMAIN}"
policy = "nearest"
pools = ["near", "far"]

[[latency]]
file = "listed.csv"
"#,
        scene.ground(),
    )
}

/// The pool that clients of `subnet` are given.
fn pool_for(daemon: &Daemon, subnet: &str) -> &'static str {
    let addresses = resolve_for(daemon.dns(), DOMAIN, subnet);
    let of = |last| IpAddr::from([192, 0, 2, last]);
    match &addresses[..] {
        [address] if *address == of(1) => "near",
        [address] if *address == of(2) => "far",
        other => panic!("{other:?}"),
    }
}

fn pools(daemon: &Daemon) -> [&'static str; 2] {
    [LISTED, OTHERS].map(|subnet| pool_for(daemon, subnet))
}

fn given(daemon: &Daemon) -> String {
    let response = get(daemon.admin(), PATH);
    assert_eq!((response.status, response.header("content-type")), (200, "text/csv; charset=utf-8"));
    response.body
}

#[track_caller]
fn assert_refused(response: &Response, status: u16, details: &[&str]) {
    assert_eq!((response.status, response.header("content-type")), (status, "application/problem+json"));
    let problem = response.json();
    let detail = problem["detail"].as_str().expect("it says why");
    for expected in details {
        assert!(detail.contains(expected), "{expected} in {detail}");
    }
}

fn kill(daemon: Daemon) {
    daemon.signal(Signal::SIGKILL);
    daemon.into_process().await_end();
}

#[test]
fn what_is_given_is_in_force_at_once_and_for_good() {
    let scene = Scene::new();
    let text = two_pools(&scene);
    let daemon = scene.start(&text);
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["near", "near"], ""));

    // It wins over what is listed for the same clients and pool, and leaves the rest.
    let csv = "source,pool,milliseconds\n203.0.113.0/24,near,50 # congested\n198.51.100.0/24,far,1\n";
    let accepted = put_csv(daemon.admin(), PATH, csv);
    assert_eq!((accepted.status, &accepted.json()["measurements"]), (200, &2.into()));
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["far", "far"], csv));
    let explained = get(daemon.admin(), &format!("/v1/explain?name={DOMAIN}&client=203.0.113.7")).body;
    for measured in ["50 ms away, as measured", "20 ms away, as measured"] {
        assert!(explained.contains(measured), "{explained}");
    }

    assert_eq!(post(daemon.admin(), "/v1/reload").status, 200);
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["far", "far"], csv));
    kill(daemon);
    let daemon = scene.start(&text);
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["far", "far"], csv));

    // As a whole: what is not said again is gone.
    assert_eq!(put_csv(daemon.admin(), PATH, "198.51.100.0/24,far,2\n").status, 200);
    assert_eq!(pools(&daemon), ["near", "far"]);
    for _ in 0..2 {
        assert_eq!(delete(daemon.admin(), PATH).status, 204);
        assert_eq!((pools(&daemon), &given(&daemon)[..]), (["near", "near"], ""));
    }
    kill(daemon);
    assert_eq!(pools(&scene.start(&text)), ["near", "near"]);
}

#[test]
fn what_is_refused_changes_nothing() {
    let scene = Scene::new();
    let daemon = scene.start(&two_pools(&scene));
    let admin = daemon.admin();
    let csv = "198.51.100.0/24,far,1\n";
    assert_eq!(put_csv(admin, PATH, csv).status, 200);

    let broken = "198.51.100.0/24,near,1\n\n\
        198.51.100.0/24,neer,1\n\
        198.51.100.0/24,near,2\n\
        198.51.100.1/24,near,soon\n";
    let refused = put_csv(admin, PATH, broken);
    assert_refused(
        &refused,
        422,
        &[
            "body:3:17: error: pool `neer` does not exist",
            "did you mean `near`?",
            "body:4:1: error: measurement `198.51.100.0/24,near` is there twice",
            "body:5:1: error: `198.51.100.1/24` has bits set behind the prefix",
            "body:5:22: error: `soon` is not a number",
        ],
    );
    let with = |headers: &[(&str, &str)]| request(admin, "PUT", PATH, headers).expect("it answers");
    let too_much = (16 * 1024 * 1024 + 1).to_string();
    assert_refused(&with(&[("content-length", &too_much)]), 413, &["16 MiB"]);
    let json = [("content-length", "0"), ("content-type", "application/json")];
    assert_refused(&with(&json), 415, &["text/csv"]);
    assert_refused(&post(admin, PATH), 405, &[]);
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["near", "far"], csv));
}

#[test]
fn what_cannot_be_kept_is_not_taken() {
    let scene = Scene::new();
    let text = two_pools(&scene);
    // A directory in the place of the file.
    let state = scene.path().join("state");
    std::fs::create_dir_all(state.join("latency.csv")).expect("it is ours");
    let daemon = scene.start(&text);
    daemon.await_line(0, &["ERROR", "latencies given by API are not used"]);
    let csv = "198.51.100.0/24,far,1\n";
    assert_refused(&put_csv(daemon.admin(), PATH, csv), 503, &["cannot keep", "state"]);
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["near", "near"], ""));

    std::fs::remove_dir(state.join("latency.csv")).expect("it is ours");
    std::os::unix::fs::symlink("/dev/full", state.join("latency.csv.new")).expect("links can be made");
    assert_refused(&put_csv(daemon.admin(), PATH, csv), 507, &["cannot keep", "No space left"]);
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["near", "near"], ""));
    assert_eq!(put_csv(daemon.admin(), PATH, csv).status, 200);
    assert_eq!(pools(&daemon), ["near", "far"]);
}

#[test]
fn measurements_wait_for_their_pool_to_come_back() {
    let scene = Scene::new();
    let text = two_pools(&scene);
    let daemon = scene.start(&text);
    let csv = "198.51.100.0/24,near,9\n198.51.100.0/24,far,1\n";
    assert_eq!(put_csv(daemon.admin(), PATH, csv).status, 200);
    scene.configure(&text.replace("pool.far", "pool.other").replace("\"far\"", "\"other\""));
    scene.write("listed.csv", "");
    let from = daemon.said();
    assert_eq!(post(daemon.admin(), "/v1/reload").status, 200);
    daemon.await_line(from, &["WARN", "latencies", "pools that do not exist", "measurements=1"]);
    assert_eq!((pools(&daemon), &given(&daemon)[..]), (["near", "near"], csv));
    scene.configure(&text);
    assert_eq!(post(daemon.admin(), "/v1/reload").status, 200);
    assert_eq!(pools(&daemon), ["near", "far"]);
}

#[test]
fn neither_a_reload_nor_a_measurement_is_lost_to_the_other() {
    let scene = Scene::new();
    let daemon = scene.start(&two_pools(&scene));
    for round in 0..20 {
        let (order, expected) = match round % 2 {
            0 => (r#"["far", "near"]"#, ["near", "far"]),
            _ => (r#"["near", "far"]"#, ["far", "near"]),
        };
        // What is measured says one thing of one half of the clients, the order another of the rest.
        scene.configure(&two_pools(&scene).replace(r#"["near", "far"]"#, order));
        let csv = format!("203.0.113.0/24,{},1\n203.0.113.0/24,{},2\n", expected[0], expected[1]);
        std::thread::scope(|scope| {
            let reload = scope.spawn(|| post(daemon.admin(), "/v1/reload").status);
            assert_eq!(put_csv(daemon.admin(), PATH, &csv).status, 200);
            assert_eq!(reload.join().expect("it answers"), 200);
        });
        assert_eq!(pools(&daemon), expected, "round {round}");
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged_and_leaves_nothing_half_done() {
    // Of more than one page, so that there is a half.
    let csv = |round: usize| format!("AS{},near,1\n", 64500 + round) + &"# \n".repeat(10_000);
    let scene = Scene::new();
    let text = two_pools(&scene);
    let mut acknowledged = 0;
    for kills in 1..=5 {
        let daemon = scene.start(&text);
        if acknowledged > 0 {
            // The one that was under way may have come in as well.
            let kept = given(&daemon);
            assert!([acknowledged, acknowledged + 1].map(csv).contains(&kept), "after {acknowledged}");
            acknowledged += usize::from(kept != csv(acknowledged));
        }
        let admin = daemon.admin();
        let before = acknowledged;
        std::thread::scope(|scope| {
            let stream = scope.spawn(|| {
                let mut last = before;
                while let Ok(Response { status: 200, .. }) = try_put_csv(admin, PATH, &csv(last + 1)) {
                    last += 1;
                    if last == before + 3 * kills {
                        daemon.signal(Signal::SIGKILL);
                    }
                }
                last
            });
            acknowledged = stream.join().expect("it ends with the daemon");
        });
        daemon.into_process().await_end();
    }
}

#[test]
fn the_command_gives_shows_and_clears() {
    let scene = Scene::new();
    let daemon = scene.start(&two_pools(&scene));
    let url = format!("http://{}", daemon.admin());
    let latency = |arguments: &[&str]| {
        let output = run(&[&["latency"], arguments, &["--admin", &url]].concat());
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("it prints text");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let csv = "198.51.100.0/24,far,1\n";
    let file = scene.write("measured.csv", csv);
    let file = file.to_str().expect("it is text");
    let done = |text: &str| (Some(0), text.to_owned(), String::new());
    assert_eq!(latency(&["set", file]), done("measurements given by API: 1\n"));
    assert_eq!(pools(&daemon), ["near", "far"]);
    assert_eq!(latency(&["show"]), done(csv));

    scene.write("measured.csv", "198.51.100.0/24,fer,1\n");
    let (code, _, complaint) = latency(&["set", file]);
    assert!(code == Some(1) && complaint.contains("did you mean `far`?"), "{complaint}");
    assert_eq!(latency(&["show"]), done(csv));

    assert_eq!(latency(&["clear", "--output", "json"]), done("{\n  \"measurements\": 0\n}\n"));
    assert_eq!((pools(&daemon), latency(&["show"])), (["near", "near"], done("")));
}

#[test]
fn whoever_changes_what_somebody_else_has_changed_is_told() {
    let scene = Scene::new();
    let daemon = scene.start(&two_pools(&scene));
    let ask = |method: &str, name: &str, tag: &str, csv: &str| {
        let length = csv.len().to_string();
        let headers = [("content-type", "text/csv"), ("content-length", &length[..]), (name, tag)];
        request_with(daemon.admin(), method, PATH, &headers, csv).expect("somebody answers")
    };
    let nothing = get(daemon.admin(), PATH).header("etag").to_owned();
    let first = ask("PUT", "if-match", &nothing, "AS64500,near,5\n");
    assert_eq!(first.status, 200, "{first:?}");
    let tag = get(daemon.admin(), PATH).header("etag").to_owned();
    assert!(tag.len() > 2 && tag != nothing && tag == first.header("etag"), "{tag}: {first:?}");
    let known = ask("GET", "if-none-match", &tag, "");
    assert_eq!((known.status, &known.body[..], known.header("etag")), (304, "", &tag[..]));

    for (method, name, tag) in
        [("PUT", "if-match", &nothing[..]), ("DELETE", "if-match", &nothing), ("PUT", "if-none-match", "*")]
    {
        assert_refused(&ask(method, name, tag, "AS64500,near,9\n"), 412, &["somebody else"]);
    }
    assert_refused(&ask("PUT", "if-match", "unquoted", "AS64500,near,9\n"), 400, &["in quotes"]);
    assert_eq!(given(&daemon), "AS64500,near,5\n");
    assert_eq!(ask("PUT", "if-match", "*", "AS64500,near,7\n").status, 200);
    let tag = get(daemon.admin(), PATH).header("etag").to_owned();
    assert_eq!(ask("DELETE", "if-match", &tag, "").status, 204);
    assert_eq!((given(&daemon), get(daemon.admin(), PATH).header("etag")), (String::new(), &nothing[..]));
}
