//! The first round of probes ends before the first query is answered: a restart never sends a
//! client to a dead site.

mod support;

use hickory_proto::rr::RecordType;
use support::dns::{addresses, ask, framed, query, receive, receive_by_tcp, socket_to};
use support::http::get;
use support::scene::{DOMAIN, ONCE, Scene};
use support::site::Site;

#[test]
fn the_first_reply_ever_is_already_right() {
    let (mut first, second, scene) = (Site::start(), Site::start(), Scene::new());
    // The daemon's first probe of the preferred site lasts until the test ends it.
    first.hang();
    let daemon = scene.launch(&scene.two_sites([&first, &second], [ONCE, ONCE]));
    first.await_connections(1);

    let admin = daemon.admin();
    assert_eq!(get(admin, "/healthz").status, 200, "it lives");
    let readiness = get(admin, "/readyz");
    assert_eq!((readiness.status, readiness.header("content-type")), (503, "application/problem+json"));

    // The sockets are bound, so that what clients ask is queued and not refused.
    let by_udp = query(DOMAIN, RecordType::A);
    let socket = socket_to(daemon.dns());
    socket.send(&by_udp.to_vec().expect("it can be encoded")).expect("loopback takes it");
    let by_tcp = query(DOMAIN, RecordType::A);
    let mut stream = std::net::TcpStream::connect(daemon.dns()).expect("it listens");
    std::io::Write::write_all(&mut stream, &framed(&by_tcp)).expect("the kernel takes it");
    assert_eq!(get(admin, "/readyz").status, 503, "the probe is still under way");

    first.kill();
    let reply = receive(&socket, by_udp.metadata.id);
    assert_eq!(addresses(&reply), [second.ip()], "over UDP");
    assert_eq!(addresses(&receive_by_tcp(&mut stream)), [second.ip()], "over TCP");
    daemon.await_line(0, &["ready", &daemon.dns().to_string(), &admin.to_string()]);
    assert_eq!(get(admin, "/readyz").status, 200);
    daemon.await_line(0, &["down: ", "first probe", "pool=first"]);
}

#[test]
fn without_checks_it_is_ready_at_once() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    assert_eq!(get(daemon.admin(), "/readyz").status, 200);
    let reply = ask(daemon.dns(), &query("ns1.ai.example.com", RecordType::A));
    assert_eq!(addresses(&reply), [daemon.dns().ip()]);
}

#[test]
fn two_daemons_do_not_share_what_they_keep() {
    let (first, second) = (Scene::new(), Scene::new());
    let _running = first.start(&first.ground());
    let [theirs, own] = [&first, &second].map(|scene| scene.path().join("state").display().to_string());
    let text = second.ground();
    assert!(text.contains(&own));
    let (status, said) = second.launch(&text.replace(&own, &theirs)).into_process().await_end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("another process keeps its state in {theirs}")), "{said}");
}
