//! Everything on this machine: two sites on loopback and a daemon that steers between them. What
//! `rhumb demo` shows and `rhumb drill` measures.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;

use super::{Daemon, Failed};
use crate::config::{self, Loaded};
use crate::dns::{Name, Rtype};
use crate::routing::{self, RoutingTable};

mod sites;

pub(super) use sites::{Fault, FaultError, SITES, Site, Sites};

/// The zone that is served.
const ZONE: &str = "ai.example.com";
/// The name that is steered.
pub(super) const NAME: &str = "nginx.ai.example.com";

/// Where the sites are if they can: the usual port of a web server that is not root.
pub(super) const SITE_PORT: u16 = 8080;

/// One client network in each of some countries; the embedded database knows them all.
pub(super) const CLIENTS: [(&str, &str); 4] = [
    ("Vietnam", "14.160.0.0/24"),
    ("Hong Kong", "219.76.0.0/24"),
    ("Germany", "84.128.0.0/24"),
    ("United States", "12.0.0.0/24"),
];

/// A port of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Port {
    /// This one; 0: any.
    Exactly(u16),
    /// This one, or any if it is taken.
    Preferably(u16),
}

/// How the daemon is to run.
pub(super) struct Setup {
    /// Where it answers DNS.
    pub(super) dns: Port,
    /// Where its admin API is.
    pub(super) admin: Port,
    /// Where the sites are.
    pub(super) sites: Port,
    /// The TTL of the steered name, in seconds.
    pub(super) ttl: u32,
    /// That of its answers that are about to change, or not the best.
    pub(super) ttl_min: u32,
    /// What it logs, as in the configuration.
    pub(super) log_level: &'static str,
}

/// A daemon and its sites, running.
pub(super) struct Loopback<D> {
    /// The daemon.
    pub(super) daemon: D,
    /// What it steers to.
    pub(super) sites: Sites,
    /// Whom it steers where while all is well.
    pub(super) clients: Vec<ClientNetwork>,
}

/// Some clients, and where they are sent while all is well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ClientNetwork {
    /// Where they are.
    pub(super) country: &'static str,
    /// Their addresses.
    pub(super) subnet: IpNet,
    /// The site that is nearest to them.
    pub(super) site: String,
}

impl Port {
    /// The port to ask the kernel for, where `is_free` tells whether one can be had.
    pub(super) fn choose(self, is_free: impl FnOnce(u16) -> bool) -> u16 {
        match self {
            Port::Exactly(port) => port,
            Port::Preferably(port) if is_free(port) => port,
            Port::Preferably(_) => 0,
        }
    }
}

impl<D: Daemon> Loopback<D> {
    /// Starts the sites, then the daemon. Returns when DNS is answered.
    pub(super) async fn start(setup: Setup) -> Result<Self, Failed> {
        let sites = start_sites(setup.sites)
            .await
            .map_err(|error| Failed::new(format_args!("cannot start the sites: {error}")))?;
        let mut loaded = configuration(sites.port(), &setup);
        // The ports are set here because 0 is none for a configuration file.
        loaded.settings.server.listen = vec![on_localhost(setup.dns.choose(has_dns_port))];
        loaded.settings.admin.listen = on_localhost(setup.admin.choose(has_tcp_port));
        let clients = clients(&loaded);
        let daemon = D::start(loaded).await.map_err(Failed::new)?;
        Ok(Loopback { daemon, sites, clients })
    }

    /// Where DNS is answered.
    pub(super) fn dns(&self) -> SocketAddr {
        self.daemon.dns()[0]
    }
}

pub(super) fn on_localhost(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

pub(super) fn has_tcp_port(port: u16) -> bool {
    TcpListener::bind(on_localhost(port)).is_ok()
}

fn has_dns_port(port: u16) -> bool {
    UdpSocket::bind(on_localhost(port)).is_ok() && has_tcp_port(port)
}

async fn start_sites(port: Port) -> io::Result<Sites> {
    match port {
        Port::Exactly(port) => Sites::start(port).await,
        Port::Preferably(port) => match Sites::start(port).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Sites::start(0).await,
            done => done,
        },
    }
}

