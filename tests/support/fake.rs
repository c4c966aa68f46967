//! A daemon of the tests' own: it answers as it is told, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::PATIENCE;

/// What it was asked: the method and target, and the body.
pub(crate) type Asked = (String, Value);

/// What it answers to whatever is asked.
pub(crate) type Answers = fn(&str) -> (u16, &'static [(&'static str, &'static str)], String);

/// A server on loopback, until the end of the process.
pub(crate) struct Fake {
    address: SocketAddr,
    remembered: Arc<Remembered>,
}

/// What is remembered since the last time that somebody looked.
#[derive(Default)]
struct Remembered {
    asked: Mutex<Vec<Asked>>,
    preconditions: Mutex<Vec<String>>,
}

impl Fake {
    /// Starts one that answers to the method and target of a request as `answers` says.
    pub(crate) fn start(answers: Answers) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let remembered = Arc::<Remembered>::default();
        let fake = Fake { address, remembered: remembered.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever breaks off is told nothing.
                let _ = answer(stream, answers, &remembered);
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked since the last time that somebody looked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.remembered.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The headers by which something was asked for only if something is so, since the last time that somebody looked.
    pub(crate) fn preconditions(&self) -> Vec<String> {
        std::mem::take(&mut *self.remembered.preconditions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(
    stream: TcpStream,
    answers: Answers,
    Remembered { asked, preconditions }: &Remembered,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.to_lowercase().starts_with("if-") {
            preconditions.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim().to_lowercase());
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let target = first.rsplit_once(' ').map_or("", |(target, _)| target).to_owned();
    let (status, headers, content) = answers(&target);
    let body = serde_json::from_slice(&body).unwrap_or_default();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push((target, body));
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = content.len();
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{content}"
    )
}
