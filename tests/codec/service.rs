//! What a server says of itself and how it guards itself: cookies, rate limit, identifiers,
//! extended errors. Time is what the tests say it is.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::DNSClass;
use proptest::prelude::*;
use rhumb::dns::{MAX_NSID, Name, Rtype, query_message};
use rhumb::plan::PoolId;
use rhumb::routing::{
    Client, CookieSecrets, Counter, Counters, RateLimit, RoutingTable, Service, Transport, Worker,
};

use crate::world::{self, TCP, UDP};
use crate::{ask, read};

const NSID: u16 = 3;
const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const EXTENDED_ERROR: u16 = 15;

/// The world of all tests here, with cookies.
static TABLE: LazyLock<RoutingTable> = LazyLock::new(|| world::with_cookies(&crate::TABLE));

/// Some moment.
const NOW: u32 = 1_700_000_000;

const HOST: &str = "www.ai.example";
const ELSEWHERE: &str = "elsewhere.net";

/// A query with EDNS and these options.
fn asking(host: &str, rtype: Rtype, options: &[(u16, &[u8])]) -> Vec<u8> {
    let name: Name = host.parse().expect("a name");
    with_options(query_message(1, &name, rtype, None), options)
}

/// A query that asks nothing, with EDNS and these options.
fn asking_nothing(options: &[(u16, &[u8])]) -> Vec<u8> {
    let query = query_message(1, &Name::root(), Rtype::A, None);
    let without_question = [&query[..4], &[0, 0], &query[6..12], &query[17..]].concat();
    with_options(without_question, options)
}

/// `message`, which ends with an OPT record without options, with these.
fn with_options(mut message: Vec<u8>, options: &[(u16, &[u8])]) -> Vec<u8> {
    let length = message.len() - 2;
    for (code, data) in options {
        message.extend(code.to_be_bytes());
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(*data);
    }
    let octets = (message.len() - length - 2) as u16;
    message[length..length + 2].copy_from_slice(&octets.to_be_bytes());
    message
}

fn worker(service: Service) -> Worker {
    let mut worker = world::worker(&TABLE).with_service(Arc::new(service));
    worker.tick(NOW);
    worker
}

fn reply(worker: &mut Worker, client: Client, query: &[u8]) -> Message {
    reply_from(&TABLE, worker, client, query)
}

fn reply_from(table: &RoutingTable, worker: &mut Worker, client: Client, query: &[u8]) -> Message {
    read(&ask(table, worker, client, query).expect("a reply"))
}

fn code(message: &Message) -> u16 {
    message.response_code.into()
}

const NO_ERROR: u16 = 0;
const FORMERR: u16 = 1;
const REFUSED: u16 = 5;
const BADCOOKIE: u16 = 23;

/// The options of a reply, code and data.
fn options(message: &Message) -> Vec<(u16, Vec<u8>)> {
    let Some(edns) = &message.edns else { return Vec::new() };
    let options = edns.options().as_ref().iter();
    options.map(|(code, option)| (u16::from(*code), option.try_into().expect("octets"))).collect()
}

fn option(message: &Message, code: u16) -> Option<Vec<u8>> {
    options(message).into_iter().find_map(|(found, data)| (found == code).then_some(data))
}

/// The cookie that a client of that address is given.
fn cookie(worker: &mut Worker, client: Client) -> Vec<u8> {
    let given = reply(worker, client, &asking_nothing(&[(COOKIE, b"clientid")]));
    option(&given, COOKIE).expect("a cookie")
}

