//! A directory and an address for one daemon, and what is written for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::daemon::Daemon;
use super::own_address;
use super::process::Process;
use super::site::Site;

/// What `two_sites` answers for.
pub(crate) const DOMAIN: &str = "www.ai.example.com";

/// A check quick enough to wait for, and patient with a machine that is busy for a moment, in TOML.
pub(crate) const QUICK: &str = r#"interval = "500ms", timeout = "500ms""#;

/// A check that is carried out once, in effect: what follows comes after the test. Nor does it
/// end by itself: a probe that hangs hangs until the site lets go of it.
pub(crate) const ONCE: &str = r#"interval = "1h", timeout = "1h", tripwire = false"#;

/// No rate limit, in TOML.
pub(crate) const UNLIMITED: &str = "rate_limit = { responses_per_second = 0 }";

/// Where one daemon lives.
pub(crate) struct Scene {
    directory: TempDir,
    /// Where it answers DNS.
    pub(crate) dns: SocketAddr,
    /// Where it serves its admin API.
    pub(crate) admin: SocketAddr,
}

impl Scene {
    /// A place that is nobody else's.
    pub(crate) fn new() -> Scene {
        let ip = own_address().into();
        Scene {
            directory: tempfile::Builder::new().prefix("rhumb-test-").tempdir().expect("a directory"),
            dns: SocketAddr::new(ip, 5300),
            admin: SocketAddr::new(ip, 8053),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file of the directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// The configuration, which is where [`Scene::start`] and reloads look.
    pub(crate) fn configure(&self, text: &str) -> PathBuf {
        self.write("rhumb.toml", text)
    }

    /// Starts the daemon with `text` as its configuration, and waits until it is ready.
    pub(crate) fn start(&self, text: &str) -> Daemon {
        let daemon = self.launch(text);
        daemon.await_line(0, &["ready"]);
        daemon
    }

    /// Starts the daemon with `text` as its configuration.
    pub(crate) fn launch(&self, text: &str) -> Daemon {
        self.attach(Process::start(super::daemon::serve(&self.configure(text))))
    }

    /// The daemon that `process` is, with a configuration of this scene.
    pub(crate) fn attach(&self, process: Process) -> Daemon {
        Daemon::new(process, self.dns, self.admin)
    }

    /// `[server]`, `[admin]` and a zone without records of its own. Nobody is limited: tests ask
    /// the same again and again. Nothing is reloaded but when a test says so.
    pub(crate) fn ground(&self) -> String {
        let Scene { dns, admin, directory } = self;
        let state = directory.path().join("state");
        format!(
            r#"
[server]
listen = ["{dns}"]
workers = 1
watch = false
{UNLIMITED}
state_dir = "{}"

[admin]
listen = "{admin}"

[[zone]]
name = "ai.example.com"
nameservers = ["ns1.ai.example.com"]
contact = "hostmaster.example.com"
negative_ttl = "1s"

[[zone.record]]
name = "ns1"
type = "{}"
data = "{}"
"#,
            state.display(),
            if dns.is_ipv4() { "A" } else { "AAAA" },
            dns.ip(),
        )
    }

    /// [`Scene::ground`], and [`DOMAIN`] with two sites, the first one preferred; `checks` are the
    /// two's, without braces and type.
    pub(crate) fn two_sites(&self, sites: [&Site; 2], checks: [&str; 2]) -> String {
        let [first, second] = sites.map(Site::ip);
        let [first_check, second_check] = checks;
        format!(
            r#"{}
[health_check]
first = {{ type = "http", path = "/health", {first_check} }}
second = {{ type = "http", path = "/health", {second_check} }}

[pool.first]
health_check = "first"
address = [{{ name = "a", ip = "{first}", port = 8080 }}]

[pool.second]
health_check = "second"
address = [{{ name = "b", ip = "{second}", port = 8080 }}]

[[domain]]
name = "{DOMAIN}"
policy = "priority"
pools = ["first", "second"]
ttl = "1s"
"#,
            self.ground(),
        )
    }
}
