//! Checks of type `udp`.

use tokio::net::UdpSocket;

use super::*;
use crate::health::Phase;
use crate::plan::UdpCheck;

fn udp_check(expect: &[u8]) -> CheckKind {
    CheckKind::Udp(UdpCheck { send: b"ping\x00\xff".to_vec(), expect: expect.to_vec() })
}

/// A server that sends back what comes, twice over.
async fn echo(bind: &str) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind(bind).await.expect("loopback has a free port");
    let address = socket.local_addr().expect("is bound");
    let task = tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..length].repeat(2), client).await;
        }
    });
    (address, task)
}

#[tokio::test]
async fn answers_are_judged_by_what_is_in_them() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let (address, task) = echo(bind).await;
        for (expect, expected) in [
            (&b"ping\x00\xffping\x00\xff"[..], Outcome::Pass),
            (b"\xffp", Outcome::Pass),
            (b"pong", Outcome::Fail(Failure::Unexpected)),
        ] {
            assert_eq!(probe(watch(address, udp_check(expect))).await, expected, "{bind} {expect:?}");
        }
        task.abort();
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_at_refuses() {
    // Takes datagrams from elsewhere only.
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has a free port");
    socket.connect("127.0.0.1:9").await.expect("needs nobody there");
    let address = socket.local_addr().expect("is bound");
    let outcome = probe(watch(address, udp_check(b"ping"))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Refused));
}

#[tokio::test]
async fn no_answer_is_silence() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let mut watch = watch(socket.local_addr().expect("is bound"), udp_check(b"ping"));
    watch.check.timeout = Duration::from_millis(100);
    let failure = Failure::TimedOut { phase: Phase::Reply, after: watch.check.timeout };
    assert!(failure.is_silent());
    assert_eq!(probe(watch).await, Outcome::Fail(failure));
}