#[test]
fn cookies_are_given_and_told_apart() {
    let mut worker = worker(world::service());
    for client in [UDP, TCP] {
        let first = reply(&mut worker, client, &asking(HOST, Rtype::A, &[(COOKIE, b"clientid")]));
        assert_eq!((code(&first), first.answers.len()), (NO_ERROR, 2), "the first answer costs nothing more");
        let cookie = option(&first, COOKIE).expect("a cookie");
        assert_eq!((cookie.len(), &cookie[..8]), (24, &b"clientid"[..]));
        let second = reply(&mut worker, client, &asking(HOST, Rtype::A, &[(COOKIE, &cookie)]));
        assert_eq!(option(&second, COOKIE), Some(cookie), "what is good is kept");
        // Without need, who has a bad cookie is answered as who has none (RFC 7873 section 5.2.3).
        let bad = reply(&mut worker, client, &asking(HOST, Rtype::A, &[(COOKIE, b"clientidsomething else")]));
        assert_eq!((code(&bad), bad.answers.len()), (NO_ERROR, 2));
        assert!(option(&bad, COOKIE).is_some());
    }
    let plain = reply(&mut worker, UDP, &asking(HOST, Rtype::A, &[]));
    assert_eq!(options(&plain), [], "cookies are for those who have some");
    for length in (0..=64).filter(|length| *length != 8 && !(16..=40).contains(length)) {
        let malformed = asking(HOST, Rtype::A, &[(COOKIE, &vec![7; length])]);
        let reply = reply(&mut worker, UDP, &malformed);
        assert_eq!(code(&reply), FORMERR, "{length} octets (RFC 7873 section 5.2.2)");
        assert!(reply.edns.is_some(), "EDNS is answered with EDNS (RFC 6891 section 6.1.1)");
    }
}

#[test]
fn a_cookie_can_be_asked_for_alone() {
    let mut worker = worker(world::service());
    let good = cookie(&mut worker, UDP);
    let mut forged = good.clone();
    forged[20] ^= 1;
    for (options, rcode) in [
        (&[(COOKIE, &b"clientid"[..])][..], NO_ERROR),
        (&[(COOKIE, &good)], NO_ERROR),
        (&[(COOKIE, &forged)], BADCOOKIE),
        (&[], FORMERR),
        (&[(NSID, b"")], FORMERR),
    ] {
        let reply = reply(&mut worker, UDP, &asking_nothing(options));
        assert_eq!(code(&reply), rcode, "{options:?}");
        assert_eq!(reply.queries.len() + reply.answers.len() + reply.authorities.len(), 0);
        let has_cookie = options.iter().any(|(code, _)| *code == COOKIE);
        assert_eq!(option(&reply, COOKIE).is_some(), has_cookie, "{options:?}");
    }
    let without = reply_from(&crate::TABLE, &mut worker, UDP, &asking_nothing(&[(COOKIE, b"clientid")]));
    assert_eq!(
        (code(&without), options(&without)),
        (FORMERR, vec![]),
        "who has no cookies knows no such query"
    );
}

#[test]
fn servers_that_share_a_secret_accept_each_others_cookies_and_no_other_address_does() {
    let cookie = cookie(&mut worker(world::service()), UDP);
    let confirmed = |table: &RoutingTable, client, now| {
        let mut worker = worker(world::service());
        worker.tick(now);
        code(&reply_from(table, &mut worker, client, &asking_nothing(&[(COOKIE, &cookie)])))
    };
    let with = |current, further: &[[u8; 16]]| {
        TABLE.with_cookies(Some(CookieSecrets::new(current, further))).expect("others")
    };
    let neighbour = Client { address: [113, 160, 0, 2].into(), ..UDP };
    assert_eq!(confirmed(&world::with_cookies(&crate::TABLE), UDP, NOW), NO_ERROR);
    assert_eq!(confirmed(&TABLE, neighbour, NOW), BADCOOKIE);
    assert_eq!(confirmed(&TABLE, UDP, NOW + 3601), BADCOOKIE, "after an hour");
    assert_eq!(confirmed(&with([8; 16], &[]), UDP, NOW), BADCOOKIE);
    assert_eq!(confirmed(&with([8; 16], &[[7; 16]]), UDP, NOW), NO_ERROR, "that of before");
    // Secrets stay when the health of a site turns, and when the configuration is read anew.
    let flipped = TABLE.with_up(PoolId(0), |_| false);
    assert_eq!(confirmed(&flipped, UDP, NOW), NO_ERROR);
    assert_eq!(confirmed(&world::table(0).following(&TABLE), UDP, NOW), NO_ERROR);
}

/// Longer than any network stays in debt.
const FLOOD_SECONDS: u32 = 20;

