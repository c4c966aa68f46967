//! How long the phases of a probe took.

use super::https::{certificate, server};
use super::*;
use crate::health::Timings;

/// Which phases were timed: resolve, connect, TLS, first octet.
fn timed(timings: Timings) -> [bool; 4] {
    let Timings { resolve, connect, tls, first_byte, script: _ } = timings;
    [resolve, connect, tls, first_byte].map(|phase| phase.is_some())
}

#[tokio::test]
async fn the_phases_that_ended_are_timed() {
    let plain = Server::start(Script::Reply(OK)).await;
    let inside = server(&certificate()).await;
    let closed = Refusing::new();
    let hanging = Server::start(Script::Hang).await;
    let http = || CheckKind::Http(http_check());
    for (what, address, kind, expected) in [
        ("tcp", plain.address, tcp_check(), [false, true, false, false]),
        ("http", plain.address, http(), [false, true, false, true]),
        ("https", inside.address, https_check(http_check(), false), [false, true, true, true]),
        ("tls", inside.address, CheckKind::Tls(tls_check(false)), [false, true, true, false]),
        ("refused", closed.address(), http(), [false; 4]),
        ("hanging", hanging.address, http(), [false, true, false, false]),
    ] {
        let mut watch = watch(address, kind);
        if what == "hanging" {
            watch.check.timeout = Duration::from_millis(100);
        }
        let started = now();
        let (_, timings) = Probe::new(watch, &Arc::default()).await.run(started).await;
        assert_eq!(timed(timings), expected, "{what}");
        let Timings { resolve, connect, tls, first_byte, script: _ } = timings;
        let sum: Duration = [resolve, connect, tls, first_byte].into_iter().flatten().sum();
        assert!(sum <= started.elapsed(), "{what}: the phases follow on each other");
    }
}

#[tokio::test]
async fn looking_up_a_name_is_timed() {
    let server = Server::start(Script::Hang).await;
    let name = "localhost".parse().expect("a name");
    let watch = Watch { endpoint: Endpoint::Name(name), ..watch(server.address, tcp_check()) };
    let (_, timings) = Probe::new(watch, &Arc::default()).await.run(now()).await;
    assert_eq!(timed(timings), [true, true, false, false]);
}

#[tokio::test]
async fn a_kept_connection_is_not_made_again() {
    let server = Server::start(Script::Reply(OK)).await;
    let mut probe = Probe::new(watch(server.address, reusing()), &Arc::default()).await;
    assert_eq!(timed(probe.run(now()).await.1), [false, true, false, true]);
    assert_eq!(timed(probe.run(now()).await.1), [false, false, false, true]);
}
