//! Hosts with addresses of their own, in a network that is made for one test.
//!
//! Namespaces here have no names: the kernel takes each away, and all that is in it, when nobody
//! holds it any more, however the test ends.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

use crate::support::others::program;

/// A switch that hosts are plugged into: 192.0.2.0/24, which nobody has (RFC 5737).
pub(crate) struct Network {
    switch: Namespace,
}

/// A host's own view of the network.
pub(crate) struct Namespace {
    file: File,
}

impl Network {
    pub(crate) fn new() -> Network {
        let switch = Namespace::new();
        switch.ip("link add switch type bridge");
        switch.ip("link set switch up");
        Network { switch }
    }

    /// A host with the address 192.0.2.`number`, its interface `eth0` plugged in.
    pub(crate) fn host(&self, number: u8) -> Namespace {
        let host = Namespace::new();
        self.plug(number, &host);
        host.address(number);
        host
    }

    /// The same, and on the cable to the switch a machine that can hold packets up: the machine's
    /// interfaces are `near`, towards the host, and `eth0`.
    pub(crate) fn far_host(&self, number: u8) -> (Namespace, Namespace) {
        let (host, between) = (Namespace::new(), Namespace::new());
        self.plug(number, &between);
        between.ip(&format!("link add near type veth peer name eth0 netns {}", host.path()));
        between.ip("link set near up promisc on");
        between.ip("link set eth0 up promisc on");
        host.address(number);
        (host, between)
    }

    fn plug(&self, number: u8, namespace: &Namespace) {
        let port = format!("port{number}");
        self.switch.ip(&format!("link add {port} type veth peer name eth0 netns {}", namespace.path()));
        self.switch.ip(&format!("link set {port} master switch up"));
    }
}

/// The address of the host of that number.
pub(crate) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

impl Namespace {
    fn new() -> Namespace {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make namespaces");
            File::open("/proc/thread-self/ns/net").expect("every thread has one")
        });
        let namespace = Namespace { file: made.join().expect("it has not panicked") };
        namespace.ip("link set lo up");
        namespace
    }

    fn address(&self, number: u8) {
        self.ip(&format!("address add {}/24 dev eth0", address(number)));
        self.ip("link set eth0 up");
    }

    /// Does `what` on this host: sockets and programs that it starts belong there.
    pub(crate) fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).expect("root may enter namespaces");
                what()
            });
            done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The name of this namespace for other programs.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// `ip` with these arguments on this host.
    pub(crate) fn ip(&self, arguments: &str) {
        self.run(program("ip").args(arguments.split(' ')), "");
    }

    /// Has nftables do `rule` with what the host receives, until [`Namespace::no_rule`].
    pub(crate) fn rule(&self, rule: &str) {
        let table =
            format!("table ip faults {{ chain input {{ type filter hook input priority 0; {rule}; }}; }}");
        self.run(program("nft").args(["-f", "-"]), &table);
    }

    pub(crate) fn no_rule(&self) {
        self.run(program("nft").args(["delete", "table", "ip", "faults"]), "");
    }

    fn run(&self, command: &mut Command, input: &str) {
        let output = self.within(|| {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}"));
            let mut stdin = child.stdin.take().expect("it is piped");
            stdin.write_all(input.as_bytes()).expect("it reads what it is told");
            drop(stdin);
            child.wait_with_output().expect("it ends")
        });
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
