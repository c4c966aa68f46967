//! Checks of type `tcp`.

use super::super::budget::Budget;
use super::*;

#[tokio::test]
async fn a_listener_passes() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::start_at(bind, Script::Hang, None).await;
        assert_eq!(probe(watch(server.address, CheckKind::Tcp)).await, Outcome::Pass, "{bind}");
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let closed = Refusing::new();
    let outcome = probe(watch(closed.address(), CheckKind::Tcp)).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Refused));
}

#[tokio::test]
async fn connections_end_with_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("is bound");
    assert_eq!(probe(watch(address, CheckKind::Tcp)).await, Outcome::Pass);
    let (mut stream, _) = listener.accept().await.expect("the probe connected");
    let error = stream.read_u8().await.expect_err("the probe has closed");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_name_is_resolved_by_the_system() {
    let server = Server::start(Script::Hang).await;
    let name = "localhost".parse().expect("a name");
    let watch = Watch { endpoint: Endpoint::Name(name), ..watch(server.address, CheckKind::Tcp) };
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