/// A flood of `query` from one address, so many a second: octets out over octets in.
fn amplification(query: &[u8], per_second: usize) -> f64 {
    let nsid = Some("n".repeat(MAX_NSID));
    let mut worker = worker(Service { nsid, ..world::limited(200) });
    let mut out = 0;
    for second in 0..FLOOD_SECONDS {
        worker.tick(NOW + second);
        out += (0..per_second)
            .filter_map(|_| ask(&TABLE, &mut worker, UDP, query))
            .map(|reply| reply.len())
            .sum::<usize>();
    }
    out as f64 / (FLOOD_SECONDS as usize * per_second * query.len()) as f64
}

#[test]
fn a_flood_is_not_amplified() {
    for (what, query) in [
        ("an answer", asking(HOST, Rtype::A, &[])),
        ("a large answer", asking("large.ai.example", Rtype::TXT, &[])),
        ("with identifier", asking(HOST, Rtype::A, &[(NSID, b"")])),
        ("with cookies", asking(HOST, Rtype::A, &[(COOKIE, b"clientid")])),
        (
            "with cookies and identifier",
            asking("ai.example", Rtype::MX, &[(COOKIE, b"clientid"), (NSID, b"")]),
        ),
        ("with bad cookies", asking(HOST, Rtype::A, &[(COOKIE, &[7; 24])])),
        ("with a subnet", asking(HOST, Rtype::A, &[(SUBNET, &[0, 1, 24, 0, 113, 160, 0])])),
        ("no such name", asking("nothing.ai.example", Rtype::A, &[])),
        ("a referral", asking("x.child.ai.example", Rtype::A, &[])),
        ("REFUSED", asking(ELSEWHERE, Rtype::A, &[])),
        ("REFUSED with identifier", asking(".", Rtype::A, &[(NSID, b"")])),
        ("REFUSED with cookies", asking(".", Rtype::A, &[(COOKIE, b"clientid")])),
        ("FORMERR", asking(HOST, Rtype::A, &[(COOKIE, b"")])),
        ("nothing but cookies", asking_nothing(&[(COOKIE, b"clientid")])),
        ("nothing but cookies, with identifier", asking_nothing(&[(COOKIE, b"clientid"), (NSID, b"")])),
        ("nothing at all, with identifier", asking_nothing(&[(NSID, b"")])),
    ] {
        for per_second in [1_000, 4_000] {
            let factor = amplification(&query, per_second);
            assert!(factor <= 1.4, "{what}, {per_second} a second: {factor:.2}");
        }
    }
}

#[test]
fn many_names_of_one_source_are_one_flood() {
    let mut worker = worker(world::limited(10));
    for (host, rtype) in
        [("nothing", Rtype::A), ("wild", Rtype::TXT), ("child", Rtype::A), ("apps", Rtype::A)]
    {
        let answered = (0..1000).filter(|number| {
            let query = asking(&format!("x{number}.{host}.ai.example"), rtype, &[]);
            let reply = ask(&TABLE, &mut worker, UDP, &query);
            reply.is_some_and(|reply| !read(&reply).truncation)
        });
        assert!(answered.count() <= 10, "below {host}");
    }
}

