//! Signed zones with much in them, and many of them.

use hickory_proto::rr::{Name as HickoryName, RecordType};

use super::super::signed::nodes;
use super::super::table::World;
use super::*;

/// So many octets of signature over the records of type `covered` at `owner`, signed by the root.
fn signatures(owner: &Name, covered: Rtype, octets: usize) -> Rrset {
    let rdata = [&covered.0.to_be_bytes()[..], &[0; 17], &vec![1; octets]].concat();
    rrset(owner, Rtype::RRSIG, &rdata)
}

#[test]
fn a_chain_ends_before_its_names_are_out_of_reach_of_pointers() {
    let apex = name("z.test");
    let chain: Vec<Name> = (0..15).map(|number| name(&format!("c{number}.z.test"))).collect();
    let mut rrsets = vec![signatures(&apex, Rtype::SOA, 64)];
    for link in chain.windows(2) {
        rrsets.push(rrset(&link[0], Rtype::CNAME, link[1].wire()));
        rrsets.push(signatures(&link[0], Rtype::CNAME, 1500));
    }
    rrsets.push(rrset(&chain[14], Rtype::A, &[192, 0, 2, 1]));
    let table = table(Plan { zones: vec![zone(&apex, rrsets)], ..Plan::default() });
    let mut worker = worker(&table, 1);
    let mut ask = |name: &Name| {
        let client = Client { address: [192, 0, 2, 1].into(), transport: Transport::Tcp };
        let mut query = query_message(1, name, Rtype::A, None);
        // DO: the OPT record is the last, and has no options.
        let flags = query.len() - 4;
        query[flags] |= 0x80;
        let mut reply = vec![0; 65_535];
        let length = answer(&table, &mut worker, client, &query, &mut reply);
        Message::from_vec(&reply[..length]).expect("a good reply").answers
    };
    let first = ask(&chain[0]);
    // Each with its signatures: until they are 16 KiB.
    let links = first.len() / 2;
    assert!((11..14).contains(&links), "{links} links");
    for (records, owner) in first.chunks(2).zip(&chain) {
        let owner: HickoryName = owner.to_string().parse().expect("a name");
        assert!(records.iter().all(|record| record.name.eq_ignore_root(&owner)), "{records:?}");
    }
    // Whoever goes on where it ends comes to the address.
    let rest = ask(&chain[links]);
    assert_eq!(rest.last().map(|record| record.record_type()), Some(RecordType::A));
}

#[test]
fn a_zone_answers_for_its_own_names_and_where_those_of_others_begin() {
    let (upper, lower) = (name("p.test"), name("child.p.test"));
    let [deep, hashed, cut, glue, www] = [
        "a.deep.p.test",
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.p.test",
        "cut.p.test",
        "ns.cut.p.test",
        "www.child.p.test",
    ]
    .map(name);
    let server = |owner: &Name| rrset(owner, Rtype::NS, glue.wire());
    let address = |owner: &Name| rrset(owner, Rtype::A, &[192, 0, 2, 1]);
    let rrsets = [
        rrset(&hashed, Rtype::NSEC3, &[1, 0, 0, 0, 0, 0]),
        address(&deep),
        server(&lower),
        address(&www),
        server(&cut),
        address(&glue),
    ];
    let zones = vec![zone(&upper, rrsets), zone(&lower, [address(&www)])];
    let plan = Arc::new(Plan { zones, ..Plan::default() });
    let World { names, zones, .. } = World::compile(plan.clone(), Arc::new(GeoTable::empty()));
    let above: Vec<Option<u32>> = zones.iter().map(|zone| zone.above).collect();
    let of_zone = |id| {
        let nodes = nodes(&plan, id, &above, &names).into_iter();
        let mut told: Vec<String> = nodes
            .filter_map(|node| Name::from_wire(names.name_of(names.node(node))))
            .map(|name| name.to_string())
            .collect();
        told.sort();
        told
    };
    assert_eq!(of_zone(0), ["a.deep.p.test", "child.p.test", "cut.p.test", "deep.p.test", "p.test"]);
    assert_eq!(of_zone(1), ["child.p.test", "www.child.p.test"]);
}
