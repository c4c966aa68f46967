//! Checks of type `http`.

use super::super::http::{bare_host, request};
use super::super::tls::endpoint_name;
use super::*;
use crate::health::{LocalFailure, Phase};

const HEAD_WITHOUT_ITS_BODY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbut";
const REDIRECT: &str = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn responses_are_judged_by_their_status() {
    let long_head: &str = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)).leak();
    for (script, expected) in [
        (Script::Reply(OK), Outcome::Pass),
        (Script::ReplyAndClose("HTTP/1.0 204 No Content\r\n\r\n"), Outcome::Pass),
        (Script::Reply(HEAD_WITHOUT_ITS_BODY), Outcome::Pass),
        (Script::Reply("HTTP/1.1 503 Service Unavailable\r\n\r\n"), Outcome::Fail(Failure::Status(503))),
        (Script::Reply(REDIRECT), Outcome::Fail(Failure::Status(302))),
        (Script::Close, Outcome::Fail(Failure::Closed)),
        (Script::ReplyAndClose("HTTP/1.1 200 OK\r\nConte"), Outcome::Fail(Failure::Closed)),
        (Script::Reply("SSH-2.0-OpenSSH_9.9\r\n\r\n"), Outcome::Fail(Failure::Malformed)),
        (Script::Reply(long_head), Outcome::Fail(Failure::Malformed)),
    ] {
        let mut server = Server::start(script).await;
        let outcome = probe(watch(server.address, CheckKind::Http(http_check()))).await;
        assert_eq!(outcome, expected);
        server.until_end_of_connection().await;
        assert_eq!(server.accepted(), 1, "no second connection for {expected}");
    }
}

#[tokio::test]
async fn an_expected_redirect_passes() {
    let server = Server::start(Script::Reply(REDIRECT)).await;
    let expect_status = vec![StatusRange { first: 200, last: 200 }, StatusRange { first: 302, last: 302 }];
    let check = HttpCheck { expect_status, ..http_check() };
    assert_eq!(probe(watch(server.address, CheckKind::Http(check))).await, Outcome::Pass);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let closed = Refusing::new();
    let outcome = probe(watch(closed.address(), CheckKind::Http(http_check()))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Refused));
}

#[tokio::test]
async fn a_server_that_hangs_fails_after_the_timeout() {
    let timeout = Duration::from_millis(100);
    let tls = https_check(http_check(), false);
    for (kind, phase) in [(CheckKind::Http(http_check()), Phase::Response), (tls, Phase::Tls)] {
        let server = Server::start(Script::Hang).await;
        let mut watch = watch(server.address, kind);
        watch.check.timeout = timeout;
        let mut probe = Probe::new(watch, &Arc::default()).await;
        let started = now();
        let outcome = probe.run(started).await.0;
        assert_eq!(outcome, Outcome::Fail(Failure::TimedOut { phase, after: timeout }));
        assert!(started.elapsed() >= timeout);
    }
}

#[tokio::test]
async fn requests_say_what_the_check_says() {
    for (reuse, connection) in [(false, "connection: close\r\n"), (true, "")] {
        let mut server = Server::start(Script::Reply(OK)).await;
        let check = HttpCheck {
            path: "/ready?deep=1".into(),
            host: Some("web.example".into()),
            reuse,
            ..http_check()
        };
        assert_eq!(probe(watch(server.address, CheckKind::Http(check))).await, Outcome::Pass);
        let expected = format!(
            "GET /ready?deep=1 HTTP/1.1\r\nhost: web.example\r\nuser-agent: rhumb\r\n{connection}\r\n"
        );
        assert_eq!(server.next_seen().await, Seen::Request(expected));
    }
}