#[test]
fn honest_clients_notice_nothing_of_a_flood_in_their_name() {
    let counters = Arc::<Counters>::default();
    let mut worker = Worker::new(1, counters.clone()).with_service(Arc::new(world::limited(10)));
    worker.prepare(&TABLE);
    worker.tick(NOW);
    let plain = asking(HOST, Rtype::A, &[]);
    let is_answered = |message: &Message| code(message) == NO_ERROR && message.answers.len() == 2;
    let neighbour = Client { address: [113, 160, 0, 77].into(), transport: Transport::Udp };
    let mut known = cookie(&mut worker, neighbour);
    let with_cookie = |cookie: &[u8]| asking(HOST, Rtype::A, &[(COOKIE, cookie)]);
    let (mut slipped, mut silent) = (0, 0);
    // Longer than a cookie is good for.
    for second in 0..4000 {
        worker.tick(NOW + second);
        for _ in 0..20 {
            match ask(&TABLE, &mut worker, UDP, &plain) {
                Some(reply) if read(&reply).truncation => slipped += 1,
                Some(_) => assert!(second < 2, "{second}"),
                None => silent += 1,
            }
        }
        // Of the same network: by TCP, with a cookie that is renewed as it ages, and elsewhere.
        assert!(is_answered(&reply(&mut worker, Client { transport: Transport::Tcp, ..neighbour }, &plain)));
        let answered = reply(&mut worker, neighbour, &with_cookie(&known));
        assert!(is_answered(&answered), "after {second} s");
        known = option(&answered, COOKIE).expect("a cookie");
        let elsewhere = Client { address: [113, 160, 1, 1].into(), transport: Transport::Udp };
        assert!(is_answered(&reply(&mut worker, elsewhere, &plain)));
    }
    assert!(slipped > 39_000 && silent > 39_000, "{slipped} slipped, {silent} silent");
    assert_eq!(counters.limited_slipped.read(), slipped);
    assert_eq!(counters.limited_withheld.read(), silent);
    assert_eq!(counters.truncated.read(), slipped);

    // A client with cookies that is new gets one, if not at once then when it asks again, with which it
    // is answered.
    let told = (0..2).find_map(|_| ask(&TABLE, &mut worker, UDP, &with_cookie(b"clientid")));
    let told = read(&told.expect("every second is told"));
    assert_eq!((code(&told), told.answers.len()), (BADCOOKIE, 0));
    assert_eq!(counters.limited_bad_cookie.read(), 1);
    let given = option(&told, COOKIE).expect("a cookie");
    assert!(is_answered(&reply(&mut worker, UDP, &with_cookie(&given))));
    // Who is exempt is answered as often as it asks.
    let exempt = Client { address: [10, 0, 0, 1].into(), transport: Transport::Udp };
    for _ in 0..1000 {
        assert!(is_answered(&reply(&mut worker, exempt, &plain)));
    }
}

#[test]
fn a_cookie_that_is_not_good_earns_a_flood_no_more_replies() {
    for (slip, replies) in [(0, 0), (1, 1000), (2, 500), (10, 100)] {
        for cookie in [&b"clientid"[..], &[7; 24], &[7; 40]] {
            let counters = Arc::<Counters>::default();
            let limit = RateLimit { replies_per_second: 1, slip, exempt: Vec::new() };
            let service = Service { rate_limit: Some(limit), ..world::service() };
            let mut worker = Worker::new(1, counters.clone()).with_service(Arc::new(service));
            worker.prepare(&TABLE);
            worker.tick(NOW);
            let query = asking(HOST, Rtype::A, &[(COOKIE, cookie)]);
            assert_eq!(code(&reply(&mut worker, UDP, &query)), NO_ERROR);
            let sent: Vec<Vec<u8>> =
                (0..1000).filter_map(|_| ask(&TABLE, &mut worker, UDP, &query)).collect();
            let counted =
                [&counters.limited_bad_cookie, &counters.limited_withheld, &counters.limited_slipped];
            assert_eq!(counted.map(Counter::read), [replies, 1000 - replies, 0], "slip {slip}");
            assert_eq!(sent.len() as u64, replies);
            for reply in sent {
                assert_eq!(code(&read(&reply)), BADCOOKIE);
                // The client's cookie of 8 octets comes back as one of 24.
                assert_eq!(reply.len() + cookie.len(), query.len() + 24);
            }
        }
    }
}

#[test]
fn a_cookie_can_be_had_in_the_middle_of_a_flood() {
    let mut worker = worker(world::limited(1));
    let query = asking_nothing(&[(COOKIE, b"clientid")]);
    let replies: Vec<Message> =
        (0..101).filter_map(|_| ask(&TABLE, &mut worker, UDP, &query)).map(|reply| read(&reply)).collect();
    assert_eq!(replies.len(), 51, "the first, and every second of the others");
    let good = option(&replies[50], COOKIE).expect("a cookie");
    assert_eq!(code(&reply(&mut worker, UDP, &asking_nothing(&[(COOKIE, &good)]))), NO_ERROR);
}

