//! Checks by ICMP, by a name server and by scripts, in the running daemon.

mod support;

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use support::daemon::serve;
use support::need_root;
use support::others::nsd;
use support::own_address;
use support::process::Process;
use support::scene::{DOMAIN, Scene};

/// A configuration whose [`DOMAIN`] has `first` as long as `check` passes for it, then another.
fn guarded(scene: &Scene, first: IpAddr, port: &str, check: &str) -> String {
    format!(
        r#"{}
[health_check.first]
{check}
interval = "200ms"

[pool.first]
health_check = "first"
address = [{{ name = "a", ip = "{first}"{port} }}]

[pool.second]
address = [{{ name = "b", ip = "{OTHER}" }}]

[[domain]]
name = "{DOMAIN}"
policy = "priority"
pools = ["first", "second"]
"#,
        scene.ground()
    )
}

const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

#[test]
fn a_name_server_is_asked() {
    const RECORDS: &str = "@ 60 IN SOA ns hostmaster 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.53\n\
                           www 60 IN CNAME real\nreal 60 IN A 192.0.2.1\n";
    let scene = Scene::new();
    let directory = tempfile::tempdir().expect("a directory");
    let ip = IpAddr::from(own_address());
    let start = || {
        let process =
            Process::start(nsd(directory.path(), SocketAddr::new(ip, 5353), "example.com", RECORDS));
        process.await_line(0, &["nsd started"]);
        process
    };
    for transport in ["udp", "tcp"] {
        let server = start();
        let check = format!(
            "type = \"dns\"\nname = \"www.example.com\"\nexpect_data = [\"192.0.2.1\"]\ntransport = \"{transport}\""
        );
        let daemon = scene.start(&guarded(&scene, ip, ", port = 5353", &check));
        daemon.await_answer(DOMAIN, ip);
        drop(server);
        daemon.await_answer(DOMAIN, OTHER);
        daemon.await_line(0, &["WARN", "down: connection refused after ", "2 of 2"]);
        let server = start();
        daemon.await_answer(DOMAIN, ip);

        // Another answer than is expected, after a reload.
        scene.configure(&guarded(&scene, ip, ", port = 5353", &check.replace("192.0.2.1", "192.0.2.9")));
        daemon.signal(Signal::SIGHUP);
        daemon.await_answer(DOMAIN, OTHER);
        daemon.await_line(0, &["WARN", "down: 192.0.2.9 is not among the answers"]);
        drop(server);
    }
}

/// Writes a script that passes as long as there is a file `well`, and says else what is in `ill`.
fn script(scene: &Scene) -> String {
    let directory = scene.path().display();
    let text = format!("#!/bin/sh\n[ -e {directory}/well ] && exit 0\ncat {directory}/ill >&2\nexit 3\n");
    let path = scene.write("check", &text);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    format!("type = \"script\"\ncommand = [\"{}\"]", path.display())
}

#[test]
fn a_script_decides() {
    let scene = Scene::new();
    scene.write("well", "");
    scene.write("ill", "no database\nsince yesterday\n");
    let first = IpAddr::from([192, 0, 2, 1]);
    let daemon = scene.start(&guarded(&scene, first, "", &script(&scene)));
    daemon.await_answer(DOMAIN, first);
    std::fs::remove_file(scene.path().join("well")).expect("it is there");
    daemon.await_answer(DOMAIN, OTHER);
    let line = daemon.await_line(0, &["WARN", "down: exit code 3: no database after ", "2 of 2"]);
    assert!(!line.contains("port="), "{line}");
    scene.write("well", "");
    daemon.await_answer(DOMAIN, first);
}

#[test]
fn a_script_ends_with_its_check() {
    let scene = Scene::new();
    let numbers = scene.path().join("numbers");
    // The first round of probes is not to wait for it.
    let hang = scene.path().join("hang");
    let text = format!(
        "#!/bin/sh\n[ -e {0} ] || exit 0\nsleep 1000 &\necho $! > {1}.part\nmv {1}.part {1}\nwait\n",
        hang.display(),
        numbers.display()
    );
    let path = scene.write("check", &text);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let check =
        format!("type = \"script\"\ncommand = [\"{}\"]\ninterval = \"1h\"\ntimeout = \"1h\"", path.display());
    let text = guarded(&scene, [192, 0, 2, 1].into(), "", &check).replace("interval = \"200ms\"", "");
    let sleeps = || {
        let number = support::eventually("the script to start", || std::fs::read_to_string(&numbers).ok());
        std::fs::remove_file(&numbers).expect("it is there");
        number.trim().to_owned()
    };
    let gone = |process: &str| {
        let stat = Path::new("/proc").join(process).join("stat");
        support::eventually("the script's child to end", || match std::fs::read_to_string(&stat) {
            // Who adopted it may never wait for it.
            Ok(state) => state.contains(") Z ").then_some(()),
            Err(_) => Some(()),
        });
    };
    let daemon = scene.start(&text);
    std::fs::write(&hang, "").expect("our own directory");
    // Another check starts at once.
    let reload = |interval| {
        scene.configure(&text.replace("interval = \"1h\"", interval));
        daemon.signal(Signal::SIGHUP);
        sleeps()
    };
    let first = reload("interval = \"2h\"");
    let second = reload("interval = \"3h\"");
    gone(&first);
    daemon.signal(Signal::SIGTERM);
    gone(&second);
}

/// Starts the daemon in a network of its own, with loopback, as a user without privileges whom
/// `groups` lets open sockets for echo requests or not. Returns it and where it logs.
fn unprivileged(scene: &Scene, groups: &str) -> Process {
    need_root();
    std::fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let text = guarded(scene, [127, 0, 0, 7].into(), "", "type = \"icmp\"\npackets = 2");
    let text = text.replace("workers = 1", "workers = 1\nuser = \"nobody\"");
    let daemon = serve(&scene.configure(&text));
    let mut command = Command::new("unshare");
    let prepare =
        "ip link set lo up && echo \"$1\" > /proc/sys/net/ipv4/ping_group_range && shift && exec \"$@\"";
    command
        .args(["--net", "sh", "-c", prepare, "sh", groups])
        .arg(daemon.get_program())
        .args(daemon.get_args());
    Process::start(command)
}

#[test]
fn echo_requests_need_no_privilege_where_the_system_says_so() {
    let scene = Scene::new();
    let daemon = unprivileged(&scene, "0 4294967294");
    let line = daemon.await_line(0, &["up: passed after ", "first probe", "target=127.0.0.7"]);
    assert!(!line.contains("port="), "{line}");
}

#[test]
fn who_may_send_no_echo_requests_is_told_what_is_missing() {
    let scene = Scene::new();
    let daemon = unprivileged(&scene, "1 0");
    let words = "icmp checks need the capability CAP_NET_RAW, or the process's group in the sysctl \
                 net.ipv4.ping_group_range";
    daemon.await_line(0, &["WARN", words, "pool=first", "address=a", "check=first", "probes=1"]);
    daemon.await_line(0, &["ready"]);
    assert!(daemon.lines(&["down: "]).is_empty(), "it is no fault of the address");
}
