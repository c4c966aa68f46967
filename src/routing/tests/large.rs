//! Signed zones with much in them, and many of them.

use hickory_proto::rr::{Name as HickoryName, RecordType};

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