#[test]
fn the_identifier_is_for_those_who_ask() {
    let mut worker = worker(world::service());
    let identifier = |message: &Message| option(message, NSID);
    for host in [HOST, "nothing.ai.example", ELSEWHERE] {
        let asked = reply(&mut worker, UDP, &asking(host, Rtype::A, &[(NSID, b"")]));
        assert_eq!(identifier(&asked).as_deref(), Some(&b"site-1"[..]), "{host}");
        assert_eq!(identifier(&reply(&mut worker, UDP, &asking(host, Rtype::A, &[]))), None);
    }
    let silent = reply(&mut self::worker(Service::default()), UDP, &asking(HOST, Rtype::A, &[(NSID, b"")]));
    assert_eq!(options(&silent), []);
}

#[test]
fn keepalive_is_for_connections() {
    let mut worker = worker(world::service());
    let asked = asking(HOST, Rtype::A, &[(KEEPALIVE, b"")]);
    let by_tcp = reply(&mut worker, TCP, &asked);
    assert_eq!(options(&by_tcp), [(KEEPALIVE, vec![0, 100])], "10 s in units of 100 ms");
    assert_eq!(options(&reply(&mut worker, UDP, &asked)), []);
    assert_eq!(options(&reply(&mut worker, TCP, &asking(HOST, Rtype::A, &[]))), []);
}

#[test]
fn padding_and_unknown_options_are_ignored() {
    let mut worker = worker(world::service());
    for client in [UDP, TCP] {
        let query = asking(HOST, Rtype::A, &[(PADDING, &[0; 100]), (65_001, b"whatever"), (4, b"")]);
        let reply = reply(&mut worker, client, &query);
        assert_eq!((code(&reply), options(&reply)), (NO_ERROR, vec![]));
    }
}

/// A query of class CHAOS.
fn chaos(host: &str, rtype: Rtype) -> Vec<u8> {
    let mut query = asking(host, rtype, &[]);
    let class = query.len() - 11 - 1;
    query[class] = 3;
    query
}

#[test]
fn a_server_can_be_asked_about_itself() {
    let said = |service: Service, host: &str, rtype| {
        let reply = reply(&mut worker(service), UDP, &chaos(host, rtype));
        assert!(reply.answers.iter().all(|record| record.dns_class == DNSClass::CH && record.ttl == 0));
        let texts: Vec<String> = reply.answers.iter().map(|record| record.data.to_string()).collect();
        (code(&reply), texts.join(" "))
    };
    let refused = (REFUSED, String::new());
    for (host, text) in [
        ("version.bind", "rhumb"),
        ("VERSION.BIND", "rhumb"),
        ("version.server", "rhumb"),
        ("id.server", "ns1.site-1"),
        ("hostname.bind", "ns1.site-1"),
    ] {
        assert_eq!(said(world::service(), host, Rtype::TXT), (NO_ERROR, text.to_owned()), "{host}");
        assert_eq!(said(world::service(), host, Rtype::ANY), (NO_ERROR, text.to_owned()), "{host}");
        assert_eq!(said(world::service(), host, Rtype::A), refused, "{host}");
        assert_eq!(said(Service::default(), host, Rtype::TXT), refused, "{host}");
    }
    assert_eq!(said(world::service(), "authors.bind", Rtype::TXT), refused);
    assert_eq!(said(world::service(), HOST, Rtype::TXT), refused, "zones are of class IN");
}

