//! A site as a process of its own: this very program under another name, so that it can be killed
//! and stopped. It serves HTTP and HTTPS, and is told on its input how it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::network::{Namespace, address};
use crate::told::Told;

/// The first argument of the program that makes it a site.
pub(crate) const WORD: &str = "site";
/// The name that the certificates are for.
pub(crate) const NAME: &str = "site.example";
/// So few connections wait to be accepted that it is quick to have as many.
const BACKLOG: i32 = 8;
/// Between two octets of a body that trickles.
const TRICKLE: Duration = Duration::from_millis(100);
/// What it answers.
pub(crate) const BODY: &str = "all is well";

/// How the site's process is, and the host that it runs on.
pub(crate) struct Site {
    pub(crate) host: Namespace,
    pub(crate) ip: Ipv4Addr,
    certificates: PathBuf,
    running: Option<Told>,
    /// Connections that wait to be accepted.
    waiting: Vec<TcpStream>,
}

impl Site {
    /// Starts that of `host`, which has the address of that number.
    pub(crate) fn start(host: Namespace, number: u8, certificates: &Path) -> Site {
        let mut site = Site {
            host,
            ip: address(number),
            certificates: certificates.to_owned(),
            running: None,
            waiting: Vec::new(),
        };
        site.revive();
        site
    }

    /// Starts the process; it listens when this returns.
    pub(crate) fn revive(&mut self) {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.arg(WORD).arg(self.ip.to_string()).arg(&self.certificates);
        self.running = Some(self.host.within(|| Told::start(command)));
    }

    /// Kills the process.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Tells the process how it is from now on: `status N`, `trickle`, `expired`, `well`.
    pub(crate) fn tell(&mut self, word: &str) {
        self.running.as_mut().expect("a site that runs").tell(word);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.running.as_ref().expect("a site that runs").signal(signal);
    }

    /// Takes every place in the queue of connections: for a process that accepts none.
    pub(crate) fn fill_backlog(&mut self) {
        let (to, patience) = (SocketAddr::new(self.ip.into(), 80), Duration::from_millis(100));
        let connect = || TcpStream::connect_timeout(&to, patience).ok();
        self.waiting = self.host.within(|| std::iter::from_fn(connect).collect());
    }

    /// Gives these places back.
    pub(crate) fn empty_backlog(&mut self) {
        self.waiting.clear();
    }
}

/// Two certificates for [`NAME`] and their keys in `directory`, `good` and `expired`, and the file
/// with both that makes them trusted.
pub(crate) fn make_certificates(directory: &Path) -> PathBuf {
    let mut trusted = String::new();
    for which in ["good", "expired"] {
        let mut parameters = rcgen::CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        if which == "expired" {
            parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = rcgen::KeyPair::generate().expect("randomness");
        let certificate = parameters.self_signed(&key).expect("the key signs");
        trusted += &certificate.pem();
        write(directory, &format!("{which}.der"), certificate.der());
        write(directory, &format!("{which}.key"), &key.serialize_der());
    }
    write(directory, "trusted.pem", trusted.as_bytes());
    directory.join("trusted.pem")
}

fn write(directory: &Path, name: &str, octets: &[u8]) {
    std::fs::write(directory.join(name), octets).expect("the directory is ours");
}

/// How the process is.
struct State {
    status: AtomicU16,
    trickles: AtomicBool,
    is_expired: AtomicBool,
    good: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
}

/// Is the site with these arguments, an address and a directory, until its input ends.
pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    let [ip, certificates] = arguments else { return ExitCode::from(2) };
    let ip: Ipv4Addr = ip.parse().expect("an address");
    let tls = |which| tls(Path::new(certificates), which);
    let state: &State = Box::leak(Box::new(State {
        status: AtomicU16::new(200),
        trickles: AtomicBool::new(false),
        is_expired: AtomicBool::new(false),
        good: tls("good"),
        expired: tls("expired"),
    }));
    for port in [80, 443] {
        let listener = listen(SocketAddr::new(ip.into(), port));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is no matter.
                std::thread::spawn(move || _ = state.converse(stream, port == 443));
            }
        });
    }
    println!("done");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        state.become_as_told(&line);
        println!("done");
    }
    ExitCode::SUCCESS
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("it is new");
    socket.bind(&address.into()).expect("the host's own address");
    socket.listen(BACKLOG).expect("it is bound");
    socket.into()
}

fn tls(directory: &Path, which: &str) -> Arc<ServerConfig> {
    let read = |kind| std::fs::read(directory.join(format!("{which}.{kind}"))).expect("it was made");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(read("key")));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("ring has them").with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![read("der").into()], key).expect("they belong together"))
}

impl State {
    fn become_as_told(&self, line: &str) {
        match line.split_once(' ') {
            Some(("status", status)) => {
                self.status.store(status.parse().expect("a status"), Ordering::SeqCst)
            }
            _ if line == "trickle" => self.trickles.store(true, Ordering::SeqCst),
            _ if line == "expired" => self.is_expired.store(true, Ordering::SeqCst),
            _ => {
                self.status.store(200, Ordering::SeqCst);
                self.trickles.store(false, Ordering::SeqCst);
                self.is_expired.store(false, Ordering::SeqCst);
            }
        }
    }

    fn converse(&self, stream: TcpStream, is_tls: bool) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        if !is_tls {
            return self.respond(stream);
        }
        let config = if self.is_expired.load(Ordering::SeqCst) { &self.expired } else { &self.good };
        let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
        self.respond(StreamOwned::new(connection, stream))
    }

    /// Answers the requests of one connection until the client ends it or asks for its end.
    fn respond(&self, mut stream: impl Read + Write) -> std::io::Result<()> {
        loop {
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    length => request.extend_from_slice(&buffer[..length]),
                }
            }
            let status = self.status.load(Ordering::SeqCst);
            let is_last = String::from_utf8_lossy(&request).to_lowercase().contains("connection: close");
            let connection = if is_last { "connection: close\r\n" } else { "" };
            let head =
                format!("HTTP/1.1 {status} As Told\r\ncontent-length: {}\r\n{connection}\r\n", BODY.len());
            if self.trickles.load(Ordering::SeqCst) {
                stream.write_all(head.as_bytes())?;
                for octet in BODY.bytes() {
                    stream.write_all(&[octet])?;
                    stream.flush()?;
                    std::thread::sleep(TRICKLE);
                }
            } else {
                stream.write_all((head + BODY).as_bytes())?;
                stream.flush()?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}
