//! Echo requests to the kernel's own side of loopback, and to nobody, in network namespaces.

use std::fs;
use std::process::Command;
use std::time::Instant;

use nix::sched::{CloneFlags, unshare};

use super::socket::Kind;
use super::*;

/// Longer than anything here takes on the slowest machine.
const AMPLE: Duration = Duration::from_secs(60);

#[allow(clippy::disallowed_methods, reason = "a budget starts now")]
fn budget(whole: Duration) -> Budget {
    Budget::new(Instant::now(), whole)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Runs `test` in a network of its own, where groups in `groups` may have unprivileged sockets. There
/// are loopback and a link, 192.0.2.1/24 and 2001:db8::1/64, that nobody else is on.
fn in_network<T: Send>(groups: &str, test: impl AsyncFnOnce() -> T + Send) -> T {
    let run = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("tests that make networks run as root");
        let commands = [
            "link set lo up",
            "link add here type veth peer name there",
            "address add 192.0.2.1/24 dev here",
            "address add 2001:db8::1/64 dev here nodad",
            "link set here up",
            "link set there up",
        ];
        for command in commands {
            let status = Command::new("ip").args(command.split(' ')).status().expect("ip is installed");
            assert!(status.success(), "ip {command}");
        }
        // Neighbours are given up after one unanswered question instead of three, a second each.
        for version in ["ipv4", "ipv6"] {
            let of_neighbours = format!("/proc/sys/net/{version}/neigh/here");
            fs::write(format!("{of_neighbours}/mcast_solicit"), "1").expect("our own network");
            fs::write(format!("{of_neighbours}/retrans_time_ms"), "20").expect("our own network");
        }
        // The kernel says as often as it can who is not there.
        for (limit, value) in [("ratelimit", "0"), ("msgs_per_sec", "1000000"), ("msgs_burst", "1000000")] {
            fs::write(format!("/proc/sys/net/ipv4/icmp_{limit}"), value).expect("our own network");
        }
        fs::write("/proc/sys/net/ipv4/ping_group_range", groups).expect("our own network");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(test())
    };
    std::thread::scope(|scope| {
        scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

const EVERYBODY: &str = "0 4294967294";
const NOBODY: &str = "1 0";

fn kind(pinger: &Pinger) -> &'static str {
    let slot = pinger.v4.lock().expect("nobody panics while holding it");
    match slot.as_ref().expect("it is open").channel.socket.kind() {
        Kind::Unprivileged => "unprivileged",
        Kind::Raw { .. } => "raw",
    }
}

#[test]
fn who_is_there_passes_through_either_kind_of_socket() {
    for (groups, expected) in [(EVERYBODY, "unprivileged"), (NOBODY, "raw")] {
        in_network(groups, async || {
            let pinger = Pinger::default();
            for address in ["127.0.0.1", "::1", "127.0.0.2", "192.0.2.1", "2001:db8::1"] {
                for check in [IcmpCheck { packets: 1, loss: 0 }, IcmpCheck { packets: 20, loss: 3 }] {
                    let result = pinger.probe(ip(address), check, &mut budget(AMPLE)).await;
                    assert_eq!(result, Ok(()), "{address} {expected}");
                }
            }
            assert_eq!(kind(&pinger), expected);
        });
    }
}

#[test]
fn who_is_not_there_is_unreachable() {
    for groups in [EVERYBODY, NOBODY] {
        in_network(groups, async || {
            let pinger = Pinger::default();
            // The kernel itself answers that no neighbour has the address; to 203.0.113.1 it knows no way.
            for address in ["192.0.2.2", "2001:db8::2", "203.0.113.1"] {
                let result =
                    pinger.probe(ip(address), IcmpCheck { packets: 2, loss: 1 }, &mut budget(AMPLE)).await;
                assert_eq!(result, Err(Failure::Unreachable), "{address}");
            }
            // What came in for others does not count against one that is there.
            let others = (3..100).map(|host| ip(&format!("192.0.2.{host}")));
            let mut probes = tokio::task::JoinSet::new();
            let pinger = Arc::new(pinger);
            for (ip, expected) in
                others.map(|ip| (ip, Err(Failure::Unreachable))).chain([(ip("127.0.0.1"), Ok(()))])
            {
                let pinger = Arc::clone(&pinger);
                probes.spawn(async move {
                    for _ in 0..5 {
                        let result =
                            pinger.probe(ip, IcmpCheck { packets: 1, loss: 0 }, &mut budget(AMPLE)).await;
                        assert_eq!(result, expected, "{ip}");
                    }
                });
            }
            while let Some(joined) = probes.join_next().await {
                joined.expect("no probe panics");
            }
        });
    }
}

#[test]
fn silence_is_a_timeout() {
    in_network(NOBODY, async || {
        fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").expect("our own network");
        let pinger = Pinger::default();
        let after = Duration::from_millis(50);
        let result =
            pinger.probe(ip("127.0.0.1"), IcmpCheck { packets: 3, loss: 2 }, &mut budget(after)).await;
        assert_eq!(result, Err(Failure::TimedOut { phase: Phase::Reply, after }));
        let open = pinger.v4.lock().expect("nobody panics while holding it");
        let waiting = &open.as_ref().expect("it is open").channel.waiting;
        assert!(waiting.lock().expect("nobody panics while holding it").is_empty());
    });
}

/// What somebody does with a request for an echo.
#[derive(Clone, Copy)]
enum Answer {
    Reply,
    Silence,
    /// A reply with something else in it, by the place of an octet.
    Changed(usize),
    /// The right reply, from another address.
    FromElsewhere,
}

/// Answers requests to 127.0.0.1 in the place of the kernel, by turns as `answers` says.
async fn answer(answers: &[Answer]) -> Infallible {
    fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").expect("our own network");
    let raw = |address: &str| {
        let protocol = Some(socket2::Protocol::ICMPV4);
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, protocol).expect("we are root");
        socket.set_nonblocking(true).expect("a socket");
        socket.bind(&std::net::SocketAddr::new(ip(address), 0).into()).expect("our own network");
        tokio::net::UdpSocket::from_std(socket.into()).expect("a socket")
    };
    let (here, elsewhere) = (raw("127.0.0.1"), raw("127.0.0.2"));
    let mut turns = answers.iter().cycle();
    loop {
        let mut packet = [0; 256];
        let (length, from) = here.recv_from(&mut packet).await.expect("a socket");
        let mut reply = packet[20..length].to_vec();
        if reply[0] != 8 {
            continue;
        }
        reply[0] = 0;
        let answer = turns.next().expect("turns have no end");
        if let Answer::Changed(octet) = answer {
            reply[*octet] ^= 1;
        }
        reply[2..4].fill(0);
        let checksum = message::checksum(&reply);
        reply[2..4].copy_from_slice(&checksum.to_be_bytes());
        let socket = match answer {
            Answer::Silence => continue,
            Answer::Reply | Answer::Changed(_) => &here,
            Answer::FromElsewhere => &elsewhere,
        };
        socket.send_to(&reply, from).await.expect("loopback takes it");
    }
}

#[test]
fn as_many_as_are_tolerated_may_be_lost() {
    const AFTER: Duration = Duration::from_millis(200);
    let timed_out = Err(Failure::TimedOut { phase: Phase::Reply, after: AFTER });
    use Answer::{Changed, FromElsewhere, Reply, Silence};
    for (what, answers, packets, loss, expected) in [
        ("one lost of two", &[Silence, Reply][..], 2, 1, Ok(())),
        ("one too many", &[Silence, Reply], 2, 0, Err(Failure::Lost { lost: 1, sent: 2 })),
        (
            "two of five",
            &[Reply, Silence, Reply, Silence, Reply],
            5,
            1,
            Err(Failure::Lost { lost: 2, sent: 5 }),
        ),
        ("another identifier", &[Changed(5)], 1, 0, timed_out.clone()),
        ("another sequence number", &[Changed(7)], 1, 0, timed_out.clone()),
        ("another token", &[Changed(15)], 1, 0, timed_out.clone()),
        ("another address", &[FromElsewhere], 1, 0, timed_out),
    ] {
        for groups in [EVERYBODY, NOBODY] {
            let result = in_network(groups, async || {
                let pinger = Pinger::default();
                let check = IcmpCheck { packets, loss };
                let mut budget = budget(AFTER);
                tokio::select! {
                    biased;
                    result = pinger.probe(ip("127.0.0.1"), check, &mut budget) => result,
                    never = answer(answers) => match never {},
                }
            });
            assert_eq!(result, expected, "{what}, groups {groups}");
        }
    }
}