#[test]
fn refusals_say_why_and_are_no_larger_than_what_is_refused() {
    let mut worker = worker(world::service());
    let why = |message: &Message| {
        let data = option(message, EXTENDED_ERROR)?;
        Some((u16::from_be_bytes([data[0], data[1]]), String::from_utf8_lossy(&data[2..]).into_owned()))
    };
    for (query, rcode, reason) in [
        (asking(ELSEWHERE, Rtype::A, &[]), ResponseCode::Refused, 20),
        (asking(".", Rtype::NS, &[]), ResponseCode::Refused, 20),
        (asking("ai.example", Rtype::AXFR, &[]), ResponseCode::Refused, 18),
        (asking("ai.example", Rtype::IXFR, &[]), ResponseCode::Refused, 18),
        (asking("ai.example", Rtype(250), &[]), ResponseCode::NotImp, 21),
        (
            {
                let mut hesiod = chaos(HOST, Rtype::TXT);
                let class = hesiod.len() - 12;
                hesiod[class] = 4;
                hesiod
            },
            ResponseCode::Refused,
            21,
        ),
    ] {
        for client in [UDP, TCP] {
            let sent = ask(&TABLE, &mut worker, client, &query).expect("a reply");
            let told = read(&sent);
            assert_eq!((told.response_code, why(&told)), (rcode, Some((reason, String::new()))));
            assert_eq!(sent.len(), query.len() + 6, "the reason and no more");
            // Without EDNS there is no place for reasons.
            let mut plain = query[..query.len() - 11].to_vec();
            plain[11] = 0;
            let sent = ask(&TABLE, &mut worker, client, &plain).expect("a reply");
            assert_eq!(sent.len(), plain.len());
        }
    }
}

#[test]
fn refusals_are_longer_by_what_was_asked_for_and_beyond_the_rate_by_nothing() {
    let identifier = "n".repeat(64);
    let service = Service { nsid: Some(identifier.clone()), ..world::limited(4) };
    let mut worker = worker(service);
    for (options, longer) in [
        (&[][..], 0),
        (&[(NSID, &b""[..])], identifier.len()),
        (&[(COOKIE, b"clientid")], 16),
        (&[(COOKIE, b"clientid"), (NSID, b"")], 16 + identifier.len()),
    ] {
        let query = asking(ELSEWHERE, Rtype::A, options);
        let refused = ask(&TABLE, &mut worker, UDP, &query).expect("it is within the rate");
        assert_eq!(code(&read(&refused)), REFUSED);
        assert_eq!(refused.len(), query.len() + 6 + longer, "{options:?}: the reason and what was asked for");
    }
    let query = asking(ELSEWHERE, Rtype::A, &[(COOKIE, b"clientid"), (NSID, b"")]);
    let beyond: Vec<Vec<u8>> = (0..100).filter_map(|_| ask(&TABLE, &mut worker, UDP, &query)).collect();
    assert_eq!(beyond.len(), 50, "every second");
    for refused in beyond {
        assert_eq!((code(&read(&refused)), options(&read(&refused))), (REFUSED, vec![]));
        assert!(refused.len() < query.len());
    }
}

#[test]
fn an_answer_from_sites_that_are_all_down_says_so() {
    let mut down = TABLE.clone();
    for pool in 0..down.pool_count() {
        down = down.with_up(PoolId(pool as u32), |_| false);
    }
    let mut worker = worker(world::service());
    let answer = read(&ask(&down, &mut worker, UDP, &asking(HOST, Rtype::A, &[])).expect("a reply"));
    assert_eq!((code(&answer), answer.answers.len()), (NO_ERROR, 2));
    let why = option(&answer, EXTENDED_ERROR).expect("a reason");
    assert_eq!((&why[..2], &why[2..]), (&[0, 0][..], &b"no address is healthy: answering with all"[..]));
    assert_eq!(options(&reply(&mut worker, UDP, &asking(HOST, Rtype::A, &[]))), []);
}

#[test]
fn what_is_no_query_is_refused_cleanly() {
    let mut worker = worker(world::service());
    // IQUERY, STATUS, NOTIFY, UPDATE, DSO and what has no name. Whoever speaks EDNS is replied to
    // in it; where the sections are not those of a query, nobody can tell.
    for opcode in 1..16u8 {
        let mut message = asking("ai.example", Rtype::SOA, &[(COOKIE, b"clientid")]);
        message[2] = opcode << 3;
        let sent = ask(&TABLE, &mut worker, UDP, &message).expect("a reply");
        assert_eq!((sent[2], sent[3]), (0x80 | opcode << 3, 4), "NOTIMP");
        assert_eq!(sent[12..], [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0], "an OPT record and nothing else");
        let question = message.iter().position(|&octet| octet == 2).expect("the length of ai");
        message[question] = 63;
        let sent = ask(&TABLE, &mut worker, UDP, &message).expect("a reply");
        assert_eq!((sent.len(), sent[2], sent[3]), (12, 0x80 | opcode << 3, 4), "NOTIMP alone");
    }
    for (count, at) in [(2, 5), (1, 7)] {
        let mut message = asking("ai.example", Rtype::SOA, &[]);
        message[at] = count;
        assert_eq!(code(&reply(&mut worker, UDP, &message)), FORMERR);
    }
}