#[tokio::test]
async fn requests_carry_the_method_and_headers_of_the_check() {
    for (method, headers, expected) in [
        ("HEAD", vec![], "HEAD / HTTP/1.1\r\nhost: web.example\r\nuser-agent: rhumb\r\n"),
        (
            "POST",
            vec![("x-probe", "a  b"), ("user-agent", "ours")],
            "POST / HTTP/1.1\r\nhost: web.example\r\nuser-agent: ours\r\ncontent-length: 0\r\nx-probe: a  b\r\n",
        ),
        ("PURGE", vec![], "PURGE / HTTP/1.1\r\nhost: web.example\r\nuser-agent: rhumb\r\n"),
    ] {
        let mut server = Server::start(Script::Reply("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")).await;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let check = HttpCheck {
            method: method.into(),
            path: "/".into(),
            host: Some("web.example".into()),
            headers: headers.into_iter().map(owned).collect(),
            ..http_check()
        };
        assert_eq!(probe(watch(server.address, CheckKind::Http(check))).await, Outcome::Pass);
        assert_eq!(server.next_seen().await, Seen::Request(format!("{expected}connection: close\r\n\r\n")));
    }
}

#[tokio::test]
async fn a_response_to_head_leaves_the_connection_whole() {
    let server = Server::start(Script::Reply("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")).await;
    let check = HttpCheck { method: "HEAD".into(), reuse: true, ..http_check() };
    let mut probe = Probe::new(watch(server.address, CheckKind::Http(check)), &Arc::default()).await;
    for _ in 0..3 {
        assert_eq!(probe.run(now()).await.0, Outcome::Pass);
        assert!(probe.keeps_connection());
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_falls_silent_is_silence() {
    let mut server = Server::start(Script::ReplyFirst(OK)).await;
    let timeout = Duration::from_millis(200);
    let mut watch = watch(server.address, reusing());
    watch.check.timeout = timeout;
    let mut probe = Probe::new(watch, &Arc::default()).await;
    assert_eq!(probe.run(now()).await.0, Outcome::Pass);
    let failure = Failure::TimedOut { phase: Phase::Reply, after: timeout };
    assert_eq!(probe.run(now()).await.0, Outcome::Fail(failure));
    server.until_end_of_connection().await;
    assert_eq!(server.accepted(), 1);
}

#[test]
fn hosts_are_named_as_their_readers_want_them() {
    let v4 = |port| SocketAddr::new([192, 0, 2, 1].into(), port);
    let v6 = |port| SocketAddr::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), port);
    let name = || Endpoint::Name("alb.example".parse().expect("a name"));
    for (address, endpoint, host, https, header, sni) in [
        (v4(80), None, None, false, "192.0.2.1", None),
        (v4(8080), None, None, false, "192.0.2.1:8080", None),
        (v4(443), None, None, true, "192.0.2.1", None),
        (v4(80), None, None, true, "192.0.2.1:80", None),
        (v6(80), None, None, false, "[2001:db8::1]", None),
        (v6(8080), None, None, false, "[2001:db8::1]:8080", None),
        (v4(80), Some(name()), None, false, "alb.example", Some("alb.example")),
        (v4(8080), Some(name()), None, false, "alb.example:8080", Some("alb.example")),
        (v4(8443), Some(name()), Some("web.example"), true, "web.example", Some("web.example")),
        (v4(443), None, Some("web.example:8443"), true, "web.example:8443", Some("web.example")),
        (v4(443), None, Some("[2001:db8::1]:8443"), true, "[2001:db8::1]:8443", Some("2001:db8::1")),
    ] {
        let check = HttpCheck { host: host.map(str::to_owned), ..http_check() };
        let kind = match https {
            false => CheckKind::Http(check.clone()),
            true => https_check(check.clone(), true),
        };
        let mut watch = watch(address, kind);
        watch.endpoint = endpoint.unwrap_or(watch.endpoint);
        let request = request(&watch, &check, https).expect("a good check");
        assert_eq!(request.headers()["host"], header);
        assert_eq!(bare_host(&check).or_else(|| endpoint_name(&watch)).as_deref(), sni, "{header}");
        // An address that a name was resolved to is asked for under that name.
        if let Endpoint::Name(name) = std::mem::replace(&mut watch.endpoint, Endpoint::Ip(address.ip())) {
            watch.resolved_from = Some(name);
            let request = super::super::http::request(&watch, &check, https).expect("a good check");
            assert_eq!(request.headers()["host"], header);
            assert_eq!(
                bare_host(&check).or_else(|| endpoint_name(&watch)).as_deref(),
                sni,
                "{header}, resolved"
            );
        }
    }
}

