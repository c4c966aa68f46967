//! Single connections over a pipe in memory, with simulated time.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::serve::tests::{Echo, framed, query};

const LIMITS: TcpLimits = TcpLimits {
    max_connections: 1,
    idle_timeout: Duration::from_secs(10),
    query_timeout: Duration::from_secs(5),
    write_timeout: Duration::from_secs(3),
    lifetime: Duration::from_secs(100),
};

/// A client's end of a connection, and the server that serves the other.
struct Dialogue {
    client: DuplexStream,
    server: Arc<Server<Echo>>,
    phase: watch::Sender<Phase>,
    served: JoinHandle<()>,
    began: Instant,
}

impl Dialogue {
    /// `room` is how much either side may write before the other reads.
    fn begin(room: usize) -> Self {
        let (client, stream) = duplex(room);
        let server = Server::new(LIMITS, 1, &mut |_| Echo, Arc::default());
        let phase = watch::Sender::new(Phase::Serving);
        let asking = SocketAddr::from((Ipv4Addr::LOCALHOST, 4711));
        let (place, _) = server.crowd.enter(asking.ip(), Instant::now()).unwrap();
        let connection =
            Connection::new(stream, (asking, None), 0, Arc::clone(&server), place, phase.subscribe());
        let served = tokio::spawn(connection.serve());
        Dialogue { client, server, phase, served, began: Instant::now() }
    }

    async fn say(&mut self, octets: &[u8]) {
        self.client.write_all(octets).await.unwrap();
    }

    async fn hear(&mut self) -> Vec<u8> {
        let mut message = vec![0; usize::from(self.client.read_u16().await.unwrap())];
        self.client.read_exact(&mut message).await.unwrap();
        message
    }

