//! A server that sends back what it receives, on the sockets and threads of `rhumb serve`: what is
//! left of the cost of an answer when there is nothing to answer, and so the limit.
//!
//! `echo ADDRESS...` serves one UDP thread for each address until it is killed.

use std::net::SocketAddr;
use std::process::ExitCode;

use rhumb::routing::Client;
use rhumb::serve::{Answerer, Listeners, TcpLimits};

struct Echo;

impl Answerer for Echo {
    fn refresh(&mut self) {}

    fn answer(&mut self, _: Client, query: &[u8], reply: &mut [u8]) -> usize {
        let length = query.len().min(reply.len());
        reply[..length].copy_from_slice(&query[..length]);
        length
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Cargo runs every bench: alone or with this argument.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let Ok(addresses) =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<Vec<SocketAddr>, _>>()
    else {
        eprintln!("usage: echo ADDRESS...");
        return ExitCode::from(2);
    };
    let serving = Listeners::bind(&addresses, 1).map_err(|error| error.to_string()).and_then(|listeners| {
        listeners.start(TcpLimits::default(), |_| Echo).map_err(|error| error.to_string())
    });
    match serving {
        Ok(_serving) => std::future::pending().await,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}
