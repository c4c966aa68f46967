//! What we reply hickory reads to what the zone says.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};
use proptest::prelude::*;
use rhumb::dns::Rtype;

use crate::any::any_edns;
use crate::world::{self, TCP, UDP};
use crate::{TABLE, ask, name, query, read, subnet_of};

#[test]
fn replies_say_what_the_zone_says() {
    let mut worker = world::worker(&TABLE);
    let without_comments: Vec<&str> =
        include_str!("replies.txt").lines().filter(|line| !line.starts_with('#')).collect();
    let without_comments = without_comments.join("\n");
    let mut checked = 0;
    for case in without_comments.split("\n\n").map(str::trim).filter(|case| !case.is_empty()) {
        let mut expected = case.lines().map(str::trim);
        let question = expected.next().expect("a question");
        let expected: Vec<&str> = expected.collect();
        let (owner, rtype) = question.split_once(' ').expect("a name and a type");
        let rtype: RecordType = rtype.parse().expect("a type");
        for owner in [owner.to_owned(), mixed_case(owner)] {
            let sent = query(7, name(&owner), rtype, None).to_vec().expect("the oracle can write it");
            let reply = ask(&TABLE, &mut worker, UDP, &sent).expect("a reply");
            // Names in the records point at the question's, with its letters.
            let [found, expected] = [lines(&read(&reply)).join("\n"), expected.join("\n")];
            assert_eq!(found.to_lowercase(), expected.to_lowercase(), "{owner} {rtype}");
            assert_eq!(reply[12..sent.len()], sent[12..], "the question comes back as it was asked");
            assert_compressed(&reply, expected.contains("authority"));
        }
        checked += 1;
    }
    assert!(checked > 40, "{checked} questions were asked");
}

/// `text` with every other letter in capitals, as resolvers do to make forging harder.
fn mixed_case(text: &str) -> String {
    text.char_indices().map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect()
}
/// Writes a reply in lines: `CODE flags`, then records with the letter of their section.
fn lines(message: &Message) -> Vec<String> {
    let flags = [
        (message.authoritative, " aa"),
        (message.truncation, " tc"),
        (message.recursion_available, " ra"),
        (message.authentic_data, " ad"),
    ];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
    let mut lines = vec![format!("{:?}{flags}", message.response_code)];
    let sections =
        [("", &message.answers), ("authority ", &message.authorities), ("additional ", &message.additionals)];
    for (section, records) in sections {
        let mut records: Vec<String> =
            records.iter().map(|record| format!("{section}{}", text(record))).collect();
        // Which address comes first is for other tests.
        if section.is_empty()
            && records.windows(2).all(|two| two[0].split(' ').nth(3) == two[1].split(' ').nth(3))
        {
            records.sort();
        }
        lines.extend(records);
    }
    lines
}
/// A record in presentation form.
fn text(record: &Record) -> String {
    match &record.data {
        // The oracle knows DNAME only as a type, not what its data is.
        RData::Unknown { code: RecordType::DNAME, rdata } => {
            let target = Name::read(&mut BinDecoder::new(&rdata.anything)).expect("a name");
            format!("{} {} IN DNAME {target}", record.name, record.ttl)
        }
        _ => record.to_string(),
    }
}
/// The oracle compresses as well; it must not come out shorter. A SOA in the authority section is
/// compressed against the zone's apex, not against what the question has in front of it: where the
/// question is about the SOA's own server, that costs the server's first label.
fn assert_compressed(reply: &[u8], has_authority: bool) {
    let rewritten = read(reply).to_vec().expect("the oracle can write it");
    let is_about_the_server = reply[12..].starts_with(b"\x03ns1") && has_authority;
    let allowed = rewritten.len() + if is_about_the_server { b"\x03ns1".len() } else { 0 };
    assert!(
        reply.len() <= allowed,
        "{} octets, the oracle needs {}: {reply:?}",
        reply.len(),
        rewritten.len()
    );
}

#[test]
fn every_rrset_of_the_zone_comes_back_whole() {
    let mut worker = world::worker(&TABLE);
    let plan = world::plan(0);
    let mut checked = 0;
    for rrset in plan.zones.iter().flat_map(|zone| &zone.rrsets) {
        let owner = name(&format!("{}.", rrset.owner));
        // Below the cut all but DS is another server's to answer.
        if name("child.ai.example.").zone_of(&owner) && rrset.rtype != Rtype::DS {
            continue;
        }
        let rtype = RecordType::from(rrset.rtype.0);
        let sent = query(1, owner.clone(), rtype, None).to_vec().expect("the oracle can write it");
        let reply = ask(&TABLE, &mut worker, TCP, &sent).expect("a reply");
        let message = read(&reply);
        let answers =
            message.answers.iter().filter(|record| record.record_type() == rtype && record.name == owner);
        let found: Vec<(u32, &RData)> = answers.map(|record| (record.ttl, &record.data)).collect();
        let expected: Vec<RData> = rrset
            .rdata
            .iter()
            .map(|octets| {
                let length = Restrict::new(u16::try_from(octets.len()).expect("data of a record"));
                RData::read(&mut BinDecoder::new(octets), rtype, length)
                    .expect("the oracle reads the zone's data")
            })
            .collect();
        assert_eq!(
            found,
            expected.iter().map(|data| (rrset.ttl, data)).collect::<Vec<_>>(),
            "{owner} {rtype}"
        );
        assert!(message.answers.iter().all(|record| record.dns_class == DNSClass::IN));
        // No pointers where a resolver need not understand them (RFC 3597 section 4).
        if ![RecordType::NS, RecordType::CNAME, RecordType::SOA, RecordType::MX].contains(&rtype) {
            for octets in &rrset.rdata {
                let is_verbatim = reply.windows(octets.len()).any(|window| window == &octets[..]);
                assert!(is_verbatim, "{owner} {rtype}");
            }
        }
        checked += 1;
    }
    assert!(checked > 25, "{checked} RRsets were looked at");
}

