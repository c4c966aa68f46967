//! What proves an answer: the examples of the standards.

use std::collections::BTreeSet;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use super::{Client, Plan, RoutingTable, Transport, answer, name, query_message, table, worker, zone};
use crate::dns::{Name, Rrset, Rtype};

/// The zone of RFC 5155 appendix A, whose signatures are none: names, their types, and their hash if they have one.
const EXAMPLE: [(&str, &[Rtype], &str); 13] = [
    ("example", &[Rtype::NS, Rtype::MX, Rtype::DNSKEY], "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
    ("x.y.w.example", &[Rtype::MX], "2vptu5timamqttgl4luu9kg21e0aor3s"),
    ("ns1.example", &[Rtype::A], "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
    ("a.example", &[Rtype::NS, Rtype::DS], "35mthgpgcu1qg68fab165klnsnk3dpvl"),
    ("x.w.example", &[Rtype::MX], "b4um86eghhds6nea196smvmlo4ors995"),
    ("ai.example", &[Rtype::A], "gjeqe526plbf1g8mklp59enfd789njgi"),
    ("y.w.example", &[], "ji6neoaepv8b5o6k4ev33abha8ht9fgc"),
    ("w.example", &[], "k8udemvp1j2f7eg6jebps17vp3n8i58h"),
    ("ns2.example", &[Rtype::A], "q04jkcevqvmu85r014c7dkba38o0ji5r"),
    ("*.w.example", &[Rtype::MX], "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
    ("xx.example", &[Rtype::A], "t644ebqk9bibcna874givr6joj62mlhv"),
    ("c.example", &[Rtype::NS], ""),
    ("alias.example", &[Rtype::CNAME], ""),
];

const PARAMETERS: &[u8] = b"\x01\0\0\x0c\x04\xaa\xbb\xcc\xdd";

fn rrset(owner: &Name, rtype: Rtype, rdata: &[u8]) -> [Rrset; 2] {
    let signature = [&rtype.0.to_be_bytes()[..], &[0; 16], b"\x07example\0signature"].concat();
    let rrset =
        |rtype, rdata: &[u8]| Rrset { owner: owner.clone(), rtype, ttl: 60, rdata: vec![rdata.into()] };
    [rrset(rtype, rdata), rrset(Rtype::RRSIG, &signature)]
}

/// That zone, with hashes or names to deny by.
fn example(has_hashes: bool) -> RoutingTable {
    let apex = name("example");
    let mut rrsets: Vec<Rrset> = Vec::new();
    rrsets.extend(rrset(&apex, Rtype::SOA, &[0; 22]).into_iter().skip(1));
    if has_hashes {
        rrsets.extend(rrset(&apex, Rtype::NSEC3PARAM, PARAMETERS));
    }
    for (text, types, hash) in EXAMPLE {
        let owner = name(text);
        for &rtype in types {
            let rdata: &[u8] = match rtype {
                Rtype::NS => b"\x03ns1\x07example\0",
                Rtype::CNAME => b"\x01z\x01w\x07example\0",
                Rtype::MX => b"\0\0\x02xx\x07example\0",
                _ => &[192, 0, 2, 1],
            };
            let [data, signature] = rrset(&owner, rtype, rdata);
            rrsets.push(data);
            rrsets.extend(Some(signature).filter(|_| rtype != Rtype::NS || owner == apex));
        }
        if has_hashes && !hash.is_empty() {
            // What comes next is for the validator; here it only has to be there.
            let data = [PARAMETERS, &[20], &[0; 20]].concat();
            rrsets.extend(rrset(&name(&format!("{hash}.example")), Rtype::NSEC3, &data));
        } else if !has_hashes && !types.is_empty() {
            rrsets.extend(rrset(&owner, Rtype::NSEC, b"\x01z\x07example\0\0\x01\x40"));
        }
    }
    table(Plan { zones: vec![zone(&apex, rrsets)], ..Plan::default() })
}

fn ask(table: &RoutingTable, name: &Name, rtype: Rtype, dnssec_ok: bool) -> Message {
    let mut query = query_message(1, name, rtype, None);
    // The flags of the OPT record, which has no options.
    let flags = query.len() - 4;
    query[flags] = if dnssec_ok { 0x80 } else { 0 };
    let client = Client { address: [192, 0, 2, 1].into(), transport: Transport::Tcp };
    let mut reply = vec![0; 4096];
    let length = answer(table, &mut worker(table, 1), client, &query, &mut reply);
    Message::from_vec(&reply[..length]).expect("a good reply")
}

/// The first labels of the owners of `rtype` in the authority section; each has a signature.
fn proofs(message: &Message, rtype: RecordType) -> Vec<String> {
    let first = |record: &hickory_proto::rr::Record| record.name.to_string().trim_end_matches('.').to_owned();
    let owners: Vec<String> =
        message.authorities.iter().filter(|record| record.record_type() == rtype).map(first).collect();
    let distinct: BTreeSet<&String> = owners.iter().collect();
    assert_eq!(distinct.len(), owners.len(), "none is there twice: {owners:?}");
    let signed: BTreeSet<String> = message
        .authorities
        .iter()
        .filter(|record| record.record_type() == RecordType::RRSIG)
        .map(first)
        .collect();
    assert!(owners.iter().all(|owner| signed.contains(owner)), "{owners:?} are signed: {signed:?}");
    owners
}

/// RFC 5155 appendix B, which says of each record what for it is there.
#[test]
fn hashes_prove_what_the_standard_shows() {
    let table = example(true);
    const EXAMPLE: &str = "0p9mhave";
    for (text, rtype, rcode, expected) in [
        // B.1: the closest encloser, the next closer name, the wildcard.
        ("a.c.x.w.example", Rtype::A, ResponseCode::NXDomain, &["b4um86eg", EXAMPLE, "35mthgpg"][..]),
        // B.2 and B.2.1.
        ("ns1.example", Rtype::MX, ResponseCode::NoError, &["2t7b4g4v"]),
        ("y.w.example", Rtype::A, ResponseCode::NoError, &["ji6neoae"]),
        // B.3: opting out.
        ("mc.c.example", Rtype::MX, ResponseCode::NoError, &[EXAMPLE, "35mthgpg"]),
        ("c.example", Rtype::DS, ResponseCode::NoError, &[EXAMPLE, "35mthgpg"]),
        // B.4: the next closer name; B.5: the closest encloser and the wildcard as well.
        ("a.z.w.example", Rtype::MX, ResponseCode::NoError, &["q04jkcev"]),
        ("a.z.w.example", Rtype::AAAA, ResponseCode::NoError, &["q04jkcev", "r53bq7cc", "k8udemvp"]),
        // B.6.
        ("example", Rtype::DS, ResponseCode::NoError, &[EXAMPLE]),
        // By way of an alias as without.
        ("alias.example", Rtype::MX, ResponseCode::NoError, &["q04jkcev"]),
        ("a.example", Rtype::DS, ResponseCode::NoError, &[]),
        ("ns1.example", Rtype::A, ResponseCode::NoError, &[]),
        // A hash is no name.
        ("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", Rtype::NSEC3, ResponseCode::NXDomain, &[]),
    ] {
        let message = ask(&table, &name(text), rtype, true);
        assert_eq!(message.response_code, rcode, "{text} {rtype}");
        let owners = proofs(&message, RecordType::NSEC3);
        let owners: Vec<&str> = owners.iter().map(|owner| &owner[..8]).collect();
        if !text.starts_with("2t7b4g4v") {
            assert_eq!(owners, expected, "{text} {rtype}");
        }
        let without = ask(&table, &name(text), rtype, false);
        assert_eq!(without.response_code, rcode, "{text} {rtype}");
        let is_proof = |record: &&hickory_proto::rr::Record| {
            matches!(record.record_type(), RecordType::RRSIG | RecordType::NSEC3)
        };
        assert_eq!(without.all_sections().filter(is_proof).count(), 0, "{text} {rtype}");
    }
}

#[test]
fn names_prove_what_stands_between_them() {
    let table = example(false);
    for (text, rtype, rcode, expected) in [
        ("ml.example", Rtype::A, ResponseCode::NXDomain, &["c.example", "example"][..]),
        ("ns1.example", Rtype::MX, ResponseCode::NoError, &["ns1.example"]),
        // Nothing has the name; the one before it says so.
        ("y.w.example", Rtype::A, ResponseCode::NoError, &["x.w.example"]),
        ("a.z.w.example", Rtype::MX, ResponseCode::NoError, &["x.y.w.example"]),
        ("a.z.w.example", Rtype::AAAA, ResponseCode::NoError, &["x.y.w.example", "*.w.example"]),
        // One record proves both.
        ("aa.example", Rtype::A, ResponseCode::NXDomain, &["a.example", "example"]),
        ("b.xx.example", Rtype::A, ResponseCode::NXDomain, &["xx.example"]),
        ("mc.c.example", Rtype::MX, ResponseCode::NoError, &["c.example"]),
        ("mc.a.example", Rtype::MX, ResponseCode::NoError, &[]),
        ("alias.example", Rtype::MX, ResponseCode::NoError, &["x.y.w.example"]),
    ] {
        let message = ask(&table, &name(text), rtype, true);
        assert_eq!(message.response_code, rcode, "{text} {rtype}");
        assert_eq!(proofs(&message, RecordType::NSEC), expected, "{text} {rtype}");
    }
}

#[test]
fn signatures_stand_with_what_they_cover() {
    let table = example(true);
    for (text, rtype, signed) in [
        ("ns1.example", Rtype::A, vec![RecordType::A, RecordType::RRSIG]),
        ("ns1.example", Rtype::ANY, vec![RecordType::A, RecordType::RRSIG]),
        ("a.example", Rtype::DS, vec![RecordType::DS, RecordType::RRSIG]),
        ("example", Rtype::RRSIG, vec![RecordType::RRSIG; 5]),
    ] {
        let message = ask(&table, &name(text), rtype, true);
        let types: Vec<RecordType> = message.answers.iter().map(|record| record.record_type()).collect();
        assert_eq!(types, signed, "{text} {rtype}");
    }
    // A delegation that is signed is proven by its DS records, and not by its NS records.
    let message = ask(&table, &name("mc.a.example"), Rtype::A, true);
    let types: Vec<RecordType> = message.authorities.iter().map(|record| record.record_type()).collect();
    assert_eq!(types, [RecordType::NS, RecordType::DS, RecordType::RRSIG]);
}
