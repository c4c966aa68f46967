//! Lookups, with a resolver of the tests' own on loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name as OtherName, RData, Record};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::control::Found;

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the resolver says: lines of `TTL TYPE DATA`, for a type of a name.
type Script = &'static [(&'static str, &'static [&'static str])];

const SCRIPT: Script = &[
    ("both.test A", &["60 A 192.0.2.2", "60 A 192.0.2.1"]),
    ("both.test AAAA", &["30 AAAA 2001:db8::1"]),
    ("alias.test A", &["7 CNAME both.test.", "60 A 192.0.2.1"]),
    ("alias.test AAAA", &["7 CNAME both.test.", "30 AAAA 2001:db8::1"]),
    ("four.test A", &["60 A 192.0.2.1"]),
    ("four.test AAAA", &["NODATA 5"]),
    ("none.test A", &["NODATA 5"]),
    ("none.test AAAA", &["NODATA 5"]),
    ("gone.test A", &["NXDOMAIN 9"]),
    ("gone.test AAAA", &["NXDOMAIN 9"]),
    ("half.test A", &["60 A 192.0.2.1"]),
    ("half.test AAAA", &["SERVFAIL"]),
    ("broken.test A", &["SERVFAIL"]),
    ("broken.test AAAA", &["REFUSED"]),
    ("quick.test A", &["1 A 192.0.2.1"]),
    ("quick.test AAAA", &["NODATA 3600"]),
];

/// A resolver that answers by the script, and what it was asked.
struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn start() -> Scripted {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = socket.local_addr().expect("it is bound");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 1232];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let query = Message::from_vec(&buffer[..length]).expect("a query");
                let question = query.queries.first().expect("a question");
                let name = question.name().to_string();
                let asked = format!("{} {}", name.trim_end_matches('.'), question.query_type());
                let reply = reply(&query, &asked);
                log.lock().expect("nothing panics with it").push(asked);
                // A client that is gone needs no reply.
                let _ = socket.send_to(&reply, client).await;
            }
        });
        Scripted { address, asked }
    }

    fn client(&self) -> Client {
        Client::new(vec![self.address])
    }

    fn count(&self, asked: &str) -> usize {
        self.asked.lock().expect("nothing panics with it").iter().filter(|line| *line == asked).count()
    }
}

fn reply(query: &Message, asked: &str) -> Vec<u8> {
    let lines =
        SCRIPT.iter().find(|(question, _)| *question == asked).map_or(&["REFUSED"][..], |(_, lines)| lines);
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    let mut owner = query.queries[0].name().clone();
    let negative = |reply: &mut Message, ttl: &str| {
        let zone = OtherName::from_ascii("test.").expect("a name");
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 3600, 3600, ttl.parse().expect("a TTL"));
        reply.add_authority(Record::from_rdata(zone, 3600, RData::SOA(soa)));
    };
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["NODATA", ttl] => negative(&mut reply, ttl),
            ["NXDOMAIN", ttl] => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                negative(&mut reply, ttl);
            }
            ["SERVFAIL"] => reply.metadata.response_code = ResponseCode::ServFail,
            ["REFUSED"] => reply.metadata.response_code = ResponseCode::Refused,
            [ttl, rtype, data] => {
                let (rdata, next) = match rtype {
                    "A" => (RData::A(A(data.parse().expect("an address"))), owner.clone()),
                    "AAAA" => (RData::AAAA(AAAA(data.parse().expect("an address"))), owner.clone()),
                    _ => {
                        let target = OtherName::from_ascii(data).expect("a name");
                        (RData::CNAME(CNAME(target.clone())), target)
                    }
                };
                reply.add_answer(Record::from_rdata(owner, ttl.parse().expect("a TTL"), rdata));
                owner = next;
            }
            _ => panic!("{line}"),
        }
    }
    reply.to_vec().expect("it can be encoded")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn found(ips: &[&str]) -> Found {
    Found::Addresses(ips.iter().map(|ip| ip.parse::<IpAddr>().expect("an address")).collect())
}

#[tokio::test]
async fn lookups_say_what_the_resolver_says_and_for_how_long() {
    let scripted = Scripted::start().await;
    let client = scripted.client();
    let failed = |reason: &str| Found::Failed(reason.to_owned());
    for (host, v4, v6, ttl) in [
        ("both.test", found(&["192.0.2.2", "192.0.2.1"]), found(&["2001:db8::1"]), Some(30)),
        ("alias.test", found(&["192.0.2.1"]), found(&["2001:db8::1"]), Some(7)),
        ("four.test", found(&["192.0.2.1"]), Found::Nothing, Some(60)),
        ("none.test", Found::Nothing, Found::Nothing, Some(5)),
        ("gone.test", Found::NoSuchName, Found::NoSuchName, Some(9)),
        ("half.test", found(&["192.0.2.1"]), failed("the resolver answers SERVFAIL"), Some(60)),
        (
            "broken.test",
            failed("the resolver answers SERVFAIL"),
            failed("the resolver answers REFUSED"),
            None,
        ),
    ] {
        let (lookup, good_for) = client.look_up(&name(host)).await;
        assert_eq!(lookup, Lookup { v4, v6 }, "{host}");
        assert_eq!(good_for, ttl.map(Duration::from_secs), "{host}");
    }
}

#[tokio::test]
async fn nothing_is_kept_between_two_lookups() {
    let scripted = Scripted::start().await;
    let client = scripted.client();
    for _ in 0..3 {
        client.look_up(&name("both.test")).await;
        client.look_up(&name("gone.test")).await;
    }
    assert_eq!((scripted.count("both.test A"), scripted.count("gone.test AAAA")), (3, 3));
}

// Nothing happens but that time passes.
#[tokio::test(start_paused = true)]
async fn nobody_there_is_a_failure() {
    // Bound and let go of: nothing listens there.
    let nobody = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = nobody.local_addr().expect("it is bound");
    drop(nobody);
    let (client, name) = (Client::new(vec![address]), name("both.test"));
    let (lookup, good_for) = timeout(PATIENCE, client.look_up(&name)).await.expect("it ends");
    assert!(matches!(lookup, Lookup { v4: Found::Failed(_), v6: Found::Failed(_) }), "{lookup:?}");
    assert_eq!(good_for, None);
}

#[tokio::test]
async fn names_are_asked_for_again_when_their_ttl_is_over() {
    let scripted = Scripted::start().await;
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut resolver = Resolver::new(vec![scripted.address], sender, Handle::current());
    let (quick, both) = (name("quick.test"), name("both.test"));
    resolver.resolve([&quick, &both]);
    let mut finished = Vec::new();
    while finished.len() < 3 {
        let answer = timeout(PATIENCE, answers.recv()).await.expect("in time").expect("it is not over");
        if answer.name == quick {
            assert_eq!(answer.lookup.v4, found(&["192.0.2.1"]));
            finished.push(answer.finished);
        }
    }
    assert!(finished.is_sorted_by(|one, next| *next >= *one + Duration::from_secs(1)), "{finished:?}");
    // The other type's denial is good for an hour, and is asked for with the rest.
    assert!(scripted.count("quick.test AAAA") >= 3);
    assert_eq!(scripted.count("both.test A"), 1);

    // What is not to be resolved any more is not asked for; what stays is not asked for anew.
    resolver.resolve([&both]);
    assert_eq!(resolver.running.len(), 1);
    resolver.resolve([&both, &name("four.test")]);
    loop {
        let answer = timeout(PATIENCE, answers.recv()).await.expect("in time").expect("it is not over");
        if answer.name == name("four.test") {
            break;
        }
    }
    assert_eq!(scripted.count("both.test A"), 1);
}
