//! What hickory writes we read to the same, and the other way round.

use hickory_proto::op::{MessageType, OpCode, Query as Question};
use hickory_proto::rr::Name;
use proptest::prelude::*;
use rhumb::dns::{self, NameBuffer, Query, Rcode, Rtype, Unanswerable};

use crate::any::{any_name, any_query, any_subnet};
use crate::{read, subnet_of, wire};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn queries_are_read_as_they_were_meant(message in any_query()) {
        let octets = message.to_vec().expect("the oracle can write it");
        let question = &message.queries[0];
        let mut name = NameBuffer::root();
        let mut read = Query::unread();
        prop_assert_eq!(read.read(&octets, &mut name), Ok(()));
        prop_assert_eq!(name.wire(), wire(question.name()).to_ascii_lowercase());
        prop_assert_eq!(name.label_count(), question.name().iter().count());
        for label in 0..=name.label_count() {
            let suffix: Vec<_> = question.name().iter().skip(label).collect();
            let suffix = Name::from_labels(suffix).expect("a part of a name");
            prop_assert_eq!(name.suffix(label), wire(&suffix).to_ascii_lowercase());
        }
        prop_assert_eq!(read.rtype.0, u16::from(question.query_type()));
        prop_assert_eq!(read.question_octets, wire(question.name()).len() + 4);
        prop_assert_eq!(read.edns.is_some(), message.edns.is_some());
        if let (Some(read), Some(meant)) = (read.edns, &message.edns) {
            prop_assert_eq!(read.udp_payload, meant.max_payload());
            prop_assert_eq!(read.dnssec_ok, meant.flags().dnssec_ok);
            prop_assert_eq!(read.version, 0);
            let found = read.client_subnet.map(|subnet| (subnet.address, subnet.source_prefix));
            let sent = subnet_of(meant).map(|subnet| (subnet.addr(), subnet.source_prefix()));
            prop_assert_eq!(found, sent);
        }
    }

    #[test]
    fn names_are_written_and_read_back(name in any_name()) {
        let ours = dns::Name::from_wire(&wire(&name)).expect("a name");
        prop_assert_eq!(ours.wire(), wire(&name).to_ascii_lowercase());
        prop_assert_eq!(ours.to_string().parse(), Ok(ours));
    }

    #[test]
    fn our_queries_are_read_by_the_oracle(
        id in any::<u16>(),
        name in any_name(),
        rtype in any::<u16>(),
        subnet in proptest::option::of(any_subnet()),
    ) {
        let ours = dns::Name::from_wire(&wire(&name)).expect("a name");
        let wanted = subnet.map(|subnet| dns::ClientSubnet::new(subnet.addr(), subnet.source_prefix()));
        let octets = dns::query_message(id, &ours, Rtype(rtype), wanted);
        let message = read(&octets);
        prop_assert_eq!((message.id, message.message_type, message.op_code), (id, MessageType::Query, OpCode::Query));
        prop_assert_eq!(&message.queries, &[Question::query(name, rtype.into())]);
        let edns = message.edns.expect("EDNS is always there");
        prop_assert_eq!((edns.version(), edns.max_payload()), (0, 1232));
        prop_assert_eq!(subnet_of(&edns), subnet);
        prop_assert!(message.answers.is_empty() && message.authorities.is_empty() && message.additionals.is_empty());
    }

    #[test]
    fn another_opcode_or_class_is_no_query_of_ours(
        message in any_query(),
        opcode in 1..16u8,
        class in (0..=u16::MAX).prop_filter("not IN", |class| *class != 1),
    ) {
        let mut octets = message.to_vec().expect("the oracle can write it");
        let behind_question = 12 + wire(message.queries[0].name()).len() + 4;
        octets[behind_question - 2..behind_question].copy_from_slice(&class.to_be_bytes());
        let read = |octets: &[u8]| Query::unread().read(octets, &mut NameBuffer::root());
        prop_assert_eq!(read(&octets), Err(Unanswerable::OtherClass(class)));
        octets[2] |= opcode << 3;
        prop_assert_eq!(read(&octets), Err(Unanswerable::Error(Rcode::NotImp)));
        octets[2] |= 0x80;
        prop_assert_eq!(read(&octets), Err(Unanswerable::Silence));
    }
}
