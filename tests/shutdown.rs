//! A stop finishes what was asked and ends with code 0.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use support::dns::{addresses, framed, query, receive, receive_by_tcp, socket_to};
use support::http::get;
use support::scene::{ONCE, Scene};
use support::site::Site;
use support::{PATIENCE, eventually};

const HOST: &str = "ns1.ai.example.com";

fn finishes_what_was_asked(stop: Signal) {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let (dns, ip) = (daemon.dns(), daemon.dns().ip());
    let by_tcp = query(HOST, RecordType::A);
    let wire = framed(&by_tcp);
    let mut stream = TcpStream::connect(dns).expect("it listens");
    stream.write_all(&wire).expect("it reads");
    assert_eq!(addresses(&receive_by_tcp(&mut stream)), [ip]);

    // It finds all at once when it goes on: half a query by TCP, queries by UDP, and the signal.
    daemon.signal(Signal::SIGSTOP);
    let (begun, rest) = wire.split_at(wire.len() / 2);
    stream.write_all(begun).expect("the kernel takes it");
    let sockets: Vec<_> = (0..50)
        .map(|_| {
            let (socket, by_udp) = (socket_to(dns), query(HOST, RecordType::A));
            socket.send(&by_udp.to_vec().expect("it can be encoded")).expect("loopback takes it");
            (socket, by_udp.metadata.id)
        })
        .collect();
    daemon.signal(stop);
    daemon.signal(Signal::SIGCONT);

    eventually("no more connections to be accepted", || TcpStream::connect(dns).is_err().then_some(()));
    stream.write_all(rest).expect("it still reads");
    assert_eq!(addresses(&receive_by_tcp(&mut stream)), [ip]);
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    assert_eq!(stream.read(&mut [0]).expect("closed in good order"), 0, "nothing was asked after it");
    for (socket, id) in sockets {
        assert_eq!(addresses(&receive(&socket, id)), [ip]);
    }
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped") && !log.contains("cut off"), "{log}");
}

#[test]
fn sigterm_finishes_what_was_asked() {
    finishes_what_was_asked(Signal::SIGTERM);
}

#[test]
fn sigint_finishes_what_was_asked() {
    finishes_what_was_asked(Signal::SIGINT);
}

#[test]
fn a_client_that_only_holds_its_connection_delays_no_stop() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let mut stream = TcpStream::connect(daemon.dns()).expect("it listens");
    stream.write_all(&framed(&query(HOST, RecordType::A))).expect("it reads");
    receive_by_tcp(&mut stream);
    daemon.signal(Signal::SIGTERM);
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

#[test]
fn no_client_of_the_admin_api_delays_a_stop() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.ground());
    let mut silent = TcpStream::connect(daemon.admin()).expect("it listens");
    let mut kept = TcpStream::connect(daemon.admin()).expect("it listens");
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: rhumb\r\n\r\n").expect("it reads");
    assert!(kept.read(&mut [0; 1024]).expect("it answers") > 0);
    let mut half = TcpStream::connect(daemon.admin()).expect("it listens");
    half.write_all(b"GET /healthz HT").expect("it reads");
    // Behind it in the same queue: when this is answered, the others have been accepted.
    assert_eq!(get(daemon.admin(), "/healthz").status, 200);
    daemon.signal(Signal::SIGTERM);
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    for stream in [&mut silent, &mut kept, &mut half] {
        assert!(matches!(stream.read(&mut [0; 1024]), Ok(0) | Err(_)), "it is closed");
    }
}

#[test]
fn what_is_done_while_it_stops_is_in_the_audit_log() {
    let (mut hook, scene) = (Site::start(), Scene::new());
    hook.hang();
    let destination = format!(
        "[notification.hook]\ntype = \"webhook\"\nurl = \"http://{}:8080/\"\nevents = [\"pool\"]\n",
        hook.ip()
    );
    let daemon = scene.start(&[scene.ground(), destination].concat());
    let admin = daemon.admin();
    let mut operator = TcpStream::connect(admin).expect("it listens");
    let asked =
        format!("POST /v1/notifications/hook/test HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 0\r\n\r\n");
    operator.write_all(asked.as_bytes()).expect("it reads");
    hook.await_connections(1);
    let before = daemon.said();
    daemon.signal(Signal::SIGTERM);
    // Whoever has asked was waited for by now, and what was asked for goes on.
    operator.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    assert!(matches!(operator.read(&mut [0; 1024]), Ok(0) | Err(_)), "it hangs all the while");
    daemon.await_line(before, &["waiting for the records of changes"]);
    hook.kill();
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    let kept = std::fs::read_to_string(scene.path().join("state/audit.log")).expect("it was begun");
    assert!(kept.contains("notifications/hook"), "{kept}\n{log}");
}

#[test]
fn a_stop_before_it_is_ready_is_a_stop() {
    let (first, second, scene) = (Site::start(), Site::start(), Scene::new());
    first.hang();
    let daemon = scene.launch(&scene.two_sites([&first, &second], [ONCE, ONCE]));
    first.await_connections(1);
    daemon.signal(Signal::SIGTERM);
    let (status, log) = daemon.into_process().await_end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("ready"), "{log}");
}
