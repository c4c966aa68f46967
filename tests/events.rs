//! What happens is told as it happens, to whoever follows.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use support::daemon::Daemon;
use support::http::{get, send_json};
use support::scene::{DOMAIN, QUICK, Scene};
use support::site::Site;
use support::stream::EventStream;
use support::{PATIENCE, eventually};

/// The daemon with two sites, of which the first is preferred.
fn started(scene: &Scene, sites: [&Site; 2]) -> Daemon {
    scene.start(&scene.two_sites(sites, [QUICK, QUICK]))
}

#[test]
fn an_event_comes_when_the_answer_has_changed() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = started(&scene, [&first, &second]);
    let mut all = EventStream::open(daemon.admin(), "/v1/events", None);
    let mut turns = EventStream::open(daemon.admin(), "/v1/events?kinds=turned", None);
    first.kill();
    let turned = turns.await_kind("turned");
    assert_eq!(daemon.resolve(DOMAIN), [second.ip()], "whoever is told can count on it");
    let data = &turned.data;
    assert_eq!(data["id"].to_string(), turned.id);
    assert_eq!(
        (&data["kind"], &data["pool"], &data["address"]),
        (&"turned".into(), &"first".into(), &"a".into())
    );
    assert_eq!((&data["to"], &data["target"]), (&"down".into(), &first.ip().to_string().into()));
    assert!(data["reason"].as_str().is_some_and(|reason| reason.contains("connection refused")), "{data}");
    assert!(data["at"].as_str().is_some_and(|at| at.ends_with('Z') && at.contains('T')), "{data}");
    assert_eq!(all.await_kind("turned").id, turned.id);
    let moved = all.await_kind("moved");
    assert_eq!((&moved.data["pool"], &moved.data["standing"]), (&"first".into(), &"down".into()));

    // Who comes back says what it has seen last, in the header or as a parameter.
    let (admin, id) = (daemon.admin(), &turned.id);
    for stream in [
        EventStream::open(admin, "/v1/events?follow=false", Some(id)),
        EventStream::open(admin, &format!("/v1/events?follow=false&since={id}"), None),
        EventStream::open(admin, "/v1/events?follow=false&since=0", Some(id)),
    ] {
        let events = stream.rest();
        assert_eq!(events.first().map(|event| &event.id), Some(&moved.id), "{events:?}");
    }
    let events = EventStream::open(admin, "/v1/events?follow=false&since=0", None).rest();
    assert!(events.iter().any(|event| event.id == turned.id), "{events:?}");
    let events = EventStream::open(admin, "/v1/events?follow=false", None).rest();
    assert!(events.is_empty(), "nothing has happened since: {events:?}");
    let events = EventStream::open(admin, "/v1/events?follow=false", Some("1")).rest();
    assert_eq!((&events[0].kind[..], events[0].data["missed"].is_null()), ("lagged", true));
    assert_eq!(events[1].data["pool"], "first", "and then comes what there is");
}

#[test]
fn orders_and_reports_are_told_with_their_ends() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    let daemon = started(&scene, [&first, &second]);
    let admin = daemon.admin();
    let kinds = "ordered,order_ended,drained,away,back";
    let mut stream = EventStream::open(admin, &format!("/v1/events?kinds={kinds}"), None);
    // On its own: that a table is published is told when there is time, before or after what led to it.
    let mut tables = EventStream::open(admin, "/v1/events?kinds=published", None);
    let order = r#"{"state": "drain", "reason": "new kernel", "expires": "1s"}"#;
    assert_eq!(send_json(admin, "PATCH", "/v1/pools/first/addresses/a", order).status, 200);
    let ordered = stream.await_kind("ordered").data;
    assert_eq!((&ordered["address"], &ordered["state"]), (&"a".into(), &"drain".into()));
    assert_eq!((&ordered["reason"], &ordered["seconds"]), (&"new kernel".into(), &1.0.into()));
    assert!(tables.await_kind("published").data["generation"].is_u64());
    assert_eq!(stream.await_kind("order_ended").data["state"], "drain");

    assert_eq!(send_json(admin, "PATCH", "/v1/pools/first", r#"{"state": "drain"}"#).status, 200);
    assert!(stream.await_kind("ordered").data["address"].is_null(), "it is for all of them");
    assert_eq!(stream.await_kind("drained").data["pool"], "first");

    let away = r#"{"outcome": "fail", "reason": "SIGTERM", "for": "1s"}"#;
    assert_eq!(send_json(admin, "POST", "/v1/pools/second/report", away).status, 200);
    let away = stream.await_kind("away").data;
    assert_eq!((&away["pool"], &away["reason"]), (&"second".into(), &"SIGTERM".into()));
    assert_eq!(stream.await_kind("back").data["pool"], "second");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    for (query, field) in [("kinds=turnd", "kinds"), ("since=x", "query"), ("sinc=1", "query")] {
        let response = get(daemon.admin(), &format!("/v1/events?{query}"));
        assert_eq!((response.status, &response.json()["field"]), (400, &field.into()), "{query}");
    }
    let refused = EventStream::try_open(daemon.admin(), "/v1/events", Some("x")).err();
    assert_eq!(refused.as_deref(), Some("HTTP/1.0 400 Bad Request"));
}

#[test]
fn there_is_place_for_so_many_and_again_when_one_leaves() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let open = || EventStream::try_open(daemon.admin(), "/v1/events", None);
    let mut streams: Vec<EventStream> = (0..64).map(|_| open().expect("there is place")).collect();
    assert_eq!(open().err().as_deref(), Some("HTTP/1.0 503 Service Unavailable"));
    assert_eq!(get(daemon.admin(), "/v1/status").status, 200, "whoever does not follow is answered");
    streams.pop();
    eventually("place for another", || open().ok());
}

#[test]
fn a_stop_ends_streams_in_good_order() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let mut stream = TcpStream::connect(daemon.admin()).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    write!(stream, "GET /v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.admin()).expect("it reads");
    let mut begun = [0; 15];
    stream.read_exact(&mut begun).expect("it answers");
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    daemon.signal(Signal::SIGTERM);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("it ends");
    // What is cut off has no last chunk.
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
}
