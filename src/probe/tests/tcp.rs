//! Checks of type `tcp`.

use super::super::budget::Budget;
use super::*;
use crate::health::Phase;

#[tokio::test]
async fn a_listener_passes() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::start_at(bind, Script::Hang, None).await;
        assert_eq!(probe(watch(server.address, tcp_check())).await, Outcome::Pass, "{bind}");
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let closed = Refusing::new();
    let outcome = probe(watch(closed.address(), tcp_check())).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Refused));
}

#[tokio::test]
async fn connections_end_with_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    assert_eq!(probe(watch(address, tcp_check())).await, Outcome::Pass);
    let (mut stream, _) = listener.accept().await.expect("the probe connected");
    let error = stream.read_u8().await.expect_err("the probe has closed");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_name_is_resolved_by_the_system() {
    let server = Server::start(Script::Hang).await;
    let name = "localhost".parse().expect("a name");
    let watch = Watch { endpoint: Endpoint::Name(name), ..watch(server.address, tcp_check()) };
    assert_eq!(probe(watch).await, Outcome::Pass);
}

#[tokio::test]
async fn one_address_of_a_name_is_enough() {
    let (good, slow) = (Server::start(Script::Reply(OK)).await, Server::start(Script::Hang).await);
    let bad = Server::start(Script::Reply("HTTP/1.1 500 Oops\r\n\r\n")).await;
    let closed = Refusing::new();
    for (what, addresses, expected) in [
        ("the first", vec![good.address, slow.address], Ok(())),
        ("after one that refuses", vec![closed.address(), good.address], Ok(())),
        ("after one that hangs", vec![slow.address, good.address], Ok(())),
        ("none", vec![closed.address(), bad.address], Err(Failure::Status(500))),
    ] {
        let watch = watch(good.address, CheckKind::Http(http_check()));
        let probe = Probe::new(watch, &Arc::default()).await;
        let budget = Budget::new(now(), Duration::from_millis(1500));
        let attempt = probe.check.any_of(addresses, None, budget).await;
        assert_eq!(attempt.result, expected, "{what}");
    }
}

fn exchange(send: Option<&str>, expect: &str) -> CheckKind {
    let octets = |text: &str| text.as_bytes().to_vec();
    CheckKind::Tcp(TcpCheck { send: send.map(octets), expect: Some(octets(expect)) })
}

#[tokio::test]
async fn what_is_expected_has_to_come() {
    let ask = Some("PING\r\n\r\n");
    let unexpected = Outcome::Fail(Failure::Unexpected);
    for (script, send, expect, expected) in [
        (Script::Banner("220 mail.example\r\n"), None, "220 ", Outcome::Pass),
        (Script::Reply("+PONG\r\n"), ask, "PONG", Outcome::Pass),
        (Script::ReplyAndClose("+PONG\r\n"), ask, "PONG", Outcome::Pass),
        (Script::ReplyAndClose("-NOT YET\r\n"), ask, "PONG", unexpected),
        (Script::Close, ask, "PONG", Outcome::Fail(Failure::Closed)),
    ] {
        let mut server = Server::start(script).await;
        assert_eq!(probe(watch(server.address, exchange(send, expect))).await, expected);
        if let Some(text) = send {
            assert_eq!(server.next_seen().await, Seen::Request(text.to_owned()));
        }
    }
}

#[tokio::test]
async fn an_answer_is_told_from_silence() {
    let after = Duration::from_millis(200);
    let silent = Failure::TimedOut { phase: Phase::Response, after };
    for (script, expected) in
        [(Script::Hang, silent), (Script::Banner("554 no service\r\n"), Failure::Unexpected)]
    {
        let server = Server::start(script).await;
        let mut watch = watch(server.address, exchange(None, "220 "));
        watch.check.timeout = after;
        assert_eq!(probe(watch).await, Outcome::Fail(expected));
    }
}

#[tokio::test]
async fn what_is_expected_has_to_come_soon() {
    let searched = 64 * 1024;
    for (before, expected) in
        [(searched - 4, Outcome::Pass), (searched - 3, Outcome::Fail(Failure::Unexpected))]
    {
        let text = "x".repeat(before) + "PONG" + &"y".repeat(100_000);
        let server = Server::start(Script::Banner(text.leak())).await;
        assert_eq!(probe(watch(server.address, exchange(None, "PONG"))).await, expected, "{before}");
    }
}

#[tokio::test]
async fn what_is_expected_may_come_in_pieces() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the probe connects");
        stream.set_nodelay(true).expect("is connected");
        for octet in b"+PONG" {
            stream.write_all(&[*octet]).await.expect("the probe waits");
            tokio::task::yield_now().await;
        }
        let _ = stream.read_u8().await;
    });
    assert_eq!(probe(watch(address, exchange(None, "+PONG"))).await, Outcome::Pass);
    server.await.expect("the server does not fail");
}