fn configuration(site_port: u16, setup: &Setup) -> Loaded {
    let text = configuration_text(site_port, setup);
    config::parse("the demo's configuration", &text, Path::new("/"))
        .expect("the configuration below is tested to be sound")
}

fn configuration_text(site_port: u16, setup: &Setup) -> String {
    let Setup { ttl, ttl_min, log_level, .. } = setup;
    let mut text = format!(
        r#"
        [server]
        workers = 1
        # Nothing is left on disk, and the one client may ask as often as it likes.
        cookies = false
        rate_limit = {{ responses_per_second = 0 }}

        [log]
        level = "{log_level}"

        [[zone]]
        name = "{ZONE}"
        nameservers = ["ns1.{ZONE}"]
        contact = "hostmaster.example.com"
        [[zone.record]]
        name = "ns1"
        type = "A"
        data = ["127.0.0.1"]

        [health_check.web]
        type = "http"
        path = "/health"
        host = "{NAME}"
        interval = "100ms"
        timeout = "100ms"
        fall = 2
        rise = 2

        [[domain]]
        name = "{NAME}"
        policy = "nearest"
        pools = [{pools}]
        ttl = {ttl}
        ttl_min = {ttl_min}
        "#,
        pools = SITES.map(|(name, ..)| format!("\"{name}\"")).join(", "),
    );
    for (name, country, addresses) in SITES {
        write!(
            text,
            r#"
            [pool.{name}]
            location = {{ country = "{country}" }}
            policy = "round-robin"
            health_check = "web"
            "#
        )
        .expect("a String takes all");
        for (address, number) in addresses.iter().zip(1..) {
            write!(
                text,
                r#"
                [[pool.{name}.address]]
                name = "web-{number}"
                ip = "{address}"
                port = {site_port}
                "#
            )
            .expect("a String takes all");
        }
    }
    text
}

/// Asks the configuration itself where each client network goes.
fn clients(loaded: &Loaded) -> Vec<ClientNetwork> {
    let name: Name = NAME.parse().expect("the demo's name is a name");
    let table = RoutingTable::well(Arc::new(loaded.plan.clone()), loaded.geo.clone());
    CLIENTS
        .iter()
        .map(|&(country, subnet)| {
            let subnet: IpNet = subnet.parse().expect("the networks above are prefixes");
            let explanation = routing::explain(&table, &name, Rtype::A, subnet.addr());
            let pool = explanation.decisions.into_iter().find_map(|decision| decision.pool);
            ClientNetwork { country, subnet, site: pool.unwrap_or_default() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Setup {
        Setup {
            dns: Port::Exactly(0),
            admin: Port::Exactly(0),
            sites: Port::Exactly(0),
            ttl: 1,
            ttl_min: 1,
            log_level: "error",
        }
    }

    #[test]
    fn every_client_is_known_and_sent_somewhere() {
        let loaded = configuration(SITE_PORT, &setup());
        let countries: Vec<_> = CLIENTS
            .iter()
            .map(|(_, subnet)| {
                let subnet: IpNet = subnet.parse().unwrap();
                let located = loaded.geo.locate(subnet.addr());
                assert!(located.scope <= subnet.prefix_len(), "all of {subnet} is in one country");
                located.place.location.country.map(|country| country.to_string())
            })
            .collect();
        assert_eq!(countries, ["VN", "HK", "DE", "US"].map(|country| Some(country.to_owned())));
        let sites: Vec<_> = clients(&loaded).into_iter().map(|client| client.site).collect();
        assert_eq!(sites, ["vietnam", "hongkong", "vietnam", "hongkong"]);
    }
}
