//! The servers and clients of others: dig, knotd, nsd, unbound; and the signer of BIND.

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

/// `nsd`, to serve one zone at `listen` from the directory of its own. Nobody is limited.
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
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
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
    let modules =
        format!("module-config: \"subnetcache iterator\"\n    send-client-subnet: {}", subnet_to.ip());
    resolver(directory, listen, parent, server, &modules)
}

/// The same, without client subnets, but to believe of `zone` only what follows from `trust_anchor`, a DNSKEY record.
pub(crate) fn validating_unbound(
    directory: &Path,
    listen: SocketAddr,
    zone: &str,
    server: SocketAddr,
    trust_anchor: &str,
) -> Command {
    let file = directory.join("trust-anchor");
    std::fs::write(&file, trust_anchor).expect("the directory is ours");
    let modules =
        format!("module-config: \"validator iterator\"\n    trust-anchor-file: \"{}\"", file.display());
    resolver(directory, listen, zone, server, &modules)
}

fn resolver(directory: &Path, listen: SocketAddr, zone: &str, server: SocketAddr, modules: &str) -> Command {
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
    {modules}
remote-control:
    control-enable: no
stub-zone:
    name: "{zone}"
    stub-addr: {}@{}
"#,
        listen.port(),
        directory.display(),
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

/// How a signed zone denies what it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// RFC 4034 section 4.
    Nsec,
    /// RFC 5155, with a salt and more than one round.
    Nsec3,
    /// RFC 5155 without delegations that have no DS record, and as RFC 9276 advises.
    OptOut,
}

/// What `dnssec-signzone` has made of a zone.
pub(crate) struct SignedZone {
    pub(crate) zone: String,
    /// The DS records for the zone above, relative to no origin.
    pub(crate) ds: String,
    /// The DNSKEY record that signs the others, for a validator to trust.
    pub(crate) trust_anchor: String,
}

/// What `command` prints that is run in `directory`.
fn output(directory: &Path, command: &mut Command) -> String {
    let output = command.current_dir(directory).output().expect("it can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Signs the `records` of `zone` with new keys, in the directory of its own.
pub(crate) fn sign(directory: &Path, zone: &str, records: &str, denial: Denial) -> SignedZone {
    let run = |command: &mut Command| output(directory, command);
    let generate = |flags: &[&str]| {
        run(program("dnssec-keygen").args(["-q", "-a", "ECDSAP256SHA256"]).args(flags).arg(zone))
    };
    let key_signing = generate(&["-f", "KSK"]);
    generate(&[]);
    std::fs::write(directory.join("unsigned"), records).expect("the directory is ours");
    let denial: &[&str] = match denial {
        Denial::Nsec => &[],
        Denial::Nsec3 => &["-3", "ab12", "-H", "5"],
        Denial::OptOut => &["-3", "-", "-H", "0", "-A"],
    };
    // -S: with the keys in the directory.
    let mut command = program("dnssec-signzone");
    command.args(["-S", "-o", zone, "-f", "signed"]).args(denial).arg("unsigned");
    run(&mut command);
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("it was made");
    let ds = read(&format!("dsset-{zone}."));
    SignedZone { zone: read("signed"), ds, trust_anchor: read(&format!("{}.key", key_signing.trim())) }
}

/// The records of `zone`, signed by `ldns-signzone` with NSEC3 and opt-out, in the directory of its own.
pub(crate) fn sign_by_ldns(directory: &Path, zone: &str, records: &str) -> String {
    let run = |command: &mut Command| output(directory, command);
    let generate =
        |flags: &[&str]| run(program("ldns-keygen").args(["-a", "ECDSAP256SHA256"]).args(flags).arg(zone));
    let keys = [generate(&["-k"]), generate(&[])];
    std::fs::write(directory.join("unsigned"), records).expect("the directory is ours");
    let mut command = program("ldns-signzone");
    command
        .args(["-n", "-p", "-t", "0", "-o", zone, "-f", "signed", "unsigned"])
        .args(keys.map(|key| key.trim().to_owned()));
    run(&mut command);
    std::fs::read_to_string(directory.join("signed")).expect("it was made")
}

/// The same by Knot with NSEC3, as RFC 9276 advises.
pub(crate) fn sign_by_knot(directory: &Path, zone: &str, records: &str) -> String {
    let storage = directory.display();
    let configuration = format!(
        "database:\n    storage: \"{storage}\"\n\
         policy:\n  - id: signed\n    algorithm: ECDSAP256SHA256\n    nsec3: on\n    nsec3-salt-length: 0\n\
         zone:\n  - domain: {zone}\n    storage: \"{storage}\"\n    file: unsigned\n    \
         dnssec-signing: on\n    dnssec-policy: signed\n"
    );
    std::fs::write(directory.join("knot.conf"), configuration).expect("the directory is ours");
    std::fs::write(directory.join("unsigned"), records).expect("the directory is ours");
    std::fs::create_dir(directory.join("signed")).expect("the directory is ours");
    let mut command = program("kzonesign");
    output(directory, command.args(["-c", "knot.conf", "-o", "signed", zone]));
    std::fs::read_to_string(directory.join("signed/unsigned")).expect("it was made")
}
