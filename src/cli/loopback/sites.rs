//! Sites that can be broken: little HTTP servers on loopback addresses.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The sites: name, country and addresses. Every address of 127.0.0.0/8 is this machine's; these
/// end in, or hold, the countries' calling codes, so that they are told apart at a glance.
pub(in crate::cli) const SITES: [(&str, &str, [IpAddr; 2]); 2] = [
    ("vietnam", "VN", [loopback(0, 84, 1), loopback(0, 84, 2)]),
    ("hongkong", "HK", [loopback(8, 52, 1), loopback(8, 52, 2)]),
];

const fn loopback(b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, b, c, d))
}

/// Connections that the kernel completes before they are accepted. While a server hangs this is
/// all that completes connections, as it is with a stopped process.
const BACKLOG: u32 = 1024;

/// With port 0, how often another port is tried when one address cannot have the port that another
/// was given. One failure is rare; this many in a row have another cause.
const PORT_ATTEMPTS: usize = 16;

/// How long accepting rests after an error, which is mostly a lack of descriptors: connections
/// under way then end within that time.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// What is wrong with a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Fault {
    /// Nothing: it serves.
    None,
    /// As if its processes had died: connections are closed, new ones refused.
    Kill,
    /// As if its processes were stopped: connections are made, and nothing is ever answered.
    Hang,
}

impl Fault {
    /// As it is written in commands and URLs.
    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::Kill => "kill",
            Fault::Hang => "hang",
        }
    }
}

/// All sites, serving until told otherwise or dropped.
pub(in crate::cli) struct Sites {
    sites: Vec<Site>,
    port: u16,
}

/// One site.
pub(in crate::cli) struct Site {
    name: &'static str,
    fault: Fault,
    servers: Vec<Server>,
}

/// One address of a site.
struct Server {
    site: &'static str,
    address: SocketAddr,
    running: Option<Running>,
}

/// The task that serves an address.
struct Running {
    fault: watch::Sender<Fault>,
    task: JoinHandle<()>,
}

/// There is no such site.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum FaultError {
    /// No site has this name.
    #[error("there is no site `{0}`")]
    UnknownSite(String),
    /// An address cannot be served again.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

impl Sites {
    /// Starts all servers at `port` of their addresses; 0: one that is free at each of them.
    pub(in crate::cli) async fn start(port: u16) -> io::Result<Sites> {
        let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match Sites::start_at_same_port(port) {
                Err(error) if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
    }

    fn start_at_same_port(mut port: u16) -> io::Result<Sites> {
        let mut sites = Vec::new();
        for (name, _, addresses) in SITES {
            let mut servers = Vec::new();
            for address in addresses {
                let listener = listen(SocketAddr::new(address, port))?;
                let address = listener.local_addr()?;
                port = address.port();
                let running = Some(Running::start(listener, name, Fault::None));
                servers.push(Server { site: name, address, running });
            }
            sites.push(Site { name, fault: Fault::None, servers });
        }
        Ok(Sites { sites, port })
    }

    /// The port of all servers.
    pub(in crate::cli) fn port(&self) -> u16 {
        self.port
    }

    /// The sites, the preferred one of the first client first.
    pub(in crate::cli) fn iter(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter()
    }

    /// Breaks or mends the site called `name`. When this returns, it has happened: the sockets of
    /// a killed site are closed, those of a mended one listen.
    pub(in crate::cli) async fn set(&mut self, name: &str, fault: Fault) -> Result<(), FaultError> {
        let site = self.sites.iter_mut().find(|site| site.name == name);
        let site = site.ok_or_else(|| FaultError::UnknownSite(name.to_owned()))?;
        for server in &mut site.servers {
            server.set(fault).await.map_err(|error| FaultError::Listen(server.address, error))?;
        }
        if std::mem::replace(&mut site.fault, fault) != fault {
            match fault {
                Fault::None => tracing::info!(site = site.name, "the site serves again"),
                Fault::Kill => tracing::info!(site = site.name, "the site was killed"),
                Fault::Hang => tracing::info!(site = site.name, "the site hangs"),
            }
        }
        Ok(())
    }
}

impl Site {
    /// Its name, which is its pool's too.
    pub(in crate::cli) fn name(&self) -> &'static str {
        self.name
    }

    /// What is wrong with it.
    pub(in crate::cli) fn fault(&self) -> Fault {
        self.fault
    }

    /// Where it serves.
    pub(in crate::cli) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.iter().map(|server| server.address)
    }
}

impl Server {
    async fn set(&mut self, fault: Fault) -> io::Result<()> {
        match &self.running {
            Some(running) => {
                running.fault.send_replace(fault);
                if fault == Fault::Kill
                    && let Some(Running { fault: _, task }) = self.running.take()
                {
                    // If it panicked its sockets are closed as well.
                    let _ = task.await;
                }
            }
            None if fault == Fault::Kill => {}
            None => self.running = Some(Running::start(listen(self.address)?, self.site, fault)),
        }
        Ok(())
    }
}

impl Running {
    fn start(listener: TcpListener, site: &'static str, fault: Fault) -> Self {
        let (sender, receiver) = watch::channel(fault);
        Running { fault: sender, task: tokio::spawn(serve(listener, site, receiver)) }
    }
}

/// A listener that takes over its port although connections of the last one linger there.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until killed; then everything is closed when this returns.
async fn serve(listener: TcpListener, site: &'static str, mut fault: watch::Receiver<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        let now = *fault.borrow_and_update();
        // Looked at here and nowhere else: a change that has been seen is not told of again.
        if now == Fault::Kill {
            break;
        }
        tokio::select! {
            biased;
            changed = fault.changed() => {
                if changed.is_err() {
                    break;
                }
            }
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if now == Fault::None => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, site, fault.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_REST).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Serves one connection to its end; while the site hangs, it rests where it is.
async fn serve_connection(stream: TcpStream, site: &'static str, mut fault: watch::Receiver<Fault>) {
    let Ok(address) = stream.local_addr() else { return };
    let text = Bytes::from(format!("{site} {}\n", address.ip()));
    let service = service_fn(|_: Request<Incoming>| {
        let mut response = Response::new(Full::new(text.clone()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        async { Ok::<_, Infallible>(response) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        let serves = *fault.borrow_and_update() == Fault::None;
        tokio::select! {
            biased;
            changed = fault.changed() => if changed.is_err() { return },
            // A client that goes away is no event of the site's.
            _ = &mut connection, if serves => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_site_that_is_killed_before_it_has_looked_up_is_dead() {
        let mut sites = Sites::start(0).await.expect("a port of loopback");
        // On this runtime of one thread no server has run yet.
        let killed = timeout(Duration::from_secs(10), sites.set("vietnam", Fault::Kill)).await;
        assert!(killed.expect("its servers end").is_ok());
        let address = SocketAddr::new(SITES[0].2[0], sites.port());
        assert!(TcpStream::connect(address).await.is_err(), "{address} is closed");
    }
}
