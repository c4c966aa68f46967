//! A site: a small HTTP server that can be killed, can hang and can be unwell.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use socket2::SockRef;

use super::{PATIENCE, own_address};

/// An HTTP server at an address of its own, on port 8080.
pub(crate) struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Running {
    listener: Arc<TcpListener>,
    acceptor: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    asked: Condvar,
}

#[derive(Default)]
struct State {
    /// How many connections were accepted.
    connections: usize,
    /// `None`: it accepts, and never replies.
    status: Option<u16>,
    /// Replies with these first, the last one first.
    exceptions: Vec<u16>,
    /// Connections that are open, or were: whoever is killed lets go of all of them.
    open: Vec<TcpStream>,
}

impl Site {
    /// Starts one that is well.
    pub(crate) fn start() -> Site {
        let mut site = Site {
            address: SocketAddr::new(own_address().into(), 8080),
            shared: Arc::default(),
            running: None,
        };
        site.revive();
        site
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Its process dies: connections are refused.
    pub(crate) fn kill(&mut self) {
        let Some(Running { listener, acceptor }) = self.running.take() else { return };
        // On Linux this ends a waiting accept(), and whoever waits in the queue is reset.
        SockRef::from(&*listener).shutdown(Shutdown::Both).expect("it listens");
        acceptor.join().expect("accepting does not panic");
        drop(listener);
        for stream in self.shared.lock().open.drain(..) {
            // Most are closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Its process is started again, and is well.
    pub(crate) fn revive(&mut self) {
        self.answer(200);
        self.listen();
    }

    /// Its process is started again, and is as it was told to be.
    pub(crate) fn listen(&mut self) {
        if self.running.is_none() {
            let listener = TcpListener::bind(self.address).expect("the address is the site's own");
            let listener = Arc::new(listener);
            let (shared, accepting) = (Arc::clone(&self.shared), Arc::clone(&listener));
            let acceptor = std::thread::spawn(move || {
                while let Ok((stream, _)) = accepting.accept() {
                    shared.accepted(&stream);
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || shared.serve(stream));
                }
            });
            self.running = Some(Running { listener, acceptor });
        }
    }

    /// It accepts connections and never replies.
    pub(crate) fn hang(&self) {
        self.shared.lock().status = None;
    }

    /// It replies with `status` from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.shared.lock().status = Some(status);
    }

    /// It replies with `status` to the next `count` requests, and then as before. Returns how many
    /// connections it has accepted so far.
    pub(crate) fn stumble(&self, status: u16, count: usize) -> usize {
        let mut state = self.shared.lock();
        state.exceptions = vec![status; count];
        state.connections
    }

    /// How many connections it has accepted since it was made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until `count` connections have been accepted since it was made.
    pub(crate) fn await_connections(&self, count: usize) {
        let state = self.shared.lock();
        let waited = self.shared.asked.wait_timeout_while(state, PATIENCE, |state| state.connections < count);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} connections to {}, not {count}", state.connections, self.address);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts and flags are whole whatever became of the test that looked at them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accepted(&self, stream: &TcpStream) {
        let mut state = self.lock();
        // Those that were closed are let go of now and then.
        if state.connections.is_multiple_of(64) {
            state.open.retain(|stream| stream.peer_addr().is_ok());
        }
        state.open.extend(stream.try_clone());
        state.connections += 1;
        drop(state);
        self.asked.notify_all();
    }

    fn serve(&self, stream: TcpStream) {
        // A client that has gone away needs no reply, and one that asks for nothing gets none.
        let _ = self.respond(stream);
    }

    fn respond(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                length => request.extend_from_slice(&buffer[..length]),
            }
        }
        let mut state = self.lock();
        let reply = state.exceptions.pop().or(state.status);
        drop(state);
        match reply {
            Some(status) => {
                let replied = reply_with(&mut stream, status);
                // The other handle of it would keep it open.
                stream.shutdown(Shutdown::Both).and(replied)
            }
            // Until the client or the site has had enough.
            None => stream.read(&mut buffer).map(drop),
        }
    }
}

/// A whole response, after which the connection ends.
fn reply_with(stream: &mut TcpStream, status: u16) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} As Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}
