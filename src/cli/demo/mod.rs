//! `rhumb demo`

use std::fmt::{self, Display};
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::client::DEFAULT_ADMIN;
use super::loopback::{
    ClientNetwork, Fault, Loopback, NAME, Port, SITE_PORT, Setup, Sites, has_tcp_port, on_localhost,
};
use super::stop::Stop;
use super::{Daemon, Failed, Output, runtime};
use keyboard::Keyboard;

mod control;
mod keyboard;

/// Beside the port of DNS, and free to whoever is not root. Not 5353, which is multicast DNS.
const DNS_PORT: u16 = 5300;
/// The default of a daemon, so that `rhumb status` and `rhumb explain` find it.
const ADMIN_PORT: u16 = 8053;
/// The next one.
const CONTROL_PORT: u16 = 8054;

/// In seconds; the least that DNS can say, so that resolvers follow at once.
const TTL: u32 = 1;

#[derive(Args)]
pub(super) struct Arguments {
    /// Answer DNS at this port of 127.0.0.1; 0: any [default: 5300, or any if that is taken]
    #[arg(long, value_name = "PORT")]
    dns_port: Option<u16>,
    /// Serve the admin API at this port of 127.0.0.1; 0: any [default: 8053, or any if that is taken]
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,
    /// How to print where everything is; with json, one line
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    runtime()?.block_on(demo::<D>(arguments))
}