#[test]
fn the_other_headers_of_a_reply_are_the_querys() {
    let mut worker = world::worker(&TABLE);
    for bits in 0..8 {
        let mut sent = query(0x1234 + bits, name("www.ai.example."), RecordType::A, None);
        sent.metadata.recursion_desired = bits & 1 != 0;
        sent.metadata.checking_disabled = bits & 2 != 0;
        sent.metadata.authentic_data = bits & 4 != 0;
        let octets = sent.to_vec().expect("the oracle can write it");
        let reply = read(&ask(&TABLE, &mut worker, UDP, &octets).expect("a reply"));
        assert_eq!((reply.id, reply.message_type), (sent.id, MessageType::Response));
        assert_eq!(reply.recursion_desired, sent.recursion_desired);
        assert_eq!(reply.checking_disabled, sent.checking_disabled);
        assert!(!reply.authentic_data && !reply.recursion_available);
        assert!(reply.edns.is_none(), "EDNS is for those who sent it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn edns_is_answered_with_edns(edns in any_edns(), host in "(www|drawn|none|child|huge)") {
        let table = &*TABLE;
        let mut worker = world::worker(table);
        let owner = name(&format!("{host}.ai.example."));
        let sent = query(1, owner, RecordType::A, Some(edns.clone())).to_vec().expect("the oracle can write it");
        let reply = read(&ask(table, &mut worker, UDP, &sent).expect("a reply"));
        let replied = reply.edns.expect("EDNS in return");
        prop_assert_eq!((replied.version(), replied.max_payload(), replied.rcode_high()), (0, 1232, 0));
        prop_assert_eq!(replied.flags().dnssec_ok, edns.flags().dnssec_ok);
        let (asked, told) = (subnet_of(&edns), subnet_of(&replied));
        let prefix = |subnet: ClientSubnet| (subnet.addr(), subnet.source_prefix());
        prop_assert_eq!(told.map(prefix), asked.map(prefix));
        if let Some(told) = told {
            let bits = if told.addr().is_ipv4() { 32 } else { 128 };
            prop_assert!(told.scope_prefix() <= bits);
            // Only the choice between two places needs the client's.
            prop_assert!(host == "www" || told.scope_prefix() == 0, "{}: {}", host, told.scope_prefix());
            prop_assert!(told.source_prefix() > 0 || told.scope_prefix() == 0);
        }
        // Options that were not understood are not for us to send back.
        prop_assert_eq!(replied.options().as_ref().len(), usize::from(told.is_some()));
    }
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let mut worker = world::worker(&TABLE);
    let offering = |payload| {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(
            IpAddr::from([203, 0, 113, 0]),
            24,
            0,
        )));
        edns
    };
    for (host, edns, is_truncated) in [
        ("ns1", None, false),
        ("large", None, true),
        ("large", Some(offering(512)), true),
        ("large", Some(offering(600)), true),
        ("large", Some(offering(1232)), false),
        ("huge", Some(offering(1232)), true),
        ("huge", Some(offering(65_535)), true),
        ("huge", None, true),
    ] {
        let rtype = if host == "ns1" { RecordType::A } else { RecordType::TXT };
        let owner = name(&mixed_case(&format!("{host}.ai.example.")));
        let sent = query(1, owner, rtype, edns.clone()).to_vec().expect("the oracle can write it");
        let by_udp = ask(&TABLE, &mut worker, UDP, &sent).expect("a reply");
        let message = read(&by_udp);
        let case = format!("{host}, {:?}", edns.as_ref().map(Edns::max_payload));
        assert_eq!(message.truncation, is_truncated, "{case}");
        assert_eq!(message.answers.is_empty(), is_truncated, "{case}");
        assert!(message.authorities.is_empty() && message.additionals.is_empty(), "{case}");
        assert_eq!(message.edns.is_some(), edns.is_some(), "{case}");
        assert_eq!(message.queries.len(), 1, "{case}");
        let by_tcp = read(&ask(&TABLE, &mut worker, TCP, &sent).expect("a reply"));
        assert!(!by_tcp.truncation, "{case}");
        let counted = match host {
            "ns1" => 1,
            "large" => 3,
            _ => 7,
        };
        assert_eq!(by_tcp.answers.len(), counted, "{case}");
    }
}

#[test]
fn every_octet_that_the_client_offers_is_used_and_no_more() {
    let mut worker = world::worker(&TABLE);
    let sent = |payload| {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        let subnet = ClientSubnet::new(IpAddr::from([203, 0, 113, 0]), 24, 0);
        edns.options_mut().insert(EdnsOption::Subnet(subnet));
        let query = query(1, name("large.ai.example."), RecordType::TXT, Some(edns));
        query.to_vec().expect("the oracle can write it")
    };
    let whole = ask(&TABLE, &mut worker, TCP, &sent(512)).expect("a reply").len();
    assert!((513..1232).contains(&whole), "{whole} octets are no case between the two limits");
    for payload in 512..=1232 {
        let reply = ask(&TABLE, &mut worker, UDP, &sent(payload)).expect("a reply");
        let fits = whole <= usize::from(payload);
        assert_eq!((read(&reply).truncation, reply.len() == whole), (!fits, fits), "{payload} offered");
    }
}
