//! As root it binds, and then it is somebody else for good.

mod support;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;
use nix::unistd::User;
use rustix::fs::{XattrFlags, setxattr};
use support::dns::{addresses, ask, ask_by_tcp, query};
use support::need_root;
use support::others::program;
use support::process::Process;
use support::scene::Scene;

/// A scene on port 53 for a daemon that becomes `user`, and its configuration.
fn privileged(user: &str) -> (Scene, String) {
    need_root();
    let mut scene = Scene::new();
    scene.dns = SocketAddr::new(scene.dns.ip(), 53);
    let text = scene.ground().replace("workers = 1", &format!("workers = 2\nuser = \"{user}\""));
    (scene, text)
}

#[test]
fn it_binds_as_root_and_runs_as_the_user() {
    let (scene, text) = privileged("nobody");
    // Reloads are the user's as well.
    std::fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let daemon = scene.start(&text);
    let nobody = User::from_name("nobody").expect("there are users").expect("there is nobody");
    let (user, group) = (nobody.uid.to_string(), nobody.gid.to_string());

    // Of every thread: on Linux each has its own, and the library has to change them together.
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("it runs");
    let threads: Vec<_> = threads.map(|thread| thread.expect("it runs").path().join("status")).collect();
    assert!(threads.len() > 2, "{threads:?}");
    for thread in threads {
        // A thread may have ended since.
        let Ok(status) = std::fs::read_to_string(&thread) else { continue };
        let ids = |field| -> Vec<&str> {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.unwrap_or_else(|| panic!("{field} of {status}")).split_whitespace().collect()
        };
        assert_eq!(ids("Uid:"), [&user[..]; 4], "real, effective, saved and of the file system");
        assert_eq!(ids("Gid:"), [&group[..]; 4]);
        assert_eq!(ids("Groups:"), [&group[..]], "none of root's are left");
        assert_eq!(ids("CapEff:"), ["0000000000000000"]);
        assert_eq!(ids("CapPrm:"), ["0000000000000000"]);
    }

    let name = "ns1.ai.example.com";
    assert_eq!(addresses(&ask(scene.dns, &query(name, RecordType::A))), [scene.dns.ip()]);
    assert_eq!(addresses(&ask_by_tcp(scene.dns, &query(name, RecordType::A))), [scene.dns.ip()]);

    scene.configure(&text.replace("name = \"ns1\"", "name = \"ns2\"").replace("ns1.ai", "ns2.ai"));
    let from = daemon.said();
    daemon.signal(Signal::SIGHUP);
    daemon.await_line(from, &["configuration reloaded"]);
    assert_eq!(daemon.resolve("ns2.ai.example.com"), [scene.dns.ip()]);
}

#[test]
fn files_out_of_the_users_reach_are_said_to_be_so_and_change_nothing() {
    let (scene, text) = privileged("nobody");
    let text = text.replace("watch = false", "watch = true");
    std::fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let file = scene.configure(&text);
    let close = || std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("it is ours");
    close();
    let daemon = scene.start(&text);
    let path = file.display().to_string();
    daemon.await_line(0, &["WARN", "cannot be reloaded while this process may not read", &path]);
    for (from, to) in [("ns1", "ns2"), ("ns1", "ns3")] {
        let from_line = daemon.said();
        scene.configure(&text.replace(from, to));
        daemon.signal(Signal::SIGHUP);
        daemon.await_line(from_line, &["configuration refused, nothing has changed"]);
        daemon.await_line(from_line, &["hint: the server runs as user `nobody`, who may not read", &path]);
    }
    assert_eq!(daemon.resolve("ns1.ai.example.com"), [scene.dns.ip()]);
    // To be let in is a change as well.
    let from = daemon.said();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("it is ours");
    daemon.await_line(from, &["configuration reloaded", "trigger=\"file\""]);
    assert_eq!(daemon.resolve("ns3.ai.example.com"), [scene.dns.ip()]);
}

#[test]
fn a_user_that_does_not_exist_is_an_error_at_the_start() {
    let (scene, text) = privileged("nobody-of-this-name");
    let process = Process::start(support::daemon::serve(&scene.configure(&text)));
    let (status, log) = process.await_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("cannot become user `nobody-of-this-name`: there is no such user"), "{log}");
}

/// `cap_net_bind_service=p`, as the kernel keeps it in `security.capability` (struct `vfs_cap_data`): revision 2
/// without the effective bit, the permitted and the inheritable set, and the upper halves of both.
const LOW_PORTS_PERMITTED: [u32; 5] = [0x0200_0000, 1 << 10, 0, 0, 0];

/// Somebody without privileges starts a file that has the capability: root only by name, in a network where
/// low ports are kept for the privileged as ever.
#[test]
fn the_capability_of_the_file_is_enough_for_low_ports() {
    let (scene, text) = privileged("root");
    let file = scene.configure(&text);
    // Not in a directory for temporary files, which may be one where file capabilities mean nothing.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let rhumb = directory.path().join("rhumb");
    std::fs::copy(env!("CARGO_BIN_EXE_rhumb"), &rhumb).expect("there is room");
    let capability: Vec<u8> = LOW_PORTS_PERMITTED.iter().flat_map(|word| word.to_le_bytes()).collect();
    setxattr(&rhumb, "security.capability", &capability, XattrFlags::empty()).expect("it is ours");

    let start = |bounds: &str| {
        let mut command = program("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && exec setpriv \"$@\"", "sh"]);
        command.args(["--securebits", "+noroot", "--no-new-privs", "--bounding-set", bounds]);
        command.arg(&rhumb).arg("serve").arg("--config").arg(&file);
        Process::start(command)
    };
    let daemon = start("-all,+net_bind_service");
    daemon.await_line(0, &["ready", &scene.dns.to_string()]);
    // Nothing of it is in effect any more.
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    drop(daemon);

    // Where the capability is out of bounds the program starts all the same, and says what it lacks.
    let (code, log) = start("-all").await_end();
    assert_eq!(code.code(), Some(1), "{log}");
    assert!(log.contains("ports below 1024 need CAP_NET_BIND_SERVICE"), "{log}");
}