    /// What is yet to hear before the server closes, and how long after the beginning it does.
    async fn hear_to_the_end(mut self) -> (Vec<u8>, Duration, Arc<TcpCounters>) {
        let mut rest = Vec::new();
        self.client.read_to_end(&mut rest).await.unwrap();
        self.served.await.unwrap();
        (rest, self.began.elapsed(), Arc::clone(&self.server.counters))
    }
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_whatever_pieces() {
    let messages = [query(1, "echo"), vec![7; 65_535], query(2, "echo"), vec![9; 700]];
    let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
    for piece in [1, 2, 3, 13, 512, 4096, stream.len()] {
        let dialogue = Dialogue::begin(piece);
        let (mut reading, mut writing) = tokio::io::split(dialogue.client);
        let pieces = stream.clone();
        tokio::spawn(async move {
            for piece in pieces.chunks(piece) {
                writing.write_all(piece).await.unwrap();
            }
            writing.shutdown().await.unwrap();
        });
        let mut replies = Vec::new();
        reading.read_to_end(&mut replies).await.unwrap();
        assert!(replies == stream, "in pieces of {piece}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_query_leaves_the_connection_open() {
    let mut dialogue = Dialogue::begin(4096);
    dialogue.say(&framed(&query(1, "drop"))).await;
    dialogue.say(&framed(&query(2, "echo"))).await;
    assert_eq!(dialogue.hear().await, query(2, "echo"));
}

#[tokio::test(start_paused = true)]
async fn a_message_too_short_closes_after_the_replies_before_it() {
    for length in [0, 1, 11] {
        let mut dialogue = Dialogue::begin(4096);
        let mut octets = framed(&query(1, "echo"));
        octets.extend_from_slice(&[0, length]);
        dialogue.say(&octets).await;
        let (rest, _, counters) = dialogue.hear_to_the_end().await;
        assert_eq!(rest, framed(&query(1, "echo")));
        assert_eq!(counters.malformed.read(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_in_time() {
    let (rest, after, counters) = Dialogue::begin(4096).hear_to_the_end().await;
    assert!(rest.is_empty());
    assert_eq!(after.as_secs(), 10);
    assert_eq!((counters.timed_out.read(), counters.closed.read()), (0, 1));

    let mut dialogue = Dialogue::begin(4096);
    time::advance(Duration::from_secs(9)).await;
    dialogue.say(&framed(&query(1, "echo"))).await;
    dialogue.hear().await;
    let (_, after, _) = dialogue.hear_to_the_end().await;
    assert_eq!(after.as_secs(), 19, "a query begins the wait anew");
}

#[tokio::test(start_paused = true)]
async fn a_query_that_drips_is_cut_off() {
    let dialogue = Dialogue::begin(4096);
    let (mut reading, mut writing) = tokio::io::split(dialogue.client);
    tokio::spawn(async move {
        for octet in framed(&query(1, "echo")) {
            if writing.write_all(&[octet]).await.is_err() {
                return;
            }
            time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(reading.read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(dialogue.began.elapsed().as_secs(), 5);
    dialogue.served.await.unwrap();
    assert_eq!(dialogue.server.counters.timed_out.read(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_query_has_its_own_time() {
    let mut dialogue = Dialogue::begin(4096);
    let message = framed(&query(1, "echo"));
    // Always in the middle of a query, never long in the same one.
    dialogue.say(&message[..5]).await;
    for _ in 0..5 {
        time::sleep(Duration::from_secs(3)).await;
        dialogue.say(&message[5..]).await;
        dialogue.say(&message[..5]).await;
        assert_eq!(dialogue.hear().await, query(1, "echo"));
    }
    let (_, after, _) = dialogue.hear_to_the_end().await;
    assert_eq!(after.as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn who_never_reads_is_closed_and_read_no_further() {
    let mut dialogue = Dialogue::begin(256);
    let written = async {
        let mut written = 0;
        while dialogue.client.write_all(&framed(&query(1, "long"))).await.is_ok() {
            written += 1;
        }
        written
    };
    // 256 octets of pipe and one read of the server's, in queries of 14, hold less than 100.
    assert!(written.await < 100);
    dialogue.served.await.unwrap();
    assert_eq!(dialogue.began.elapsed().as_secs(), 3);
    assert_eq!(dialogue.server.counters.timed_out.read(), 1);
    assert_eq!(dialogue.server.counters.replies.read(), 1, "one such reply is enough to hold");
}

#[tokio::test(start_paused = true)]
async fn the_busiest_connection_ends_with_its_lifetime() {
    let mut dialogue = Dialogue::begin(4096);
    for _ in 0..12 {
        time::sleep(Duration::from_secs(8)).await;
        dialogue.say(&framed(&query(1, "echo"))).await;
        dialogue.hear().await;
    }
    let (_, after, _) = dialogue.hear_to_the_end().await;
    assert_eq!(after.as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn who_has_to_leave_leaves_at_once() {
    let begun = framed(&query(1, "echo"));
    let never_read: Vec<u8> = (0..100).flat_map(|id| framed(&query(id, "long"))).collect();
    for (what, said) in [("idle", &[][..]), ("with half a query", &begun[..3]), ("not reading", &never_read)]
    {
        let mut dialogue = Dialogue::begin(4096);
        dialogue.say(said).await;
        // The other task waits again once it has nothing more to do.
        time::sleep(Duration::from_millis(1)).await;
        assert!(dialogue.server.crowd.evict(Instant::now()), "{what}");
        let (_, after, counters) = dialogue.hear_to_the_end().await;
        assert_eq!(after.as_secs(), 0, "{what}");
        assert_eq!((counters.closed.read(), counters.timed_out.read()), (1, 0), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_on_its_way_at_shutdown_is_answered() {
    let mut dialogue = Dialogue::begin(4096);
    dialogue.say(&framed(&query(1, "echo"))).await;
    dialogue.hear().await;
    dialogue.phase.send_replace(Phase::Draining);
    time::sleep(Duration::from_millis(20)).await;
    dialogue.say(&framed(&query(2, "echo"))).await;
    assert_eq!(dialogue.hear().await, query(2, "echo"));
    let (rest, after, _) = dialogue.hear_to_the_end().await;
    assert!(rest.is_empty());
    assert!(after < Duration::from_millis(200));
}

#[test]
fn exhaustion_backs_off_and_what_passes_does_not() {
    for (code, does_pass) in [
        (libc::EINTR, true),
        (libc::EPERM, true),
        (libc::ECONNABORTED, true),
        (libc::EHOSTUNREACH, true),
        (libc::EMFILE, false),
        (libc::ENFILE, false),
        (libc::ENOBUFS, false),
        (libc::ENOMEM, false),
    ] {
        assert_eq!(passes(&io::Error::from_raw_os_error(code)), does_pass, "errno {code}");
    }
}
