//! The servers and clients of others: dig, knotd, nsd, unbound.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of that name.
///
/// # Panics
///
/// If it is not installed: a test that is passed over proves nothing.
pub(crate) fn program(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's servers are where a user's PATH often does not lead.
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = places.map(|place| place.join(name)).find(|file| file.is_file());
    Command::new(found.unwrap_or_else(|| panic!("`{name}` is not installed: tests/run installs it")))
}

/// What `dig` prints when it asks `server`.
///
/// # Panics
///
/// If there is no reply.
pub(crate) fn dig(server: SocketAddr, arguments: &[&str]) -> String {
    try_dig(server, arguments).unwrap_or_else(|| panic!("{server} does not answer dig {arguments:?}"))
}

/// The same; `None`: there is no reply.
pub(crate) fn try_dig(server: SocketAddr, arguments: &[&str]) -> Option<String> {
    let mut command = program("dig");
    // No ~/.digrc: it would change what is printed.
    command.arg("-r").arg(format!("@{}", server.ip())).arg("-p").arg(server.port().to_string());
    let output = command.args(arguments).output().expect("dig runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `nsd`, to serve one zone at `listen` from the directory of its own.
pub(crate) fn nsd(directory: &Path, listen: SocketAddr, zone: &str, records: &str) -> Command {
    let file = directory.join(zone);
    std::fs::write(&file, records).expect("the directory is ours");
    let configuration = format!(
        r#"
server:
    ip-address: {}@{}
    username: ""
    chroot: ""
    zonesdir: "{directory}"
    database: ""
    pidfile: ""
    zonelistfile: "{directory}/nsd.zones"
    xfrdfile: "{directory}/nsd.xfrd"
    xfrdir: "{directory}"
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: "{zone}"
    zonefile: "{}"
"#,
        listen.ip(),
        listen.port(),
        file.display(),
        directory = directory.display(),
    );
    foreground("nsd", directory, &configuration)
}

/// `knotd`, to serve one zone at `listen` from the directory of its own.
pub(crate) fn knotd(directory: &Path, listen: SocketAddr, zone: &str, records: &str) -> Command {
    let file = directory.join(zone);
    std::fs::write(&file, records).expect("the directory is ours");
    let configuration = format!(
        r#"
server:
    listen: {}@{}
    rundir: "{directory}"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 60
database:
    storage: "{directory}"
zone:
  - domain: "{zone}"
    file: "{}"
    zonefile-sync: -1
    journal-content: none
"#,
        listen.ip(),
        listen.port(),
        file.display(),
        directory = directory.display(),
    );
    let file = directory.join("knot.conf");
    std::fs::write(&file, configuration).expect("the directory is ours");
    let mut command = program("knotd");
    command.arg("-c").arg(file);
    command
}

/// `unbound`, to resolve at `listen` and to find `parent`, a zone, at `server`. It speaks the IP
/// version of `listen` alone, and forwards client subnets to `subnet_to`.
pub(crate) fn unbound(
    directory: &Path,
    listen: SocketAddr,
    parent: &str,
    server: SocketAddr,
    subnet_to: SocketAddr,
) -> Command {
    let (ip4, ip6) = if listen.is_ipv4() { ("yes", "no") } else { ("no", "yes") };
    let configuration = format!(
        r#"
server:
    interface: {listen_ip}@{}
    outgoing-interface: {listen_ip}
    do-ip4: {ip4}
    do-ip6: {ip6}
    access-control: 127.0.0.0/8 allow
    access-control: ::1/128 allow
    do-not-query-localhost: no
    username: ""
    chroot: ""
    directory: "{}"
    pidfile: ""
    use-syslog: no
    verbosity: 1
    num-threads: 1
    module-config: "subnetcache iterator"
    send-client-subnet: {}
remote-control:
    control-enable: no
stub-zone:
    name: "{parent}"
    stub-addr: {}@{}
"#,
        listen.port(),
        directory.display(),
        subnet_to.ip(),
        server.ip(),
        server.port(),
        listen_ip = listen.ip(),
    );
    foreground("unbound", directory, &configuration)
}

/// Both take `-d`, not to go to the background, and `-c`, their configuration.
fn foreground(name: &str, directory: &Path, configuration: &str) -> Command {
    let file = directory.join(format!("{name}.conf"));
    std::fs::write(&file, configuration).expect("the directory is ours");
    let mut command = program(name);
    command.arg("-d").arg("-c").arg(file);
    command
}