#[tokio::test]
async fn a_check_that_cannot_be_asked_does_not_count() {
    let server = Server::start(Script::Reply(OK)).await;
    for check in [
        HttpCheck { path: "/a b".into(), ..http_check() },
        HttpCheck { host: Some("a\r\nb: c".into()), ..http_check() },
    ] {
        let outcome = probe(watch(server.address, CheckKind::Http(check))).await;
        assert!(matches!(outcome, Outcome::Fail(Failure::Local(LocalFailure::BadRequest(_)))), "{outcome}");
    }
    assert_eq!(server.accepted(), 0);
}

/// Lets the kept connection of `probe` finish its last response.
pub(super) async fn settle(probe: &mut Probe) {
    std::future::poll_fn(|context| {
        let _ = std::pin::pin!(probe.idle()).poll(context);
        match probe.keeps_connection() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

#[tokio::test]
async fn a_kept_connection_serves_all_probes() {
    for (reply, expected) in [
        (OK, Outcome::Pass),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Outcome::Pass),
        (
            "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n",
            Outcome::Fail(Failure::Status(503)),
        ),
    ] {
        let server = Server::start(Script::Reply(reply)).await;
        let mut probe = Probe::new(watch(server.address, reusing()), &Arc::default()).await;
        for _ in 0..5 {
            assert_eq!(probe.run(now()).await.0, expected);
            settle(&mut probe).await;
        }
        assert_eq!(server.accepted(), 1, "{reply}");
    }
}

#[tokio::test]
async fn a_response_that_does_not_end_costs_the_connection_and_no_more() {
    let server = Server::start(Script::Reply(HEAD_WITHOUT_ITS_BODY)).await;
    let mut probe = Probe::new(watch(server.address, reusing()), &Arc::default()).await;
    for connections in 1..=3 {
        assert_eq!(probe.run(now()).await.0, Outcome::Pass);
        assert_eq!(server.accepted(), connections);
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced_within_the_probe() {
    let mut server = Server::start(Script::ReplyAndClose(OK)).await;
    let mut probe = Probe::new(watch(server.address, reusing()), &Arc::default()).await;
    for connections in 1..=3 {
        assert_eq!(probe.run(now()).await.0, Outcome::Pass);
        server.until_end_of_connection().await;
        assert_eq!(server.accepted(), connections);
    }
}

#[tokio::test]
async fn a_kept_connection_that_ends_under_a_request_is_replaced_within_the_probe() {
    let server = Server::start(Script::ReplyOnce(OK)).await;
    let mut probe = Probe::new(watch(server.address, reusing()), &Arc::default()).await;
    for connections in 1..=3 {
        assert_eq!(probe.run(now()).await.0, Outcome::Pass);
        assert_eq!(server.accepted(), connections);
    }
}

#[tokio::test]
async fn a_server_that_dies_under_a_kept_connection_fails_the_next_probe() {
    let mut server = Server::start(Script::ReplyAndClose(OK)).await;
    let mut probe = Probe::new(watch(server.address, reusing()), &Arc::default()).await;
    assert_eq!(probe.run(now()).await.0, Outcome::Pass);
    server.until_end_of_connection().await;
    server.stop().await;
    assert_eq!(probe.run(now()).await.0, Outcome::Fail(Failure::Refused));
}