#[test]
fn names_at_their_limits_are_answered_and_beyond_malformed() {
    let mut worker = worker(world::service());
    let longest = [&[63; 64][..], &[63; 64], &[63; 64], &[61; 62], &[0]].concat();
    assert_eq!(longest.len(), 255);
    let ask_for = |worker: &mut Worker, wire: &[u8]| {
        let query = asking(".", Rtype::A, &[]);
        let query = [&query[..12], wire, &query[13..]].concat();
        code(&reply(worker, UDP, &query))
    };
    assert_eq!(ask_for(&mut worker, &longest), REFUSED);
    let deepest = [[1, b'a'].repeat(127), vec![0]].concat();
    assert_eq!(ask_for(&mut worker, &deepest), REFUSED);
    for (wire, why) in [
        ([&[63; 64][..], &[63; 64], &[63; 64], &[62; 63], &[0]].concat(), "256 octets"),
        ([[1, b'a'].repeat(128), vec![0]].concat(), "128 labels"),
        ([&[64; 65][..], &[0]].concat(), "a label of 64 octets"),
        (vec![0xc0, 12], "a pointer to itself"),
        (vec![1, b'a', 0xc0, 12], "a pointer backwards"),
        (vec![0x41, b'a', 0], "an extended label"),
    ] {
        assert_eq!(ask_for(&mut worker, &wire), FORMERR, "{why}");
    }
}

proptest! {
    #[test]
    fn every_reply_to_options_fits_and_is_read(
        cookie in prop_oneof![Just(vec![]), proptest::collection::vec(any::<u8>(), 8..=8), proptest::collection::vec(any::<u8>(), 16..=40)],
        nsid in any::<bool>(), keepalive in any::<bool>(), payload in any::<u16>(), by_tcp in any::<bool>(),
        host in "(www|nothing|large|huge|child)\\.ai\\.example|elsewhere\\.net",
    ) {
        let mut sent = Vec::new();
        if !cookie.is_empty() {
            sent.push((COOKIE, &cookie[..]));
        }
        if nsid {
            sent.push((NSID, &[][..]));
        }
        if keepalive {
            sent.push((KEEPALIVE, &[]));
        }
        let mut query = asking(&host, Rtype::TXT, &[]);
        let class = query.len() - 8;
        query[class..class + 2].copy_from_slice(&payload.to_be_bytes());
        let query = with_options(query, &sent);
        let client = if by_tcp { TCP } else { UDP };
        let service = Service { nsid: Some("n".repeat(64)), ..world::service() };
        let octets = ask(&TABLE, &mut worker(service), client, &query).expect("a reply");
        prop_assert!(by_tcp || octets.len() <= usize::from(payload).clamp(512, 1232));
        let reply = read(&octets);
        prop_assert_eq!(option(&reply, COOKIE).is_some(), !cookie.is_empty());
        prop_assert_eq!(option(&reply, NSID).is_some(), nsid);
        prop_assert_eq!(option(&reply, KEEPALIVE).is_some(), keepalive && by_tcp);
    }
}

#[test]
fn families_are_limited_apart() {
    let mut worker = worker(world::limited(1));
    let query = asking(HOST, Rtype::A, &[]);
    for (address, is_answered) in [
        ("192.0.2.1", true),
        ("192.0.2.200", false),
        ("192.0.3.1", true),
        ("2001:db8:0:100::1", true),
        ("2001:db8:0:1ff::1", false),
        ("2001:db8:0:200::1", true),
    ] {
        let address: IpAddr = address.parse().expect("an address");
        let reply = ask(&TABLE, &mut worker, Client { address, transport: Transport::Udp }, &query);
        let found = reply.is_some_and(|reply| !read(&reply).truncation);
        assert_eq!(found, is_answered, "{address}");
    }
}