async fn demo<D: Daemon>(arguments: Arguments) -> Result<ExitCode, Failed> {
    let Arguments { dns_port, admin_port, output } = arguments;
    let mut stop = Stop::listen()?;
    let setup = Setup {
        dns: port(dns_port, DNS_PORT),
        admin: port(admin_port, ADMIN_PORT),
        sites: Port::Preferably(SITE_PORT),
        ttl: TTL,
        ttl_min: TTL,
        log_level: "info",
    };
    let loopback = tokio::select! {
        started = Loopback::<D>::start(setup) => started?,
        () = stop.requested() => return Ok(ExitCode::SUCCESS),
    };
    let control = TcpListener::bind(on_localhost(Port::Preferably(CONTROL_PORT).choose(has_tcp_port)))
        .await
        .map_err(|error| Failed::new(format_args!("cannot start the sites' control: {error}")))?;
    let whereabouts = Whereabouts::of(&loopback, control.local_addr().map_err(Failed::new)?);
    let sites = Arc::new(Mutex::new(loopback.sites));
    let control = tokio::spawn(control::serve(control, sites.clone()));

    let mut keyboard = Keyboard::open();
    match output {
        Output::Text => {
            print!("{whereabouts}");
            if keyboard.is_some() {
                println!("\nor here: {KEYS}");
            } else {
                println!("\nSIGTERM or SIGINT ends it.");
            }
        }
        Output::Json => println!("{}", serde_json::to_string(&whereabouts).map_err(Failed::new)?),
    }
    // Whoever reads it from a pipe waits for it.
    std::io::stdout().flush().map_err(Failed::new)?;

    loop {
        tokio::select! {
            () = stop.requested() => break,
            key = Keyboard::key(&mut keyboard) => match key {
                'q' => break,
                'v' => toggle(&sites, "vietnam", Fault::Kill).await,
                'V' => toggle(&sites, "vietnam", Fault::Hang).await,
                'h' => toggle(&sites, "hongkong", Fault::Kill).await,
                'H' => toggle(&sites, "hongkong", Fault::Hang).await,
                _ => println!("{KEYS}"),
            }
        }
    }
    drop(keyboard);
    control.abort();
    loopback.daemon.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

const KEYS: &str = "v kills vietnam, h kills hongkong, V and H make them hang; again to mend them; q quits";

fn port(wanted: Option<u16>, usual: u16) -> Port {
    wanted.map_or(Port::Preferably(usual), Port::Exactly)
}

/// Breaks the site if it serves, mends it if not.
async fn toggle(sites: &Mutex<Sites>, name: &str, fault: Fault) {
    let mut sites = sites.lock().await;
    let serves = sites.iter().any(|site| site.name() == name && site.fault() == Fault::None);
    if let Err(error) = sites.set(name, if serves { fault } else { Fault::None }).await {
        tracing::error!("{error}");
    }
}

/// Where everything is.
#[derive(Serialize)]
struct Whereabouts {
    /// Where DNS is answered, over UDP and TCP.
    dns: SocketAddr,
    /// The URL of the admin API.
    admin: String,
    /// The URL of the sites' control.
    control: String,
    /// The name that is steered.
    name: &'static str,
    /// Its TTL, in seconds.
    ttl: u32,
    sites: Vec<SiteAddresses>,
    clients: Vec<ClientNetwork>,
}

#[derive(Serialize)]
struct SiteAddresses {
    name: &'static str,
    addresses: Vec<SocketAddr>,
}

impl Whereabouts {
    fn of<D: Daemon>(loopback: &Loopback<D>, control: SocketAddr) -> Self {
        let sites = loopback.sites.iter();
        Whereabouts {
            dns: loopback.dns(),
            admin: format!("http://{}", loopback.daemon.admin()),
            control: format!("http://{control}"),
            name: NAME,
            ttl: TTL,
            sites: sites
                .map(|site| SiteAddresses { name: site.name(), addresses: site.addresses().collect() })
                .collect(),
            clients: loopback.clients.clone(),
        }
    }
}

impl Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Whereabouts { dns, admin, control, name, ttl: _, sites, clients } = self;
        writeln!(f, "\nTwo sites and a name server that steers between them, all on this machine:\n")?;
        let taken = |is_taken, port| if is_taken { format!("   ({port} is taken)") } else { String::new() };
        writeln!(f, "  DNS        {dns}, UDP and TCP{}", taken(dns.port() != DNS_PORT, DNS_PORT))?;
        writeln!(f, "  admin API  {admin}{}", taken(admin != DEFAULT_ADMIN, ADMIN_PORT))?;
        writeln!(f, "  console    {admin}/ in a browser")?;
        for SiteAddresses { name, addresses } in sites {
            let urls: Vec<_> = addresses.iter().map(|address| format!("http://{address}/")).collect();
            writeln!(f, "  {name:<9}  {}", urls.join("  "))?;
        }

        writeln!(f, "\nAsk as a client's resolver does, and again after you broke a site:\n")?;
        let (ip, port) = (dns.ip(), dns.port());
        let width = clients.iter().map(|client| client.subnet.to_string().len()).max().unwrap_or(0);
        for ClientNetwork { country, subnet, site } in clients {
            let subnet = subnet.to_string();
            writeln!(f, "  dig @{ip} -p {port} {name} +short +subnet={subnet:width$}   # {country}: {site}")?;
        }

        let option = if admin == DEFAULT_ADMIN { String::new() } else { format!(" --admin {admin}") };
        // As it was started: it may not be on the path.
        let program = std::env::args().next().unwrap_or_else(|| "rhumb".to_owned());
        writeln!(f, "\nAsk why, and what is believed of the sites:\n")?;
        for ClientNetwork { subnet, .. } in clients.iter().take(1) {
            writeln!(f, "  {program} explain {name} --client {}{option}", subnet.addr())?;
        }
        writeln!(f, "  {program} status{option}")?;

        writeln!(f, "\nBreak a site and mend it:\n")?;
        for (fault, effect) in [
            ("kill", "connections are refused"),
            ("hang", "connections are made, nothing is answered"),
            ("none", "serves again"),
        ] {
            let site = sites.first().map_or("", |site| site.name);
            writeln!(f, "  curl -X POST '{control}/sites/{site}?fault={fault}'   # {effect}")?;
        }
        Ok(())
    }
}
