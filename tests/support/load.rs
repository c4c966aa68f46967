//! Clients that ask without a pause, and keep account of every answer.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use super::dns::{addresses, framed, query, socket_to};
use super::{eventually, now};

/// How long an answer may take that comes at all: far longer than any on loopback.
const LATEST: Duration = Duration::from_secs(5);

/// Sockets of UDP clients, whose ports the kernel divides among the workers.
const SOCKETS: usize = 16;

/// Between two queries over UDP: a thousand a second.
const UDP_EVERY: Duration = Duration::from_millis(1);

/// Between two rounds of TCP, of three queries: a hundred a second.
const TCP_EVERY: Duration = Duration::from_millis(30);

/// What became of the queries.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) by_udp: usize,
    pub(crate) by_tcp: usize,
    /// Times that a client was told to close its connection, and did.
    pub(crate) told_to_close: usize,
    /// Times that a connection had ended behind an answer.
    pub(crate) ended: usize,
    /// What must not be: no answer, or a wrong one.
    pub(crate) faults: Vec<String>,
}

/// Clients that go on until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    /// Answers over UDP.
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Account>>,
}

impl Load {
    /// Asks `server` for `name`, which is to be `right`: over UDP; over TCP by a new connection each, by a
    /// connection that is kept for as long as the server says, and by one that is just kept.
    pub(crate) fn start(server: SocketAddr, name: &'static str, right: IpAddr) -> Load {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let by_udp = {
            let (stop, answered) = (stop.clone(), answered.clone());
            thread::spawn(move || ask_by_udp(server, name, right, &stop, &answered))
        };
        let by_tcp = {
            let stop = stop.clone();
            thread::spawn(move || ask_by_tcp(server, name, right, &stop))
        };
        Load { stop, answered, threads: vec![by_udp, by_tcp] }
    }

    /// Waits for as many more answers over UDP.
    pub(crate) fn await_answers(&self, count: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + count;
        eventually("more answers", || (self.answered.load(Ordering::Relaxed) >= wanted).then_some(()));
    }

    /// Ends it, and waits for the answers that are under way.
    pub(crate) fn stop(self) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Account::default();
        for thread in self.threads {
            let Account { by_udp, by_tcp, told_to_close, ended, faults } =
                thread.join().expect("a client does not panic");
            all.by_udp += by_udp;
            all.by_tcp += by_tcp;
            all.told_to_close += told_to_close;
            all.ended += ended;
            all.faults.extend(faults);
        }
        all
    }
}

/// Waits for the next moment, `every` after the last one, unless that is past.
fn pace(due: &mut Instant, every: Duration) {
    *due += every;
    thread::sleep(due.saturating_duration_since(now()));
}

fn ask_by_udp(
    server: SocketAddr,
    name: &str,
    right: IpAddr,
    stop: &AtomicBool,
    answered: &AtomicUsize,
) -> Account {
    let sockets: Vec<UdpSocket> = (0..SOCKETS).map(|_| socket_to(server)).collect();
    for socket in &sockets {
        socket.set_nonblocking(true).expect("it can be told so");
    }
    let mut account = Account::default();
    let mut open: HashMap<(usize, u16), Instant> = HashMap::new();
    let mut message = query(name, RecordType::A);
    let mut due = now();
    for number in 0.. {
        let is_over = stop.load(Ordering::Relaxed);
        if is_over && open.is_empty() {
            break;
        }
        if !is_over {
            let client = number % SOCKETS;
            message.metadata.id = (number / SOCKETS) as u16;
            let wire = message.to_vec().expect("it can be encoded");
            match sockets[client].send(&wire) {
                Ok(_) => {
                    account.by_udp += 1;
                    open.insert((client, message.metadata.id), now());
                }
                Err(error) => account.faults.push(format!("UDP: query {number} was refused: {error}")),
            }
        }
        for (client, socket) in sockets.iter().enumerate() {
            let mut buffer = [0; 1500];
            loop {
                match socket.recv(&mut buffer) {
                    Ok(length) => {
                        answered.fetch_add(1, Ordering::Relaxed);
                        let reply = Message::from_vec(&buffer[..length]).expect("a DNS message");
                        if open.remove(&(client, reply.metadata.id)).is_none() {
                            account.faults.push(format!("UDP: answered twice or never asked: {reply}"));
                        }
                        if addresses(&reply) != [right] {
                            account.faults.push(format!("UDP: {reply}"));
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => account.faults.push(format!("UDP: {error}")),
                }
            }
        }
        let oldest = now() - LATEST;
        open.retain(|(client, id), asked| {
            let is_lost = *asked < oldest;
            if is_lost {
                account.faults.push(format!("UDP: no answer for client {client}, query {id}"));
            }
            !is_lost
        });
        pace(&mut due, UDP_EVERY);
    }
    account
}

/// Who asks over TCP.
struct Client {
    kind: &'static str,
    /// The connection that is kept.
    stream: Option<TcpStream>,
    message: Message,
}

fn ask_by_tcp(server: SocketAddr, name: &str, right: IpAddr, stop: &AtomicBool) -> Account {
    let plain = query(name, RecordType::A);
    let mut asking = plain.clone();
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Unknown(KEEPALIVE, Vec::new()));
    asking.edns = Some(edns);
    let client = |kind, message: &Message| Client { kind, stream: None, message: message.clone() };
    let mut clients = [client("new", &plain), client("kept", &plain), client("asking", &asking)];
    let mut account = Account::default();
    let mut due = now();
    while !stop.load(Ordering::Relaxed) {
        for client in &mut clients {
            account.by_tcp += 1;
            if let Err(fault) = client.ask(server, right, &mut account.told_to_close, &mut account.ended) {
                account.faults.push(format!("TCP, {}: {fault}", client.kind));
                client.stream = None;
            }
        }
        pace(&mut due, TCP_EVERY);
    }
    account
}

/// EDNS TCP keepalive (RFC 7828).
const KEEPALIVE: u16 = 11;

impl Client {
    fn ask(
        &mut self,
        server: SocketAddr,
        right: IpAddr,
        told_to_close: &mut usize,
        ended: &mut usize,
    ) -> Result<(), String> {
        if self.stream.as_mut().is_some_and(has_ended) {
            *ended += 1;
            self.stream = None;
        }
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(server).map_err(|error| format!("cannot connect: {error}"))?,
        };
        self.message.metadata.id = self.message.metadata.id.wrapping_add(1);
        stream.write_all(&framed(&self.message)).map_err(|error| format!("cannot ask: {error}"))?;
        stream.set_read_timeout(Some(LATEST)).expect("it is not zero");
        let mut length = [0; 2];
        stream.read_exact(&mut length).map_err(|error| format!("no answer: {error}"))?;
        let mut wire = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut wire).map_err(|error| format!("half an answer: {error}"))?;
        let reply = Message::from_vec(&wire).map_err(|error| error.to_string())?;
        if reply.metadata.id != self.message.metadata.id || addresses(&reply) != [right] {
            return Err(reply.to_string());
        }
        let keepalive = reply.edns.as_ref().and_then(|edns| edns.option(EdnsCode::from(KEEPALIVE)));
        let is_to_close = matches!(keepalive, Some(EdnsOption::Unknown(_, timeout)) if timeout[..] == [0, 0]);
        *told_to_close += usize::from(is_to_close);
        if self.kind != "new" && !is_to_close {
            self.stream = Some(stream);
        }
        Ok(())
    }
}

/// Whether the server has closed a connection on which nothing is asked.
fn has_ended(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("it can be told so");
    let ended = !matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("it can be told so");
    ended
}
