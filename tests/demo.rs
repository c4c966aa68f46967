//! `rhumb demo`: two sites, and answers that follow what is done to them.

mod support;

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::daemon::rhumb;
use support::dns::{ask_by_tcp, query, resolve_for};
use support::eventually;
use support::http::{get, post, request};
use support::process::Process;

/// A running demo, and what it says of itself.
struct Demo {
    process: Process,
    whereabouts: Value,
}

impl Demo {
    /// Starts it with `options` and waits until it is there.
    fn start(options: &[&str]) -> Demo {
        let mut command = rhumb();
        command.args(["demo", "--output", "json"]).args(options);
        let process = Process::start(command);
        let line = process.await_line(0, &["{\"dns\":"]);
        let whereabouts = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Demo { process, whereabouts }
    }

    fn dns(&self) -> SocketAddr {
        parsed(&self.whereabouts["dns"])
    }

    fn control(&self) -> SocketAddr {
        let url = self.whereabouts["control"].as_str().expect("a URL");
        url.strip_prefix("http://").expect("plain HTTP").parse().expect("an address and a port")
    }

    /// The addresses of the site at that position: Vietnam, then Hong Kong.
    fn site(&self, position: usize) -> Vec<SocketAddr> {
        let addresses = self.whereabouts["sites"][position]["addresses"].as_array();
        addresses.expect("a list").iter().map(parsed).collect()
    }

    fn site_ips(&self, position: usize) -> Vec<IpAddr> {
        self.site(position).iter().map(SocketAddr::ip).collect()
    }

    /// What the client network at that position is answered now; likewise in that order.
    fn answer(&self, client: usize) -> Vec<IpAddr> {
        let name = self.whereabouts["name"].as_str().expect("a name");
        let subnet = self.whereabouts["clients"][client]["subnet"].as_str().expect("a prefix");
        resolve_for(self.dns(), name, subnet)
    }

    fn await_answer(&self, client: usize, site: usize) {
        eventually(&format!("client {client} to be sent to site {site}"), || {
            (self.answer(client) == self.site_ips(site)).then_some(())
        });
    }

    fn set(&self, site: &str, fault: &str) {
        let response = post(self.control(), &format!("/sites/{site}?fault={fault}"));
        assert_eq!(response.status, 200, "{response:?}");
        let states = response.json();
        let state = states.as_array().expect("a list").iter().find(|state| state["name"] == site);
        assert_eq!(state.expect("it is listed")["fault"], fault);
    }

    fn end(self, signal: Signal) {
        self.process.signal(signal);
        let (status, text) = self.process.await_end();
        assert_eq!(status.code(), Some(0), "{text}");
    }
}

fn parsed(value: &Value) -> SocketAddr {
    value.as_str().expect("text").parse().expect("an address and a port")
}

#[test]
fn answers_follow_the_sites() {
    let demo = Demo::start(&["--dns-port", "0", "--admin-port", "0"]);
    assert_eq!(demo.whereabouts["clients"][0]["country"], "Vietnam");
    assert_eq!(demo.whereabouts["clients"][1]["country"], "Hong Kong");
    for client in [0, 1] {
        assert_eq!(demo.answer(client), demo.site_ips(client), "everyone is served at home");
    }
    assert_eq!(demo.site(0).len(), 2);
    for (position, name) in ["vietnam", "hongkong"].into_iter().enumerate() {
        for address in demo.site(position) {
            assert_eq!(get(address, "/").body, format!("{name} {}\n", address.ip()));
            assert_eq!(get(address, "/health").status, 200);
        }
    }

    // Two connections that are there before the fault: it ends the one, and silences the other.
    let [first, second] = [0, 1].map(|site| TcpStream::connect(demo.site(site)[0]).expect("it serves"));
    demo.set("vietnam", "kill");
    assert_closed(first);
    let refused = TcpStream::connect(demo.site(0)[0]).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    demo.await_answer(0, 1);
    demo.set("vietnam", "none");
    demo.await_answer(0, 0);

    demo.set("hongkong", "hang");
    demo.await_answer(1, 0);
    assert_silent(second);
    assert_silent(TcpStream::connect(demo.site(1)[0]).expect("connections are still made"));
    // From one fault to the other, and back from there.
    demo.set("hongkong", "kill");
    demo.set("hongkong", "hang");
    demo.set("hongkong", "none");
    demo.await_answer(1, 1);
    demo.end(Signal::SIGTERM);
}

/// The other side has ended the connection.
fn assert_closed(mut stream: TcpStream) {
    stream.set_read_timeout(Some(support::PATIENCE)).expect("it is not zero");
    match std::io::Read::read(&mut stream, &mut [0; 1]) {
        Ok(0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

/// A request on it gets no answer. How long to wait for nothing: the health checks have found it
/// to be too long twice already.
fn assert_silent(mut stream: TcpStream) {
    use std::io::{ErrorKind, Read, Write};
    stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).expect("it is not zero");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("the connection is there");
    let error = stream.read(&mut [0; 1]).expect_err("it does not answer");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
}

#[test]
fn two_demos_get_out_of_each_others_way() {
    // Whether or not the usual ports are free, the second cannot have what the first has.
    let [first, second] = [(); 2].map(|()| Demo::start(&[]));
    assert_ne!(first.dns(), second.dns());
    assert_ne!(first.control(), second.control());
    assert_ne!(first.site(0), second.site(0));
    for demo in [first, second] {
        demo.await_answer(0, 0);
        let name = demo.whereabouts["name"].as_str().expect("a name");
        let reply = ask_by_tcp(demo.dns(), &query(name, hickory_proto::rr::RecordType::A));
        assert!(!reply.answers.is_empty(), "TCP has the same port as UDP");
        demo.end(Signal::SIGINT);
    }
}

#[test]
fn a_port_that_was_asked_for_is_that_one_or_none() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    for option in ["--dns-port", "--admin-port"] {
        let mut command = rhumb();
        command.args(["demo", option, &port]);
        let (status, text) = Process::start(command).await_end();
        assert_eq!(status.code(), Some(1));
        assert!(text.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{text}");
    }
}

#[test]
fn control_refuses_what_it_does_not_know() {
    let demo = Demo::start(&["--dns-port", "0", "--admin-port", "0"]);
    let listed = get(demo.control(), "/sites").json();
    let site = |position: usize, name| json!({ "name": name, "fault": "none", "addresses": demo.whereabouts["sites"][position]["addresses"] });
    assert_eq!(listed, json!([site(0, "vietnam"), site(1, "hongkong")]));
    for (method, path, status) in [
        ("POST", "/sites/laos?fault=kill", 404),
        ("POST", "/sites/vietnam?fault=flood", 400),
        ("POST", "/sites/vietnam", 400),
        ("GET", "/sites/vietnam?fault=kill", 405),
    ] {
        let response = request(demo.control(), method, path, &[("content-length", "0")]).expect("a response");
        assert_eq!(response.status, status, "{method} {path}");
    }
    assert_eq!(get(demo.control(), "/sites").json(), listed, "nothing has happened");
}
